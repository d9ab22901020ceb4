"""The parts of a target: array, cell, input, ADC, wires, precision, hierarchy, costs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from xbarc.target.figures import (
    BytePerNano,
    Cycles,
    Figure,
    FigureList,
    Fraction,
    GigaSample,
    Lsb,
    MilliWatt,
    Nanosecond,
    Ohm,
    OpPerNano,
    PicoJoule,
    Provenance,
    Ratio,
    Second,
    SquareMicron,
    Strict,
    Volt,
)

Line = Annotated[int, Field(ge=1, le=65536)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
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


class Variation(Strict):
    """Spread of the programmed conductance, one standard deviation."""

    kind: Literal["absolute", "proportional"] = Field(
        description="absolute: sigma in uS whatever the level; proportional: a share of the level"
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


class Drift(Strict):
    """`G(t) = G0 (t / reference)**(-exponent)`."""

    exponent: Ratio = Field(description="drift exponent")
    reference: Second = Field(description="time after programming at which G0 holds")


def _rising(levels: FigureList) -> FigureList:
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
    conductance: Annotated[FigureList, AfterValidator(_rising)] = Field(
        description="conductance of each level in uS, level 0 first"
    )
    variation: Variation = Field(description="spread after programming")
    stuck_on: Fraction = Field(description="share of cells stuck at the highest level")
    stuck_off: Fraction = Field(description="share of cells stuck at level 0")
    read_noise: Fraction = Field(description="noise of one read, as a fraction of the top level")
    drift: Drift = Field(description="conductance over time")

    @model_validator(mode="after")
    def _levels(self) -> Cell:
        if len(self.conductance.values) != 1 << self.bits:
            found = len(self.conductance.values)
            raise ValueError(f"{self.bits} bits need {1 << self.bits} conductances, found {found}")
        spread = self.variation.levels
        if spread is not None and len(spread.values) != 1 << self.bits:
            found = len(spread.values)
            raise ValueError(f"{self.bits} bits need {1 << self.bits} sigmas, found {found}")
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
    rate: GigaSample = Field(description="conversions a second of one converter")
    stops_early: bool = Field(
        description="whether a converter makes only the bits that each column needs (a SAR that "
        "stops early), or as many for every column that shares it",
        default=False,
    )
    overlap: Literal["sample-and-hold", "none"] = Field(
        default="sample-and-hold",
        description="sample-and-hold: conversions overlap the next read; none: they follow it",
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


class AdcCosts(Strict):
    """`energy = scale (linear b + exponential 2**b)`, area alike; 1 bit is a comparator."""

    energy_linear: PicoJoule = Field(description="energy a bit of a conversion")
    energy_exponential: PicoJoule = Field(description="energy a level of a conversion")
    energy_scale: Ratio = Field(description="factor on the energy law for this design")
    area_linear: SquareMicron = Field(description="area a bit of the converter")
    area_exponential: SquareMicron = Field(description="area a level of the converter")
    comparator_energy: PicoJoule = Field(description="energy of a 1-bit decision")
    comparator_area: SquareMicron = Field(description="area of a sense amplifier")
    flash_bits: Annotated[int, Field(ge=1, le=4)] = Field(
        default=1,
        description="converters of up to this width are `2**b - 1` comparators where those are "
        "cheaper than the law; 1: never",
    )
    thermal: PicoJoule | None = Field(
        description="noise floor `k 4**b` beyond 10 bits, this is k; left out: not charged",
        default=None,
    )
    thermal_margin: Ratio | None = Field(
        description="margin of the design over the noise floor; 1 where left out", default=None
    )


class Component(Strict):
    """Hardware that stands there whatever the program does: control, memories, units, links."""

    name: str = Field(min_length=1, max_length=64, description="what it is")
    per: Literal["array", "macro", "tile", "chip"] = Field(description="one set of it a ...")
    count: Annotated[float, Field(gt=0, le=1e6)] = Field(
        description="how many; a fraction where several share one"
    )
    power: MilliWatt | None = Field(
        description="power of one, always on; left out where no source gives it", default=None
    )
    area: SquareMicron | None = Field(
        description="area of one; left out where no source gives it", default=None
    )


class Costs(Strict):
    """Area, energy and time of each component; the node is that of the target."""

    cycle: Nanosecond = Field(description="one array read: settle, sample and hold")
    array_energy: PicoJoule = Field(description="one read of one whole array")
    cell_area: SquareMicron = Field(description="one cell with its access device")
    driver_energy: PicoJoule = Field(description="a wordline, a cycle")
    driver_area: SquareMicron = Field(description="driver and DAC of a wordline")
    sample_hold_energy: PicoJoule = Field(description="one sample of one bitline")
    sample_hold_area: SquareMicron = Field(description="one bitline's sample and hold")
    adc: AdcCosts = Field(description="converters")
    shift_add_energy: PicoJoule = Field(description="one shift-and-add of a code")
    shift_add_area: SquareMicron = Field(description="one shift-and-add unit; one an ADC")
    register_energy: PicoJoule = Field(description="one byte into or out of a register")
    register_area: SquareMicron = Field(description="input and output registers of a macro")
    buffer_energy: PicoJoule = Field(description="one byte into or out of the tile's buffer")
    buffer_area: SquareMicron = Field(description="one KiB of the tile's buffer")
    router_energy: PicoJoule = Field(description="one byte through one router")
    router_area: SquareMicron = Field(description="routers of one tile")
    digital_energy: PicoJoule = Field(description="one digital multiply-accumulate")
    tile_static: MilliWatt = Field(description="leakage of one tile")
    tile_area: SquareMicron = Field(
        description="the rest of a tile: bus, activation and pooling units, output register"
    )
    components: tuple[Component, ...] = Field(
        default=(), strict=False, description="further hardware, each with its own figures"
    )
    pulse: Nanosecond | None = Field(
        description="time a level of an input slice, beside `cycle`; left out: none", default=None
    )
    pulse_energy: PicoJoule | None = Field(
        description="one array, a level of an input slice, beside `array_energy`; left out: none",
        default=None,
    )
    read_pulse: Nanosecond | None = Field(
        description="time in which cells conduct during a read of `cycle`, for energies by "
        "operands; left out: those are unknown",
        default=None,
    )
    convert_step: Nanosecond | None = Field(
        description="a bit of a conversion, where converters are slower the wider they convert; "
        "left out: `adc.rate` whatever the width",
        default=None,
    )
    vector_time: Nanosecond | None = Field(
        description="time an input vector beside its reads, when the arrays wait; left out: none",
        default=None,
    )
    fill: Nanosecond | None = Field(
        description="from buffer to buffer beside the reads, while arrays take the next vector; "
        "left out: none",
        default=None,
    )
    digital_rate: OpPerNano | None = Field(
        description="element-wise operations of one tile; left out: digital work takes no time",
        default=None,
    )
    link_rate: BytePerNano | None = Field(
        description="bytes through the link of one tile; left out: links take no time",
        default=None,
    )
    hop: Nanosecond | None = Field(
        description="time through one router; left out: none", default=None
    )
    chip_static: MilliWatt | None = Field(
        description="links of a chip to others, always on; left out where no source gives it",
        default=None,
    )
    chip_area: SquareMicron | None = Field(
        description="links of a chip to others; left out where no source gives it", default=None
    )
    write_energy: PicoJoule | None = Field(
        description="programming one cell; left out where no source gives it", default=None
    )
    write_time: Nanosecond | None = Field(
        description="programming one row of cells of an array, all pulses; left out where no "
        "source gives it",
        default=None,
    )
    endurance: Cycles | None = Field(
        description="times that a cell can be written; left out where no source gives it",
        default=None,
    )


class Peak(Strict):
    """What a chip does at full load, for its own roll-up; programs bring their own counts."""

    columns_per_weight: Line = Field(description="bitlines that one weight takes")
    columns_per_conversion: Line = Field(
        description="bitlines of one conversion: 2 where pairs are subtracted before it"
    )
    buffer_rate: BytePerNano | None = Field(
        description="bytes of one tile's buffer at full load; left out: not counted", default=None
    )
    router_rate: BytePerNano | None = Field(
        description="bytes of one tile's routers at full load; left out: not counted", default=None
    )


class Source(Strict):
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
    description: str = Field(description="one sentence")
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
    sources: dict[str, Source] = Field(
        description="sources that the figures name, beside the shared table"
    )

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
    """Every figure of a target with its dotted path, in the order of the fields."""
    found: list[tuple[str, Provenance]] = []
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
