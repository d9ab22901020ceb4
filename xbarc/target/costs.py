"""What the components of a target cost: each figure with what it is given per and its law.

The laws are our model; `xbarc targets show` prints them beside the figures.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from xbarc.target.figure_tree import (
    BytePerNano,
    Cycles,
    MilliWatt,
    Nanosecond,
    OpPerNano,
    PicoJoule,
    Ratio,
    SquareMicron,
)
from xbarc.target.strict import Strict

Line = Annotated[int, Field(ge=1, le=65536)]


class AdcCosts(Strict):
    """`energy = scale (linear b + exponential 2**b)`, area by the same law; 1 bit is a comparator.

    Attributes:
        replaced: whether something else prices converters, so that no figure here counts.
    """

    # Of the class and not a field: files cannot say it, only a cost law in Python can
    # (`cost.converters`).
    replaced: ClassVar[bool] = False

    energy_linear: PicoJoule = Field(description="energy per bit of a conversion")
    energy_exponential: PicoJoule = Field(description="energy a level of a conversion")
    energy_scale: Ratio = Field(description="factor on the energy law for this design")
    area_linear: SquareMicron = Field(description="area per bit of the converter")
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
    per: Literal["row", "column", "array", "macro", "tile", "chip"] = Field(
        description="one set of it for each ..."
    )
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
    column_scale_energy: PicoJoule | None = Field(
        default=None,
        exclude_if=lambda figure: figure is None,
        description="one multiplication of what a column was read as, where `adc.scale_bits` is "
        "given; left out: unknown",
    )
    column_scale_area: SquareMicron | None = Field(
        default=None,
        exclude_if=lambda figure: figure is None,
        description="one such multiplier; one an ADC; left out: unknown",
    )
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
        description="time in which cells conduct during a read of `cycle`, for the energy from "
        "operands; left out: those are unknown",
        default=None,
    )
    convert_step: Nanosecond | None = Field(
        description="a bit of a conversion, where converters are slower the wider they convert; "
        "left out: `adc.rate` whatever the width",
        default=None,
    )
    vector_time: Nanosecond | None = Field(
        description="time per input vector beside its reads, when the arrays wait; left out: none",
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

    columns_per_weight: Line | None = Field(
        default=None,
        description="bitlines that one weight takes; left out: worked out from `precision`",
    )
    columns_per_conversion: Line | None = Field(
        default=None,
        description="bitlines of one conversion: 2 where pairs are subtracted before it; given "
        "where `columns_per_weight` is",
    )
    buffer_rate: BytePerNano | None = Field(
        description="bytes of one tile's buffer at full load; left out: not counted", default=None
    )
    router_rate: BytePerNano | None = Field(
        description="bytes of one tile's routers at full load; left out: not counted", default=None
    )

    @model_validator(mode="after")
    def _both(self) -> Peak:
        # One without the other would mix the design's own count of columns with one worked out for
        # our encoding, and the roll-up would fit neither.
        if (self.columns_per_weight is None) != (self.columns_per_conversion is None):
            raise ValueError("columns_per_weight and columns_per_conversion go together")
        return self
