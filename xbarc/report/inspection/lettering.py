"""Letters as strokes, drawn at any size without a font: PNG pictures need no drawing library.

A letter is a few lines on a grid four units wide: capitals reach from 0 to 6, small letters from 2
to 6, tails to 8. Corners are cut, as in letters for engraving. The letters are ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

import numpy as np

from xbarc.numerics import Float64Array, UInt8Array

# Points `xy` of lines that follow each other, a blank between lines; a point alone is a dot.
_STROKES = {
    "A": "0602204246 0444",
    "B": "003041423303 334445360600",
    "C": "4130100105163645",
    "D": "00304145360600",
    "E": "40000646 0333",
    "F": "400006 0333",
    "G": "41301001051636454323",
    "H": "0006 4046 0343",
    "I": "0020 1016 0626",
    "J": "4045361605",
    "K": "0006 400346",
    "L": "000646",
    "M": "0600224046",
    "N": "06004640",
    "O": "100105163645413010",
    "P": "06003041423303",
    "Q": "100105163645413010 2446",
    "R": "06003041423303 2346",
    "S": "413010010213334445361605",
    "T": "0040 2026",
    "U": "000516364540",
    "V": "002640",
    "W": "0006244640",
    "X": "0046 4006",
    "Y": "002340 2326",
    "Z": "00400646",
    "0": "100105163645413010 1432",
    "1": "011016 0626",
    "2": "01103041420646",
    "3": "01103041423313 334445361605",
    "4": "36300444",
    "5": "400003334445361605",
    "6": "30100105163645443303",
    "7": "004016",
    "8": "103041423313020110 1304051636454433",
    "9": "16364541301001021343",
    "a": "12324346 4414051646",
    "b": "0006 0312324345361605",
    "c": "4332120305163645",
    "d": "4046 4332120305163645",
    "e": "04444332120305163645",
    "f": "30201116 0232",
    "g": "43321203051646 42473818",
    "h": "0006 0312324346",
    "i": "0206 0000",
    "j": "121708 1010",
    "k": "0006 320436",
    "l": "000516",
    "m": "0206 03122326 23324346",
    "n": "0206 0312324346",
    "o": "120305163645433212",
    "p": "0208 0312324345361605",
    "q": "4248 4332120305163645",
    "r": "0206 031232",
    "s": "4212031434453606",
    "t": "10152636 0232",
    "u": "0205163645 4246",
    "v": "022642",
    "w": "0206244642",
    "x": "0246 4206",
    "y": "0205163645 42473818",
    "z": "02420646",
    ".": "0606",
    ",": "0607",
    ":": "0303 0606",
    ";": "0303 0607",
    "-": "0333",
    "+": "0343 2125",
    "=": "0242 0444",
    "_": "0747",
    "/": "0640",
    "\\": "0046",
    "|": "0007",
    "(": "10010516",
    ")": "00111506",
    "[": "10000616",
    "]": "00101606",
    "{": "20111203141526",
    "}": "00111223141506",
    "<": "310335",
    ">": "013305",
    "'": "0002",
    "`": "0011",
    '"': "0002 2022",
    "!": "0004 0606",
    "?": "01103041422324 2626",
    "#": "1016 3036 0242 0444",
    "%": "0101 4545 4006",
    "&": "4612112031320405162644",
    "*": "1133 1331 0242",
    "^": "022042",
    "~": "04133443",
    "$": "413010010213334445361605 2026",
    "@": "34242234 34444130100105163646",
    "…": "0606 2626 4646",
}
# What has no letter here is a box, as in fonts.
_UNKNOWN = "0040460600"
# Units of the grid: between letters, and the width of a blank.
_SPACING, _BLANK = 1.6, 2.2
# Of the height of a capital: thin enough for loops at 9 pixels, thick enough for print.
_WEIGHT = 0.13


@cache
def _lines(letter: str) -> tuple[tuple[tuple[float, float, float, float], ...], float]:
    """Segments of a letter (from x, y to x, y), and its width."""
    if letter == " ":
        return (), _BLANK
    segments, width = [], 0.0
    for stroke in _STROKES.get(letter, _UNKNOWN).split():
        points = [(float(x), float(y)) for x, y in zip(stroke[::2], stroke[1::2], strict=True)]
        width = max(width, *(x for x, _ in points))
        segments += [(*a, *b) for a, b in pairwise(points)]
    return tuple(segments), width


def text_width(text: str, size: float) -> float:
    """Pixels that a line of text takes; `size` is the height of a capital."""
    return sum(_lines(letter)[1] + _SPACING for letter in text) * size / 6


def draw_text(
    pixels: UInt8Array,
    text: str,
    place: tuple[float, float],
    size: float,
    *,
    colour: tuple[int, int, int],
    turned: bool = False,
) -> None:
    """Draw a line of text onto pixels.

    Args:
        pixels: axes: y, x, colour.
        text: one line.
        place: x and y of the baseline's beginning.
        size: height of a capital, pixels.
        colour: of the letters.
        turned: whether the text runs upwards.
    """
    x, y = place
    part, corner = _window(pixels, (x, y), text_width(text, size), size, turned)
    ink = np.zeros(part.shape[:2])
    for ax, ay, bx, by in _segments(text, size / 6):
        # Upwards: along the text is up the picture, and below its baseline is right.
        a, b = ((ay, -ax), (by, -bx)) if turned else ((ax, ay), (bx, by))
        start = (x + a[0] - corner[0], y + a[1] - corner[1])
        _stroke(ink, start, (x + b[0] - corner[0], y + b[1] - corner[1]), size * _WEIGHT / 2)
    shown = ink[..., None]
    part[:] = np.rint(part * (1 - shown) + np.array(colour) * shown).astype(np.uint8)


def _window(
    pixels: UInt8Array, place: tuple[float, float], width: float, size: float, turned: bool
) -> tuple[UInt8Array, tuple[int, int]]:
    """The part of a picture that a line of text can cover, and its corner x, y."""
    x, y = place
    # Two pixels for the rounding of edges; tails reach a third of a capital below the baseline.
    above, below = size + 2, size / 2 + 2
    left, right = (x - above, x + below) if turned else (x - 2, x + width + 2)
    top, bottom = (y - width - 2, y + 2) if turned else (y - above, y + below)
    corner = max(0, math.floor(left)), max(0, math.floor(top))
    return pixels[
        corner[1] : max(0, math.ceil(bottom)), corner[0] : max(0, math.ceil(right))
    ], corner


def _segments(text: str, unit: float) -> Iterator[tuple[float, float, float, float]]:
    """Segments of a line of text, counted from the beginning of its baseline."""
    at = 0.0
    for letter in text:
        segments, width = _lines(letter)
        for ax, ay, bx, by in segments:
            yield (at + ax) * unit, (ay - 6) * unit, (at + bx) * unit, (by - 6) * unit
        at += width + _SPACING


def _stroke(
    ink: Float64Array, start: tuple[float, float], end: tuple[float, float], radius: float
) -> None:
    """Cover the pixels along a segment, those at its edge in part."""
    (ax, ay), (bx, by) = start, end
    reach = radius + 1
    left, right = max(0, math.floor(min(ax, bx) - reach)), math.ceil(max(ax, bx) + reach)
    top, bottom = max(0, math.floor(min(ay, by) - reach)), math.ceil(max(ay, by) + reach)
    part = ink[top:bottom, left:right]
    if not part.size:
        return
    y, x = np.mgrid[top : top + part.shape[0], left : left + part.shape[1]] + 0.5
    dx, dy = bx - ax, by - ay
    length = dx * dx + dy * dy
    along = np.clip(((x - ax) * dx + (y - ay) * dy) / length, 0, 1) if length else 0.0
    far = np.hypot(x - ax - along * dx, y - ay - along * dy)
    np.maximum(part, np.clip(radius + 0.5 - far, 0, 1), out=part)
