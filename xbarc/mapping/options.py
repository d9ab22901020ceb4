"""What a user may choose about mapping, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from xbarc.errors import MappingError
from xbarc.mapping.encodings import find_encoding

Tile = Literal["fill", "even"]
Pack = Literal["layer", "network", "none"]
PLACEMENTS = ("none",)
ADC_POLICIES = ("lossless", "worst-case")
MOST_SLICES = 16
FEEDBACK = ("auto", "on", "off")


@dataclass(frozen=True)
class MapOptions:
    """Choices of mapping.

    Attributes:
        encoding: name of the encoding.
        adc: `lossless`, `worst-case`, or a number of bits that caps the lossless setting.
        tile: `fill` fills arrays first, `even` cuts a layer into blocks of like size.
        pack: small blocks share arrays within a layer, across layers that run one after the other,
            or never.
        placement: order of rows and columns; `none` keeps the natural one.
        slices: cells of one sign that hold a weight; None takes as many as the weights need.
        feedback: error feedback where there is calibration data: `auto` keeps it where it lowers
            the output error on held-back samples, `on` always, `off` never.
    """

    encoding: str = "differential"
    adc: str = "lossless"
    tile: Tile = "fill"
    pack: Pack = "layer"
    placement: str = "none"
    slices: int | None = None
    feedback: str = "auto"

    def __post_init__(self) -> None:
        find_encoding(self.encoding)
        _one_of(
            "--adc", self.adc if not self.adc.isdecimal() else "lossless", ADC_POLICIES, " or bits"
        )
        _one_of("--tile", self.tile, get_args(Tile))
        _one_of("--pack", self.pack, get_args(Pack))
        _one_of("--feedback", self.feedback, FEEDBACK)
        _one_of("--placement", self.placement, PLACEMENTS)
        if self.slices is not None and not 1 <= self.slices <= MOST_SLICES:
            raise MappingError(
                f"{self.slices} cells a weight, expected 1 to {MOST_SLICES}",
                where="--weight-slices",
            )
        if self.adc.isdecimal() and (len(self.adc) > 2 or not 1 <= int(self.adc) <= 16):
            raise MappingError(f"{self.adc[:20]} bits, expected 1 to 16", where="--adc")


def _one_of(option: str, value: str, known: tuple[str, ...], more: str = "") -> None:
    if value not in known:
        text = ", ".join(known) + more
        raise MappingError(f"'{value}' is not available", where=option, hint=f"one of {text}")
