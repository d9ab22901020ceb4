"""What a user may choose about mapping, checked once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from xbarc.errors import MappingError
from xbarc.mapping.choices import ColumnRule, Lever
from xbarc.mapping.encodings import find_encoding
from xbarc.mapping.laws import parse_law
from xbarc.mapping.sense_options import SenseOptions

Tile = Literal["fill", "even"]
Pack = Literal["layer", "network", "none"]
PLACEMENTS = ("none",)
ADC_POLICIES = ("lossless", "worst-case", "calibrated", "calibrated:BITS")
MOST_SLICES = 16
FEEDBACK = ("auto", "on", "off")
AUTO = "auto"
"""The encoding that is chosen for each layer by itself."""
BUDGET = 0.01
ROWS_LATENCY = 2.0


@dataclass(frozen=True)
class MapOptions:
    """Choices of mapping.

    Attributes:
        encoding: name of the encoding, or `auto` for the cheapest of each layer.
        adc: `lossless`, `worst-case`, or a number of bits that caps the lossless setting.
        tile: `fill` fills arrays first, `even` cuts a layer into blocks of like size.
        pack: small blocks share arrays within a layer, across layers that run one after the other,
            or never.
        placement: order of rows and columns; `none` keeps the natural one.
        slices: cells of one sign that hold a weight; None takes as many as the weights need.
        feedback: error feedback where there is calibration data: `auto` keeps it where it lowers
            the output error on held-back samples, `on` always, `off` never.
        levers: what makes column sums small; see `levers.py`.
        lever_law: what they take a conversion to cost; see `laws.py`.
        columns: what the wiring behind the columns allows their order to be.
        encoding_budget: with `auto`, the squared error of a layer's products over their variance
            that a cheaper encoding may cost.
        rows_latency: with the lever `rows`, how much longer arrays may work, as a factor.
        sense: how binary layers are split and compared, on targets with sense amplifiers.
    """

    encoding: str = "differential"
    adc: str = "lossless"
    tile: Tile = "fill"
    pack: Pack = "layer"
    placement: str = "none"
    slices: int | None = None
    feedback: str = "auto"
    levers: tuple[Lever, ...] = ()
    lever_law: str = "both"
    columns: ColumnRule = field(default_factory=ColumnRule)
    encoding_budget: float = BUDGET
    rows_latency: float = ROWS_LATENCY

    @property
    def from_data(self) -> bool:
        """Whether converters are set from calibration data, after mapping."""
        return self.adc.startswith(("calibrated", "budget"))

    sense: SenseOptions = field(default_factory=SenseOptions)

    def __post_init__(self) -> None:
        if self.encoding != AUTO:
            find_encoding(self.encoding)
        if not 0 <= self.encoding_budget <= 1:
            raise MappingError(
                f"{self.encoding_budget:g} is no share, expected 0 to 1", where="--encoding-budget"
            )
        self._check_rows()
        name, colon, number = self.adc.partition(":")
        known = name == "calibrated" and colon and number.isdecimal() and 0 < int(number[:9]) <= 16
        free = self.adc.isdecimal() or known or name == "budget"
        _one_of("--adc", "lossless" if free else self.adc, ADC_POLICIES, " or bits")
        parse_law(self.lever_law)
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

    def _check_rows(self) -> None:
        """Rows are chosen where every choice gives the same results."""
        if not 1 <= self.rows_latency <= 1 << 20:
            raise MappingError(
                f"{self.rows_latency:g} times as long, expected 1 or more", where="--rows-latency"
            )
        if "rows" in self.levers and self.adc not in ("lossless", "worst-case"):
            raise MappingError(
                f"rows are not chosen for --adc {self.adc}, whose results depend on them",
                where="--levers rows",
                hint="leave --adc out, or choose by hand: --set array.active_rows=64",
            )


def _one_of(option: str, value: str, known: tuple[str, ...], more: str = "") -> None:
    if value not in known:
        text = ", ".join(known) + more
        raise MappingError(f"'{value}' is not available", where=option, hint=f"one of {text}")
