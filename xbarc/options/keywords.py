"""Types of the keywords of `xbarc.compile` and `report`: what each option may be given as.

Type checkers and editors cannot read them from the models, so they stand here a second time. A test
holds names, order and types equal to `compiling.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict

from xbarc.options.values import (
    AdcSaving,
    Budget,
    ColumnRule,
    Compensation,
    InputGroups,
    Method,
    Pruning,
)

EncodingName = Literal[
    "auto",
    "differential",
    "differential-analog",
    "offset",
    "offset-unflipped",
    "bias-column",
    "bias-column-analog",
    "bias-column-mid",
    "acm",
    "acm-analog",
    "segmented:4",
    "segmented:4-analog",
    "one-signed",
    "unipolar",
    "twos-complement",
    "centre",
    "centre-analog",
]
"""Names that an editor offers; `segmented` takes other numbers too, and plug-ins have theirs."""


class CompileKeywords(TypedDict, total=False):
    """Options of a compilation, all of which may be left out; `xbarc options` explains them."""

    weight_bits: int | None
    activation_bits: int | None
    ranges: Literal["mse", "percentile", "minmax"]
    equalise: Literal["none", "layer", "channel"] | None
    uniform: bool | None
    prune: str | float | Pruning | None
    exact_weights: bool
    encoding: EncodingName | str | Method | None
    encoding_budget: float
    weight_slices: int | None
    feedback: Literal["auto", "on", "off"]
    tile: Literal["fill", "even"]
    pack: Literal["layer", "network", "none"]
    adc: Literal["lossless", "worst-case", "calibrated"] | str | int | Method
    adc_budget: str | float | Budget | None
    adc_savings: Literal["all"] | AdcSaving | str | Iterable[AdcSaving]
    effort: Literal["low", "normal", "high"]
    rows_latency: float
    conversion_cost: Literal["both", "bits", "levels", "target"] | str | int
    column_order: Literal["array", "layer"] | str | int | ColumnRule
    range_analysis: Literal["all", "structure", "none"]
    placement: Literal["none", "heaviest", "srs", "drs", "rows", "optimal", "faults"] | str | Method
    compensate: str | Iterable[Compensation]
    fault_map: str | Path | Mapping[str, Any] | None
    split: (
        Literal["strided", "partition", "consecutive"]
        | str
        | Path
        | Mapping[str, Any]
        | InputGroups
    )
    extra_groups: float
    spare_columns: bool
    refit: bool
    thresholds: Literal["calibrated", "mean", "even"]
    sense_bits: int
    sense_rows: Literal["complementary", "zero-one"]
    sign_of_zero: Literal["onnx", "plus", "minus"]
    allow_ternary: bool
    duplicate: Literal["none", "balance", "budget=chip"] | str
    cost_law: str | Method | None
    shapes: Mapping[str, Iterable[int]] | Iterable[str]
    fix_input: Mapping[str, Any] | Iterable[str]
    carried_mapping: Literal["use", "require", "ignore"]


class ReportKeywords(TypedDict, total=False):
    """Options of a report, all of which may be left out."""

    duplicate: Literal["none", "balance", "budget=chip"] | str
    cost_law: str | Method | None
