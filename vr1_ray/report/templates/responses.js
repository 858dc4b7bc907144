// One group opened: picture, question, its responses side by side; and the same question over the steps.
const INDEX = 0, ATTEMPT = 1, STATUS = 2, TOKENS = 3, REWARD = 4, ADVANTAGE = 5, PARTS = 6, TEXT = 7;  // of a response
const COLOURS = {
  "": ["no colours", ""],
  a: ["advantage", "Green: the update makes these tokens likelier; red: less likely. Stronger with a larger advantage."],
  s: ["surprise", "Stronger where the sampled token was less likely: -log p of the engine, full from 4 nats on."],
  d: ["engine - trainer", "Orange: the engine gave the token more than the trainer; blue: less. Full from 0.1 nats on."],
  r: ["engine - reference", "Orange: likelier than under the reference policy; blue: less likely. Full from 2 nats on."],
};
let colouring = "";

const tint = (rgb, share) => share < 0.04 ? "" : "rgba(" + rgb + "," + Math.min(share, 1) * 0.62 + ")";
function tokenColour(kind, level, advantage) {
  if (kind === "a") return tint(advantage > 0 ? "21,160,60" : "220,50,45", Math.abs(advantage) / 2);
  if (kind === "s") return tint("200,90,220", level / 15);
  return tint(level > 8 ? "230,130,20" : "50,110,240", Math.abs(level - 8) / 7);
}

// [text, colour] pieces of a response between two places, in characters
function pieces(response, tokens, from, to) {
  const letters = Array.from(response[TEXT]);
  const plain = [[letters.slice(from, to).join(""), ""]];
  if (!colouring) return plain;
  if (colouring === "a" && !tokens) return [[plain[0][0], tokenColour("a", 0, response[ADVANTAGE] || 0)]];
  if (!tokens || (colouring !== "a" && !tokens[colouring])) return plain;
  const found = [];
  let end = 0;
  for (let i = 0; i < tokens.w.length; i++) {
    const start = end;
    end += tokens.w.charCodeAt(i) - 48;
    if (end <= from || start >= to) continue;
    const level = colouring === "a" ? 0 : parseInt(tokens[colouring][i], 16);
    found.push([letters.slice(Math.max(start, from), Math.min(end, to)).join(""), tokenColour(colouring, level, response[ADVANTAGE] || 0)]);
  }
  return found;
}

function textBlock(response, tokens, from, to) {
  const block = el("pre");
  for (const [text, background] of pieces(response, tokens, from, to)) {
    if (!background) { block.append(text); continue; }
    const span = el("span", {}, text);
    span.style.background = background;
    block.append(span);
  }
  return block;
}

const lengthOf = (text) => Array.from(text).length;
function answerOf(text) {
  const found = [...text.matchAll(/<answer>([\s\S]*?)<\/answer>/g)];
  if (!found.length && /<think|<answer/.test(text)) return "(no answer)";
  const content = found.length ? found[found.length - 1][1] : text;
  return content.replace(/^\s*Final Answer:\s*/i, "").trim();
}

function isRight(run, response) {
  const place = run.parts.indexOf("accuracy"), measured = place < 0 ? undefined : response[PARTS][place];
  return measured === undefined || measured === null ? (response[REWARD] || 0) > 0 : measured >= 0.5;
}

function responseCard(run, response, tokens) {
  const marks = {truncated: "truncated", invalid: "invalid", aborted: "aborted"};
  const facts = el("div", {class: "facts"}, el("b", {}, "#" + response[INDEX]), el("span", {}, "reward ", el("b", {}, shown(response[REWARD]))),
    el("span", {}, "advantage ", el("b", {}, shown(response[ADVANTAGE]))), el("span", {}, response[TOKENS] + " tokens"));
  if (marks[response[STATUS]]) facts.append(el("span", {class: "mark"}, marks[response[STATUS]]));
  if (response[ATTEMPT]) facts.append(el("span", {class: "mark"}, "attempt " + (response[ATTEMPT] + 1)));
  run.parts.forEach((name, place) => {
    const value = response[PARTS][place];
    if (value !== null && value !== undefined) facts.append(el("span", {}, name + " " + shown(value)));
  });
  const card = el("div", {class: "response " + (isRight(run, response) ? "right" : "wrong")}, facts);
  const text = response[TEXT], whole = lengthOf(text), close = text.indexOf("</think>");
  if (close >= 0) {
    const end = lengthOf(text.slice(0, close + 8));
    card.append(el("details", {open: keepsOpen()}, el("summary", {}, "thought"), textBlock(response, tokens, 0, end)), textBlock(response, tokens, end, whole));
  } else if (text.startsWith("<think>")) {
    card.append(el("details", {open: true}, el("summary", {}, "thought, without an end"), textBlock(response, tokens, 0, whole)));
  } else {
    card.append(textBlock(response, tokens, 0, whole));
  }
  return card;
}

let unfolded = false;
const keepsOpen = () => unfolded;

function pictureBox(places) {
  const box = el("div", {class: "pictures"});
  for (const place of places) {
    if (place < 0) { box.append(el("p", {class: "quiet"}, "a picture that could not be read")); continue; }
    box.append(el("img", {src: pictureSource(place), alt: "picture of the question", tabindex: 0, onclick: (event) => event.target.classList.toggle("large"),
      onkeydown: (event) => { if (event.key === "Enter") event.target.classList.toggle("large"); }}));
  }
  return box;
}

