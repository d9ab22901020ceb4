"""The base of a report's parts, and why a layer has its encoding."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Row(BaseModel):
    """Base of every part of a report."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CandidateRow(Row):
    """An encoding that was tried for a layer."""

    encoding: str = Field(description="name of the encoding")
    error: float | None = Field(
        description="by `measure`, a share from 0 to 1 and beyond; null where it does not fit"
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
