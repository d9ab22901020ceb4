"""Make the picture of `tutorial/which-array.md`: `python docs/fronts.py STUDY.json ...`.

The files are what `xbarc explore` wrote for the studies of `examples/studies`, in their order.
"""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OUT = Path(__file__).resolve().parent / "tutorial" / "fronts.svg"

# Of a panel, and what stays free for its axes.
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 300, 240, 52, 34, 40
FRONT, BEATEN, INK = "#d9480f", "#8aa2b8", "#222222"


def main() -> None:
    """Panels side by side."""
    studies = [json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:]]
    width = WIDTH * len(studies)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT}"'
    parts = [head + ' font-family="sans-serif" font-size="11">']
    parts.append(f'<rect width="{width}" height="{HEIGHT}" fill="white"/>')
    for number, study in enumerate(studies):
        parts += [f'<g transform="translate({number * WIDTH} 0)">', *_panel(study), "</g>"]
    OUT.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")


def _panel(study: dict[str, Any]) -> Iterator[str]:
    name = next(iter(study["objectives"]))
    scale, unit = (100, "top-1, %") if name == "top1" else (1, "SQNR, dB")
    kept = [one for one in study["designs"] if _known(one, name)]
    xs = [one["figures"]["energy_uj"] for one in kept]
    ys = [scale * one["figures"][name] for one in kept]
    (left, right), (low, high) = _ends(xs), _ends(ys)
    yield f'<text x="{LEFT}" y="20" font-size="13">{", ".join(study["models"])}</text>'
    for place, x, y in ((0, left, low), (1, right, high)):
        across = LEFT + place * (WIDTH - LEFT - 20)
        up = HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM)
        lines = f"M{LEFT} {up}H{WIDTH - 20}M{across} {TOP}V{HEIGHT - BOTTOM}"
        yield f'<path d="{lines}" stroke="#dddddd"/>'
        yield f'<text x="{across}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{x:.3g}</text>'
        yield f'<text x="{LEFT - 6}" y="{up + 4}" text-anchor="end">{y:.4g}</text>'
    middle = (LEFT + WIDTH - 20) / 2
    yield f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">energy, µJ</text>'
    at = f'x="14" y="{HEIGHT / 2}" transform="rotate(-90 14 {HEIGHT / 2})"'
    yield f'<text {at} text-anchor="middle">{unit}</text>'
    for one, x, y in sorted(zip(kept, xs, ys, strict=True), key=lambda item: _rank(item[0])):
        across = LEFT + (x - left) / (right - left) * (WIDTH - LEFT - 20)
        up = HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM)
        if one["number"] == 0:
            square = f"M{across - 6:.1f} {up - 6:.1f}h12v12h-12z"
            yield f'<path d="{square}" fill="none" stroke="{INK}"/>'
        best = one["state"] == "front"
        colour, size = (FRONT, 4) if best else (BEATEN, 2.5)
        yield f'<circle cx="{across:.1f}" cy="{up:.1f}" r="{size}" fill="{colour}"/>'


def _known(design: dict[str, Any], name: str) -> bool:
    value = design["figures"].get(name)
    return isinstance(value, float) and math.isfinite(value) and design["state"] != "given up"


def _rank(design: dict[str, Any]) -> tuple[bool, bool]:
    return design["state"] == "front", design["number"] == 0


def _ends(values: list[float]) -> tuple[float, float]:
    pad = 0.05 * (max(values) - min(values)) or 1.0
    return min(values) - pad, max(values) + pad


if __name__ == "__main__":
    main()
