const study = held("study");
const named = held("figures");
const designs = study.designs;
const figures = [...new Set(designs.flatMap((d) => Object.keys(d.figures)))];
const goals = Object.keys(study.objectives);
const state = { x: "", y: "", colour: "state", sort: goals[0], down: study.objectives[goals[0]] === "max",
  bounds: {}, picked: null, hovered: null, brushes: {} };

const number = (value) => typeof value === "number" ? value : value === "inf" ? Infinity : NaN;
const figure = (design, name) => number(design.figures[name]);
function write(name, value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value === Infinity || value === "inf") return named[name]?.infinite ?? "∞";
  return named[name]?.share ? (100 * value).toFixed(2) + " %" : value.toLocaleString("en", { maximumSignificantDigits: 5 });
}
function heading(name) { const said = named[name]; return said && said.unit ? said.title + ", " + said.unit : said ? said.title : name; }

// A design is shown where its program exists and it lies within every bound and brush.
let shown = [];
function findShown() {
  const within = [];
  for (const [name, ends] of Object.entries(state.bounds)) within.push([column(name), ends[0] ?? -Infinity, ends[1] ?? Infinity]);
  for (const [name, ends] of Object.entries(state.brushes)) within.push([axes.find((a) => a.name === name).places, ...ends]);
  return designs.filter((d, n) => d.made && within.every(([values, low, high]) => values[n] >= low && values[n] <= high));
}
// Figures of all designs as numbers, which a brush reads in every frame.
const columns = {};
function column(name) { return columns[name] ??= Float64Array.from(designs, (d) => figure(d, name)); }

// While a brush is dragged, this many designs are drawn, at most half of them on the front: all of
// ten thousand take longer than a frame. The rest follow when it is let go.
const few = 600;
let dragging = false;
function drawn() {
  if (!dragging) return shown;
  const front = thin(shown.filter((d) => d.state === "front"), few / 2);
  return [...thin(shown.filter((d) => d.state !== "front"), few - front.length), ...front];
}
function thin(list, most) { const step = Math.max(1, Math.ceil(list.length / most)); return step === 1 ? list : list.filter((_, n) => n % step === 0); }

