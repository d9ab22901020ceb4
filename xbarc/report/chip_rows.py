"""Rows about the target: its figures, its chip, models beside them."""

from __future__ import annotations

from pydantic import Field

from xbarc.report.row import Row


class LevelRow(Row):
    """One array, macro, tile or chip of the target at full load."""

    level: str = Field(description="array, macro, tile or chip")
    power_mw: float | None = Field(description="power, every array at work, mW")
    area_mm2: float | None = Field(description="area, mm2")
    gops: float = Field(description="peak at the target's own precision, 2 operations a MAC, GOPS")
    capacity_mib: float = Field(description="what the cells hold, MiB")
    vector_ns: float = Field(description="one input vector, ns")
    conversions_per_mac: float = Field(description="how many conversions a MAC takes")


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
    scaled_from_nm: float | None = Field(
        default=None,
        description="node that the source gives the figure for, nm; null: the target's",
    )
    scaled_from_value: float | None = Field(
        default=None, description="the figure there, in `unit`; null where it was not scaled"
    )
    scale_factor: float | None = Field(
        default=None, description="how many times that the figure is; null where it was not scaled"
    )
    scale_source: str = Field(default="", description="id of the factor's source; may be empty")
    scale_cite: str = Field(default="", description="author, title, place, year of that")
    scale_url: str = Field(default="", description="where to read that")
    per: str = Field(
        default="", description="what a figure of a cost is given per; empty for other figures"
    )
    grows: str = Field(
        default="", description="law by which it grows with the array, our model; empty as `per`"
    )
    why: str = Field(
        default="", description="a remark on the law: why this one, why no more; may be empty"
    )
    given_for: dict[str, float] | None = Field(
        default=None,
        description="what differs in the array that the source gives the figure for; null: nothing "
        "that matters to the law. Units are those of the target's fields",
    )
    given_value: float | None = Field(
        default=None, description="the figure there, in `unit`; null where nothing differs"
    )
    carry_factor: float | None = Field(
        default=None, description="how many times that the figure is; null where nothing differs"
    )
    carry_added: float | None = Field(
        default=None, description="what is added then, in `unit`; null where nothing differs"
    )
