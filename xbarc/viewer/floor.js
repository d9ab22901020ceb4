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
  plan.byArray = new Map();
  for (const slot of plan.slots) plan.byArray.set(slot.array, [...plan.byArray.get(slot.array) || [], slot]);
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

// Ten thousands of squares take longer than a frame: they are drawn once for a layer and a place.
const drawnFloor = { key: "", image: document.createElement("canvas") };
function drawFloor(c, width, height) {
  if (!plan.slots) return;
  const { scale: s, x: left, y: top } = floorZoom, ratio = window.devicePixelRatio || 1;
  const key = [s, left, top, width, height, ratio, state.metric, state.layer, colour("--paper")].join();
  if (key !== drawnFloor.key) {
    const { image } = drawnFloor, on = image.getContext("2d");
    image.width = Math.round(width * ratio); image.height = Math.round(height * ratio);
    on.setTransform(ratio, 0, 0, ratio, 0, 0);
    on.translate(left, top);
    drawTiles(on, s);
    drawSlots(on, s);
    drawnFloor.key = key;
  }
  c.drawImage(drawnFloor.image, 0, 0, width, height);
  c.translate(left, top);
  c.fillStyle = colour("--pick");
  for (const slot of plan.byArray.get(state.array) || []) { const [x, y] = slotCorner(slot); c.fillRect(x * s, y * s, Math.max(2, s - slotGap(s)), Math.max(2, s - slotGap(s))); }
  drawTraffic(c, s);
}
const slotGap = (s) => s > 4 ? 1 : 0;
function drawTiles(c, s) {
  c.fillStyle = colour("--pale"); c.strokeStyle = colour("--line"); c.lineWidth = 1;
  for (const tile of plan.tiles.keys()) {
    const [x, y] = corner(tile);
    c.fillRect((x - 0.2) * s, (y - 0.2) * s, (plan.side + 0.4) * s, (plan.side + 0.4) * s);
    c.strokeRect((x - 0.2) * s, (y - 0.2) * s, (plan.side + 0.4) * s, (plan.side + 0.4) * s);
  }
}
function drawSlots(c, s) {
  const gap = slotGap(s), size = Math.max(1, s - gap), pick = colour("--pick"), edge = colour("--line"), fills = view.steps.map((step) => css(metricColour(step, state.metric)));
  for (const slot of plan.slots) {
    const [x, y] = slotCorner(slot), own = isOfLayer(slot.array);
    c.fillStyle = fills[plan.layer.get(slot.array)] || edge;
    // Squares too small for an outline: those of other layers are fainter.
    c.globalAlpha = s <= 5 && !own && view.arrays > 1 ? 0.45 : 1;
    c.fillRect(x * s, y * s, size, size);
    c.globalAlpha = 1;
    if (s <= 5) continue;
    c.strokeStyle = own ? pick : edge; c.lineWidth = own ? Math.min(2, s / 5) : 1;
    c.strokeRect(x * s + 0.5, y * s + 0.5, size - 1, size - 1);
  }
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
