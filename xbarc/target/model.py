"""The parts of a target: array, cell, input, ADC, wires, precision, hierarchy, costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from xbarc.errors import say_count, visible
from xbarc.rows import TableData, render_card
from xbarc.target.costs import AdcCosts, Costs, Line, Peak
from xbarc.target.figure_tree import (
    FemtoFarad,
    Figure,
    FigureList,
    Fraction,
    GigaSample,
    Lsb,
    Ohm,
    Provenance,
    Ratio,
    Second,
    Volt,
)
from xbarc.target.strict import Strict

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME)]
EncodingName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")]


class Array(Strict):
    """Size of one crossbar."""

    rows: Line = Field(description="wordlines of an array")
    columns: Line = Field(description="bitlines of an array that hold weights")
    active_rows: Line = Field(description="wordlines that are driven in the same cycle")
    spare_columns: int = Field(
        ge=0, le=64, description="bitlines beyond `columns`, for a unit column; usually 0 or 1"
    )

    @model_validator(mode="after")
    def _active(self) -> Array:
        if self.active_rows > self.rows:
            raise ValueError(f"active_rows {self.active_rows} exceeds rows {self.rows}")
        return self


VariationLaw = Literal["clipped-normal", "normal", "log-normal"]


class Variation(Strict):
    """Spread of the programmed conductance, one standard deviation."""

    kind: Literal["absolute", "proportional"] = Field(
        description="absolute: sigma in uS whatever the level; proportional: a share of the level"
    )
    law: VariationLaw = Field(
        default="clipped-normal",
        description="clipped-normal: a draw below zero conductance is zero (aihwkit's RRAM and PCM "
        "models); normal: it stays as it is (CrossSim's generic devices); log-normal: never below "
        "zero (forms2021, of resistances), with the same mean and sigma",
    )
    sigma: Figure = Field(description="uS for absolute, fraction for proportional")
    levels: FigureList | None = Field(
        description="sigma of each level in uS, level 0 first, instead of `sigma`; may be left out",
        default=None,
    )

    @model_validator(mode="after")
    def _unit(self) -> Variation:
        unit = "uS" if self.kind == "absolute" else "fraction"
        if self.sigma.unit != unit or self.sigma.value < 0:
            raise ValueError(f"sigma of {self.kind} variation is not negative, in {unit}")
        listed = self.levels
        if listed is not None and (listed.unit != "uS" or min(listed.values, default=-1.0) < 0):
            raise ValueError("levels of the variation are not negative, in uS")
        return self

    def sigma_us(self, conductances: Sequence[float], level: int) -> float:
        """One standard deviation at a level, in uS.

        Args:
            conductances: of the levels, in uS.
            level: which one.
        """
        if self.levels is not None:
            return self.levels.values[level]
        share = conductances[level] if self.kind == "proportional" else 1.0
        return self.sigma.value * share


class Drift(Strict):
    """`G(t) = G0 (t / reference)**(-exponent)`."""

    exponent: Ratio = Field(description="drift exponent")
    reference: Second = Field(description="time after programming at which G0 holds")


def _check_rising(levels: FigureList) -> FigureList:
    pairs = zip(levels.values, levels.values[1:], strict=False)
    if levels.unit != "uS" or min(levels.values, default=-1.0) < 0:
        raise ValueError("conductances are not negative, in uS")
    if any(high <= low for low, high in pairs):
        raise ValueError("conductances rise from level 0 to the last level")
    return levels


class Cell(Strict):
    """One memory cell and its deviations."""

    technology: Name = Field(description="for people: rram-1t1r, pcm, sram-6t, ...")
    bits: int = Field(ge=1, le=8, description="bits a cell stores; it has 2**bits levels")
    conductance: Annotated[FigureList, AfterValidator(_check_rising)] = Field(
        description="conductance of each level in uS, level 0 first"
    )
    variation: Variation = Field(description="spread after programming")
    stuck_on: Fraction = Field(description="share of cells stuck at the highest level")
    stuck_off: Fraction = Field(description="share of cells stuck at level 0")
    read_noise: Fraction = Field(description="noise of one read, as a fraction of the top level")
    drift: Drift = Field(description="conductance over time")

    @model_validator(mode="after")
    def _levels(self) -> Cell:
        values = self.conductance.values
        if len(values) != 1 << self.bits:
            cells, found = say_count(self.bits, "bit"), len(values)
            raise ValueError(f"cells of {cells} need {1 << self.bits} conductances, found {found}")
        spread = self.variation.levels
        if spread is not None and len(spread.values) != 1 << self.bits:
            cells, found = say_count(self.bits, "bit"), len(spread.values)
            raise ValueError(f"cells of {cells} need {1 << self.bits} sigmas, found {found}")
        lowest, spread_at_0 = values[0], self.variation.sigma_us(values, 0)
        if self.variation.law == "log-normal" and spread_at_0 and not lowest:
            raise ValueError("log-normal variation needs a conductance above 0 at level 0")
        if self.stuck_on.value + self.stuck_off.value > 1:
            raise ValueError("stuck_on and stuck_off add up to more than 1")
        return self


class Input(Strict):
    """What drives the wordlines."""

    dac_bits: int = Field(ge=1, le=8, description="input bits fed in one cycle")
    read_voltage: Volt = Field(description="wordline voltage of the largest input slice")


class Adc(Strict):
    """What reads the bitlines."""

    kind: Literal["sar", "sense-amplifier"] = Field(
        description="sar: a converter of up to max_bits; sense-amplifier: one comparison"
    )
    max_bits: int = Field(ge=1, le=16, description="widest conversion that can be built")
    columns_per_adc: Line = Field(description="neighbouring bitlines that share one converter")
    reference: Literal["static", "per-cycle"] = Field(
        description="whether range and step may differ from one input slice to the next"
    )
    rate: GigaSample = Field(description="conversions per second of one converter")
    stops_early: bool = Field(
        description="whether a converter makes only the bits that each column needs (a SAR that "
        "stops early), or as many for every column that shares it",
        default=False,
    )
    overlap: Literal["sample-and-hold", "none"] = Field(
        default="sample-and-hold",
        description="sample-and-hold: conversions overlap the next read; none: they follow it",
    )
    scale_bits: Annotated[int, Field(ge=2, le=8)] | None = Field(
        default=None,
        # left out of files, so that those of targets without it stay as they were
        exclude_if=lambda bits: bits is None,
        description="bits of a factor without a sign by which the periphery multiplies what each "
        "column was read as, one for each column and row block; left out: no multiplier",
    )
    noise: Lsb | None = Field(
        description="noise at the input, one standard deviation in steps of the conversion; left "
        "out where no source gives it",
        default=None,
    )
    offset: Ratio | None = Field(
        default=None,
        description="sigma of the threshold from one sense amplifier to the next, in level units "
        "(binary cells: one conducting cell)",
    )

    @model_validator(mode="after")
    def _one_bit(self) -> Adc:
        if self.kind == "sense-amplifier" and self.max_bits != 1:
            raise ValueError(f"a sense-amplifier has max_bits = 1, not {self.max_bits}")
        return self


class Wires(Strict):
    """Resistances of the lines; the wire between two neighbouring cells is one segment."""

    wordline: Ohm = Field(description="one segment of a wordline")
    bitline: Ohm = Field(description="one segment of a bitline")
    driver: Ohm = Field(description="output resistance of a wordline driver")
    sense: Ohm = Field(description="input resistance of the sense side of a bitline")
    capacitance: FemtoFarad | None = Field(
        default=None,
        description="a word- or bitline, for each cell on it; left out: times cannot be carried "
        "to lines of another length",
    )


class Precision(Strict):
    """What `xbarc compile` does when the command line does not say otherwise."""

    weight_bits: int = Field(ge=2, le=16, description="bits of a weight, sign included")
    activation_bits: int = Field(ge=1, le=16, description="bits of an activation")
    encoding: EncodingName = Field(
        description="how signed weights sit on cells that are never negative"
    )
    uniform: bool = Field(
        default=False,
        description="whether all layers share one range of weights, inputs and converters",
    )


class Hierarchy(Strict):
    """How arrays form macros, tiles and a chip."""

    arrays_per_macro: Line = Field(description="arrays of one macro")
    macros_per_tile: Line = Field(description="macros of one tile")
    tiles_per_chip: Line = Field(description="tiles of one chip")
    buffer_kib: Annotated[int, Field(ge=0, le=1 << 20)] = Field(
        description="activation buffer of a tile, KiB"
    )
    network: Literal["mesh", "none"] = Field(description="what joins the tiles; none: one bus")


class SourceEntry(Strict):
    """A text, program or data set that figures come from."""

    kind: Literal["paper", "survey", "software", "manual", "digest"] = Field(
        description="digest: a text that quotes or sums up a paper"
    )
    cite: str = Field(description="author, title, place, year")
    url: str = Field(default="", description="where to read it")


class Target(Strict):
    """A chip, or a design of one, that networks are compiled for."""

    format: Literal[1] = Field(description="format of this file")
    name: Name = Field(description="what --target calls it")
    description: str = Field(
        default="",
        description="what the fields do not say, in a few words; never inherited from `base`",
    )
    base: str = Field(
        default="",
        description="name or path of another target, from which all is taken that this file leaves "
        "out; a figure that it changes is assumed, unless it names a source",
    )
    changed: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="written by the loader: what differs from `base`, or was set by `--set`",
    )
    kind: Literal["silicon", "modelled", "assumed"] = Field(
        description="silicon: measured; modelled: published, not built; assumed: put together here"
    )
    node_nm: int = Field(ge=1, le=1000, description="technology node of the costs, nm")
    array: Array = Field(description="size of an array")
    cell: Cell = Field(description="the memory cell")
    input: Input = Field(description="the wordline side")
    adc: Adc = Field(description="the bitline side")
    wires: Wires = Field(description="line resistances")
    precision: Precision = Field(description="defaults of the compiler")
    hierarchy: Hierarchy = Field(description="from arrays to a chip")
    costs: Costs = Field(description="what the components cost")
    peak: Peak | None = Field(
        description="full load of the chip; left out: worked out from precision", default=None
    )
    sources: dict[str, SourceEntry] = Field(
        description="sources that the figures name, beside the shared table"
    )

    def __repr__(self) -> str:
        return f"<Target {visible(self.name)}: {visible(self.kind)}, {self.node_nm} nm>"

    __str__ = __repr__  # pydantic's own would print every figure with its source

    def _repr_html_(self) -> str:
        array, adc, tree = self.array, self.adc, self.hierarchy
        read = (
            "1-bit sense amplifiers"
            if adc.kind != "sar"
            else f"up to {say_count(adc.max_bits, 'bit')}"
        )
        bits = self.precision.weight_bits, self.precision.activation_bits
        levels = f"{tree.tiles_per_chip:,} tiles of {tree.macros_per_tile} macros"
        rows = (
            ("array", f"{array.rows} x {array.columns}, {array.active_rows} rows at once"),
            ("cells", f"{self.cell.bits} bit, {self.cell.technology}"),
            ("inputs", f"{self.input.dac_bits} bit per cycle"),
            ("converters", f"{read}, {adc.columns_per_adc} columns per converter"),
            ("precision", f"{bits[0]}-bit weights, {bits[1]}-bit inputs"),
            ("chip", f"{levels} of {tree.arrays_per_macro} arrays"),
            ("changed", ", ".join(self.changed) or "nothing"),
        )
        lines = (self.description, f"{self.kind}, {self.node_nm} nm")
        return render_card(f"Target {self.name}", lines, (TableData("", ("", ""), rows),))

    @model_validator(mode="after")
    def _sources_known(self) -> Target:
        missing = [
            f"{path}: source '{figure.source}' is not in the table of sources"
            for path, figure in figures(self)
            if figure.source != "assumed" and figure.source not in self.sources
        ]
        if missing:
            raise ValueError("; ".join(missing))
        return self


def figures(part: Strict, prefix: str = "") -> list[tuple[str, Provenance]]:
    """Every figure that counts, with its dotted path, in the order of the fields."""
    found: list[tuple[str, Provenance]] = []
    if isinstance(part, AdcCosts) and part.replaced:
        return found
    for name in type(part).model_fields:
        value = getattr(part, name)
        path = f"{prefix}{name}"
        if isinstance(value, Provenance):
            found.append((path, value))
        elif isinstance(value, Strict):
            found.extend(figures(value, f"{path}."))
        elif isinstance(value, tuple) and value and isinstance(value[0], Strict):
            for index, item in enumerate(value):
                found.extend(figures(item, f"{path}.{index}."))
    return found
