"""A published or assumed number, never without its unit and its source."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from xbarc.target.growth import Carried, Geometry, Growth
from xbarc.target.strict import Strict

Via = Literal["direct", "code", "quoted", "derived", "rebuilt", "recalled", "assumed"]


class Provenance(Strict):
    """Where a number comes from and how far it can be trusted."""

    unit: str = Field(description="unit of the value")
    source: str = Field(description="id in the table of sources, or 'assumed' with a note")
    via: Via = Field(
        description="direct: read in the source; code: its software or data; quoted: a text that "
        "quotes it; derived, rebuilt: arithmetic on such figures; recalled: known, not read; "
        "assumed: ours"
    )
    confirmed: bool = Field(description="whether the figure was read in a source text")
    note: str = Field(default="", description="what a reader must know to use the figure")

    @model_validator(mode="after")
    def _consistent(self) -> Provenance:
        # Said twice, because each is read alone: tables of figures group by `via`, and links go by
        # `source`.
        if (self.via == "assumed") != (self.source == "assumed"):
            raise ValueError("an assumed figure has source = 'assumed' and via = 'assumed'")
        if self.via == "assumed" and not self.note:
            raise ValueError("an assumed figure says in its note why this value")
        if self.confirmed and self.via in ("recalled", "assumed"):
            raise ValueError(f"a figure known by via = '{self.via}' cannot be confirmed")
        return self


class Scaled(Strict):
    """What a figure was at the node that its source gives it for."""

    from_nm: float = Field(description="node of the source, nm", strict=False)
    value: float = Field(description="the number there, in the figure's unit", strict=False)
    factor: float = Field(description="what it was multiplied by")
    source: str = Field(description="id of the source of the factor")


class Figure(Provenance):
    """One number with its provenance; a `node_nm` in a file scales it to the node of the target."""

    value: float = Field(description="the number, in `unit`")
    low: float | None = Field(
        default=None, description="least value that another source gives, in `unit`"
    )
    high: float | None = Field(
        default=None, description="largest value that another source gives, in `unit`"
    )
    scaled: Scaled | None = Field(
        default=None, description="written by the loader: the source's own node, value and factor"
    )
    given_for: Geometry | None = Field(
        default=None,
        description="array that the source gives the figure for, where it is not that of the file; "
        "figures of `costs` are carried to the target's array by their laws",
    )
    grows: tuple[Growth, ...] | None = Field(
        default=None, strict=False, description="law of this figure, where the field's is not right"
    )
    carried: Carried | None = Field(
        default=None,
        description="written by the loader: the number for the array that it was given for",
    )

    @model_validator(mode="after")
    def _band(self) -> Figure:
        low = self.value if self.low is None else self.low
        high = self.value if self.high is None else self.high
        if not low <= self.value <= high:
            raise ValueError(f"value {self.value:g} is not from low {low:g} to high {high:g}")
        # A band means that sources differ; without saying which, a reader could not choose the end
        # that fits his case.
        if low < high and not self.note:
            raise ValueError("a figure with a band says in its note who disagrees")
        return self


class FigureList(Provenance):
    """Several numbers of one source, such as the conductance of each level."""

    values: tuple[float, ...] = Field(description="the numbers, in `unit`", strict=False)


@dataclass(frozen=True)
class InUnit:
    """A check that a figure has this unit and lies in this range; the reference page prints it."""

    unit: str
    least: float = 0.0
    most: float = math.inf

    def __call__(self, figure: Figure) -> Figure:
        """The figure, if it may stand here."""
        if figure.unit != self.unit:
            raise ValueError(f"unit is '{figure.unit}', expected '{self.unit}'")
        if figure.value < self.least:
            raise ValueError(f"value {figure.value:g} is below {self.least:g}")
        if figure.value > self.most:
            raise ValueError(f"value {figure.value:g} is above {self.most:g}")
        return figure


PicoJoule: TypeAlias = Annotated[Figure, AfterValidator(InUnit("pJ"))]
SquareMicron: TypeAlias = Annotated[Figure, AfterValidator(InUnit("um2"))]
Nanosecond: TypeAlias = Annotated[Figure, AfterValidator(InUnit("ns"))]
FemtoFarad: TypeAlias = Annotated[Figure, AfterValidator(InUnit("fF"))]
Ohm: TypeAlias = Annotated[Figure, AfterValidator(InUnit("ohm"))]
Volt: TypeAlias = Annotated[Figure, AfterValidator(InUnit("V"))]
Fraction: TypeAlias = Annotated[Figure, AfterValidator(InUnit("fraction", 0.0, 1.0))]
Lsb: TypeAlias = Annotated[Figure, AfterValidator(InUnit("LSB"))]
Ratio: TypeAlias = Annotated[Figure, AfterValidator(InUnit("ratio"))]
# Rates are divided by: their least values are tiny and above 0, so that no time becomes infinite.
GigaSample: TypeAlias = Annotated[Figure, AfterValidator(InUnit("GS/s", 1e-6))]
Second: TypeAlias = Annotated[Figure, AfterValidator(InUnit("s", 1e-12))]
MilliWatt: TypeAlias = Annotated[Figure, AfterValidator(InUnit("mW"))]
BytePerNano: TypeAlias = Annotated[Figure, AfterValidator(InUnit("B/ns", 1e-9))]
OpPerNano: TypeAlias = Annotated[Figure, AfterValidator(InUnit("op/ns", 1e-9))]
Cycles: TypeAlias = Annotated[Figure, AfterValidator(InUnit("cycles", 1.0))]
