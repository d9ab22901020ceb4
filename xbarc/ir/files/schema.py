"""The schema of `program.json`: everything of a program that is not an array.

History of the format number:
    1  first format
    2  `seal`: every byte of `program.json` is checked, as those of the other files are
    3  `reported`: whether `report.json` is what this program is counted as
    4  settings have the names that options have now: `adc_savings`, `range_analysis`, `compensate`;
       later the array `periphery.column_scale`, which older versions refuse by its name
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from xbarc.ir.choices import ChoiceRecord, FitRecord
from xbarc.ir.facts import Narrowed
from xbarc.ir.geometry import Dense, Scatter, Window
from xbarc.ir.integers import Unkept
from xbarc.ir.pareto import FrontPoint, RowsPoint, SolverRun
from xbarc.ir.quantizers import BinaryInput, DynamicInput, IntegerInput, StaticInput
from xbarc.target import Target

# Raised where older files would be misread; each number has its line above.
FORMAT: Literal[4] = 4
ARRAYS = "cells.safetensors"

Text = str
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# Sums of two counts stay in int64.
Count = Annotated[int, Field(ge=0, le=1 << 62)]


_ELEMENTS = r"^(float(16|32|64)|u?int(8|16|32|64)|complex(64|128)|bool|string|other)$"
ElementType = Annotated[str, Field(pattern=_ELEMENTS)]


class StrictRecord(BaseModel):
    """Base of every record: unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ValueRecord(StrictRecord):
    """A tensor at the border of the network."""

    name: Text = Field(description="the tensor's name in the model")
    dtype: ElementType = Field(
        description="element type, by numpy's name; `other` where it is not a tensor of numbers"
    )
    shape: list[Count | str | None] | None = Field(
        description=(
            "extent of each axis: a number, the name of an open axis, or null; null as a whole"
            " where the model gives none"
        )
    )


class ResultRecord(StrictRecord):
    """How accumulators become values; the arrays are in the array file."""

    kind: Literal["float", "integer", "requantized", "sign"] = Field(
        description=(
            "[which rule](program.md#accumulators-become-values) turns accumulators into values"
        )
    )
    dtype: Literal[
        "float16", "float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "int64"
    ] = Field(description="element type of the values")
    zero_point: int = Field(default=0, description="`requantized`: added after rounding")
    high: float = Field(default=1.0, description="`sign`: the value from the threshold on")
    low: float = Field(default=-1.0, description="`sign`: the other value")


class SenseRecord(StrictRecord):
    """Comparisons of a layer; thresholds and wordlines are in the array file."""

    value: Text = Field(
        description=(
            "tensor of the model that the layer's bits stand for, after pooling; empty where the"
            " layer's own output does"
        )
    )


class FactsRecord(StrictRecord):
    """Which codes a layer's wordlines can carry; the intervals are in the array file."""

    reasons: tuple[Text, ...] = Field(
        description="operators of the network that the intervals come from, for people"
    )
    plain_bits: float | None = Field(
        default=None, description="mean bits of a conversion if nothing were known, for people"
    )
    plain_levels: float | None = Field(
        default=None, description="mean of `2^bits`, in the same way"
    )


