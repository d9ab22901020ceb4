"""The base of a report's parts, and why a layer has its encoding."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Row(BaseModel):
    """Base of every part of a report."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FitRow(Row):
    """How a layer's integers were chosen."""

    method: Literal["rounding", "feedback"] = Field(description="plain rounding, or error feedback")
    weight_error: float | None = Field(
        description="root mean square error of the weights over that of the weights, 0 to 1 and "
        "beyond; null where nothing was fitted"
    )
    plain_error: float | None = Field(
        description="squared error of the products over their variance with plain rounding, on "
        "held-back calibration samples, 0 to 1; null without data"
    )
    output_error: float | None = Field(
        description="the same with the integers taken, 0 to 1; null without data"
    )
    order_cost: float | None = Field(
        description="cost of the order and signs of a chain of columns, in the `unit` of its "
        "criterion; null where outputs share no columns"
    )
    greedy_cost: float | None = Field(description="the same, chosen greedily, in that `unit`")
    natural_cost: float | None = Field(description="the same, as outputs come, in that `unit`")
    order_bound: float | None = Field(
        description="what no order can be below, in that `unit`; null where none is known"
    )


class CandidateRow(Row):
    """An encoding that was tried for a layer."""

    encoding: str = Field(description="name of the encoding")
    error: float | None = Field(
        description="by `measure`, a share 0 to 1; null where it does not fit"
    )
    area_mm2: float | None = Field(
        description="of the layer by itself, in the part of macros and tiles that it fills, mm2"
    )
    energy_uj: float | None = Field(
        description="of the layer by itself, uJ an inference; an input vector where positions are "
        "not known"
    )
    problem: str = Field(description="why it does not fit; empty where it does")


class ChoiceRow(Row):
    """Why a layer has its encoding, with `--encoding auto`."""

    measure: Literal["output", "weight", "none"] = Field(
        description="output: squared error of the products over their variance, on held-back "
        "calibration samples; weight: squared error of the weights over their energy; none: all "
        "hold the same integers"
    )
    budget: float = Field(description="error that a cheaper encoding may cost, 0 to 1")
    reason: str = Field(description="why this one")
    candidates: tuple[CandidateRow, ...] = Field(
        description="cheapest first, by area times energy; those that do not fit come last"
    )
