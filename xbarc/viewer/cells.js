// One physical array, a square a cell, with rulers that name inputs and outputs.
const rulerLeft = 96, rulerTop = 74;
const picture = { array: null, image: document.createElement("canvas"), marks: [] };

function paintImage() {
  const { array, image } = picture, overlay = overlays[state.overlay].make(array);
  image.width = view.columns; image.height = view.rows;
  const context = image.getContext("2d"), pixels = context.createImageData(view.columns, view.rows), data = pixels.data;
  const put = (row, bitline, rgb) => { const at = 4 * (row * view.columns + bitline); data[at] = rgb[0]; data[at + 1] = rgb[1]; data[at + 2] = rgb[2]; data[at + 3] = 255; };
  for (let row = 0; row < view.rows; row++) for (let b = 0; b < view.columns; b++) put(row, b, (row + b) % 2 ? unused : unusedToo);
  for (const block of array.blocks) for (let c = 0; c < block.columns; c++) for (let r = 0, b = block.bitline(c); r < block.rows; r++) put(block.top + r, b, overlay(block, r, c, block.level(r, c)));
  context.putImageData(pixels, 0, 0);
  picture.pixels = data;
}
function drawCells(c, width, height) {
  if (!picture.array) return;
  const z = cellZoom, s = z.scale;
  c.save(); c.beginPath(); c.rect(rulerLeft, rulerTop, width - rulerLeft, height - rulerTop); c.clip();
  c.translate(rulerLeft + z.x, rulerTop + z.y);
  // Where a pixel holds several cells their mean is shown; larger squares stay sharp.
  c.imageSmoothingEnabled = s < 1;
  c.drawImage(picture.image, 0, 0, view.columns * s, view.rows * s);
  const [from, to] = [z.unit(rulerLeft, rulerTop), z.unit(width, height)];
  const sight = { left: Math.max(0, Math.floor(from[0])), top: Math.max(0, Math.floor(from[1])), right: Math.min(view.columns, Math.ceil(to[0])), bottom: Math.min(view.rows, Math.ceil(to[1])) };
  drawBands(c, s);
  if (s >= 9) drawGrid(c, s, sight);
  if (s >= 20) drawLevels(c, s, sight);
  drawBlocks(c, s);
  drawMarks(c, s);
  c.restore();
  drawRulers(c, width, height, sight);
}
function drawGrid(c, s, { left, top, right, bottom }) {
  c.strokeStyle = "rgba(90, 100, 115, 0.35)"; c.lineWidth = 1;
  for (let x = left; x <= right; x++) line(c, x * s, top * s, x * s, bottom * s);
  for (let y = top; y <= bottom; y++) line(c, left * s, y * s, right * s, y * s);
}
function drawLevels(c, s, { left, top, right, bottom }) {
  c.textAlign = "center"; c.textBaseline = "middle"; c.font = `${Math.min(16, s * 0.5)}px system-ui, sans-serif`;
  for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) {
    const found = picture.array.find(y, x);
    if (!found) continue;
    const at = 4 * (y * view.columns + x), data = picture.pixels;
    c.fillStyle = 0.3 * data[at] + 0.59 * data[at + 1] + 0.11 * data[at + 2] > 130 ? "#1d2430" : "#ffffff";
    c.fillText(found.block.level(found.row, found.column), (x + 0.5) * s, (y + 0.5) * s);
  }
}
function drawBlocks(c, s) {
  c.strokeStyle = "#1d2430"; c.lineWidth = 1;
  for (const block of picture.array.blocks) {
    const lines = [...block.columnAt.keys()], left = Math.min(...lines), right = Math.max(...lines) + 1;
    c.strokeRect(left * s, block.top * s, (right - left) * s, block.rows * s);
    // Rows of different segments are never driven together.
    c.setLineDash([4, 3]);
    for (const row of Array.from(block.segments).slice(1, -1)) line(c, left * s, (block.top + Number(row)) * s, right * s, (block.top + Number(row)) * s);
    c.setLineDash([]);
  }
}
// The wordline and the bitline of the cell that is looked at; below levels, which stay legible.
function drawBands(c, s) {
  const at = state.hover || state.cell;
  if (!at) return;
  c.fillStyle = "rgba(251, 191, 36, 0.28)";
  c.fillRect(0, at.row * s, view.columns * s, s); c.fillRect(at.bitline * s, 0, s, view.rows * s);
}
function drawMarks(c, s) {
  c.lineWidth = Math.max(1.5, Math.min(3, s / 6));
  c.strokeStyle = "#c2410c";
  for (const mark of picture.marks) if (mark.array === picture.array.number) c.strokeRect(mark.bitline * s, mark.row * s, s, s);
  c.strokeStyle = "#0f766e";
  if (state.cell) c.strokeRect(state.cell.bitline * s, state.cell.row * s, s, s);
}
// ---- rulers --------------------------------------------------------------------------------
const stepFor = (s, room) => [1, 2, 4, 8, 16, 32, 64, 128, 256].find((step) => step * s >= room) || 512;
function drawRulers(c, width, height, sight) {
  const z = cellZoom, s = z.scale, x0 = rulerLeft + z.x, y0 = rulerTop + z.y;
  c.font = "11px system-ui, sans-serif"; c.textBaseline = "middle"; c.fillStyle = colour("--quiet");
  c.save(); c.beginPath(); c.rect(0, rulerTop - (z.y < 0 ? 0 : 7), rulerLeft, height); c.clip(); c.textAlign = "right";
  for (let row = sight.top; row < sight.bottom; row++) if (row % stepFor(s, 13) === 0) { c.fillStyle = mark("row", row); c.fillText(rowLabel(row), rulerLeft - 6, y0 + (row + 0.5) * s, rulerLeft - 8); }
  c.restore();
  c.save(); c.beginPath(); c.rect(rulerLeft - 24, 0, width - rulerLeft + 24, rulerTop); c.clip();
  s >= 13 ? labelEachColumn(c, s, x0, sight) : labelSpans(c, s, x0, sight);
  c.restore();
  c.fillStyle = colour("--quiet"); c.textAlign = "left"; c.fillText("bitline,", 4, 10); c.fillText("output", 4, 23); c.fillText("wordline,", 4, rulerTop - 20); c.fillText("input", 4, rulerTop - 7);
}
const mark = (side, value) => (state.hover || state.cell)?.[side] === value ? colour("--best") : colour("--quiet");
const rowLabel = (row) => picture.array.names("row", row, (array) => {
  const names = array.blocks.filter((block) => row >= block.top && row < block.top + block.rows).map((block) => nameInput(block, row - block.top, true));
  return names.length ? `${row}  ${names[0]}${names.length > 1 ? " …" : ""}` : `${row}  unused`;
});
// Of a bitline: the output that it adds most to, and the same with its factor there.
const columnNames = (bitline) => picture.array.names("bitline", bitline, (array) => {
  const block = array.blocks.find((one) => one.columnAt.has(bitline));
  if (!block) return { output: "", label: `${bitline}  unused` };
  const column = block.columnAt.get(bitline), [output, factor] = mainFactor(block, column);
  if (output === null) return { output: "", label: `${bitline}  no output` };
  const name = nameOutput(block, output, true);
  return { output: name, label: `${bitline}  ${name} ${factor > 0 ? "+" : "−"}${Math.abs(factor)}${block.factors[column].size > 1 ? " …" : ""}` };
});
function labelEachColumn(c, s, x0, { left, right }) {
  c.textAlign = "left";
  for (let b = left; b < right; b++) {
    c.save(); c.translate(x0 + (b + 0.5) * s, rulerTop - 5); c.rotate(-Math.PI / 2);
    c.fillStyle = mark("bitline", b); c.fillText(columnNames(b).label, 0, 0, rulerTop - 8);
    c.restore();
  }
}
// Where columns are narrow: bitlines in steps, and one name for neighbours of one output.
function labelSpans(c, s, x0, { left, right }) {
  const step = stepFor(s, 34);
  c.textAlign = "center";
  for (let b = left; b < right; b++) if (b % step === 0) { c.fillText(b, x0 + (b + 0.5) * s, rulerTop - 34); c.fillRect(x0 + (b + 0.5) * s, rulerTop - 26, 1, 5); }
  const nameAt = (b) => columnNames(b).output;
  let first = left, end = -1e9;
  for (let b = left + 1; b <= right; b++) {
    if (b < right && nameAt(b) === nameAt(first)) continue;
    const name = nameAt(first), middle = x0 + (first + b) / 2 * s, half = c.measureText(name).width / 2;
    // A name that would run into the one before it is left out: zooming in brings it.
    if (name && middle - half > end + 8) { c.fillText(name, middle, rulerTop - 12); end = middle + half; }
    first = b;
  }
}
const cellZoom = new PanZoom($("cells"), { left: rulerLeft, top: rulerTop, deepest: 44,
  draw: drawCells,
  hover: (at) => { const cell = at && placeInArray(at); if (cell?.row === state.hover?.row && cell?.bitline === state.hover?.bitline) return; state.hover = cell; inspect(); },
  click: (...at) => { const cell = placeInArray(at); if (cell) selectCell(cell); } });
function placeInArray([x, y]) {
  const bitline = Math.floor(x), row = Math.floor(y);
  return bitline >= 0 && row >= 0 && bitline < view.columns && row < view.rows ? { row, bitline } : null;
}
