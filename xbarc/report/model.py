"""The report as plain values, without a clock: the same program gives the same bytes.

Units end the names. A number that cannot be known is None, and `totals.unknown` says why.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from xbarc.report.html import render_fragment


class Row(BaseModel):
    """Base of every part of a report."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TargetRow(Row):
    """What the program was compiled for."""

    name: str = Field(description="name of the target")
    description: str = Field(description="one sentence about the target")
    kind: str = Field(description="silicon, modelled or assumed: how its figures came about")
    technology: str = Field(description="memory cell, such as rram-1t1r")
    node_nm: int = Field(description="technology node of the costs, nm")


class Totals(Row):
    """One program, one inference."""

    arrays: int = Field(description="physical arrays in use, count")
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
    energy_uj: float | None = Field(description="sum of `components.energy`, uJ an inference")
    write_energy_uj: float | None = Field(description="programming all cells once, uJ")
    latency_us: float | None = Field(description="sum over the layers, digital work left out, us")
    inferences_per_s: float | None = Field(description="pipelined: the busiest array decides, 1/s")
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


class TimingRow(Row):
    """How long one input vector takes."""

    segments: int = Field(description="segments that one array runs one after another, count")
    conversions_per_adc: int = Field(
        description="conversions of the busiest converter in a cycle, count"
    )
    read_ns: float = Field(description="one array read, ns")
    convert_ns: float = Field(description="all conversions of a cycle, ns")
    cycle_ns: float = Field(description="the longer of the two, ns")
    limit: Literal["array read", "conversion"] = Field(description="which of the two is longer")
    vector_ns: float = Field(description="one input vector: all cycles of all segments, ns")


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
    arrays: int = Field(description="arrays that the layer touches, count")
    cells: int = Field(description="cells in use, count")
    zero_cells: int = Field(description="cells at level 0, count")
    utilization: float | None = Field(
        description="cells over cells of the arrays it touches, 0 to 1"
    )
    adc: AdcRow = Field(description="converter widths")
    timing: TimingRow = Field(description="time of one input vector")
    positions: int | None = Field(description="input vectors of one inference, count")
    macs: int | None = Field(description="multiply-accumulates, count an inference")
    conversions_per_vector: int = Field(description="conversions of one input vector, count")
    conversions: int | None = Field(description="conversions, count an inference")
    energy_uj: float | None = Field(
        description="energy of the layer's share of the components, uJ an inference"
    )
    latency_us: float | None = Field(description="all input vectors one after another, us")
    area_mm2: float = Field(description="area of the layer's share of the components, mm2")


class ConverterRow(Row):
    """Converters of a layer under one rule for their width; `as set` is the program."""

    layer: str = Field(description="name of the layer, or all layers")
    rule: str = Field(description="as set, from cells, D.U.B. or worst case")
    mean_bits: float = Field(description="energy law b: mean bits of a conversion")
    mean_levels: float = Field(description="energy law 2^b: mean of 2**bits, 0 bits count nothing")
    energy_uj: float | None = Field(description="by the target's converter, uJ an inference")
    histogram: dict[int, int] = Field(
        description="conversions by width in bits, count; of one input vector, or an inference"
    )


class FrontRow(Row):
    """An allocation of converter bits that was executed on calibration data."""

    kind: str = Field(description="uniform bits, or allocated ones")
    mean_bits: float = Field(description="mean over conversions, bits")
    mean_levels: float = Field(description="mean of 2**bits over conversions")
    energy_uj: float = Field(description="all conversions, by the target's converter, uJ")
    predicted_db: float | None = Field(description="SQNR of the output by the model, dB")
    measured_db: float | None = Field(description="SQNR of the output, executed, dB")
    top1: float | None = Field(description="share of labels met, 0 to 1")
    top1_error: float | None = Field(
        description="standard error of the change in `top1`, from samples that changed"
    )
    chosen: bool = Field(description="whether the program has these bits")