// ---- the front -----------------------------------------------------------------------------
const plot = $("plot"), margin = { left: 86, right: 16, top: 14, bottom: 44 };
let dots = [];
function ticks(low, high, count) {
  const span = high - low || 1, raw = span / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((f) => f * power).find((s) => span / s <= count) || raw;
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push(at);
  return found;
}
function range(values, margin = 0.04) {
  let low = Infinity, high = -Infinity;
  for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
  // Sums in another order differ in their last bits: ticks between these would be one number.
  if (!(high - low > 1e-9 * Math.max(Math.abs(low), Math.abs(high)))) { low -= Math.abs(low) * 0.05 || 0.5; high += Math.abs(high) * 0.05 || 0.5; }
  const pad = (high - low) * margin;
  return [low - pad, high + pad];
}
function drawPlot() {
  const [c, width, height] = prepare(plot, Math.max(300, Math.min(460, plot.clientWidth * 0.56)));
  const known = drawn().filter((d) => Number.isFinite(figure(d, state.x)) && Number.isFinite(figure(d, state.y)));
  dots = [];
  if (!known.length) { c.fillStyle = colour("--quiet"); c.fillText("no design within these bounds", margin.left, 40); return; }
  const floats = number(study.float[state.y]);
  const ys = known.map((d) => figure(d, state.y));
  if (named[state.y]?.judged && Number.isFinite(floats)) ys.push(floats);
  const [x0, x1] = range(known.map((d) => figure(d, state.x))), [y0, y1] = range(ys);
  const toX = (v) => margin.left + (v - x0) / (x1 - x0) * (width - margin.left - margin.right);
  const toY = (v) => height - margin.bottom - (v - y0) / (y1 - y0) * (height - margin.top - margin.bottom);
  c.strokeStyle = colour("--line"); c.fillStyle = colour("--quiet"); c.lineWidth = 1;
  c.textAlign = "center";
  for (const at of ticks(x0, x1, 7)) { c.globalAlpha = 0.35; line(c, toX(at), margin.top, toX(at), height - margin.bottom); c.globalAlpha = 1; c.fillText(write(state.x, at), toX(at), height - margin.bottom + 16); }
  c.textAlign = "right";
  for (const at of ticks(y0, y1, 6)) { c.globalAlpha = 0.35; line(c, margin.left, toY(at), width - margin.right, toY(at)); c.globalAlpha = 1; c.fillText(write(state.y, at), margin.left - 8, toY(at) + 4); }
  c.fillStyle = colour("--ink"); c.textAlign = "center";
  c.fillText(heading(state.x), (margin.left + width - margin.right) / 2, height - 8);
  c.save(); c.translate(14, (margin.top + height - margin.bottom) / 2); c.rotate(-Math.PI / 2); c.fillText(heading(state.y), 0, 0); c.restore();
  if (named[state.y]?.judged && Number.isFinite(floats)) {
    c.setLineDash([5, 4]); c.strokeStyle = colour("--ink"); line(c, margin.left, toY(floats), width - margin.right, toY(floats)); c.setLineDash([]);
    c.textAlign = "right"; c.fillText("float model", width - margin.right - 4, toY(floats) - 5);
  }
  const near = colour("--dot"), proved = colour("--proved");
  const sides = [known.filter((d) => d.state !== "front"), known.filter((d) => d.state === "front")];
  dots = sides.flat().map((d) => [toX(figure(d, state.x)), toY(figure(d, state.y)), d]);
  const round = (x, y, radius) => { c.moveTo(x + radius, y); c.arc(x, y, radius, 0, 7); };
  c.globalAlpha = 0.65;
  for (const [x, y, d] of dots.slice(0, sides[0].length)) {
    c.fillStyle = state.colour === "proof" && d.proof === "proved" ? proved : near;
    // Squares where circles would be lost among thousands, and cost a frame.
    if (known.length <= few) { c.beginPath(); round(x, y, 3); c.fill(); } else c.fillRect(x - 2, y - 2, 4, 4);
  }
  // Circles of one colour that hide what is below are one path: a tenth of the time.
  c.globalAlpha = 1; c.fillStyle = colour("--best"); c.beginPath();
  for (const [x, y] of dots.slice(sides[0].length)) round(x, y, 4.5);
  c.fill();
  const own = dots.find((item) => item[2].number === 0);
  if (own) { const [x, y] = own; c.strokeStyle = c.fillStyle = colour("--ink"); c.lineWidth = 1.5; c.strokeRect(x - 6, y - 6, 12, 12); const fits = x + 70 < width; c.textAlign = fits ? "left" : "right"; c.fillText("as it is", fits ? x + 10 : x - 10, y + 4); }
  for (const [design, name] of [[state.picked, "--pick"], [state.hovered, "--ink"]]) {
    const dot = design && dots.find((item) => item[2] === design);
    if (dot) { c.strokeStyle = colour(name); c.lineWidth = 2; c.beginPath(); c.arc(dot[0], dot[1], 8, 0, 7); c.stroke(); }
  }
}
function nearest(event) {
  const box = plot.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
  let found = null, least = 144;
  for (const [a, b, d] of dots) { const far = (a - x) ** 2 + (b - y) ** 2; if (far < least || (far === least && d.state === "front")) { least = far; found = d; } }
  return found;
}
plot.addEventListener("mousemove", (event) => {
  const found = nearest(event), tip = $("tip");
  if (found !== state.hovered) { state.hovered = found; drawPlot(); }
  tip.style.display = found ? "block" : "none";
  if (!found) return;
  tip.replaceChildren(element("b", "design " + found.number + (found.number ? ": " + found.state : ": the target as it is")), ...goals.map((g) => element("div", heading(g) + ": " + write(g, figure(found, g)))), ...study.knobs.map((k) => element("div", k + " = " + (found.values[k] ?? "–"))));
  tip.style.left = Math.min(event.clientX + 14, window.innerWidth - 330) + "px"; tip.style.top = event.clientY + 14 + "px";
});
plot.addEventListener("mouseleave", () => { state.hovered = null; $("tip").style.display = "none"; drawPlot(); });
plot.addEventListener("click", (event) => { const found = nearest(event); if (found) pick(found); });

