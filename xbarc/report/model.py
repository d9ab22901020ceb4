"""The report as plain values, without a clock: the same program gives the same bytes.

Units end the names. A number that cannot be known is None, and `totals.unknown` says why.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from xbarc.cost import CostPart, Estimate, LayerSchedule, LeftOut, PathPart, Timing
from xbarc.cost.adc_models import AdcOpinion
from xbarc.ir.choices import ChoiceRecord, FitRecord
from xbarc.ir.front import FrontPoint, RowsPoint
from xbarc.report.chip_rows import LevelRow, SourceRow
from xbarc.report.facts import FactsRow
from xbarc.report.html import render_fragment
from xbarc.report.row import Row
from xbarc.report.solver import SolverRow
from xbarc.rows.form import Rows, Shown


class TargetRow(Row):
    """What the program was compiled for."""

    name: str = Field(description="name of the target")
    description: str = Field(description="one sentence about the target")
    kind: str = Field(description="silicon, modelled or assumed: how its figures came about")
    technology: str = Field(description="memory cell, such as rram-1t1r")
    node_nm: int = Field(description="technology node of the costs, nm")


class Totals(Row):
    """One program, one inference."""

    arrays: int = Field(description="physical arrays in use, copies of weights included, count")
    arrays_once: int = Field(description="arrays of one copy of every layer, count")
    arrays_missing: int = Field(description="arrays beyond those of one chip, count; 0: it fits")
    arrays_without_packing: int = Field(description="arrays, had every block its own, count")
    cells: int = Field(description="cells in use, count")
    cell_utilization: float | None = Field(
        description="cells in use over cells of the arrays, 0 to 1"
    )
    adcs: int = Field(description="converters of the arrays, count")
    adc_settings: int = Field(description="ranges and steps that converters are loaded with, count")
    macros: int = Field(description="macros in use, count")
    tiles: int = Field(description="tiles in use, count")
    chips: int = Field(description="chips in use, count")
    fits_one_chip: bool = Field(description="whether one chip is enough")
    macs_crossbar: int | None = Field(
        description="multiply-accumulates on crossbars, count an inference"
    )
    macs_digital: int | None = Field(
        description="multiply-accumulates of digital fragments, count an inference"
    )
    conversions: int | None = Field(description="conversions of all converters, count an inference")
    area_mm2: float | None = Field(description="sum of `components.area`, mm2")
    area_low_mm2: float | None = Field(
        description="area by the least of the sources that disagree, mm2"
    )
    area_high_mm2: float | None = Field(description="area by the largest of them, mm2")
    energy_uj: float | None = Field(
        description="sum of `components.energy`, uJ an inference at full rate: what is always on "
        "is charged for the interval between two inferences"
    )
    energy_alone_uj: float | None = Field(
        description="the same for an inference that follows no other, uJ: what is always on is "
        "charged for its latency"
    )
    energy_low_uj: float | None = Field(
        description="energy by the least of the sources that disagree, uJ"
    )
    energy_high_uj: float | None = Field(description="energy by the largest of them, uJ")
    area_confirmed: float = Field(
        description="share of the area whose figures were read in a source text, 0 to 1"
    )
    energy_confirmed: float = Field(
        description="share of the energy whose figures were read in a source text, 0 to 1"
    )
    write_energy_uj: float | None = Field(description="programming all cells once, uJ")
    write_time_us: float | None = Field(
        description="programming all cells once, arrays side by side, row after row, us"
    )
    writes_borne: float | None = Field(description="how many times cells can be written")
    digital_time_us: float | None = Field(
        default=None,
        description="work of digital units, a part of the latency where it is known, us",
    )
    latency_us: float | None = Field(
        description="from the first input to the last result, layers overlapping, us"
    )
    inferences_per_s: float | None = Field(
        description="at full rate: the busiest array, link or digital unit decides, 1/s"
    )
    tops_per_watt: float | None = Field(description="2 operations a multiply-accumulate, TOPS/W")
    unknown: dict[str, str] = Field(description="why a total is not known, by its name")


class AdcRow(Row):
    """Converter widths of a layer, weighted by conversions."""

    policy: str = Field(description="lossless, worst-case, or the largest number of bits asked for")
    min_bits: int = Field(description="narrowest conversion, bits; 0 where there is none")
    mean_bits: float = Field(description="mean over conversions, bits")
    max_bits: int = Field(description="widest conversion, bits")
    histogram: dict[int, int] = Field(
        description="conversions of one input vector by width in bits, count"
    )


class LayerRow(Row):
    """One layer on crossbars; `area_mm2` and the arrays' surroundings are its share."""

    name: str = Field(description="name of the layer in the model")
    operator: str = Field(description="ONNX operator")
    encoding: str = Field(description="how signed weights sit on cells")
    activation_range: Literal["static", "dynamic", "as given"] = Field(
        description="static: from data; dynamic: at run time; as given: the model's own integers"
    )
    weight_bits: int = Field(description="bits of a weight, sign included")
    weight_slices: int = Field(description="bit slices of a weight, count")
    input_bits: int = Field(description="bits of an input code")
    input_slices: int = Field(description="input slices, one a cycle, count")
    inputs: int = Field(description="rows of the matrix of one group, count")
    outputs: int = Field(description="outputs of one group, count")
    groups: int = Field(description="matrices of the layer, count")
    row_blocks: int = Field(description="blocks along the inputs, count")
    column_blocks: int = Field(description="blocks along the columns, count")
    blocks: int = Field(description="groups times row blocks times column blocks, count")
    arrays: int = Field(description="arrays that one copy of the layer touches, count")
    copies: int = Field(description="how often its weights stand on the chip, count")
    cells: int = Field(description="cells in use, count")
    zero_cells: int = Field(description="cells at level 0, count")
    utilization: float | None = Field(
        description="cells over cells of the arrays it touches, 0 to 1"
    )
    filling: tuple[float, ...] = Field(
        description="share of cells in use of each array it touches, the first 256, 0 to 1"
    )
    adc: AdcRow = Field(description="converter widths")
    timing: Shown[Timing] = Field(description="time of one input vector")
    positions: int | None = Field(description="input vectors of one inference, count")
    macs: int | None = Field(description="multiply-accumulates, count an inference")
    conversions_per_vector: int = Field(description="conversions of one input vector, count")
    conversions: int | None = Field(description="conversions, count an inference")
    buffer_bytes: int | None = Field(description="bytes through buffers, count an inference")
    energy_uj: float | None = Field(
        description="energy of the layer's share of the components, uJ an inference"
    )
    latency_us: float | None = Field(
        description="time that its arrays work in one inference, copies side by side, us"
    )
    area_mm2: float = Field(description="area of the layer's share of the components, mm2")
    choice: Shown[ChoiceRecord] | None = Field(
        default=None, description="why this encoding; null where it was asked for by name"
    )
    fit: Shown[FitRecord] | None = Field(
        default=None, description="how the integers were chosen; null where nothing was"
    )