class DigitalRow(Row):
    """A fragment that stays digital."""

    name: str = Field(description="name of the fragment")
    operators: dict[str, int] = Field(description="how often each operator stands in it, count")
    macs: int | None = Field(description="multiply-accumulates, count an inference")
    energy_uj: float | None = Field(
        description="energy of the multiply-accumulates, uJ an inference"
    )
    notes: tuple[str, ...] = Field(description="why matrix operators are in it, one entry each")


class PartRow(Row):
    """One component; `total` is `count * unit_cost`, and totals are sums of these rows."""

    name: str = Field(description="component")
    count: float = Field(description="how many there are, or how often it is used")
    figure: str = Field(description="dotted path of the target's figure")
    unit_cost: float | None = Field(description="cost of one, in `unit`")
    total: float | None = Field(description="`count * unit_cost`, in `unit`")
    unit: str = Field(description="pJ or um2")


class Components(Row):
    """Every total, by component."""

    area: tuple[PartRow, ...] = Field(description="parts of the area, um2")
    energy: tuple[PartRow, ...] = Field(description="parts of the energy of one inference, pJ")
    write: tuple[PartRow, ...] = Field(description="parts of the energy of programming, pJ")


class ChipRow(Row):
    """One whole chip of the target, converters at their largest width."""

    arrays: int = Field(description="arrays of a chip, count")
    cells: int = Field(description="cells of a chip, spare columns included, count")
    adcs: int = Field(description="converters of a chip, count")
    adc_bits: int = Field(description="width of every converter, bits")
    area_mm2: float | None = Field(description="sum of `parts`, mm2")
    parts: tuple[PartRow, ...] = Field(description="parts of the area, um2")


class DeviceRow(Row):
    """A first-order estimate of what the executor does not apply."""

    name: str = Field(description="what is estimated")
    value: float | None = Field(description="the estimate, in `unit`")
    unit: str = Field(description="unit of the value")
    formula: str = Field(description="how it is worked out")


class SourceRow(Row):
    """A figure of the target and where it comes from."""

    path: str = Field(description="dotted path of the figure in the target")
    values: tuple[float, ...] = Field(description="the numbers, in `unit`")
    unit: str = Field(description="unit of the values")
    source: str = Field(description="id of the source, or assumed")
    via: str = Field(
        description="direct, code, quoted, derived, rebuilt, recalled, assumed: how it was taken"
    )
    confirmed: bool = Field(description="whether the figure was read in a source text")
    note: str = Field(description="what a reader must know to use the figure")
    kind: str = Field(description="paper, survey, software, manual, digest; assumed")
    cite: str = Field(description="author, title, place, year; empty where assumed")
    url: str = Field(description="where to read it; may be empty")


class Report(Row):
    """Counts, costs and sources of a program."""

    format: Literal[1] = Field(default=1, description="1: the first one")
    name: str = Field(description="name of the program")
    model_sha256: str = Field(
        description="digest of the model and its external data, SHA-256 in hex"
    )
    target: TargetRow = Field(description="what the program was compiled for")
    settings: dict[str, str] = Field(description="what the compiler was told, by name")
    totals: Totals = Field(description="the whole program, one inference")
    layers: tuple[LayerRow, ...] = Field(description="layers on crossbars, in execution order")
    digital: tuple[DigitalRow, ...] = Field(
        description="fragments that stay digital, in execution order"
    )
    converters: tuple[ConverterRow, ...] = Field(
        default=(), description="converters under several rules, by layer and in all"
    )
    front: tuple[FrontRow, ...] = Field(
        default=(), description="energy against error of converter bits; empty without a budget"
    )
    components: Components = Field(description="the parts of every total")
    chip: ChipRow = Field(description="one whole chip of the target")
    device: tuple[DeviceRow, ...] = Field(
        description="estimates of what the executor does not apply"
    )
    sources: tuple[SourceRow, ...] = Field(description="every figure of the target with its source")
    notes: tuple[str, ...] = Field(description="what the model leaves out")

    def _repr_html_(self) -> str:
        return render_fragment(self)
