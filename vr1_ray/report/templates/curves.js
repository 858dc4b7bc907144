// Curves and histograms, by plotly.js, each drawn when it comes into view. One colour a run; in a single run one a line.
const LIGHT = ["#2563eb", "#d97706", "#15803c", "#9333ea", "#c2322d", "#0e7490", "#64748b"];
const DARK = ["#7fb0ff", "#f2b04c", "#4cc27a", "#c99bff", "#ff7d77", "#4ec3dc", "#93a3b8"];
const palette = () => isDark() ? DARK : LIGHT;
const SHADES = () => isDark() ? ["#1b2940", "#32281a", "#1a3024"] : ["#e9effb", "#fdf1de", "#e6f4ea"];
const SIGNS = {stage: "diamond", start: "triangle-up", scaling: "square", engine: "x", checkpoint: "circle", alarm: "cross", end: "star"};

let library = null;
function plotly() {
  if (!library) {
    library = unpacked("plotly").then((code) => {
      const script = el("script", {nonce: NONCE});
      script.textContent = code;
      document.head.append(script);
      return window.Plotly;
    });
  }
  return library;
}

function layoutOf(runs, axis, withEvents) {
  const grid = colour("line"), ink = colour("ink"), quiet = colour("quiet");
  const layout = {
    margin: {l: 46, r: 12, t: 24, b: 32}, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: {family: "system-ui, sans-serif", size: 11, color: ink}, hovermode: "x unified", showlegend: true,
    hoverlabel: {bgcolor: colour("sheet"), bordercolor: grid, font: {color: ink}},
    legend: {orientation: "h", x: 1, xanchor: "right", y: 1.0, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)", font: {size: 11}},
    xaxis: {gridcolor: "rgba(0,0,0,0)", linecolor: grid, zeroline: false, tickformat: "d", nticks: 8, title: {text: "step", standoff: 2, font: {color: quiet}}},
    yaxis: {gridcolor: grid, zeroline: false, rangemode: axis === "log" ? "normal" : "tozero", automargin: true},
    shapes: [], annotations: [],
  };
  if (axis === "share") Object.assign(layout.yaxis, {tickformat: ".0%", rangemode: "tozero"});
  if (axis === "log") Object.assign(layout.yaxis, {type: "log", exponentformat: "power", dtick: 1});
  if (!withEvents) return layout;
  layout.yaxis2 = {overlaying: "y", range: [0, 1], visible: false, fixedrange: true};
  runs[0].spans.forEach((span, number) => {
    layout.shapes.push({type: "rect", xref: "x", yref: "paper", x0: span.first - 0.5, x1: span.last + 0.5, y0: 0, y1: 1,
      fillcolor: SHADES()[number % 3], line: {width: 0}, layer: "below"});
  });
  return layout;
}

function eventTraces(runs) {
  return runs.filter((run) => run.events.length).map((run, number) => ({
    x: run.events.map((event) => event.step), y: run.events.map(() => 0.015), yaxis: "y2", type: "scatter", mode: "markers",
    name: "events", showlegend: false, hovertext: run.events.map((event) => event.kind + ": " + escaped(event.text.slice(0, 140))), hoverinfo: "text",
    marker: {symbol: run.events.map((event) => SIGNS[event.kind] || "circle"), size: 7, opacity: 0.85,
      color: run.events.map((event) => event.kind === "alarm" ? colour("wrong") : runs.length > 1 ? palette()[number % 7] : colour("quiet"))},
  }));
}

// plotly reads a few tags in its texts
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function smooth(values) {
  const width = Math.max(Math.floor(values.length / 20), 1);
  return values.map((_, i) => {
    const near = values.slice(Math.max(i - width + 1, 0), i + 1).filter((value) => value !== null);
    return values[i] === null || !near.length ? null : near.reduce((sum, value) => sum + value, 0) / near.length;
  });
}

function tracesOf(panel, runs) {
  const traces = [];
  runs.forEach((run, number) => panel.series.forEach((series, place) => {
    const figures = run.figures[series.key];
    if (!figures) return;
    const values = panel.axis === "log" ? figures.map((value) => value > 0 ? value : null) : figures;
    const of = palette()[(runs.length > 1 ? number : place) % 7];
    const name = runs.length > 1 ? escaped(run.name) + (panel.series.length > 1 ? ", " + series.label : "") : series.label;
    const trace = {x: run.steps, y: values, name, type: "scatter", mode: "lines", line: {color: of, width: 1.9}, hovertemplate: "%{y:.4~g}", connectgaps: panel.axis === "log",
      showlegend: runs.length > 1 ? place === 0 : panel.series.length > 1};
    if (runs.length > 1 && place > 0) trace.line.dash = "dot";
    if (values.filter((value) => value !== null).length < 3) trace.mode = "lines+markers";
    if (series.style === "thin") trace.line.width = 1;
    if (series.style === "cap") Object.assign(trace.line, {color: colour("wrong"), dash: "dash", width: 1.4, shape: "hvh"});
    if (series.style === "dots") trace.line.dash = "dot";
    if (series.style === "marks") Object.assign(trace, {mode: "markers", marker: {size: 7, color: of, symbol: "diamond"}});
    if (series.style === "area") Object.assign(trace, {stackgroup: "time", line: {color: of, width: 0.6}});
    if (series.style === "line" && values.length >= 40) {
      traces.push({...trace, opacity: 0.3, line: {...trace.line, width: 0.8}, showlegend: false, hoverinfo: "skip", hovertemplate: undefined});
      trace.y = smooth(values);
    }
    traces.push(trace);
  }));
  return traces;
}