class CrossbarRecord(StrictRecord):
    """A crossbar layer."""

    kind: Literal["crossbar"] = Field(
        default="crossbar", description="tells a crossbar layer from a digital fragment"
    )
    name: Text = Field(description="name of the step, unique in the program")
    operator: Text = Field(description="ONNX operator, for people")
    input: Text = Field(description="tensor that the step reads")
    output: Text = Field(description="tensor that it writes")
    geometry: Annotated[Dense | Window | Scatter, Field(discriminator="kind")] = Field(
        description=(
            "[the loop](program.md#vectors-of-a-tensor) that makes input vectors: `dense`,"
            " `window` or `scatter`"
        )
    )
    quantizer: Annotated[
        IntegerInput | StaticInput | DynamicInput | BinaryInput, Field(discriminator="kind")
    ] = Field(description="[how the input becomes codes](program.md#inputs-become-codes)")
    result: ResultRecord = Field(
        description="[how accumulators become values](program.md#accumulators-become-values)"
    )
    input_bits: Annotated[int, Field(ge=1, le=16)] = Field(description="`n`, bits of an input code")
    dac_bits: Annotated[int, Field(ge=1, le=16)] = Field(
        description="`d`, input bits fed in one cycle; there are `ceil(n / d)` input slices"
    )
    cell_bits: Annotated[int, Field(ge=1, le=8)] = Field(description="`b`, bits of a cell")
    columns: Count = Field(description="columns of one group, all column blocks together")
    encoding: Text = Field(description="name of the encoding, for people: no engine reads it")
    adc_policy: Text = Field(description="how the converter settings came about, for people")
    adc_notes: tuple[Text, ...] = Field(
        default=(), description="what was found on the way, for people"
    )
    adc_solved: tuple[SolverRun, ...] = Field(
        default=(), description="what solvers found and proved, for people"
    )
    weight_bits: Annotated[int, Field(ge=1, le=62)] = Field(
        description="bits of a weight, for people"
    )
    weight_slices: Annotated[int, Field(ge=1, le=62)] = Field(
        description="cells that hold a weight of one sign, for people"
    )
    inputs: Count = Field(description="inputs of one group's matrix")
    outputs: Count = Field(description="outputs of one group's matrix")
    input_shape: tuple[Count, ...] | None = Field(
        description="shape of the input for one inference, for counting; null where it is not known"
    )
    uncounted: Text = Field(
        default="", description="why `input_shape` is not known; empty where it is"
    )
    fit: FitRecord | None = Field(
        default=None, description="how the integers were chosen, for people"
    )
    choice: ChoiceRecord | None = Field(
        default=None,
        description="why the encoding was chosen, for people; null where the user named it",
    )
    sense: SenseRecord | None = Field(
        default=None,
        description=(
            "comparisons in place of converters; `adc` then only tells the width of the code"
        ),
    )
    facts: FactsRecord | None = Field(
        default=None, description="which codes the wordlines can carry; null: every code"
    )
    narrowed: Narrowed | None = Field(
        default=None,
        description="what the codes were before some of their bits proved needless, for people",
    )
    unkept: tuple[Unkept, ...] = Field(
        default=(), description="declared integers that the layer computes without, for people"
    )


class DigitalRecord(StrictRecord):
    """A digital fragment; its model is a file of its own."""

    kind: Literal["digital"] = Field(
        default="digital", description="tells a digital fragment from a crossbar layer"
    )
    name: Text = Field(description="name of the step, unique in the program")
    file: Annotated[str, Field(pattern=r"^digital/[0-9]{5}\.onnx$")] = Field(
        description="the fragment, an ONNX model"
    )
    inputs: tuple[Text, ...] = Field(description="tensors that it reads")
    outputs: tuple[Text, ...] = Field(description="tensors that it writes")
    operators: tuple[tuple[Text, Count], ...] = Field(
        description="operators and how often each occurs"
    )
    macs: Count | None = Field(
        description="multiply-accumulates of one inference that can be counted"
    )
    notes: tuple[Text, ...] = Field(description="why matrix operators are in it")
    uncounted: tuple[Text, ...] = Field(
        default=(),
        description="operators whose multiply-accumulates are left out of `macs`, and why",
    )


class SourceRecord(StrictRecord):
    """Where the network came from."""

    path: Text = Field(description="the model's path as it was given")
    sha256: Digest = Field(description="SHA-256 of the file and of each external data file")


class ProgramRecord(StrictRecord):
    """The whole of `program.json`."""

    format: Literal[4] = Field(description="number of the format")
    name: Text = Field(description="name of the network")
    source: SourceRecord = Field(description="the model")
    target: Target = Field(description="[the whole target](targets.md), sources included")
    inputs: list[ValueRecord] = Field(description="inputs of the network")
    outputs: list[ValueRecord] = Field(description="outputs of the network")
    steps: list[Annotated[CrossbarRecord | DigitalRecord, Field(discriminator="kind")]] = Field(
        description="crossbar layers and digital fragments, in execution order"
    )
    arrays: Count = Field(description="physical arrays in use")
    settings: list[tuple[Text, Text]] = Field(
        description="what the compiler was told: name and value, sorted by name"
    )
    front: list[FrontPoint] = Field(
        default=[],
        description="allocations of converter bits that were executed on the way, for people",
    )
    rows: list[RowsPoint] = Field(
        default=[], description="choices of rows driven at a time that were looked at, for people"
    )
    files: dict[str, Digest] = Field(
        description="SHA-256 of each other file, by its name in the directory"
    )
    reported: Digest | None = Field(
        description="SHA-256 of the version of xbarc that made `report.json` with the target's own"
        " figures, and of this file, these 64 digits and those of the seal read as zeros; null"
        " where the report was made otherwise"
    )
    seal: Digest = Field(description="SHA-256 of this file, these 64 digits read as zeros")
