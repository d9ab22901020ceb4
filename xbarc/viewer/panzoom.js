// Zoom and movement of a canvas: content of width x height units inside a margin for rulers.
class PanZoom {
  constructor(canvas, { left = 0, top = 0, deepest = 48, draw, hover, click }) {
    Object.assign(this, { canvas, left, top, deepest, draw, hover, click, width: 1, height: 1, scale: 1, x: 0, y: 0, waiting: false, drag: null });
    canvas.addEventListener("wheel", (event) => { event.preventDefault(); const [x, y] = this.at(event); this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), x, y); }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => { this.drag = { at: this.at(event), moved: false }; canvas.setPointerCapture(event.pointerId); });
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => { const drag = this.drag; this.drag = null; if (drag && !drag.moved) this.click(...this.unit(...this.at(event))); });
    canvas.addEventListener("pointercancel", () => { this.drag = null; });
    canvas.addEventListener("pointerleave", () => this.hover(null));
    new ResizeObserver(() => this.resize()).observe(canvas);
  }
  at(event) { const box = this.canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; }
  unit(x, y) { return [(x - this.left - this.x) / this.scale, (y - this.top - this.y) / this.scale]; }
  get room() { return [this.canvas.clientWidth - this.left, this.canvas.clientHeight - this.top]; }
  get smallest() { const [width, height] = this.room; return Math.min(width / this.width, height / this.height); }
  move(event) {
    const [x, y] = this.at(event), drag = this.drag;
    if (!drag) { x < this.left || y < this.top ? this.hover(null) : this.hover(this.unit(x, y)); return; }
    const dx = x - drag.at[0], dy = y - drag.at[1];
    // A hand that clicks moves a little.
    if (!drag.moved && Math.hypot(dx, dy) < 4) return;
    drag.moved = true; drag.at = [x, y]; this.x += dx; this.y += dy; this.keepInside(); this.later();
  }
  zoom(factor, x = this.left + this.room[0] / 2, y = this.top + this.room[1] / 2) {
    const [ux, uy] = this.unit(x, y);
    this.fitted = false;
    this.scale = Math.max(this.smallest, Math.min(this.deepest, this.scale * factor));
    this.x = x - this.left - ux * this.scale; this.y = y - this.top - uy * this.scale;
    this.keepInside(); this.later();
  }
  // What is smaller than its room stays at its corner; what is larger leaves no room empty.
  keepInside() {
    const [width, height] = this.room, keep = (at, size, room) => Math.min(0, Math.max(Math.min(0, room - size), at));
    this.x = keep(this.x, this.width * this.scale, width);
    this.y = keep(this.y, this.height * this.scale, height);
  }
  setSize(width, height) { this.width = width; this.height = height; this.fit(); }
  fit() { this.scale = Math.min(this.smallest, this.deepest); this.fitted = true; this.keepInside(); this.later(); }
  // Bring a place into sight.
  show(x, y) {
    const [width, height] = this.room, px = x * this.scale + this.x, py = y * this.scale + this.y, edge = 2 * this.scale;
    if (px < edge || px > width - edge) this.x = width / 2 - x * this.scale;
    if (py < edge || py > height - edge) this.y = height / 2 - y * this.scale;
    this.keepInside(); this.later();
  }
  resize() { this.scale = Math.max(this.scale, Math.min(this.smallest, this.deepest)); this.fitted ? this.fit() : this.keepInside(); this.later(); }
  later() { if (this.waiting) return; this.waiting = true; requestAnimationFrame(() => { this.waiting = false; this.paint(); }); }
  paint() { if (this.canvas.clientWidth) this.draw(...prepare(this.canvas)); }
}
