"""`Program`: where every weight sits and what every converter reads, as arrays per layer.

The meaning, for one layer with inputs `x`, cells `g` and input slices `u_s` (design.md, section 2):

    column sum   S[s,k]  = sum_c A[k,c] sum_r u_s[r] g[r,c]      over the rows active together
    code         q       = clamp(floor((S - lo) / step + 1/2), 0, 2**bits - 1),  S' = lo + step q
                           or, with sense amplifiers, how many thresholds S reaches, S' = q
    accumulator  acc[o]  = sum over active groups, s, k of 2**(d s) R[o,k] f[k] S'[s,k]
                           + a[o] + beta[o] sum_r x[r]

Axes, everywhere: `group` (independent matrices of a grouped convolution), `row` (wordlines of all
row blocks, one after the other), `column` (bitlines of all column blocks), `conversion` (what one
conversion sees), `output` (logical outputs of one group). A *block* is one row block times one
column block; a *segment* is a set of rows that are active together, a part of one row block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.errors import say_count, visible
from xbarc.ir.choices import ChoiceRecord, FitRecord
from xbarc.ir.geometry import Dense
from xbarc.ir.integers import Unkept
from xbarc.ir.network import DigitalFragment, LayerHead, ModelSource, Value
from xbarc.ir.pareto import FrontPoint, RowsPoint, SolverRun
from xbarc.numerics import (
    AnyArray,
    Int64Array,
    IntArray,
    PackedCells,
    UInt8Array,
    short_repr,
)
from xbarc.target import Target


@dataclass(frozen=True, eq=False)
class Tiling:
    """How a layer's matrix is cut into blocks, and where the blocks sit in arrays.

    Attributes:
        row_input: input index of each wordline; axis: row.
        row_bounds: first row of each row block, and the end.
        segment_bounds: first row of each segment, and the end; a refinement of row_bounds.
        column_bounds: first column of each column block, and the end.
        conversion_bounds: first conversion of each column block, and the end.
        array: number of the physical array of each block, counted over the whole program; axes:
            group, row block, column block. Blocks that share an array use other rows and columns.
        row_offset: first wordline of the block in its array; axes as `array`.
        column_offset: first bitline of the block in its array; axes as `array`.
        column_order: bitline of each column, counted from the first one of its block; axes: group
            or 1, row block or 1, column. None: columns lie as they come. No engine asks for it:
            it says which columns share a converter.
    """

    row_input: IntArray
    row_bounds: IntArray
    segment_bounds: IntArray
    column_bounds: IntArray
    conversion_bounds: IntArray
    array: IntArray
    row_offset: IntArray
    column_offset: IntArray
    column_order: IntArray | None = None

    __repr__ = short_repr

    @property
    def segment_block(self) -> Int64Array:
        """The row block of each segment."""
        starts = np.asarray(self.segment_bounds[:-1], dtype=np.int64)
        return np.searchsorted(self.row_bounds, starts, side="right") - 1


@dataclass(frozen=True, eq=False)
class Periphery:
    """`A`, `R`, `f`, `a` and `beta`: the one place where an encoding lives. Entries are sparse.

    Attributes:
        a_conversion, a_column, a_sign: entries of `A`, +1 or -1; all empty where `A` is the
            identity (one conversion for each column).
        r_output, r_conversion: places of the entries of `R`.
        r_code: the entries of `R`: 0, or the sign times (exponent + 1) of plus or minus
            2**exponent; axes: group or 1, row block or 1, entry. Entries of one place add up.
        constant: `a` without the zero point's share; axis: output of all groups, group-major.
        input_sum: `beta`; axes as `constant`.
        column_scale: `f`, a factor of each conversion and row block that no converter sees; axes:
            group or 1, row block or 1, conversion. None where the target has no multiplier for it,
            or nobody chose factors: all are 1.
    """

    a_conversion: IntArray
    a_column: IntArray
    a_sign: IntArray
    r_output: IntArray
    r_conversion: IntArray
    r_code: IntArray
    constant: Int64Array
    input_sum: Int64Array
    column_scale: UInt8Array | None = None

    @property
    def r_lead(self) -> tuple[int, int]:
        """Over how many groups and row blocks entries of `R f` differ; 1 holds for all."""
        own = self.r_code.shape
        if self.column_scale is None:
            return own[0], own[1]
        return max(own[0], self.column_scale.shape[0]), max(own[1], self.column_scale.shape[1])

    __repr__ = short_repr

    @property
    def r_value(self) -> Int64Array:
        """Entries of `R f` as numbers; axes: those of `r_lead`, entry."""
        code = self.r_code.astype(np.int64)
        # Code 0 is the entry 0: its sign below makes it so, whatever is shifted.
        exponent = np.maximum(np.abs(code) - 1, 0)
        values: Int64Array = np.sign(code) << exponent
        if self.column_scale is None:
            return values
        return values * self.column_scale[:, :, self.r_conversion].astype(np.int64)

    def r_terms(self, group: int, block: int) -> RTerms:
        """`R f` of one group and row block as signed powers of two."""
        lead = self.r_code.shape
        code = self.r_code[group % lead[0], block % lead[1]].astype(np.int64)
        if self.column_scale is None:
            return RTerms(self.r_output, self.r_conversion, np.sign(code), np.abs(code) - 1)
        scales = self.column_scale.shape
        factor = self.column_scale[group % scales[0], block % scales[1]][self.r_conversion]
        entry, sign, place = _signed_digits(factor.astype(np.int64))
        return RTerms(
            self.r_output[entry],
            self.r_conversion[entry],
            sign * np.sign(code[entry]),
            np.abs(code[entry]) - 1 + place,
        )


@dataclass(frozen=True, eq=False)
class RTerms:
    """Entries of `R f` as signed powers of two; those of one place add up. Axis: term.

    Attributes:
        output, conversion: places.
        sign: +1, -1, or 0 where an entry adds nothing.
        exponent: of two; meaningless where the sign is 0.
    """

    output: IntArray
    conversion: IntArray
    sign: Int64Array
    exponent: Int64Array


def _signed_digits(numbers: Int64Array) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Non-adjacent forms: which number, sign and exponent of each digit that is not 0.

    They have the fewest digits of all signed binary forms, so that loops add the fewest terms.
    """
    # Prodinger, "On binary representations of integers with digits -1, 0, 1" (2000)
    half = numbers >> 1
    thrice = numbers + half
    changed = half ^ thrice
    places = np.arange(int(thrice.max(initial=0)).bit_length())
    digits = ((thrice & changed)[:, None] >> places & 1) - ((half & changed)[:, None] >> places & 1)
    which, place = np.nonzero(digits)
    return which, digits[which, place], places[place]