function panelBox(title, unit, isBroad) {
  const plot = el("div", {class: "plot"});
  const heading = el("h3", {}, title);
  if (unit) heading.append(el("span", {class: "unit"}, " (" + unit + ")"));
  return [el("section", {class: isBroad ? "panel broad" : "panel", "aria-label": title}, heading, plot), plot];
}

const drawings = [];  // {plot, draw, isDrawn}; drawn again when the colours change
const watcher = new IntersectionObserver((entries) => {
  entries.filter((entry) => entry.isIntersecting).forEach((entry) => drawOne(drawings.find((one) => one.plot === entry.target)));
}, {rootMargin: "200px"});

async function drawOne(drawing) {
  if (!drawing || drawing.isDrawn) return;
  drawing.isDrawn = true;
  try {
    const [traces, layout] = drawing.make();
    await (await plotly()).react(drawing.plot, traces, layout, {responsive: true, displaylogo: false, displayModeBar: false});
  } catch (error) { tellTrouble(error); }
}

function addDrawing(parent, title, unit, isBroad, make) {
  const [box, plot] = panelBox(title, unit, isBroad);
  parent.append(box);
  drawings.push({plot, make, isDrawn: false});
  watcher.observe(plot);
}

function startCurves(data) {
  const parent = byId("panels");
  if (parent) {
    const spans = data.runs[0].spans;
    byId("curves-note").textContent = spans.length ? "Shaded: " + spans.map((span) =>
      "stage " + span.stage + ", steps " + span.first + " to " + span.last + " (" + span.max_response_tokens + " tokens x " + span.group_size + ")").join("; ")
      + (data.runs.length > 1 ? " of " + data.runs[0].name + "." : ".") + " Marks on the axis are events, listed below." : "";
    data.panels.forEach((panel) => {
      const isStacked = panel.series.some((series) => series.style === "area");
      (isStacked ? data.runs.map((run) => [run]) : [data.runs]).forEach((runs) => {
        if (!panel.series.some((series) => runs.some((run) => run.figures[series.key]))) return;
        const title = panel.title + (isStacked && data.runs.length > 1 ? ": " + runs[0].name : "");
        addDrawing(parent, title, panel.unit, isStacked, () => {
          const layout = layoutOf(runs, panel.axis, true);
          if (panel.axis === "share") layout.yaxis.range = shareRange(panel, runs);
          if (isStacked) legendBelow(layout);
          return [[...tracesOf(panel, runs), ...eventTraces(runs)], layout];
        });
      });
    });
  }
  startHistograms(data);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAgain);
  addEventListener("beforeprint", () => drawings.forEach(drawOne));
}

// more names than a line holds
function legendBelow(layout) {
  Object.assign(layout.legend, {x: 0, xanchor: "left", y: innerWidth < 640 ? -0.22 : -0.26, yanchor: "top", traceorder: "normal"});
  layout.margin.t = 8;
  layout.xaxis.title.text = "";
}

function shareRange(panel, runs) {
  const values = runs.flatMap((run) => panel.series.flatMap((series) => run.figures[series.key] || []));
  const top = Math.max(0, ...values);
  return [0, top > 0.4 ? 1.04 : Math.max(top * 1.2, 0.05)];
}

function drawAgain() {
  drawings.filter((one) => one.isDrawn).forEach((one) => { one.isDrawn = false; drawOne(one); });
}

function startHistograms(data) {
  const parent = byId("histograms");
  if (!parent) return;
  data.runs.forEach((run) => run.lengths.stages.forEach((stage) => {
    const width = run.lengths.width, ends = stage.right.map((_, bin) => bin * width + (width + 1) / 2);
    const hover = stage.right.map((_, bin) => (width > 1 ? bin * width + 1 + " to " : "") + (bin + 1) * width + " tokens");
    const title = "Stage " + stage.stage + ", at most " + stage.cap + " tokens" + (data.runs.length > 1 ? ": " + run.name : "");
    addDrawing(parent, title, "", false, () => {
      const layout = layoutOf([run], "plain", false);
      Object.assign(layout, {barmode: "stack", bargap: 0.06});
      layout.xaxis.title.text = "tokens of a response";
      layout.xaxis.range = [0.5, Math.max(...run.lengths.stages.map((one) => one.right.length)) * width + 0.5];
      const bars = (name, of, y) => ({type: "bar", x: ends, y, name, width, marker: {color: colour(of)}, customdata: hover, hovertemplate: "%{y} " + name + ", %{customdata}<extra></extra>"});
      const good = run.measure || "right";
      layout.hovermode = "closest";
      return [[bars(good, "right", stage.right), bars(good === "right" ? "wrong" : "not rewarded", "wrong", stage.wrong)], layout];
    });
  }));
}
