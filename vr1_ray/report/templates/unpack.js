// Parts of the page: base64 in script elements, gzip inside. Everything from a data set or a model is set as text, never as markup.
const NONCE = document.currentScript.nonce;
const byId = (id) => document.getElementById(id);

function bytesOf(text) {
  const binary = atob(text), bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

async function unpacked(id) {
  const part = byId(id);
  if (!part) return null;
  const stream = new Blob([bytesOf(part.textContent)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

const opened = new Map();  // the last parts that were opened; a report holds hundreds
async function json(id) {
  if (!opened.has(id)) {
    if (opened.size > 40) opened.delete(opened.keys().next().value);
    opened.set(id, unpacked(id).then((text) => text === null ? null : JSON.parse(text)));
  }
  return opened.get(id);
}

const BATCH = 64;
function pictureSource(number) {
  const lines = byId("p" + Math.floor(number / BATCH)).textContent.split("\n");
  const data = lines[number % BATCH];
  const kinds = [["/9j/", "jpeg"], ["R0lG", "gif"], ["UklGR", "webp"]];
  const found = kinds.find(([start]) => data.startsWith(start));
  return "data:image/" + (found ? found[1] : "png") + ";base64," + data;
}

function el(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const shown = (value, digits = 3) => value === null || value === undefined ? "-" : String(+value.toFixed(digits));
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const isDark = () => matchMedia("(prefers-color-scheme: dark)").matches;

function tellTrouble(error) {
  const place = byId("trouble");
  place.hidden = false;
  place.textContent = "This page could not be shown whole: " + error + ". It needs a browser of 2023 or later.";
  console.error(error);
}