def encode_r(values: IntArray) -> IntArray:
    """Encode numbers 0 and plus or minus 2**k as `r_code` holds them.

    Raises:
        ValueError: a number is none of these.
    """
    magnitude = np.abs(values.astype(np.int64))
    if np.any(magnitude & (magnitude - 1)):
        raise ValueError("entries of R are 0 or plus or minus a power of two")
    # frexp gives 0 for 0 and k + 1 for 2**k: just the code.
    exponent = np.frexp(magnitude.astype(np.float64))[1]
    return (np.sign(values) * exponent).astype(np.int8)


@dataclass(frozen=True, eq=False)
class AdcSettings:
    """Range, step and width of every conversion.

    Each array has the axes group, segment, conversion, input slice; an axis of length 1 holds for
    all of that axis.

    Attributes:
        bits: 0 where a conversion always reads `lo`, so that none is made.
        policy: how the settings came about: lossless, worst-case, calibrated, or a cap in bits.
        notes, solved: what was found on the way, for people; what solvers found and proved.
    """

    bits: UInt8Array
    lo: IntArray
    step: IntArray
    policy: str
    notes: tuple[str, ...] = ()
    solved: tuple[SolverRun, ...] = ()

    __repr__ = short_repr


@dataclass(frozen=True, eq=False)
class Sense:
    """Comparisons in place of conversions: `code = sum over levels of [S >= threshold]`.

    With one level a conversion is a 1-bit sense amplifier; with three or seven it compares as often
    and gives 2 or 3 bits. The code is read back as itself: `S' = q`.

    Attributes:
        thresholds: axes: group, segment, conversion, level; they do not fall along levels.
        drive: which input codes drive each wordline: a sum of `UP`, `DOWN` and `ABSENT`;
            axis: row.
        value: tensor of the model that the layer's bits stand for, after pooling; empty where the
            layer's own output stands for itself.
    """

    thresholds: IntArray
    drive: UInt8Array
    value: str = ""

    __repr__ = short_repr

    @property
    def levels(self) -> int:
        """Comparisons of one conversion."""
        return int(self.thresholds.shape[3])


