"use strict";
const $ = (id) => document.getElementById(id);
const held = (id) => JSON.parse($(id).textContent);
function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }
function element(kind, text, name) { const made = document.createElement(kind); if (text !== undefined) made.textContent = text; if (name) made.className = name; return made; }
// A canvas as sharp as the screen: its context takes CSS pixels. Without a height it keeps its own.
function prepare(canvas, tall) {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = tall ?? canvas.clientHeight;
  const size = [Math.round(width * ratio), Math.round(height * ratio)];
  // A new size clears and allocates, which is too slow for every frame.
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  if (tall) canvas.style.height = tall + "px";
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = "12px system-ui, sans-serif";
  return [context, width, height];
}
function line(c, a, b, d, e) { c.beginPath(); c.moveTo(a, b); c.lineTo(d, e); c.stroke(); }
