// The chip from above: tiles in their places, an array a square, what layers send each other.
const plan = { tiles: new Map(), slots: null, first: new Map(), hovered: null };
async function readFloor() {
  const { tensors: { place, array } } = readTensors(await inflate(view.floor.slots));
  const filled = new Map();
  plan.slots = Array.from(array.data, (number, n) => {
    const tile = Number(place.data[n]), at = filled.get(tile) || 0;
    filled.set(tile, at + 1);
    return { array: Number(number), tile, at, copy: plan.first.has(Number(number)) };
  });
  plan.slots.forEach((slot, n) => { if (!plan.first.has(slot.array)) plan.first.set(slot.array, n); });
  plan.side = Math.ceil(Math.sqrt(Math.min(view.floor.capacity, Math.max(1, ...filled.values()))));
  const rows = [...filled.keys()].map((tile) => Math.floor(tile / view.floor.grid[1])), columns = [...filled.keys()].map((tile) => tile % view.floor.grid[1]);
  plan.tiles = filled;
  plan.down = Math.max(0, ...rows) + 1; plan.across = Math.max(0, ...columns) + 1;
  // Layer of each array, the first one where several share it.
  plan.layer = new Map();
  for (const step of view.steps.keys()) if (view.steps[step].kind === "crossbar") for (const number of view.steps[step].own) if (!plan.layer.has(number)) plan.layer.set(number, step);
  floorZoom.setSize(plan.across * pitch(), plan.down * pitch());
  writeFloorNote();
}
const pitch = () => plan.side + 0.8;
function corner(tile) { const columns = view.floor.grid[1]; return [(tile % columns) * pitch() + 0.4, Math.floor(tile / columns) * pitch() + 0.4]; }
function slotCorner(slot) { const [x, y] = corner(slot.tile); return [x + slot.at % plan.side, y + Math.floor(slot.at / plan.side)]; }
const isOfLayer = (number) => view.steps[state.layer]?.kind === "crossbar" && view.steps[state.layer].holds.has(number);

function drawFloor(c) {
  if (!plan.slots) return;
  c.translate(floorZoom.x, floorZoom.y);
  const s = floorZoom.scale, gap = s > 4 ? 1 : 0, fills = view.steps.map((step) => css(metricColour(step, state.metric)));
  c.fillStyle = colour("--pale"); c.strokeStyle = colour("--line"); c.lineWidth = 1;
  for (const tile of plan.tiles.keys()) {
    const [x, y] = corner(tile);
    c.fillRect((x - 0.2) * s, (y - 0.2) * s, (plan.side + 0.4) * s, (plan.side + 0.4) * s);
    c.strokeRect((x - 0.2) * s, (y - 0.2) * s, (plan.side + 0.4) * s, (plan.side + 0.4) * s);
  }
  const pick = colour("--pick");
  for (const slot of plan.slots) {
    const [x, y] = slotCorner(slot), own = isOfLayer(slot.array);
    c.fillStyle = slot.array === state.array ? pick : fills[plan.layer.get(slot.array)] || colour("--line");
    // Squares too small for an outline: those of other layers are fainter.
    c.globalAlpha = s <= 5 && !own && view.arrays > 1 ? 0.45 : 1;
    c.fillRect(x * s, y * s, Math.max(1, s - gap), Math.max(1, s - gap));
    c.globalAlpha = 1;
    if (s > 5 && !own) { c.strokeStyle = colour("--line"); c.lineWidth = 1; c.strokeRect(x * s + 0.5, y * s + 0.5, s - gap - 1, s - gap - 1); }
    if (own && s > 5) { c.strokeStyle = pick; c.lineWidth = Math.min(2, s / 5); c.strokeRect(x * s + 0.5, y * s + 0.5, s - gap - 1, s - gap - 1); }
  }
  drawTraffic(c, s);
}
function middle(name) {
  const step = view.steps.findIndex((one) => one.name === name), held = plan.slots.filter((slot) => view.steps[step].holds.has(slot.array));
  const sum = held.map(slotCorner).reduce(([a, b], [x, y]) => [a + x + 0.5, b + y + 0.5], [0, 0]);
  return held.length ? sum.map((value) => value / held.length) : null;
}
// Lines from layer to layer, the wider the more bytes; those of the selected layer stand out.
function drawTraffic(c, s) {
  const most = Math.max(1, ...view.floor.links.map(([, , size]) => size)), name = view.steps[state.layer]?.name;
  plan.middles ||= new Map(view.floor.links.flatMap(([from, to]) => [from, to]).map((one) => [one, middle(one)]));
  for (const [from, to, size] of view.floor.links) {
    const a = plan.middles.get(from), b = plan.middles.get(to), own = from === name || to === name;
    if (!a || !b) continue;
    c.strokeStyle = c.fillStyle = own ? colour("--best") : colour("--quiet"); c.globalAlpha = own ? 0.95 : 0.35;
    c.lineWidth = 1 + 4 * Math.sqrt(size / most);
    line(c, a[0] * s, a[1] * s, b[0] * s, b[1] * s);
    drawHead(c, [a[0] * s, a[1] * s], [b[0] * s, b[1] * s], 4 + c.lineWidth);
    c.globalAlpha = 1;
  }
}
function drawHead(c, from, to, size) {
  const angle = Math.atan2(to[1] - from[1], to[0] - from[0]);
  if (Math.hypot(to[0] - from[0], to[1] - from[1]) < size) return;
  c.beginPath(); c.moveTo(...to);
  for (const side of [-0.5, 0.5]) c.lineTo(to[0] - size * Math.cos(angle + side), to[1] - size * Math.sin(angle + side));
  c.fill();
}
function slotAt(at) { return at && plan.slots?.find((slot) => { const [x, y] = slotCorner(slot); return at[0] >= x && at[0] < x + 1 && at[1] >= y && at[1] < y + 1; }); }
function writeFloorNote(slot) {
  const { capacity, mesh, tiles_per_chip: chip, links, byte_hops: hops } = view.floor;
  if (slot) { const layer = view.steps[plan.layer.get(slot.array)]; $("floor-note").textContent = `array ${slot.array}, ${layer ? layer.name : "shared"}, tile ${slot.tile}${slot.copy ? ", a copy" : ""}`; return; }
  const name = view.steps[state.layer]?.name, sent = links.filter(([from]) => from === name).reduce((sum, link) => sum + link[2], 0), got = links.filter(([, to]) => to === name).reduce((sum, link) => sum + link[2], 0);
  const traffic = mesh && name in hops ? `${name} takes ${say(got)} bytes per inference from other layers and gives them ${say(sent)}; ${say(hops[name])} bytes × hops` : "";
  $("floor-note").textContent = `${plan.tiles.size} ${plan.tiles.size === 1 ? "tile" : "tiles"} in use, of ${chip} per chip, ${capacity} arrays each. ${mesh ? traffic || "Lines: bytes from layer to layer" : "This target has no mesh: tiles in the order in which they fill"}.`;
}
const floorZoom = new PanZoom($("floor"), { deepest: 60,
  draw: drawFloor,
  hover: (at) => { plan.hovered = slotAt(at); if (plan.slots) writeFloorNote(plan.hovered); },
  click: (...at) => { const slot = slotAt(at); if (slot && slot.array >= 0) selectArray(slot.array); } });