// ---- one design ----------------------------------------------------------------------------
function pick(design) {
  state.picked = design; history.replaceState(null, "", "#design-" + design.number);
  const list = element("dl"), card = $("card");
  const add = (name, value) => list.append(element("dt", name), element("dd", value));
  for (const k of study.knobs) if (k in design.values) add(k, String(design.values[k]));
  for (const f of figures) if (f in design.figures) add(heading(f), write(f, design.figures[f]));
  const said = design.proof === "proved" ? `accuracy proved equal to design ${design.answered_by}, which answered ${design.samples} samples: ${design.because.replaceAll("\n", "; ")}`
    : design.proof ? `accuracy measured on ${design.samples} samples` : "no sample ran";
  card.replaceChildren(element("h2", design.number ? "Design " + design.number : "The target as it is"), element("p", design.state + (design.reason ? ": " + design.reason : "")), list, element("p", said, "quiet"));
  for (const command of design.commands) card.append(element("pre", command));
  const copy = element("button", "copy command");
  copy.onclick = () => navigator.clipboard?.writeText(design.commands.join("\n"));
  card.append(copy);
  drawPlot(); drawLines(); fillTable();
}

// ---- parallel coordinates ------------------------------------------------------------------
const lines = $("lines");
// Numbers by size, words behind them as they come.
function byValue(a, b) { const x = Number(a), y = Number(b); return Number.isNaN(x) || Number.isNaN(y) ? Number.isNaN(x) - Number.isNaN(y) : x - y; }
const axes = [...study.knobs.map((name) => ({ name, knob: true, values: [...new Set(designs.filter((d) => name in d.values).map((d) => String(d.values[name])))].sort(byValue) })), ...goals.map((name) => ({ name, knob: false }))];
for (const axis of axes) if (!axis.knob) axis.range = range(designs.map((d) => figure(d, axis.name)).filter(Number.isFinite).concat([0].slice(0, designs.some((d) => Number.isFinite(figure(d, axis.name))) ? 0 : 1)), 0);
function place(axis, design) {
  if (axis.knob) { const at = axis.values.indexOf(String(design.values[axis.name])); return at < 0 ? NaN : axis.values.length > 1 ? at / (axis.values.length - 1) : 0.5; }
  const value = figure(design, axis.name);
  return Number.isFinite(value) ? (value - axis.range[0]) / (axis.range[1] - axis.range[0]) : NaN;
}
designs.forEach((d, n) => { d.index = n; d.made = Object.keys(d.figures).length > 0; });
for (const axis of axes) axis.places = Float64Array.from(designs, (d) => place(axis, d));
const tall = 250, top0 = 40, bottom0 = 26;
const axisX = (index, width) => 60 + index * (width - 140) / Math.max(1, axes.length - 1);
const axisY = (share) => tall - bottom0 - share * (tall - top0 - bottom0);
function drawLines() {
  const [c, width] = prepare(lines, tall);
  const xs = axes.map((_, n) => axisX(n, width));
  const draw = (list, style, alpha, wide) => {
    c.strokeStyle = style; c.globalAlpha = alpha; c.lineWidth = wide;
    for (const d of list) {
      c.beginPath();
      let open = false;
      axes.forEach((axis, n) => { const at = axis.places[d.index]; if (Number.isNaN(at)) { open = false; return; } open ? c.lineTo(xs[n], axisY(at)) : c.moveTo(xs[n], axisY(at)); open = true; });
      c.stroke();
    }
    c.globalAlpha = 1;
  };
  const all = drawn(), others = all.filter((d) => d.state !== "front"), front = all.filter((d) => d.state === "front");
  draw(others, colour("--dot"), Math.max(0.03, Math.min(0.4, 40 / Math.max(1, all.length))), 1);
  // A line of one pixel is drawn in a sixth of the time of any other.
  draw(front, colour("--best"), 0.8, dragging || front.length > few / 2 ? 1 : 1.5);
  if (state.picked) draw([state.picked], colour("--pick"), 1, 2.5);
  c.fillStyle = colour("--ink"); c.strokeStyle = colour("--line"); c.lineWidth = 1; c.textAlign = "center";
  axes.forEach((axis, n) => {
    const x = axisX(n, width);
    line(c, x, axisY(0), x, axisY(1)); c.fillStyle = colour("--ink");
    c.fillText(axis.knob ? axis.name : heading(axis.name), x, 16, (width - 140) / Math.max(1, axes.length - 1) - 6);
    c.fillStyle = colour("--quiet");
    const ends = axis.knob ? axis.values.length > 8 ? [[0, axis.values[0]], [1, axis.values.at(-1)]] : axis.values.map((v, i) => [axis.values.length > 1 ? i / (axis.values.length - 1) : 0.5, v]) : [[0, write(axis.name, axis.range[0])], [1, write(axis.name, axis.range[1])]];
    c.textAlign = "left";
    c.strokeStyle = colour("--paper"); c.lineWidth = 4; c.lineJoin = "round";
    for (const [at, text] of ends) { c.strokeText(String(text).slice(0, 18), x + 7, axisY(at) + 4); c.fillText(String(text).slice(0, 18), x + 7, axisY(at) + 4); }
    c.strokeStyle = colour("--line"); c.lineWidth = 1;
    c.textAlign = "center";
    const brush = state.brushes[axis.name];
    if (brush) { c.fillStyle = colour("--pick"); c.globalAlpha = 0.25; c.fillRect(x - 9, axisY(brush[1]), 18, axisY(brush[0]) - axisY(brush[1])); c.globalAlpha = 1; }
  });
}
let drag = null;
function under(event) {
  const box = lines.getBoundingClientRect(), x = event.clientX - box.left, share = (axisY(0) - (event.clientY - box.top)) / (axisY(0) - axisY(1));
  const index = axes.findIndex((_, n) => Math.abs(axisX(n, box.width) - x) < 18);
  return [index < 0 ? null : axes[index].name, Math.max(-0.03, Math.min(1.03, share))];
}
lines.addEventListener("pointerdown", (event) => { const [name, at] = under(event); if (name) { drag = [name, at]; lines.setPointerCapture(event.pointerId); } });
lines.addEventListener("pointermove", (event) => { if (!drag) return; dragging = true; const at = under(event)[1]; state.brushes[drag[0]] = [Math.min(drag[1], at), Math.max(drag[1], at)]; later(); });
lines.addEventListener("pointerup", () => { if (drag && state.brushes[drag[0]] && state.brushes[drag[0]][1] - state.brushes[drag[0]][0] < 0.02) delete state.brushes[drag[0]]; else if (drag && !state.brushes[drag[0]]) delete state.brushes[drag[0]]; drag = null; dragging = false; refresh(); });
lines.addEventListener("dblclick", () => { state.brushes = {}; refresh(); });
let waiting = false;
function later() { if (!waiting) { waiting = true; requestAnimationFrame(() => { waiting = false; refresh(); }); } }

