// The list of groups: filters, order, search; only the rows in view exist.
let DATA = null, found = [], chosen = -1, searching = 0;
const form = byId("filters"), list = byId("list"), rowsBox = byId("rows");
const runNumber = () => Number(form.elements.run.value || 0);
const rowHeight = () => matchMedia("(max-width: 640px)").matches ? 56 : 32;

function options(select, pairs) {
  const before = select.value;
  select.replaceChildren(...pairs.map(([value, name]) => el("option", {value}, name)));
  select.value = pairs.some(([value]) => String(value) === before) ? before : pairs[0][0];
}

function fillChoices() {
  const run = DATA.runs[runNumber()];
  options(form.elements.stage, [["", "all"], ...[...new Set(run.columns.stage)].sort((a, b) => a - b).map((stage) => [stage, stage])]);
  const parts = run.parts.flatMap((name, place) => [[place + ":zero", name + ": 0 in all"], [place + ":some", name + ": above 0 in some"], [place + ":differs", name + ": differs"]]);
  options(form.elements.part, [["", "any"], ...parts]);
}

const OUTCOMES = {
  right: (column, row) => column.right[row] === column.size[row],
  wrong: (column, row) => column.right[row] === 0,
  mixed: (column, row) => column.right[row] > 0 && column.right[row] < column.size[row],
  cut: (column, row) => column.cut[row] > 0,
  invalid: (column, row) => column.invalid[row] > 0,
};

function fitsPart(run, row, choice) {
  const [place, how] = choice.split(":"), name = run.parts[place];
  const low = run.columns.low[row][name], high = run.columns.high[row][name];
  if (high === undefined) return false;
  return how === "zero" ? high === 0 && low === 0 : how === "some" ? high > 0 : high !== low;
}

async function filterGroups() {
  const ticket = ++searching, run = DATA.runs[runNumber()], column = run.columns, ask = form.elements;
  const words = ask.search.value.trim().toLowerCase(), step = ask.step.value, stage = ask.stage.value, outcome = ask.outcome.value, part = ask.part.value;
  let rows = column.step.map((_, row) => row).filter((row) =>
    (step === "" || column.step[row] === Number(step)) && (stage === "" || column.stage[row] === Number(stage))
    && (!outcome || OUTCOMES[outcome](column, row)) && (!part || fitsPart(run, row, part)));
  if (words) {
    const inPrompt = (row) => run.prompts[column.prompt[row]].slice(0, 3).some((text) => text.toLowerCase().includes(words));
    const kept = [];
    for (const row of rows) {
      if (inPrompt(row)) { kept.push(row); continue; }
      if (!ask.deep.checked) continue;
      const groups = await json("t" + runNumber() + "-" + column.step[row]);
      if (ticket !== searching) return;
      if (groups[column.place[row]].some((response) => response[TEXT].toLowerCase().includes(words))) kept.push(row);
    }
    rows = kept;
  }
  const reward = (row) => column.reward[row] ?? 0;
  const orders = {longest: (a, b) => column.longest[b] - column.longest[a], low: (a, b) => reward(a) - reward(b), high: (a, b) => reward(b) - reward(a)};
  if (orders[ask.order.value]) rows.sort(orders[ask.order.value]);
  found = rows;
  chosen = -1;
  byId("count").textContent = found.length.toLocaleString("en") + " of " + column.step.length.toLocaleString("en") + " groups";
  rowsBox.style.height = found.length * rowHeight() + "px";
  list.scrollTop = 0;
  showRows();
}