@dataclass(frozen=True, eq=False, kw_only=True)
class CrossbarStep(LayerHead):
    """One matrix layer on crossbars.

    Attributes:
        cells: levels; axes: group, row, column.
        input_bits: width of an input code.
        dac_bits: input bits fed in one cycle.
        encoding: name of the encoding, for people: no engine asks for it.
        weight_bits: width of a weight, for people.
        weight_slices: cells that hold a weight of one sign, for people.
        inputs: inputs of one group's matrix.
        outputs: outputs of one group's matrix.
        fit: how the integers were chosen, for people.
        choice: why the encoding was chosen, for people; None where the user named it.
        sense: comparisons in place of the converters; `adc` then only tells the code's width.
        unkept: integers that the model declares and that the layer computes without, for people.
    """

    tiling: Tiling
    cells: PackedCells
    periphery: Periphery
    adc: AdcSettings
    input_bits: int
    dac_bits: int
    encoding: str
    weight_bits: int
    weight_slices: int
    inputs: int
    outputs: int
    fit: FitRecord | None = None
    choice: ChoiceRecord | None = None
    sense: Sense | None = None
    unkept: tuple[Unkept, ...] = ()

    def __repr__(self) -> str:
        # Arrays of a large layer would fill a screen; `program_text` prints what there is.
        matrix = f"{self.inputs} x {self.outputs}"
        return f"<CrossbarStep {visible(self.name)}: {self.operator}, {matrix}, {self.encoding}>"

    @property
    def groups(self) -> int:
        """Independent matrices of the layer."""
        return self.cells.shape[0]

    @property
    def input_slices(self) -> int:
        """Cycles that feed one input."""
        # Rounded up: the last slice may be narrower than the DAC.
        return -(-self.input_bits // self.dac_bits)

    def original(self, output: AnyArray) -> AnyArray:
        """The layer's output as the model means it, without the factors of equalisation."""
        if self.equalised is None:
            return output
        # Channels of a convolution; a product keeps its outputs on the axis that the matrix gave
        # them.
        axis = 1
        if isinstance(self.geometry, Dense):
            axis = -1 if output.ndim == 1 else self.geometry.output_axis
        shape = [1] * output.ndim
        shape[axis] = self.equalised.size
        restored: AnyArray = output / self.equalised.reshape(shape)
        return restored

    @property
    def conversions(self) -> int:
        """Conversions of one group, one segment and one cycle."""
        return int(self.tiling.conversion_bounds[-1])

    def first_columns(self) -> IntArray:
        """The first column that each conversion sees; axis: conversion."""
        if not self.periphery.a_sign.size:
            return np.arange(self.conversions)
        first = np.full(self.conversions, self.cells.columns, dtype=np.int64)
        # Entries come in no order, and a conversion may join any columns of its block.
        np.minimum.at(first, self.periphery.a_conversion, self.periphery.a_column)
        return first

    def bitlines(self) -> Int64Array:
        """Bitline of the first column of conversions; axes: group, row block, conversion."""
        tiling, first = self.tiling, self.first_columns()
        block = np.searchsorted(tiling.column_bounds, first, side="right") - 1
        inside: IntArray
        if tiling.column_order is None:
            inside = (first - np.asarray(tiling.column_bounds)[block])[None, None]
        else:
            inside = tiling.column_order[:, :, first]
        lines: Int64Array = np.asarray(tiling.column_offset, np.int64)[:, :, block] + inside
        return lines


Step = CrossbarStep | DigitalFragment


@dataclass(frozen=True, eq=False)
class Program:
    """Everything a chip team loads and everything the executor runs.

    Attributes:
        steps: in execution order; values are named as in the ONNX model.
        arrays: physical arrays in use.
        settings: what the compiler was told, name and value, sorted by name.
        front: allocations of converter bits that were executed on the way; empty without a budget.
        rows: choices of active rows that were looked at; empty where nobody asked.
    """

    name: str
    source: ModelSource
    target: Target
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    steps: tuple[Step, ...]
    arrays: int
    settings: tuple[tuple[str, str], ...]
    front: tuple[FrontPoint, ...] = ()
    rows: tuple[RowsPoint, ...] = ()

    @property
    def crossbar_steps(self) -> tuple[CrossbarStep, ...]:
        """The steps that run on crossbars."""
        return tuple(step for step in self.steps if isinstance(step, CrossbarStep))

    @property
    def digital_steps(self) -> tuple[DigitalFragment, ...]:
        """The steps that stayed digital."""
        return tuple(step for step in self.steps if isinstance(step, DigitalFragment))

    def __repr__(self) -> str:
        return f"<Program {self.summary}>"

    @property
    def summary(self) -> str:
        """Its name, its target, and how large it is, in one line."""
        layers, fragments = len(self.crossbar_steps), len(self.digital_steps)
        size = f"{say_count(layers, 'layer')} on {say_count(self.arrays, 'array')}"
        size += f", {say_count(fragments, 'digital fragment')}"
        return f"{visible(self.name)} on {visible(self.target.name)}: {size}"

    def crossbar(self, name: str) -> CrossbarStep | None:
        """The crossbar step of this name."""
        return next((step for step in self.crossbar_steps if step.name == name), None)


def read_only(array: AnyArray) -> AnyArray:
    """Protect an array against writing, and return it."""
    array.flags.writeable = False
    return array
