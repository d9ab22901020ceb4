// What is selected, in one place and in the URL; every pane follows.
const state = { layer: -1, array: 0, cell: null, hover: null, overlay: "level", metric: 0 };
const crossbars = [...view.steps.keys()].filter((step) => view.steps[step].kind === "crossbar");
for (const step of crossbars) view.steps[step].holds = new Set();

async function readLayers() {
  for (const step of crossbars) { const layer = view.steps[step]; layer.own = layer.spans.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, n) => first + n)); layer.holds = new Set(layer.own); }
}
function writeHash() {
  const parts = { layer: view.steps[state.layer]?.name, array: state.array, row: state.cell?.row, bitline: state.cell?.bitline, show: state.overlay, colour: view.metrics[state.metric][0], zoom: cellZoom.fitted ? undefined : Math.round(cellZoom.scale) };
  history.replaceState(null, "", "#" + new URLSearchParams(Object.entries(parts).filter(([, value]) => value !== undefined)));
}
const within = (text, count) => /^\d+$/.test(text || "") && Number(text) < count ? Number(text) : null;
async function readHash() {
  const asked = new URLSearchParams(location.hash.slice(1)), layer = view.steps.findIndex((step) => step.name === asked.get("layer")), array = within(asked.get("array"), view.arrays);
  if (asked.get("show") in overlays) state.overlay = asked.get("show");
  state.metric = Math.max(0, view.metrics.findIndex(([name]) => name === asked.get("colour")));
  $("overlay").value = state.overlay; $("metric").value = state.metric;
  drawGraph(); writeMetricKey();
  const row = within(asked.get("row"), view.rows), bitline = within(asked.get("bitline"), view.columns);
  state.layer = layer >= 0 ? layer : crossbars[0] ?? 0;
  const first = view.steps[state.layer]?.own?.[0];
  await showArray(array ?? first ?? 0, row !== null && bitline !== null ? { row, bitline } : null, layer < 0);
  const zoom = within(asked.get("zoom"), 1000);
  if (zoom) { cellZoom.zoom(zoom / cellZoom.scale); cellZoom.show(bitline ?? 0, row ?? 0); writeHash(); }
}
// Whoever asked last is shown, however late an earlier array or overlay comes.
let shown = 0;
async function prepareArray(number) {
  const array = await loadArray(number), overlay = state.overlay;
  await Promise.all(array.blocks.map((block) => loadLayer(block.step)));
  await overlays[overlay].prepare?.(array);
  return array;
}
async function showArray(number, cell = null, follow = true) {
  if (!view.arrays) { inspect(); return; }
  const turn = ++shown;
  try {
    const array = await prepareArray(number);
    if (turn !== shown) return;
    const same = picture.array === array;
    Object.assign(state, { array: number, cell, hover: null });
    picture.array = array;
    // A shared array keeps the layer that was asked for.
    if (follow && array.blocks.length && !array.blocks.some((block) => block.step === state.layer)) state.layer = array.blocks[0].step;
    paintImage();
    if (!same) cellZoom.setSize(view.columns, view.rows);
  } catch (error) { if (turn === shown) sayUnread(number, error); return; }
  writeArrayName(); writeLegend(); markLayer(); writeHash(); writeFloorNote(); floorZoom.later();
  await inspect();
  fillWordline();
}
function sayUnread(number, error) { $("array-name").textContent = `Array ${number} could not be read: ${error.message}`; }
function writeArrayName() {
  const names = [...new Set(picture.array.blocks.map((block) => block.layer.name))];
  $("array-name").textContent = `Array ${state.array} of ${view.arrays}: ${names.slice(0, 3).join(", ") || "unused"}${names.length > 3 ? ` and ${names.length - 3} more` : ""}`;
  $("find-layer").value = crossbars.includes(state.layer) ? state.layer : $("find-layer").value;
}
function writeLegend() {
  $("legend").replaceChildren(...overlays[state.overlay].legend(picture.array), swatch(unused, "unused: no weight here"), element("span", missing.join("; "), "quiet"));
}
function selectLayer(step) {
  state.layer = step;
  const own = view.steps[step].own;
  if (own?.length) showArray(own.includes(state.array) ? state.array : own[0]);
  else { state.cell = null; picture.marks = []; markLayer(); writeHash(); writeFloorNote(); floorZoom.later(); card.replaceChildren(...layerCard(view.steps[step])); }
}
const selectArray = (number) => showArray((number + view.arrays) % view.arrays);
function selectCell(cell) { state.cell = cell; state.hover = null; writeHash(); cellZoom.later(); inspect().then(() => { fillWordline(); tell(); }); }
function tell() {
  const found = state.cell && picture.array.find(state.cell.row, state.cell.bitline), weight = card.querySelector("[data-weight]");
  $("said").textContent = found ? `wordline ${state.cell.row}, bitline ${state.cell.bitline}, level ${found.block.level(found.row, found.column)}, ${nameInput(found.block, found.row)}${weight ? `, weight ${weight.textContent}` : ""}` : state.cell ? "no cell in use" : "";
}
async function selectOverlay(name) {
  state.overlay = name; $("overlay").value = name;
  await showArray(state.array, state.cell, false);
}
// ---- tables --------------------------------------------------------------------------------
function fillTable(table, head, rows) {
  const top = element("tr"), body = element("tbody"), thead = element("thead");
  for (const name of head) top.append(element("th", name));
  for (const row of rows) { const shown = element("tr"); for (const text of row) shown.append(element("td", String(text))); body.append(shown); }
  thead.append(top); table.replaceChildren(thead, body);
}
async function fillWordline() {
  if (!$("wordline-box").open || !picture.array) return;
  const row = state.cell?.row ?? 0, array = picture.array, lines = [];
  for (const block of array.blocks) if (row >= block.top && row < block.top + block.rows) for (const output of [...block.columnsOf.keys()].sort((a, b) => a - b)) {
    const weight = await findWeight(block, row - block.top, output);
    lines.push([block.layer.name, nameInput(block, row - block.top), nameOutput(block, output), weight.value, weight.cells.map((cell) => `${cell.bitline}: ${cell.level}`).join(", ")]);
  }
  fillTable($("wordline"), ["layer", `input of wordline ${row}`, "output", "weight", "bitline: level of its cells"], lines);
}
function fillLayers() {
  const rows = view.steps.map((step) => step.kind === "crossbar" ? [step.name, step.operator, step.own.join(", ").slice(0, 60), ...step.figures.map((value, n) => writeMetric(value, n))] : [step.name, step.operators.join(", "), "digital", ...view.metrics.map(() => "")]);
  fillTable($("layers"), ["step", "operator", "arrays", ...view.metrics.map(([name, unit]) => `${name}, ${unit}`)], rows);
}
// ---- controls ------------------------------------------------------------------------------
function addOptions(box, pairs) { for (const [value, text] of pairs) { const item = element("option", text); item.value = value; box.append(item); } }
addOptions($("metric"), view.metrics.map(([name], n) => [n, name]));
addOptions($("overlay"), Object.entries(overlays).map(([key, { name }]) => [key, name]));
addOptions($("find-layer"), crossbars.map((step) => [step, view.steps[step].name]));
$("metric").onchange = () => { state.metric = Number($("metric").value); drawGraph(); writeMetricKey(); writeHash(); floorZoom.later(); };
$("overlay").onchange = () => selectOverlay($("overlay").value);
$("before").onclick = () => selectArray(state.array - 1);
$("after").onclick = () => selectArray(state.array + 1);
$("closer").onclick = () => cellZoom.zoom(1.5);
$("farther").onclick = () => cellZoom.zoom(1 / 1.5);
$("fit").onclick = () => cellZoom.fit();
$("wordline-box").ontoggle = fillWordline;
$("layers-box").ontoggle = fillLayers;
$("find").onsubmit = async (event) => {
  event.preventDefault();
  const step = Number($("find-layer").value), layer = view.steps[step], answer = $("find-answer");
  const input = within($("find-input").value.trim(), layer.inputs), output = within($("find-output").value.trim(), layer.outputs * layer.groups);
  if (input === null || output === null) { answer.textContent = `${layer.name} has inputs 0 to ${layer.inputs - 1} and outputs 0 to ${layer.outputs * layer.groups - 1}`; return; }
  const place = await placeOf(step, Math.floor(output / layer.outputs), input, output % layer.outputs);
  if (!place) { answer.textContent = "this weight has no cells"; return; }
  answer.textContent = `array ${place.array}, wordline ${place.row}, bitline ${place.bitline}`;
  state.layer = step;
  await showArray(place.array, { row: place.row, bitline: place.bitline });
  if (cellZoom.scale < 14) cellZoom.zoom(14 / cellZoom.scale);
  cellZoom.show(place.bitline, place.row);
  writeHash();
};
const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const keys = { "+": () => cellZoom.zoom(1.3), "=": () => cellZoom.zoom(1.3), "-": () => cellZoom.zoom(1 / 1.3), 0: () => cellZoom.fit(), "[": () => selectArray(state.array - 1), "]": () => selectArray(state.array + 1),
  o: () => { const names = Object.keys(overlays); selectOverlay(names[(names.indexOf(state.overlay) + 1) % names.length]); }, Escape: () => { state.hover = null; selectCell(null); } };
$("cells").addEventListener("keydown", (event) => {
  const move = moves[event.key], key = keys[event.key];
  if ((!move && !key) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  if (key) { key(); return; }
  const far = event.shiftKey ? 8 : 1, from = state.cell || { row: 0, bitline: -move[1] * far }, keep = (value, count) => Math.max(0, Math.min(count - 1, value));
  const cell = { row: keep(from.row + move[0] * far, view.rows), bitline: keep(from.bitline + move[1] * far, view.columns) };
  selectCell(cell); cellZoom.show(cell.bitline, cell.row);
});
window.addEventListener("hashchange", readHash);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { drawGraph(); writeMetricKey(); cellZoom.later(); floorZoom.later(); });
async function start() {
  $("facts").textContent = `${crossbars.length} layers on ${view.arrays} arrays of ${view.rows} x ${view.columns} cells, target ${view.target}; ${view.energy === null ? "energy not known" : say(view.energy) + " µJ per inference"}, ${say(view.area)} mm²`;
  await readLayers();
  await readFloor();
  await readHash();
  document.body.dataset.ready = "yes";
}
start();
