// What the page holds, or its server gives: arrays of numbers, and blocks made of them.
const view = held("overview"), kept = held("held");
const dtypes = { U8: Uint8Array, I8: Int8Array, U16: Uint16Array, I16: Int16Array, U32: Uint32Array, I32: Int32Array, I64: BigInt64Array, F32: Float32Array };

async function inflate(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}
// A safetensors file: the length of its header, the header as JSON, the bytes.
function readTensors(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const { __metadata__: facts, ...entries } = header, found = { facts: facts || {}, tensors: {} };
  for (const [name, { dtype, shape, data_offsets: [first, last] }] of Object.entries(entries)) {
    // A copy, since numbers in a buffer must begin at multiples of their size.
    found.tensors[name] = { data: new dtypes[dtype](buffer.slice(8 + length + first, 8 + length + last)), shape };
  }
  return found;
}
async function fetchBytes(kind, number) {
  if (!view.served) return inflate(kept[kind][number]);
  const answer = await fetch(`${kind}/${number}`);
  if (!answer.ok) throw new Error(`${kind} ${number}: ${answer.status}`);
  return answer.arrayBuffer();
}
// The last arrays that were looked at; of 1024 x 1024 cells each takes some megabytes.
const memory = new Map(), most = 128;
function load(kind, number, make = readTensors) {
  const key = `${kind}/${number}`, known = memory.get(key);
  if (known) { memory.delete(key); memory.set(key, known); return known; }
  const made = fetchBytes(kind, number).then(make);
  memory.set(key, made);
  if (memory.size > most) memory.delete(memory.keys().next().value);
  made.catch(() => memory.delete(key));
  return made;
}
const loadArray = (number) => load("array", number, (buffer) => new PhysicalArray(number, readTensors(buffer)));
const loadLayer = (step) => load("layer", step);

function unpackCells(bytes, bits, rows, columns) {
  const levels = new Uint8Array(rows * columns), stride = Math.ceil(columns * bits / 8), mask = (1 << bits) - 1;
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) {
    const bit = c * bits, at = r * stride + (bit >> 3);
    levels[r * columns + c] = ((bytes[at] | (bytes[at + 1] || 0) << 8) >> (bit & 7)) & mask;
  }
  return levels;
}

