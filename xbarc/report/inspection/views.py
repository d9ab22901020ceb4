"""Where a layer's cells stand: a view of a layer and of one block, for every renderer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.circuit import bitlines
from xbarc.cost import step_counts
from xbarc.errors import InputError
from xbarc.ir import AdcSettings, CrossbarStep, Program
from xbarc.numerics import AnyArray, Int64Array, IntArray, UInt8Array, short_repr
from xbarc.report.sections import AdcRow, activation_range, adc_row

# Names in an error message: enough to see a pattern, too few to fill a screen.
_NAMED = 20


@dataclass(frozen=True, eq=False)
class LayerView:
    """A layer and the places of its blocks.

    Attributes:
        block_bits: widest conversion of each block; axes: group, row block, column block.
    """

    step: CrossbarStep
    adc: AdcRow
    activation_range: str
    block_bits: UInt8Array

    @property
    def arrays(self) -> int:
        """Physical arrays that the layer touches."""
        return int(np.unique(self.step.tiling.array).size)


@dataclass(frozen=True, eq=False)
class BlockView:
    """One block: everything a chip team loads into its array. Indices are the block's own.

    Attributes:
        array: number of the physical array; `row_offset` and `column_offset` say where in it.
        row_input: input index of each wordline.
        cells: levels; axes: row, column.
        bitlines: bitline of each column, counted from `column_offset`: a search may move columns.
        levels: how many levels a cell has.
        segments: first row of each set of rows that are active together, and the end.
        a: entries of `A`: conversion, column, sign; the identity is written out.
        r: entries of `R f` that are not zero: output of the layer's group, conversion, value.
        column_scale: `f`, which is in `r` already; axis: conversion. None where columns have no
            factors.
        lo, step, bits: ADC settings; axes: segment, conversion, input slice.
        outputs: outputs of the group that the block adds to, with `constant` and `input_sum`
            (`a` and `beta`) of each.
    """

    layer: str
    group: int
    row_block: int
    column_block: int
    array: int
    row_offset: int
    column_offset: int
    row_input: IntArray
    cells: UInt8Array
    bitlines: Int64Array
    levels: int
    segments: IntArray
    a: Int64Array
    r: Int64Array
    lo: Int64Array
    step: Int64Array
    bits: Int64Array
    outputs: Int64Array
    constant: Int64Array
    input_sum: Int64Array

    __repr__ = short_repr
    column_scale: UInt8Array | None = None


def find_layer(program: Program, name: str, where: str = "--layer") -> CrossbarStep:
    """The crossbar layer of this name.

    Args:
        program: whose layer it is.
        name: of the layer.
        where: what asked for it, for the message.

    Raises:
        InputError: there is none; the message names those there are.
    """
    step = program.crossbar(name)
    if step is not None:
        return step
    names = [item.name for item in program.crossbar_steps]
    digital = {item.name for item in program.digital_steps}
    what = "is a digital fragment" if name in digital else "is not a layer of the program"
    raise InputError(f"'{name}' {what}", where=where, hint=list_layers(names))


def list_layers(names: list[str]) -> str:
    """A hint that names the first ones."""
    if not names:
        return "no layer of this program is on crossbars"
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"one of {', '.join(names[:_NAMED])}{more}"


def inspect_layer(step: CrossbarStep) -> LayerView:
    """Blocks, arrays and converter widths of a layer."""
    return LayerView(
        step=step,
        adc=adc_row(step.adc.policy, step_counts.conversion_widths(step)),
        activation_range=activation_range(step),
        block_bits=_block_bits(step),
    )


def _block_bits(step: CrossbarStep) -> UInt8Array:
    tiling = step.tiling
    shape = (*tiling.array.shape[:2], step.conversions)
    if 0 in shape or not tiling.array.size:
        return np.zeros(tiling.array.shape, dtype=np.uint8)
    bits = step.adc.bits.max(axis=3)
    if bits.shape[1] > 1:
        starts = np.flatnonzero(np.diff(tiling.segment_block, prepend=-1))
        bits = np.maximum.reduceat(bits, starts, axis=1)
    full = np.broadcast_to(bits, shape)
    widest: UInt8Array = np.maximum.reduceat(full, tiling.conversion_bounds[:-1], axis=2)
    return widest


def inspect_block(step: CrossbarStep, group: int, i: int, j: int) -> BlockView:
    """One block of a layer.

    Args:
        step: the layer.
        group: of a grouped convolution, 0 otherwise.
        i: row block.
        j: column block.

    Raises:
        InputError: no such block; the message says how many there are.
    """
    _check_block(step, group, i, j)
    tiling, periphery = step.tiling, step.periphery
    row0, row1 = _span(tiling.row_bounds, i)
    column0, column1 = _span(tiling.column_bounds, j)
    segments = [b for b in tiling.segment_bounds.tolist() if row0 <= b <= row1]
    r = _r_entries(step, group, i, j)
    outputs = np.unique(r[:, 0])
    places = group * step.outputs + outputs
    lo, width, bits = _settings(step, group, i, j)
    return BlockView(
        layer=step.name,
        group=group,
        row_block=i,
        column_block=j,
        array=int(tiling.array[group, i, j]),
        row_offset=int(tiling.row_offset[group, i, j]),
        column_offset=int(tiling.column_offset[group, i, j]),
        row_input=tiling.row_input[row0:row1],
        cells=step.cells.unpack((group, slice(row0, row1)))[:, column0:column1],
        bitlines=bitlines(step, (group, i, j)),
        levels=1 << step.cells.bits,
        segments=np.asarray(segments, dtype=np.int64) - row0,
        a=_a_entries(step, j),
        r=r,
        lo=lo,
        step=width,
        bits=bits,
        outputs=outputs,
        constant=periphery.constant[places],
        input_sum=periphery.input_sum[places],
        column_scale=_column_scale(step, group, i, j),
    )


def _check_block(step: CrossbarStep, group: int, i: int, j: int) -> None:
    asked = (group, i, j)
    sizes = step.tiling.array.shape
    names = ("group", "row block", "column block")
    wrong = [
        f"{name} {index} of {size}"
        for name, index, size in zip(names, asked, sizes, strict=True)
        if not 0 <= index < size
    ]
    if wrong:
        there = ", ".join(
            f"{name}s 0 to {n - 1}" for name, n in zip(names, sizes, strict=True) if n
        )
        raise InputError(
            f"no {', no '.join(wrong)}", where=step.name, hint=f"there are {there or 'no blocks'}"
        )


def _span(bounds: IntArray, index: int) -> tuple[int, int]:
    return int(bounds[index]), int(bounds[index + 1])


def _a_entries(step: CrossbarStep, j: int) -> Int64Array:
    """Entries of `A` in a column block: conversion, column, sign."""
    first, last = _span(step.tiling.conversion_bounds, j)
    column0 = int(step.tiling.column_bounds[j])
    periphery = step.periphery
    if not periphery.a_sign.size:
        own = np.arange(last - first, dtype=np.int64)
        return np.stack([own, own, np.ones_like(own)], axis=1)
    inside = (periphery.a_conversion >= first) & (periphery.a_conversion < last)
    return _stack(
        periphery.a_conversion[inside] - first,
        periphery.a_column[inside] - column0,
        periphery.a_sign[inside],
    )


def _column_scale(step: CrossbarStep, group: int, i: int, j: int) -> UInt8Array | None:
    scale = step.periphery.column_scale
    if scale is None:
        return None
    first, last = _span(step.tiling.conversion_bounds, j)
    return scale[group % scale.shape[0], i % scale.shape[1], first:last]


def _r_entries(step: CrossbarStep, group: int, i: int, j: int) -> Int64Array:
    """Entries of `R f` that are not zero: output, conversion of the block, value."""
    first, last = _span(step.tiling.conversion_bounds, j)
    periphery = step.periphery
    lead = periphery.r_lead
    values = periphery.r_value[group if lead[0] > 1 else 0, i if lead[1] > 1 else 0]
    conversion = periphery.r_conversion
    inside = (conversion >= first) & (conversion < last) & (values != 0)
    return _stack(periphery.r_output[inside], conversion[inside] - first, values[inside])


def _stack(*columns: AnyArray) -> Int64Array:
    return np.stack([np.asarray(column, dtype=np.int64) for column in columns], axis=1)


def _settings(
    step: CrossbarStep, group: int, i: int, j: int
) -> tuple[Int64Array, Int64Array, Int64Array]:
    """`lo`, `step` and `bits` of a block, written out; axes: segment, conversion, input slice."""
    segments = np.flatnonzero(step.tiling.segment_block == i)
    first, last = _span(step.tiling.conversion_bounds, j)
    shape = (len(segments), last - first, step.input_slices)
    adc: AdcSettings = step.adc
    found = []
    for values in (adc.lo, adc.step, adc.bits):
        part = values[group if values.shape[0] > 1 else 0]
        part = part[segments] if part.shape[0] > 1 else part
        part = part[:, first:last] if part.shape[1] > 1 else part
        found.append(np.broadcast_to(part, shape).astype(np.int64))
    return found[0], found[1], found[2]
