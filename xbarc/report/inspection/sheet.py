"""A drawing of rectangles, pixels and lines of text, as SVG and as PNG."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xbarc.errors import visible
from xbarc.numerics import UInt8Array
from xbarc.report.escaping import markup
from xbarc.report.inspection.lettering import draw_text, text_width
from xbarc.report.inspection.png import png_bytes

Colour = tuple[int, int, int]

INK, QUIET, LINE, PAPER = (29, 36, 48), (93, 104, 120), (197, 204, 214), (255, 255, 255)


@dataclass(frozen=True)
class TextLine:
    """One line of text.

    Attributes:
        x, y: of its anchor on the baseline, pixels.
        size: height of a capital, pixels.
        anchor: which end of the text lies at x, y.
        turned: whether it runs upwards.
    """

    text: str
    x: float
    y: float
    size: float
    colour: Colour = INK
    anchor: str = "start"
    turned: bool = False

    @property
    def start(self) -> tuple[float, float]:
        """Where the text begins."""
        shares = {"start": 0.0, "middle": 0.5, "end": 1.0}
        before = shares[self.anchor] * text_width(self.text, self.size)
        return (self.x, self.y + before) if self.turned else (self.x - before, self.y)


@dataclass(frozen=True)
class Patch:
    """A filled rectangle, pixels."""

    x: float
    y: float
    width: float
    height: float
    fill: Colour


@dataclass(frozen=True, eq=False)
class Picture:
    """Pixels at a place; axes of the pixels: y, x, colour."""

    x: int
    y: int
    pixels: UInt8Array


@dataclass(frozen=True, eq=False)
class Sheet:
    """A drawing on white.

    Attributes:
        title: what it shows, for whoever cannot see it.
        width, height: pixels.
        parts: later ones cover earlier ones.
    """

    title: str
    width: int
    height: int
    parts: Sequence[TextLine | Patch | Picture]

    def png(self) -> bytes:
        """A PNG file."""
        pixels = np.full((self.height, self.width, 3), PAPER, dtype=np.uint8)
        for part in self.parts:
            match part:
                case TextLine():
                    text = visible(part.text)
                    draw_text(
                        pixels,
                        text,
                        part.start,
                        part.size,
                        colour=part.colour,
                        turned=part.turned,
                    )
                case Patch():
                    left, top = round(part.x), round(part.y)
                    right, bottom = round(part.x + part.width), round(part.y + part.height)
                    pixels[top:bottom, left:right] = part.fill
                case Picture():
                    height, width = part.pixels.shape[:2]
                    pixels[part.y : part.y + height, part.x : part.x + width] = part.pixels
        return png_bytes(pixels)

    def svg(self) -> str:
        """An SVG file: text stays text, cells are a picture inside."""
        size = f'width="{self.width}" height="{self.height}"'
        inside = "\n".join(map(_element, self.parts))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} '
            f'viewBox="0 0 {self.width} {self.height}" role="img" font-family="sans-serif">\n'
            f"<title>{markup(self.title)}</title>\n"
            f'<rect width="100%" height="100%" fill="{_hex(PAPER)}"/>\n{inside}\n</svg>\n'
        )


def _element(part: TextLine | Patch | Picture) -> str:
    match part:
        case TextLine():
            turn = f' transform="rotate(-90 {part.x:.1f} {part.y:.1f})"' if part.turned else ""
            # Capitals of common fonts take 0.72 of the size. A style, and no attribute: pages have
            # one for all text.
            style = f"font-size: {part.size / 0.72:.1f}px; fill: {_hex(part.colour)}"
            return (
                f'<text x="{part.x:.1f}" y="{part.y:.1f}" style="{style}" '
                f'text-anchor="{part.anchor}"{turn}>{markup(part.text)}</text>'
            )
        case Patch():
            box = f'x="{part.x:.1f}" y="{part.y:.1f}" width="{part.width:.1f}"'
            return f'<rect {box} height="{part.height:.1f}" fill="{_hex(part.fill)}"/>'
        case Picture():
            height, width = part.pixels.shape[:2]
            data = base64.b64encode(png_bytes(part.pixels)).decode("ascii")
            return (
                f'<image x="{part.x}" y="{part.y}" width="{width}" height="{height}" '
                f'image-rendering="pixelated" href="data:image/png;base64,{data}"/>'
            )


def _hex(colour: Colour) -> str:
    red, green, blue = colour
    return f"#{red:02x}{green:02x}{blue:02x}"