class Block {
  constructor(place, own) {
    [this.step, this.group, this.rowBlock, this.columnBlock, this.top, this.left] = place;
    this.layer = view.steps[this.step];
    this.own = own;
    const [rows, columns, bits] = own.size.data;
    Object.assign(this, { rows, columns, bits, levels: unpackCells(own.cells.data, bits, rows, columns) });
    this.inputs = own.row_input.data;
    this.segments = own.segments.data;
    this.outputs = Array.from(own.outputs.data, Number);
    this.readColumns();
    this.readConversions();
  }
  // Conversions that see each column, with their sign; and the column on each bitline.
  readColumns() {
    this.reads = Array.from({ length: this.columns }, () => []);
    const a = this.own.a && this.own.a.data;
    if (a) for (let n = 0; n < a.length; n += 3) this.reads[a[n + 1]].push([a[n], a[n + 2]]);
    else for (let c = 0; c < this.columns; c++) this.reads[c].push([c, 1]);
    this.columnAt = new Map();
    for (let c = 0; c < this.columns; c++) this.columnAt.set(this.bitline(c), c);
  }
  readConversions() {
    this.makes = new Map();
    const r = this.own.r.data;
    for (let n = 0; n < r.length; n += 3) {
      const conversion = Number(r[n + 1]), entries = this.makes.get(conversion) || [];
      entries.push([Number(r[n]), Number(r[n + 2])]);
      this.makes.set(conversion, entries);
    }
    this.factors = Array.from({ length: this.columns }, (_, c) => this.joinFactors(c));
    this.columnsOf = new Map();
    this.factors.forEach((map, c) => map.forEach((factor, output) => {
      if (!this.columnsOf.has(output)) this.columnsOf.set(output, []);
      this.columnsOf.get(output).push([c, factor]);
    }));
  }
  // What a level in this column adds to each output: `R A`.
  joinFactors(column) {
    const found = new Map();
    for (const [conversion, sign] of this.reads[column]) for (const [output, value] of this.makes.get(conversion) || []) found.set(output, (found.get(output) || 0) + sign * value);
    for (const [output, factor] of found) if (!factor) found.delete(output);
    return found;
  }
  bitline(column) { return this.left + (this.own.order ? this.own.order.data[column] : column); }
  // The digital factor of the column's first conversion; `R` holds it already.
  scaleOf(column) { const reads = this.reads[column][0]; return this.own.scale && reads ? this.own.scale.data[reads[0]] : 1; }
  level(row, column) { return this.levels[row * this.columns + column]; }
  segmentOf(row) { let n = 0; while (n + 2 < this.segments.length && row >= this.segments[n + 1]) n++; return n; }
  // Axes of converter settings are segment, conversion, input slice; one of length 1 holds for all.
  setting(name, segment, conversion, slice) {
    const { data, shape } = this.own[name];
    const at = [segment, conversion, slice].map((value, axis) => shape[axis] > 1 ? value : 0);
    return Number(data[(at[0] * shape[1] + at[1]) * shape[2] + at[2]]);
  }
  // Sums of a conversion on data, in equal parts from `low` to `high`; null where none were counted.
  sumsOf(segment, conversion) {
    const { sum_counts: counts, sums_least: least, sums_most: most, clipped, sums_seen: seen } = this.own;
    if (!counts) return null;
    const at = segment * counts.shape[1] + conversion, bins = counts.shape[2];
    return { counts: Array.from(counts.data.subarray(at * bins, (at + 1) * bins), Number), low: Number(least.data[at]), high: Number(most.data[at]), clipped: Number(clipped.data[at]), seen: Number(seen.data[0]) };
  }
  inputSum(output) {
    const { data } = this.own.input_sum, at = this.outputs.indexOf(output);
    return at < 0 ? 0 : Number(data[data.length > 1 ? at : 0] || 0);
  }
  // The constant that an output gets beside its products, as text: it may need all 64 bits.
  constant(output) { const at = this.outputs.indexOf(output); return at < 0 ? "0" : String(this.own.constant.data[at]); }
  // The part of a weight that this block's cells make, and which cells they are.
  part(row, output) {
    const cells = (this.columnsOf.get(output) || []).map(([column, factor]) => ({ array: this.array, row: this.top + row, bitline: this.bitline(column), level: this.level(row, column), factor }));
    return { cells, value: cells.reduce((sum, cell) => sum + cell.level * cell.factor, 0) };
  }
}

class PhysicalArray {
  constructor(number, { facts, tensors }) {
    this.number = number;
    this.blocks = JSON.parse(facts.blocks).map((place, at) => {
      const prefix = `${at}.`, own = {};
      for (const [name, tensor] of Object.entries(tensors)) if (name.startsWith(prefix)) own[name.slice(prefix.length)] = tensor;
      const block = new Block(place, own);
      block.array = number;
      return block;
    });
    this.stuck = new Map();
    const stuck = tensors.stuck ? tensors.stuck.data : [];
    for (let n = 0; n < stuck.length; n += 3) this.stuck.set(Number(stuck[n]) * view.columns + Number(stuck[n + 1]), Number(stuck[n + 2]));
  }
  // Block of each place, one more than its number; made once, since rulers and levels ask all the time.
  get owners() {
    if (this.owned) return this.owned;
    this.owned = new Uint32Array(view.rows * view.columns);
    this.blocks.forEach((block, n) => { for (const bitline of block.columnAt.keys()) for (let r = 0; r < block.rows; r++) this.owned[(block.top + r) * view.columns + bitline] = n + 1; });
    return this.owned;
  }
  // The block and its own row and column at a place of the array; null where no cell is used.
  find(row, bitline) {
    const block = this.blocks[this.owners[row * view.columns + bitline] - 1];
    return block ? { block, row: row - block.top, column: block.columnAt.get(bitline) } : null;
  }
  // Names of a wordline's inputs and of a bitline's outputs, made when they are first asked for.
  names(side, at, make) {
    this.named ||= { row: new Map(), bitline: new Map() };
    if (!this.named[side].has(at)) this.named[side].set(at, make(this, at));
    return this.named[side].get(at);
  }
}