class ConverterRow(Row):
    """Converters of a layer under one rule for their width; `as set` is the program."""

    layer: str = Field(description="name of the layer, or all layers")
    rule: str = Field(description="as set, from cells, D.U.B. or worst case")
    mean_bits: float = Field(
        description="energy law b: mean bits of a reading; 0 where no conversion is made"
    )
    mean_levels: float = Field(
        description="energy law 2^b: mean of 2**bits of a reading; 0 where no conversion is made"
    )
    energy_uj: float | None = Field(description="by the target's converter, uJ an inference")
    histogram: dict[int, int] = Field(
        description="readings by width in bits, count, of one input vector or an inference; those "
        "of 0 bits make no conversion"
    )


class DigitalRow(Row):
    """A fragment that stays digital."""

    name: str = Field(description="name of the fragment")
    operators: dict[str, int] = Field(description="how often each operator stands in it, count")
    macs: int | None = Field(description="multiply-accumulates, count an inference")
    energy_uj: float | None = Field(
        description="energy of the multiply-accumulates, uJ an inference"
    )
    notes: tuple[str, ...] = Field(description="why matrix operators are in it, one entry each")
    uncounted: tuple[str, ...] = Field(
        default=(), description="operators that `macs` leaves out, and why, one entry each"
    )


class Components(Row):
    """Every total, by component."""

    area: Rows[CostPart] = Field(description="parts of the area, um2")
    energy: Rows[CostPart] = Field(description="parts of the energy of one inference, pJ")
    write: Rows[CostPart] = Field(description="parts of the energy of programming, pJ")


class ChipRow(Row):
    """One whole chip of the target, converters at their largest width."""

    arrays: int = Field(description="arrays of a chip, count")
    cells: int = Field(description="cells of a chip, spare columns included, count")
    adcs: int = Field(description="converters of a chip, count")
    adc_bits: int = Field(description="width of every converter, bits")
    area_mm2: float | None = Field(description="sum of `parts`, mm2")
    parts: Rows[CostPart] = Field(description="parts of the area, um2")
    buffer_rate: float | None = Field(description="of one tile's buffer at full load, bytes a ns")
    levels: tuple[LevelRow, ...] = Field(description="the chip at full load, level by level")