// ---- the table -----------------------------------------------------------------------------
const most = 200;
function fillTable() {
  const columns = ["number", ...study.knobs, ...figures, "state", "proof"];
  const isFigure = (name) => figures.includes(name);
  const value = (d, name) => isFigure(name) ? figure(d, name) : name in d.values ? d.values[name] : d[name];
  const head = element("tr");
  for (const name of columns) {
    const cell = element("th", undefined, isFigure(name) || name === "number" ? "n" : ""), button = element("button", (name === "number" ? "design" : isFigure(name) ? heading(name) : name) + (state.sort === name ? state.down ? " ▾" : " ▴" : ""));
    button.onclick = () => { state.down = state.sort === name ? !state.down : false; state.sort = name; fillTable(); };
    cell.append(button); head.append(cell);
  }
  const sign = state.down ? -1 : 1;
  const compare = (a, b) => {
    const x = value(a, state.sort), y = value(b, state.sort);
    if (Number.isNaN(x) || x === undefined) return 1;
    if (Number.isNaN(y) || y === undefined) return -1;
    return sign * (x < y ? -1 : x > y ? 1 : 0) || a.number - b.number;
  };
  const only = $("only").checked, bounded = Object.keys(state.bounds).length + Object.keys(state.brushes).length;
  const rows = (only ? shown.filter((d) => d.state === "front") : bounded ? [...shown] : [...designs]).sort(compare);
  const body = element("tbody");
  for (const d of rows.slice(0, most)) {
    const line = element("tr", undefined, (d.state === "front" ? "best " : "") + (d === state.picked ? "picked" : ""));
    for (const name of columns) line.append(element("td", isFigure(name) ? write(name, figure(d, name)) : String(value(d, name) ?? ""), isFigure(name) || name === "number" ? "n" : ""));
    line.onclick = () => pick(d); body.append(line);
  }
  if (rows.length > most) { const note = element("tr", undefined, "note"), cell = element("td", `${rows.length - most} more; narrow the bounds, or read the CSV`); cell.colSpan = columns.length; note.append(cell); body.append(note); }
  const thead = element("thead"); thead.append(head);
  $("table").replaceChildren(thead, body);
  $("count").textContent = `${rows.length} designs`;
}