// A weight may be spread over several blocks of its wordlines: all of them are asked.
async function findWeight(block, row, output) {
  const { tensors: { array, reach } } = await loadLayer(block.step);
  const [, rowBlocks, columnBlocks] = array.shape, count = block.layer.outputs;
  let value = block.inputSum(output), cells = [];
  for (let j = Number(reach.data[output]); j <= Number(reach.data[count + output]); j++) {
    let other = block;
    if (j !== block.columnBlock) {
      const held = await loadArray(Number(array.data[(block.group * rowBlocks + block.rowBlock) * columnBlocks + j]));
      other = held.blocks.find((one) => one.step === block.step && one.group === block.group && one.rowBlock === block.rowBlock && one.columnBlock === j);
    }
    const part = other.part(row, output);
    value += part.value; cells = cells.concat(part.cells);
  }
  return { value, cells, output, inputSum: block.inputSum(output) };
}
// Array, wordline and first bitline of a weight, by its place in the matrix.
async function placeOf(step, group, input, output) {
  const { tensors: { array, reach, row_input: inputs, row_bounds: bounds } } = await loadLayer(step);
  const row = inputs.data.findIndex((value) => Number(value) === input), j = Number(reach.data[output]);
  if (row < 0 || j >= array.shape[2]) return null;
  let i = 0;
  while (Number(bounds.data[i + 1]) <= row) i++;
  const number = Number(array.data[(group * array.shape[1] + i) * array.shape[2] + j]), held = await loadArray(number);
  const block = held.blocks.find((one) => one.step === step && one.group === group && one.rowBlock === i && one.columnBlock === j);
  const columns = block.columnsOf.get(output) || [];
  return { array: number, row: block.top + row - Number(bounds.data[i]), bitline: columns.length ? block.bitline(columns[0][0]) : block.left };
}

// ---- names ---------------------------------------------------------------------------------
function inKernel(layer, at) {
  const found = [];
  for (const size of [...layer.kernel].reverse()) { found.unshift(at % size); at = Math.floor(at / size); }
  return [at, found.join(",")];
}
function nameSide(layer, group, at, side, short) {
  const word = side === "inputs" ? ["input", "in"] : ["output", "out"], count = layer[side];
  if (!layer.kernel.length) return (layer.groups > 1 ? `matrix ${group}, ` : "") + `${word[short ? 1 : 0]} ${at}`;
  const [channel, place] = layer.kernel_of === side ? inKernel(layer, at) : [at, ""];
  const size = layer.kernel_of === side ? layer.kernel.reduce((a, b) => a * b, 1) : 1, all = group * (count / size) + channel;
  return short ? `${side === "inputs" ? "c" : "out "}${all}${place ? " " + place : ""}` : `${word[0]} channel ${all}${place ? `, kernel ${place}` : ""}`;
}
const nameInput = (block, row, short) => nameSide(block.layer, block.group, Number(block.inputs[row]), "inputs", short);
const nameOutput = (block, output, short) => nameSide(block.layer, block.group, output, "outputs", short);
function say(value, digits = 4) { return value === null || value === undefined ? "not known" : Number(value.toPrecision(digits)).toLocaleString("en"); }
const percent = (share) => share === null || share === undefined ? "not known" : `${say(100 * share, 3)} %`;
const signed = (value) => (value > 0 ? "+" : value < 0 ? "−" : "") + Math.abs(value).toLocaleString("en");
