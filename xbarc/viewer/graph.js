// The network: a box for each step, layers coloured by a figure; a click selects the layer.
const graphPane = $("graph"), svgSpace = "http://www.w3.org/2000/svg";
function drawn(kind, facts, text) { const made = document.createElementNS(svgSpace, kind); for (const [name, value] of Object.entries(facts)) made.setAttribute(name, value); if (text !== undefined) made.textContent = text; return made; }
const boxGap = 14, widest = 168, narrowest = 108, crossbarHeight = 38, digitalHeight = 22, rankGap = 16;
let boxWidth = widest;
const figureOf = (step, metric) => step.kind === "crossbar" ? step.figures[metric] : undefined;

// The page's own blue, from faint to full, so that dark text stays legible on it.
const metricColours = () => matchMedia("(prefers-color-scheme: dark)").matches ? [[38, 50, 66], [64, 110, 168]] : [[235, 241, 248], [120, 168, 218]];
function metricRange(metric) {
  const values = view.steps.map((step) => figureOf(step, metric)).filter((value) => typeof value === "number");
  return values.length ? [Math.min(...values), Math.max(...values)] : [0, 0];
}
function metricColour(step, metric) {
  const value = figureOf(step, metric), [low, high] = metricRange(metric), colours = metricColours();
  return typeof value === "number" ? mix(...colours, high > low ? (value - low) / (high - low) : 0.5) : colours[0];
}
function writeMetric(value, metric) {
  if (typeof value !== "number") return value || "not known";
  return /share|over cells/.test(view.metrics[metric][1]) ? percent(value) : say(value, 3);
}
// Rank of each step: one more than that of whatever it reads, so that edges point down.
function rankSteps() {
  const nodes = [-1, ...view.steps.keys(), view.steps.length], rank = new Map(nodes.map((node) => [node, 0])), before = new Map(nodes.map((node) => [node, []]));
  for (const [from, to] of view.edges) before.get(to).push(from);
  for (const node of nodes) if (before.get(node).length) rank.set(node, 1 + Math.max(...before.get(node).map((one) => rank.get(one))));
  return [nodes, rank];
}
function placeNodes() {
  const [nodes, rank] = rankSteps(), rows = [];
  for (const node of nodes) (rows[rank.get(node)] ||= []).push(node);
  // Branches lie side by side where the pane has room for it.
  const lanes = Math.max(...rows.filter(Boolean).map((row) => row.length));
  boxWidth = Math.max(narrowest, Math.min(widest, (graphPane.clientWidth - 56) / lanes - boxGap));
  const place = new Map(), wide = lanes * (boxWidth + boxGap);
  let y = 4;
  for (const row of rows.filter(Boolean)) {
    const tall = Math.max(...row.map(nodeHeight)), start = (wide - row.length * (boxWidth + boxGap)) / 2;
    row.forEach((node, n) => place.set(node, [start + n * (boxWidth + boxGap) + 4, y, nodeHeight(node)]));
    y += tall + rankGap;
  }
  return [place, wide + 34, y];
}
const nodeHeight = (node) => view.steps[node]?.kind === "crossbar" ? crossbarHeight : digitalHeight;
const short = (text, most = Math.floor(boxWidth / 7)) => text.length > most ? text.slice(0, most - 1) + "…" : text;
function nodeText(node) {
  if (node < 0) return view.inputs.join(", ");
  if (node === view.steps.length) return view.outputs.join(", ");
  const step = view.steps[node];
  return step.kind === "crossbar" ? step.name : step.operators.join(", ") || step.name;
}
function drawGraph() {
  const [place, width, height] = placeNodes(), svg = drawn("svg", { width, height, viewBox: `0 0 ${width} ${height}` });
  for (const [from, to] of view.edges) svg.append(drawEdge(place.get(from), place.get(to), height));
  for (const [node, at] of place) svg.append(drawNode(node, at));
  graphPane.replaceChildren(svg);
}
function drawEdge([x0, y0, tall], [x1, y1]) {
  const a = x0 + boxWidth / 2, b = x1 + boxWidth / 2, from = y0 + tall, skips = y1 - from > 2 * crossbarHeight;
  // An edge that passes other boxes goes round them.
  const path = skips ? `M${x0 + boxWidth} ${y0 + tall / 2} C${x0 + boxWidth + 30} ${from} ${x1 + boxWidth + 30} ${y1} ${x1 + boxWidth} ${y1 + 8}` : `M${a} ${from} C${a} ${(from + y1) / 2} ${b} ${(from + y1) / 2} ${b} ${y1}`;
  return drawn("path", { class: "edge", d: path });
}
function drawNode(node, [x, y, tall]) {
  const step = view.steps[node], metric = state.metric, crossbar = step?.kind === "crossbar";
  const box = drawn("g", { class: `node${crossbar ? "" : " digital"}${node === state.layer ? " picked" : ""}`, "data-step": node });
  const fill = crossbar ? { style: `fill: ${css(metricColour(step, metric))}` } : {};
  box.append(drawn("rect", { x, y, width: boxWidth, height: tall, rx: 4, ...fill }));
  box.append(drawn("text", { x: x + 8, y: y + 15, fill: "var(--ink)" }, short(nodeText(node))));
  const value = crossbar ? writeMetric(step.figures[metric], metric) : "";
  if (crossbar) box.append(drawn("text", { x: x + 8, y: y + 31, fill: "var(--ink)" }, `${view.metrics[metric][0]} ${value}`));
  box.append(drawn("title", {}, crossbar ? `${step.name}, ${step.operator}: ${view.metrics[metric][0]} ${value} (${view.metrics[metric][1]})` : nodeText(node)));
  if (!step) return box;
  for (const [name, text] of Object.entries({ tabindex: 0, role: "button", "aria-label": `${step.name}, ${crossbar ? `${step.operator}, ${view.metrics[metric][0]} ${value}` : "digital"}` })) box.setAttribute(name, text);
  box.addEventListener("click", () => selectLayer(node));
  box.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); selectLayer(node); } });
  return box;
}
function writeMetricKey() {
  const [low, high] = metricRange(state.metric), key = $("metric-key");
  key.replaceChildren(ramp(metricColours(), writeMetric(low, state.metric), writeMetric(high, state.metric)), element("span", ` ${view.metrics[state.metric][1]}`, "quiet"));
}
function markLayer() {
  for (const node of graphPane.querySelectorAll(".node")) node.classList.toggle("picked", Number(node.dataset.step) === state.layer);
  graphPane.querySelector(".node.picked")?.scrollIntoView({ block: "nearest", inline: "nearest" });
}