// ---- controls ------------------------------------------------------------------------------
function choose(id, names, start) {
  const box = $(id);
  for (const name of names) { const item = element("option", heading(name)); item.value = name; box.append(item); }
  box.value = start; state[id] = start;
  box.onchange = () => { state[id] = box.value; drawPlot(); };
}
const startY = goals.find((g) => named[g]?.judged) || goals[0], startX = goals.find((g) => g !== startY) || figures.find((f) => f !== startY) || startY;
choose("x", figures, startX); choose("y", figures, startY);
$("colour").onchange = () => { state.colour = $("colour").value; drawPlot(); };
for (const name of figures) {
  const row = element("label", heading(name) + " ");
  for (const side of [0, 1]) {
    const input = element("input", undefined, "bound"); input.placeholder = side ? "at most" : "at least"; input.setAttribute("aria-label", heading(name) + (side ? " at most" : " at least"));
    input.onchange = () => {
      const text = input.value.trim().replace("%", ""), bound = state.bounds[name] || [null, null];
      const typed = text === "" || Number.isNaN(Number(text)) ? null : Number(text);
      bound[side] = typed !== null && named[name]?.share && input.value.includes("%") ? typed / 100 : typed;
      if (bound[0] === null && bound[1] === null) delete state.bounds[name]; else state.bounds[name] = bound;
      refresh();
    };
    row.append(input, " ");
  }
  $("bounds").append(row);
}
$("only").onchange = fillTable;
function refresh() {
  shown = findShown();
  drawPlot(); drawLines();
  // To sort and lay out the table takes longer than a frame.
  if (dragging) $("count").textContent = `${shown.length} designs`; else fillTable();
}
window.addEventListener("resize", later);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);
const asked = designs.find((d) => "#design-" + d.number === location.hash) || designs.find((d) => d.state === "front") || designs[0];
shown = findShown();
if (asked) pick(asked); else refresh();
document.body.dataset.ready = "yes";
