// What is known of the cell under the pointer, or of the selected one; of its layer where there is none.
const card = $("card");
let asked = 0;
function quote(text) { return /^[\w./,:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`; }
function list(pairs, name) { const made = element("dl", undefined, name); for (const [key, value] of pairs) { const shown = element("dd"); shown.append(value instanceof Node ? value : String(value)); made.append(element("dt", key), shown); } return made; }
function commandBox(...commands) {
  const copy = element("button", "copy");
  copy.onclick = () => navigator.clipboard?.writeText(commands.join("\n"));
  return [element("h4", "On the command line"), ...commands.map((text) => element("pre", text)), copy];
}
async function inspect() {
  const turn = ++asked, at = state.hover || state.cell, array = picture.array;
  card.dataset.cell = "";
  cellZoom.later();
  if (!array || !at) { picture.marks = []; card.replaceChildren(...layerCard(view.steps[state.layer])); return; }
  const found = array.find(at.row, at.bitline);
  if (!found) { picture.marks = []; card.replaceChildren(...unusedCard(at)); return; }
  const { block, row, column } = found, outputs = [...block.factors[column].keys()].slice(0, 3);
  const weights = await Promise.all(outputs.map((output) => findWeight(block, row, output)));
  // Another cell may have been pointed at while a block was fetched.
  if (turn !== asked) return;
  picture.marks = weights.flatMap((weight) => weight.cells);
  card.replaceChildren(...cellCard(array, block, row, column, weights));
  card.dataset.cell = `${at.row},${at.bitline}`;
  cellZoom.later();
}
function unusedCard(at) { return [element("h3", "No cell in use"), list([["wordline", at.row], ["bitline", at.bitline]]), element("p", "No block of a layer reaches here. The cell stays at level 0, and no conversion reads it.", "quiet")]; }

function cellCard(array, block, row, column, weights) {
  const level = block.level(row, column), top = (1 << block.bits) - 1, wordline = block.top + row, bitline = block.bitline(column);
  const stuck = view.stuck ? array.stuck.get(wordline * view.columns + bitline) : undefined;
  const parts = [element("h3", `Level ${level} of ${top}`), list([
    ["layer", block.layer.name], ["array", `${array.number}, wordline ${wordline}, bitline ${bitline}`],
    ["input", nameInput(block, row)],
    ...(block.own.drive ? [["driven where", driveText(block.own.drive.data[row])]] : []),
    ["block", `${block.group},${block.rowBlock},${block.columnBlock} (group, row, column)`],
    ["active with", `${block.segments[block.segmentOf(row) + 1] - block.segments[block.segmentOf(row)]} rows of set ${block.segmentOf(row) + 1} of ${block.segments.length - 1}`],
    ...(stuck === undefined ? [] : [["stuck", stuck ? `on, at level ${stuck}` : "off, at level 0"]]),
    ...(array.loss && state.overlay === "loss" ? [["lost to wires", percent(array.loss[wordline * view.columns + bitline])]] : []),
  ])];
  parts.push(...weights.flatMap((weight) => weightPart(block, weight)));
  if (block.factors[column].size > weights.length) parts.push(element("p", `and ${block.factors[column].size - weights.length} more outputs`, "quiet"));
  if (!weights.length) parts.push(element("p", "This column is in no output.", "quiet"));
  parts.push(...block.reads[column].slice(0, 2).flatMap(([conversion]) => conversionPart(block, row, conversion)));
  parts.push(...sharePart(block.layer), ...commandBox(...weights.map((weight) => `xbarc inspect ${quote(view.place)} --layer ${quote(block.layer.name)} --weight ${block.group * block.layer.outputs + weight.output},${block.inputs[row]}`), `xbarc inspect ${quote(view.place)} --layer ${quote(block.layer.name)} --block ${block.group},${block.rowBlock},${block.columnBlock}`));
  return parts;
}
// A sum of 1 (the input is high), 2 (it is low) and 4 (it is neither, as in padding).
function driveText(drive) { return ["the input is high", "it is low", "it is neither"].filter((_, bit) => drive & (1 << bit)).join(", or ") || "never"; }
function weightPart(block, weight) {
  const sum = weight.cells.map((cell) => `${cell.level}·${signed(cell.factor)}`).concat(weight.inputSum ? [`${signed(weight.inputSum)} of beta`] : []).join(", ");
  const value = element("b", signed(weight.value));
  value.dataset.weight = weight.value; value.dataset.output = weight.output;
  return [element("h4", `Weight to ${nameOutput(block, weight.output)}`), list([
    [block.layer.sense ? "this row adds" : "weight", value], ["level·factor", sum || "no cells"],
    ["cells", weight.cells.map((cell) => (cell.array === block.array ? "" : `array ${cell.array}: `) + cell.bitline).join(", ")],
    ...(block.constant(weight.output) === "0" ? [] : [["a of the output", block.constant(weight.output)]])], "tight")];
}
function conversionPart(block, row, conversion) {
  const segment = block.segmentOf(row), sums = block.sumsOf(segment, conversion), slices = Math.max(...["lo", "step", "bits", "least", "most"].map((name) => block.own[name].shape[2]));
  const lines = Array.from({ length: slices }, (_, k) => settingLine(block, segment, conversion, k));
  const unequal = [...new Set(lines.map((one) => one.text))];
  const seen = a => a.map(([column, sign]) => `${sign > 0 ? "+" : "−"}bitline ${block.bitline(column)}`).join(" ");
  const columns = block.reads.flatMap((reads, c) => reads.filter(([one]) => one === conversion).map(([, sign]) => [c, sign]));
  const made = (block.makes.get(conversion) || []).map(([output, value]) => `${signed(value)} to ${nameOutput(block, output, true)}`);
  const parts = [element("h4", `Conversion ${conversion} of the block`), list([
    ["A: it sees", seen(columns.slice(0, 6)) + (columns.length > 6 ? " …" : "")],
    ...(block.own.scale ? [["factor, in R", `${block.own.scale.data[conversion]}`]] : []),
    ["R: its code adds", made.slice(0, 6).join(", ") + (made.length > 6 ? " …" : "") || "nothing"],
    ...(block.own.thresholds ? [["compared with", thresholds(block, segment, conversion)]] : unequal.slice(0, 8).map((text) => [unequal.length > 1 ? `ADC, slice ${lines.map((one, k) => one.text === text ? k : -1).filter((k) => k >= 0).join(",")}` : "ADC", text])),
  ], "tight")];
  if (!block.own.thresholds) parts.push(drawRange(lines[0], sums), ...(sums ? [element("p", `On data ${percent(sums.clipped / sums.seen)} of ${sums.seen.toLocaleString("en")} sums clipped.`, "quiet")] : []));
  return parts;
}
function thresholds(block, segment, conversion) {
  const { data, shape } = block.own.thresholds, at = (shape[0] > 1 ? segment : 0) * shape[1] + (shape[1] > 1 ? conversion : 0);
  return Array.from(data.slice(at * shape[2], (at + 1) * shape[2]), Number).join(", ");
}
function settingLine(block, segment, conversion, slice) {
  const [lo, step, bits, least, most] = ["lo", "step", "bits", "least", "most"].map((name) => block.setting(name, segment, conversion, slice));
  const last = lo + step * (2 ** bits - 1), clips = [least < lo ? `below ${lo}` : "", most > last ? `above ${last}` : ""].filter(Boolean).join(" and ");
  const reads = bits ? `${bits} bit, ${lo} to ${last}${step > 1 ? ` in steps of ${step}` : ""}` : `no conversion, always ${lo}`;
  const answer = clips ? `those ${clips} clip` : bits && step === 1 ? "each has its own code" : bits ? "none clips" : "";
  return { lo, last, least, most, bits, text: `${reads}; sums can be ${least} to ${most}${answer ? ": " + answer : ""}` };
}
// How often each sum came up on data, then possible sums, then what the converter tells apart.
function drawRange({ lo, last, least, most }, sums) {
  const low = sums ? sums.low : Math.min(lo, least), high = sums ? sums.high : Math.max(last, most), span = Math.max(1, high - low), x = (value) => 4 + 272 * (value - low) / span, top = sums ? 56 : 3;
  const svg = drawn("svg", { width: 280, height: top + 43, role: "img", "aria-label": `sums ${least} to ${most}, converter ${lo} to ${last}` });
  if (sums) svg.append(...drawCounts(sums.counts));
  svg.append(drawn("rect", { x: x(least), y: top, width: Math.max(2, x(most) - x(least)), height: 9, fill: "var(--dot)" }), drawn("rect", { x: x(lo), y: top + 13, width: Math.max(2, x(last) - x(lo)), height: 9, fill: "var(--pick)" }));
  svg.append(drawn("text", { x: 4, y: top + 38, "font-size": 11, fill: "var(--quiet)" }, `${sums ? "sums on data (log); " : ""}possible sums; ADC range`));
  return svg;
}
// Most sums are small: without a logarithm the tail, which clips, could not be seen.
function drawCounts(counts) {
  const most = Math.log1p(Math.max(...counts)) || 1, wide = 272 / counts.length;
  return counts.map((count, n) => { const tall = 48 * Math.log1p(count) / most; return drawn("rect", { x: 4 + wide * n, y: 51 - tall, width: 0.85 * wide, height: tall, fill: "var(--quiet)" }); });
}
function sharePart(layer) {
  const value = (name) => layer.figures[view.metrics.findIndex((metric) => metric[0] === name)], share = (part, whole) => typeof part === "number" && whole ? ` (${percent(part / whole)} of the program)` : "";
  const clipped = value("clipped"), sqnr = value("SQNR");
  return [element("h4", `Layer ${layer.name}`), list([
    ["energy", typeof value("energy") === "number" ? `${say(value("energy"))} µJ${share(value("energy"), view.energy)}` : "not known"],
    ["area", `${say(value("area"))} mm²${share(value("area"), view.area)}`],
    ["conversions", `${layer.conversions.toLocaleString("en")} per input vector`],
    ["by ADC bits", Object.entries(layer.histogram).map(([bits, count]) => `${bits} bit: ${count.toLocaleString("en")}`).join(", ") || "none"],
    ["clipped", clipped === undefined ? "needs data: xbarc view --data DATA.npz" : percent(clipped)],
    ...(sqnr === undefined ? [] : [["SQNR", typeof sqnr === "number" ? `${say(sqnr)} dB` : sqnr || "not known"]]),
  ], "tight")];
}
function partsPart(layer) {
  const whole = layer.parts.reduce((sum, [, energy]) => sum + (energy || 0), 0);
  const rows = layer.parts.map(([name, energy]) => [name, energy === null ? "not known" : `${say(energy)} µJ (${percent(energy / whole)})`]);
  return rows.length ? [element("h4", "Energy by component"), list(rows, "tight parts")] : [];
}
function layerCard(step) {
  if (!step) return [element("h3", view.name), element("p", "Point at a cell, or select a layer.", "quiet")];
  if (step.kind === "digital") return [element("h3", step.name), list([["kind", "digital"], ["operators", step.operators.join(", ")], ["MACs", step.macs === null ? "not known" : step.macs.toLocaleString("en")]]), ...step.notes.map((note) => element("p", note, "quiet"))];
  return [element("h3", step.name), list([["operator", step.operator], ["matrix", `${step.inputs} x ${step.outputs}${step.groups > 1 ? `, ${step.groups} groups` : ""}`], ["encoding", step.encoding], ["weights", `${step.weight_bits} bit`], ["inputs", `${step.input_bits} bit, ${step.dac_bits} per cycle`], ["cells", `${step.cell_bits} bit`], ["converters", step.sense ? "sense amplifiers" : step.adc], ["arrays", `${step.own.length}${step.copies > 1 ? `, ${step.copies} copies` : ""}`]]), ...sharePart(step), ...partsPart(step), ...commandBox(`xbarc inspect ${quote(view.place)} --layer ${quote(step.name)}`, `xbarc report ${quote(view.place)} --layer ${quote(step.name)}`)];
}
