"""The schema of `program.json`: everything of a program that is not an array.

History of the format number:
    1  first format
    2  `seal`: every byte of `program.json` is checked, as those of the other files are
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from xbarc.ir.facts import Narrowed
from xbarc.ir.front import FrontPoint, RowsPoint, SolverRun
from xbarc.ir.geometry import Dense, Scatter, Window
from xbarc.ir.integers import Unkept
from xbarc.ir.program import ChoiceRecord, FitRecord
from xbarc.ir.quantize import BinaryInput, DynamicInput, IntegerInput, StaticInput
from xbarc.target import Target

FORMAT: Literal[2] = 2
ARRAYS = "cells.safetensors"

Text = str
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=1 << 62)]


class Part(BaseModel):
    """Base of every part: unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ValueRecord(Part):
    """A tensor at the border of the network."""

    name: Text
    dtype: Text
    shape: list[int | str | None] | None


class ResultRecord(Part):
    """How accumulators become values; the arrays are in the array file."""

    kind: Literal["float", "integer", "requantized", "sign"]
    dtype: Literal[
        "float16", "float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "int64"
    ]
    zero_point: int = 0
    high: float = 1.0
    low: float = -1.0


class SenseRecord(Part):
    """Comparisons of a layer; thresholds and wordlines are in the array file."""

    value: Text


class FactsRecord(Part):
    """Which codes a layer's wordlines can carry; the intervals are in the array file."""

    reasons: list[Text]
    plain_bits: float | None = None
    plain_levels: float | None = None


class CrossbarRecord(Part):
    """A crossbar layer."""

    kind: Literal["crossbar"] = "crossbar"
    name: Text
    operator: Text
    input: Text
    output: Text
    geometry: Annotated[Dense | Window | Scatter, Field(discriminator="kind")]
    quantizer: Annotated[
        IntegerInput | StaticInput | DynamicInput | BinaryInput, Field(discriminator="kind")
    ]
    result: ResultRecord
    input_bits: Annotated[int, Field(ge=1, le=16)]
    dac_bits: Annotated[int, Field(ge=1, le=16)]
    cell_bits: Annotated[int, Field(ge=1, le=8)]
    columns: Count
    encoding: Text
    adc_policy: Text
    adc_notes: list[Text] = []
    adc_solved: list[SolverRun] = []
    weight_bits: Annotated[int, Field(ge=1, le=62)]
    weight_slices: Annotated[int, Field(ge=1, le=62)]
    inputs: Count
    outputs: Count
    input_shape: list[Count] | None
    uncounted: Text = ""
    fit: FitRecord | None = None
    choice: ChoiceRecord | None = None
    sense: SenseRecord | None = None
    facts: FactsRecord | None = None
    narrowed: Narrowed | None = None
    unkept: tuple[Unkept, ...] = ()


class DigitalRecord(Part):
    """A digital fragment; its model is a file of its own."""

    kind: Literal["digital"] = "digital"
    name: Text
    file: Annotated[str, Field(pattern=r"^digital/[0-9]{5}\.onnx$")]
    inputs: list[Text]
    outputs: list[Text]
    operators: list[tuple[Text, Count]]
    macs: Count | None
    notes: list[Text]
    uncounted: list[Text] = []


class SourceRecord(Part):
    """Where the network came from."""

    path: Text
    sha256: Digest


class ProgramRecord(Part):
    """The whole of `program.json`."""

    format: Literal[2]
    name: Text
    source: SourceRecord
    target: Target
    inputs: list[ValueRecord]
    outputs: list[ValueRecord]
    steps: list[Annotated[CrossbarRecord | DigitalRecord, Field(discriminator="kind")]]
    arrays: Count
    settings: list[tuple[Text, Text]]
    front: list[FrontPoint] = []
    rows: list[RowsPoint] = []
    files: dict[str, Digest]
    seal: Digest