function rowOf(run, row, place, height) {
  const column = run.columns, right = column.right[row], size = column.size[row], bar = el("i");
  bar.style.width = 100 * right / size + "%";
  const marks = [column.cut[row] ? column.cut[row] + " cut" : "", column.invalid[row] ? column.invalid[row] + " invalid" : ""].filter(Boolean).join(", ");
  const made = el("div", {class: "row", role: "option", id: "row-" + place, "aria-selected": String(place === chosen), onclick: () => choose(place, true)},
    el("span", {}, "step " + column.step[row]), el("span", {class: "stage quiet"}, "stage " + column.stage[row]),
    el("span", {class: "asked"}, run.prompts[column.prompt[row]][1] || "(no text)"),
    el("span", {}, el("span", {class: "bar"}, bar), right + "/" + size),
    el("span", {class: "number length quiet"}, marks ? el("span", {class: "mark"}, marks) : column.longest[row] + " tokens"),
    el("span", {class: "number"}, shown(column.reward[row])));
  made.style.top = place * height + "px";
  return made;
}

function showRows() {
  const height = rowHeight(), run = DATA.runs[runNumber()];
  const first = Math.max(Math.floor(list.scrollTop / height) - 6, 0), last = Math.min(Math.ceil((list.scrollTop + list.clientHeight) / height) + 6, found.length);
  const rows = [];
  for (let place = first; place < last; place++) rows.push(rowOf(run, found[place], place, height));
  rowsBox.replaceChildren(...rows);
  if (chosen >= 0) list.setAttribute("aria-activedescendant", "row-" + chosen);
  else list.removeAttribute("aria-activedescendant");
}

function choose(place, isOpened) {
  if (!found.length) return;
  chosen = Math.min(Math.max(place, 0), found.length - 1);
  const height = rowHeight(), top = chosen * height;
  if (top < list.scrollTop) list.scrollTop = top;
  if (top + height > list.scrollTop + list.clientHeight) list.scrollTop = top + height - list.clientHeight;
  showRows();
  if (isOpened) openGroup(DATA, runNumber(), found[chosen], {focus: false}).catch(tellTrouble);
}

const moveBy = (number) => choose(chosen + number, true);

function stepBy(number) {
  const steps = [...new Set(DATA.runs[runNumber()].columns.step)].sort((a, b) => a - b), field = form.elements.step;
  const now = field.value === "" ? (number > 0 ? -1 : steps.length) : steps.findIndex((step) => step >= Number(field.value));
  field.value = steps[Math.min(Math.max(now + number, 0), steps.length - 1)];
  filterGroups().catch(tellTrouble);
}

function startBrowser(data) {
  if (!form) return;
  DATA = data;
  const runs = data.runs.map((run, number) => [number, run.name]).filter(([number]) => data.runs[number].columns.step.length);
  options(form.elements.run, runs);
  form.querySelector(".run-choice").hidden = runs.length < 2;
  if (runs.length < 2) form.querySelector(".run-choice").style.display = "none";
  fillChoices();
  form.addEventListener("submit", (event) => event.preventDefault());
  form.elements.run.addEventListener("change", fillChoices);
  let waiting = 0;
  form.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(() => filterGroups().catch(tellTrouble), 120); });
  form.elements.back.addEventListener("click", () => stepBy(-1));
  form.elements.next.addEventListener("click", () => stepBy(1));
  let isDue = false;
  list.addEventListener("scroll", () => { if (!isDue) { isDue = true; requestAnimationFrame(() => { isDue = false; showRows(); }); } });
  addEventListener("resize", () => { rowsBox.style.height = found.length * rowHeight() + "px"; showRows(); });
  list.addEventListener("keydown", (event) => {
    const moves = {ArrowDown: 1, ArrowUp: -1, PageDown: 9, PageUp: -9, Home: -1e9, End: 1e9, j: 1, k: -1};
    if (event.key in moves) { event.preventDefault(); choose(chosen + moves[event.key], false); }
    if (event.key === "Enter" && chosen >= 0) choose(chosen, true);
  });
  return filterGroups().then(() => {
    const asked = location.hash.match(/^#group-(\d+)-(\d+)$/);
    if (!asked || !data.runs[asked[1]] || Number(asked[2]) >= data.runs[asked[1]].columns.step.length) return null;
    return openGroup(data, Number(asked[1]), Number(asked[2]));
  });
}