async function openGroup(data, number, row, {focus = true} = {}) {
  const run = data.runs[number], column = run.columns, step = column.step[row], prompt = run.prompts[column.prompt[row]];
  const responses = (await json("t" + number + "-" + step))[column.place[row]];
  const isColoured = run.coloured.includes(step);
  const tokens = isColoured && colouring ? (await json("k" + number + "-" + step))[column.place[row]] : [];
  const others = column.prompt.filter((one) => one === column.prompt[row]).length;
  const again = () => openGroup(data, number, row, {focus: false});
  const choice = el("select", {"aria-label": "colour tokens by", onchange: (event) => { colouring = event.target.value; unfolded = unfolded || colouring !== ""; again(); }});
  const available = isColoured ? Object.keys((await firstTokens(number, step)) || {}) : [];
  for (const kind of ["", "a", ...["s", "d", "r"].filter((one) => available.includes(one))])
    choice.append(el("option", {value: kind, selected: kind === colouring}, COLOURS[kind][0]));
  const place = byId("group");
  place.replaceChildren(
    el("div", {class: "top"}, pictureBox(prompt[3]), el("div", {class: "asked"},
      el("h3", {}, prompt[1] || "(no text)"), el("p", {class: "quiet"}, "reference answer: " + prompt[2]),
      el("p", {class: "quiet"}, [data.runs.length > 1 ? run.name : "", "step " + step, "stage " + column.stage[row], "policy version " + column.version[row],
        column.right[row] + " of " + column.size[row] + " " + (run.measure || "right"), "id " + prompt[0]].filter(Boolean).join(" · ")),
      el("div", {class: "tools"},
        el("button", {type: "button", onclick: () => moveBy(-1)}, "previous"), el("button", {type: "button", onclick: () => moveBy(1)}, "next"),
        el("button", {type: "button", id: "over-steps", disabled: others < 2, onclick: () => openHistory(data, number, row)}, others < 2 ? "asked in one saved step" : "this question over " + others + " saved steps"),
        el("button", {type: "button", onclick: () => { unfolded = !unfolded; again(); }}, unfolded ? "fold thoughts" : "unfold thoughts"),
        el("label", {}, "tokens by ", choice)),
      colouring ? el("p", {class: "legend"}, COLOURS[colouring][1] + (isColoured || colouring === "a" ? "" : " Not in the page for this step.")) : null)),
    el("div", {class: "answers"}, ...responses.map((response, index) => responseCard(run, response, tokens && tokens[index]))));
  place.hidden = false;
  byId("history").hidden = true;
  history.replaceState(null, "", "#group-" + number + "-" + row);
  if (focus) { place.focus({preventScroll: true}); place.scrollIntoView({block: "nearest"}); }
}

async function firstTokens(number, step) {
  const groups = await json("k" + number + "-" + step);
  return (groups || []).flat().find((one) => one);
}

async function openHistory(data, number, row) {
  const run = data.runs[number], column = run.columns, which = column.prompt[row], prompt = run.prompts[which];
  const rows = column.step.map((_, one) => one).filter((one) => column.prompt[one] === which).sort((a, b) => column.step[a] - column.step[b]);
  const body = [];
  for (const one of rows) {
    const responses = (await json("t" + number + "-" + column.step[one]))[column.place[one]];
    const counted = new Map();
    for (const response of responses) {
      const answer = answerOf(response[TEXT]).slice(0, 60) || "(none)", key = (isRight(run, response) ? "right" : "wrong") + answer;
      counted.set(key, [answer, isRight(run, response) ? "right" : "wrong", ((counted.get(key) || [])[2] || 0) + 1]);
    }
    const chips = [...counted.values()].sort((a, b) => b[2] - a[2]).map(([answer, verdict, count]) =>
      el("span", {class: "chip " + verdict}, answer + (count > 1 ? " ×" + count : "")));
    body.push(el("tr", {}, el("td", {}, el("button", {type: "button", class: "link", onclick: () => openGroup(data, number, one)}, "step " + column.step[one])),
      el("td", {}, column.right[one] + "/" + column.size[one]), el("td", {}, shown(column.reward[one])), el("td", {}, shown(column.mean[one], 1)),
      el("td", {class: "chips-cell"}, el("div", {class: "chips"}, ...chips))));
  }
  const place = byId("history");
  place.replaceChildren(el("div", {class: "top"}, pictureBox(prompt[3]), el("div", {class: "asked"}, el("h3", {}, prompt[1]),
    el("p", {class: "quiet"}, "reference answer: " + prompt[2] + " · in " + rows.length + " saved steps"),
    el("div", {class: "tools"}, el("button", {type: "button", onclick: () => openGroup(data, number, row)}, "back to the group")))),
    el("div", {class: "scroll"}, el("table", {class: "history"}, el("tr", {}, ...["", run.measure || "right", "reward", "tokens", "answers"].map((name) => el("th", {}, name))), ...body)));
  byId("group").hidden = true;
  place.hidden = false;
  place.focus({preventScroll: true});
  place.scrollIntoView({block: "nearest"});
}
