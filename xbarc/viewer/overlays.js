// Ways to colour cells. Each gives a colour for a cell, and rows of a legend.
const { plus, minus, neither, hues, rest: unused } = view.inks, ground = [247, 250, 252];
const stuckOn = [220, 38, 38], stuckOff = [16, 150, 130];
const unusedToo = unused.map((value) => value - 17);
const mix = (from, to, share) => from.map((value, n) => Math.round(value + (to[n] - value) * share));
const parse = (text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
const css = (rgb) => `rgb(${rgb.join(",")})`;
const palettes = Object.fromEntries(Object.entries(view.colours).map(([count, colours]) => [count, colours.map(parse)]));

function swatch(rgb, text) { const item = element("span"), box = element("i", undefined, "swatch"); box.style.background = css(rgb); item.append(box, text); return item; }
function ramp(colours, low, high) { const item = element("span"), box = element("i", undefined, "ramp"); box.style.background = `linear-gradient(90deg, ${colours.map(css).join(",")})`; item.append(low, box, high); return item; }
// The level stays to be seen in every overlay: a cell at level 0 is nearly white.
const shade = (rgb, block, level) => mix(ground, rgb, level ? 0.3 + 0.7 * level / ((1 << block.bits) - 1) : 0.07);
function mainFactor(block, column) {
  let found = [null, 0];
  for (const [output, factor] of block.factors[column]) if (Math.abs(factor) > Math.abs(found[1])) found = [output, factor];
  return found;
}
const signOf = (block, column) => {
  const factors = [...block.factors[column].values()];
  return factors.every((one) => one > 0) && factors.length ? 1 : factors.every((one) => one < 0) && factors.length ? -1 : 0;
};
// Exponent of the power of two; a factor that the column has beside it is left out.
const sliceOf = (block, column) => { const factor = Math.abs(mainFactor(block, column)[1]) / block.scaleOf(column); return factor ? Math.floor(Math.log2(factor)) : -1; };
function bitsOf(block, column) {
  let found = 0;
  const [segments, , slices] = block.own.bits.shape;
  for (const [conversion] of block.reads[column]) for (let s = 0; s < segments; s++) for (let k = 0; k < slices; k++) found = Math.max(found, block.setting("bits", s, conversion, k));
  return found;
}
const byColumn = (read) => { const known = new Map(); return (block, column) => { let own = known.get(block); if (!own) known.set(block, own = Array.from({ length: block.columns }, (_, c) => read(block, c))); return own[column]; }; };
const unique = (array, read) => [...new Set(array.blocks.flatMap((block) => Array.from({ length: block.columns }, (_, c) => read(block, c))))].sort((a, b) => a - b);
const heat = [[255, 247, 236], [253, 187, 132], [215, 48, 31], [127, 0, 0]];
function along(colours, share) { const at = Math.max(0, Math.min(1, share)) * (colours.length - 1), n = Math.min(colours.length - 2, Math.floor(at)); return mix(colours[n], colours[n + 1], at - n); }

const overlays = {
  level: { name: "level", make: () => (block, row, column, level) => palettes[1 << block.bits][level],
    legend: (array) => [...new Set(array.blocks.map((block) => block.bits))].flatMap((bits) => palettes[1 << bits].length > 16
      ? [ramp(palettes[1 << bits], "level 0", `${(1 << bits) - 1}`)] : palettes[1 << bits].map((rgb, level) => swatch(rgb, `level ${level}`))) },
  sign: { name: "sign", make: () => { const sign = byColumn(signOf); return (block, row, column, level) => shade([minus, neither, plus][sign(block, column) + 1], block, level); },
    legend: () => [swatch(plus, "adds to its outputs"), swatch(minus, "subtracts"), swatch(neither, "both, or none by itself")] },
  output: { name: "output", make: () => { const main = byColumn((block, c) => mainFactor(block, c)[0]); return (block, row, column, level) => { const output = main(block, column); return shade(output === null ? neither : hues[output % hues.length], block, level); }; },
    legend: () => [element("span", "neighbouring outputs differ in colour; darker is a higher level"), swatch(neither, "no output")] },
  slice: { name: "weight slice", make: () => { const slice = byColumn(sliceOf); return (block, row, column, level) => { const at = slice(block, column); return shade(at < 0 ? neither : hues[at % hues.length], block, level); }; },
    legend: (array) => unique(array, sliceOf).map((at) => at < 0 ? swatch(neither, "no output") : swatch(hues[at % hues.length], `× ${(2 ** at).toLocaleString("en")}`)) },
  bits: { name: "ADC bits", make: () => { const bits = byColumn(bitsOf); return (block, row, column) => along(heat, bits(block, column) / 12); },
    legend: (array) => unique(array, bitsOf).map((bits) => swatch(along(heat, bits / 12), `${bits} bit`)) },
};
if (view.stuck) overlays.stuck = { name: "stuck cells",
  make: (array) => (block, row, column, level) => { const at = array.stuck.get((block.top + row) * view.columns + block.bitline(column)); return at === undefined ? mix([255, 255, 255], palettes[1 << block.bits][level], 0.35) : at ? stuckOn : stuckOff; },
  legend: (array) => [swatch(stuckOn, "stuck on"), swatch(stuckOff, "stuck at level 0"), element("span", `${array.stuck.size} in this array, unused cells included`)] };
if (view.wires && (view.served || kept.wires)) overlays.loss = { name: "loss along wires",
  prepare: async (array) => { array.loss ||= Float32Array.from((await load("wires", array.number)).tensors.loss.data, (units) => units * view.loss_unit); array.worst ||= array.loss.reduce((a, b) => Math.max(a, b), 0); },
  make: (array) => (block, row, column) => along(heat, array.loss[(block.top + row) * view.columns + block.bitline(column)] / (array.worst || 1)),
  legend: (array) => [ramp(heat, "loses 0 %", percent(array.worst)), element("span", "of its current, all rows driven at 0 or 1 V")] };
const missing = [
  view.stuck ? "" : "stuck cells: pass --fault-map",
  !view.wires ? "wires of this target do not resist" : overlays.loss ? "" : "loss along wires: pass --wires, or --serve",
].filter(Boolean);
