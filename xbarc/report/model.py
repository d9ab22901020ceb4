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

    name: str
    description: str
    kind: str
    technology: str
    node_nm: int


class Totals(Row):
    """One program, one inference."""

    arrays: int = Field(description="physical arrays in use")
    arrays_without_packing: int = Field(description="arrays, had every block its own")
    cells: int = Field(description="cells in use")
    cell_utilization: float | None = Field(description="cells in use over cells of the arrays")
    adcs: int = Field(description="converters of the arrays")
    adc_settings: int = Field(description="ranges and steps that converters are loaded with")
    macros: int
    tiles: int
    chips: int
    fits_one_chip: bool
    macs_crossbar: int | None
    macs_digital: int | None
    conversions: int | None
    area_mm2: float | None
    energy_uj: float | None
    write_energy_uj: float | None = Field(description="programming all cells once")
    latency_us: float | None = Field(description="sum over the layers, digital work left out")
    inferences_per_s: float | None = Field(description="pipelined: the busiest array decides")
    tops_per_watt: float | None = Field(description="2 operations a multiply-accumulate")
    unknown: dict[str, str] = Field(description="why a total is not known, by its name")


class AdcRow(Row):
    """Converter widths of a layer, weighted by conversions."""

    policy: str
    min_bits: int
    mean_bits: float
    max_bits: int
    histogram: dict[int, int] = Field(description="conversions of one input vector by width")


class TimingRow(Row):
    """How long one input vector takes."""

    segments: int = Field(description="segments that one array runs one after another")
    conversions_per_adc: int = Field(description="conversions of the busiest converter a cycle")
    read_ns: float
    convert_ns: float
    cycle_ns: float
    limit: Literal["array read", "conversion"]
    vector_ns: float


class LayerRow(Row):
    """One layer on crossbars; `area_mm2` and the arrays' surroundings are its share."""

    name: str
    operator: str
    encoding: str
    activation_range: Literal["static", "dynamic", "as given"]
    weight_bits: int
    weight_slices: int
    input_bits: int
    input_slices: int
    inputs: int
    outputs: int
    groups: int
    row_blocks: int
    column_blocks: int
    blocks: int
    arrays: int = Field(description="arrays that the layer touches")
    cells: int
    zero_cells: int = Field(description="cells at level 0")
    utilization: float | None = Field(description="cells over cells of the arrays it touches")
    adc: AdcRow
    timing: TimingRow
    positions: int | None = Field(description="input vectors of one inference")
    macs: int | None
    conversions_per_vector: int
    conversions: int | None
    energy_uj: float | None
    latency_us: float | None
    area_mm2: float


class DigitalRow(Row):
    """A fragment that stays digital."""

    name: str
    operators: dict[str, int]
    macs: int | None
    energy_uj: float | None
    notes: tuple[str, ...]


class PartRow(Row):
    """One component; `total` is `count * unit_cost`, and totals are sums of these rows."""

    name: str
    count: float
    figure: str = Field(description="dotted path of the target's figure")
    unit_cost: float | None
    total: float | None
    unit: str


class Components(Row):
    """Every total, by component."""

    area: tuple[PartRow, ...]
    energy: tuple[PartRow, ...]
    write: tuple[PartRow, ...]


class ChipRow(Row):
    """One whole chip of the target, converters at their largest width."""

    arrays: int
    cells: int
    adcs: int
    adc_bits: int
    area_mm2: float | None
    parts: tuple[PartRow, ...]


class DeviceRow(Row):
    """A first-order estimate of what the executor does not apply."""

    name: str
    value: float | None
    unit: str
    formula: str


class SourceRow(Row):
    """A figure of the target and where it comes from."""

    path: str
    values: tuple[float, ...]
    unit: str
    source: str
    via: str
    confirmed: bool
    note: str
    kind: str = Field(description="paper, survey, software, manual, digest; assumed")
    cite: str
    url: str


class Report(Row):
    """Counts, costs and sources of a program."""

    format: Literal[1] = Field(default=1, description="1: the first one")
    name: str
    model_sha256: str
    target: TargetRow
    settings: dict[str, str]
    totals: Totals
    layers: tuple[LayerRow, ...]
    digital: tuple[DigitalRow, ...]
    components: Components
    chip: ChipRow
    device: tuple[DeviceRow, ...]
    sources: tuple[SourceRow, ...]
    notes: tuple[str, ...] = Field(description="what the model leaves out")

    def _repr_html_(self) -> str:
        return render_fragment(self)
