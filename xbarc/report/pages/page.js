"use strict";
// What a cell is worth: its number with thousands and suffix, else its text; unknown ones last.
const factors = { M: 1e6, G: 1e9, T: 1e12, P: 1e15 };
function worth(cell) {
  const text = cell.textContent.trim();
  const found = /^(?:< )?(-?[\d,]*\.?\d+(?:e[-+]?\d+)?)(?: ([MGTP])\b)?/.exec(text);
  if (found) return [0, parseFloat(found[1].replaceAll(",", "")) * (factors[found[2]] || 1), text];
  return [text && text !== "unknown" ? 1 : 2, 0, text];
}
function compare(a, b) {
  return a[0] - b[0] || a[1] - b[1] || a[2].localeCompare(b[2]);
}
function sort(head) {
  const table = head.closest("table"), body = table.tBodies[0], column = head.cellIndex;
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  // A line of totals stays at the end, however the others are sorted.
  const rows = [...body.rows], last = rows.filter((row) => row.cells[0].textContent === "total");
  const keys = new Map(rows.map((row) => [row, worth(row.cells[column])]));
  const others = rows.filter((row) => !last.includes(row)).sort((a, b) => {
    const x = keys.get(a), y = keys.get(b);
    return x[0] === 2 || y[0] === 2 ? x[0] - y[0] : (down ? -1 : 1) * compare(x, y);
  });
  body.append(...others, ...last);
}
for (const head of document.querySelectorAll(".xbarc thead th")) {
  head.classList.add("sorts");
  head.tabIndex = 0;
  head.title = "sort by this column";
  head.addEventListener("click", () => sort(head));
  head.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(head); }
  });
}
const chapters = [...document.querySelectorAll("details.chapter")];
function openAround(place) {
  const around = place && place.closest("details.chapter");
  if (around) around.open = true;
}
function follow() {
  const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  openAround(place);
  if (place) place.scrollIntoView();
}
for (const link of document.querySelectorAll("nav a")) {
  link.addEventListener("click", () => openAround(document.getElementById(link.hash.slice(1))));
}
for (const button of document.querySelectorAll("nav button")) {
  button.addEventListener("click", () => { for (const one of chapters) one.open = button.value === "open"; });
}
let closed = [];
addEventListener("beforeprint", () => {
  closed = chapters.filter((one) => !one.open);
  for (const one of closed) one.open = true;
});
addEventListener("afterprint", () => { for (const one of closed) one.open = false; });
addEventListener("hashchange", follow);
follow();
document.documentElement.dataset.ready = "yes";