class ScheduleRow(Row):
    """When each layer works, and how fast inferences can follow each other."""

    duplicate: str = Field(description="how copies of weights were chosen, as `--duplicate`")
    latency_us: float = Field(description="from the first input to the last result, us")
    interval_us: float = Field(description="time between two inferences at full rate, us")
    bottleneck: str = Field(description="what decides the interval")
    utilization: float = Field(description="share of the arrays' time that is work, 0 to 1")
    buffer_kib: float = Field(description="sum of what layers hold at once, KiB")
    buffer_kib_there: float = Field(description="buffers of the tiles in use, KiB")
    layers: Rows[LayerSchedule] = Field(description="layers, in execution order")
    path: Rows[PathPart] = Field(description="critical path of one inference, in time")


class OperandRow(Row):
    """Energy of one layer's arrays by the data that it was given."""

    name: str = Field(description="name of the layer")
    driven: float = Field(description="share of wordlines and slices that are not zero, 0 to 1")
    mean_level: float = Field(description="mean level of an input slice, 0 to 1")
    array_uj: float | None = Field(
        description="arrays by `t sum V**2 G`, uJ an inference; null without a read pulse"
    )
    array_constant_uj: float = Field(description="arrays by the constant figure, uJ an inference")
    driver_uj: float = Field(description="drivers of lines that are not zero, uJ an inference")
    driver_constant_uj: float = Field(description="drivers of all lines, uJ an inference")


class OperandsRow(Row):
    """Energies by data, beside the constant figures of the headline."""

    vectors: int = Field(description="input vectors of all layers that were looked at, count")
    energy_uj: float | None = Field(
        description="energy of one inference with these in place of the constant ones, uJ"
    )
    layers: tuple[OperandRow, ...] = Field(description="layers, in execution order")


class Report(Row):
    """Counts, costs and sources of a program."""

    format: Literal[3] = Field(
        default=3,
        description="1: the first one; 2: schedule, copies, bands and models beside; 3: 0 bits are "
        "no conversion, totals count what can be counted beside `left_out`, and what is always on "
        "is charged for the interval",
    )
    name: str = Field(description="name of the program")
    model_sha256: str = Field(
        description="digest of the model and its external data, SHA-256 in hex"
    )
    target: TargetRow = Field(description="what the program was compiled for")
    settings: dict[str, str] = Field(description="what the compiler was told, by name")
    totals: Totals = Field(
        description="the whole program, one inference, but for what `left_out` names"
    )
    left_out: Rows[LeftOut] = Field(
        default=(), description="work that no total holds; empty where everything is counted"
    )
    layers: tuple[LayerRow, ...] = Field(description="layers on crossbars, in execution order")
    digital: tuple[DigitalRow, ...] = Field(
        description="fragments that stay digital, in execution order"
    )
    converters: tuple[ConverterRow, ...] = Field(
        default=(), description="converters under several rules, by layer and in all"
    )
    front: Rows[FrontPoint] = Field(
        default=(), description="energy against error of converter bits; empty without a budget"
    )
    facts: tuple[FactsRow, ...] = Field(
        default=(),
        description="layers of whose inputs something is known whatever the network reads",
    )
    rows: Rows[RowsPoint] = Field(
        default=(), description="choices of rows driven at a time; empty without the lever rows"
    )
    solver: tuple[SolverRow, ...] = Field(
        default=(), description="stages that a solver decided, with what it proved"
    )
    components: Components = Field(description="the parts of every total")
    schedule: ScheduleRow | None = Field(
        description="when each layer works; null where a shape is not known"
    )
    operands: OperandsRow | None = Field(
        default=None, description="energies by data; null where no data was given"
    )
    adc_models: Rows[AdcOpinion] = Field(
        description="converters in use by several models, the target's own first"
    )
    chip: ChipRow = Field(description="one whole chip of the target")
    device: Rows[Estimate] = Field(
        description="estimates of devices; `xbarc check --effects` executes the effects themselves"
    )
    sources: tuple[SourceRow, ...] = Field(description="every figure of the target with its source")
    notes: tuple[str, ...] = Field(description="what the model leaves out")

    def _repr_html_(self) -> str:
        return render_fragment(self)
