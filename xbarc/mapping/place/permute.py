"""Another order of wordlines and bitlines, with the same results."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xbarc.ir import AdcSettings, CrossbarStep, read_only
from xbarc.mapping.converters import adc_settings
from xbarc.numerics import IntArray, PackedCells, pack_cells
from xbarc.target import Target


def permute_rows(step: CrossbarStep, order: IntArray) -> CrossbarStep:
    """Wordline `i` takes what wordline `order[i]` had: its cells, its input, what drives it.

    Rows stay in their segment, or the ADC settings of the segments would no longer fit; whoever
    moves them across segments calls `resize_converters` afterwards. Rows that are compared never
    leave theirs.
    """
    cells = step.cells.unpack((slice(None),))[:, order]
    tiling = replace(step.tiling, row_input=np.asarray(step.tiling.row_input)[order])
    sense = step.sense and replace(step.sense, drive=step.sense.drive[order])
    return replace(step, cells=_pack(cells, step.cells.bits), tiling=tiling, sense=sense)


def permute_columns(step: CrossbarStep, order: IntArray) -> CrossbarStep:
    """Bitline `j` takes what bitline `order[j]` had; conversions of single columns go along.

    This order is the only one then: what grouped columns by converter before is given up.
    """
    levels = step.cells.unpack((slice(None),))[:, :, order]
    # Entries of `A` and `R` name columns: they need the inverse of the order.
    new = np.empty(len(order), dtype=np.int32)
    new[order] = np.arange(len(order), dtype=np.int32)
    p, adc, sense = step.periphery, step.adc, step.sense
    if p.a_sign.size:
        p = replace(p, a_column=new[p.a_column])
    else:
        scale = p.column_scale
        p = replace(
            p,
            r_conversion=new[p.r_conversion],
            column_scale=None if scale is None else scale[:, :, order],
        )
        adc = _reorder_settings(adc, order)
        sense = sense and replace(sense, thresholds=sense.thresholds[:, :, order])
    tiling = replace(step.tiling, column_order=None)
    cells = _pack(levels, step.cells.bits)
    return replace(step, cells=cells, periphery=p, adc=adc, tiling=tiling, sense=sense)


def _pack(cells: IntArray, bits: int) -> PackedCells:
    packed = pack_cells(np.ascontiguousarray(cells, dtype=np.uint8), bits)
    return replace(packed, data=read_only(packed.data))


def _reorder_settings(adc: AdcSettings, order: IntArray) -> AdcSettings:
    """Settings of the conversions in their new order."""
    bits, lo, step = (
        # One entry stands for all conversions, in whatever order.
        slice(None) if array.shape[2] == 1 else order
        for array in (adc.bits, adc.lo, adc.step)
    )
    return replace(adc, bits=adc.bits[:, :, bits], lo=adc.lo[:, :, lo], step=adc.step[:, :, step])


def resize_converters(step: CrossbarStep, target: Target) -> CrossbarStep:
    """ADC settings for the new neighbours, where they follow from the cells alone."""
    if follows_cells(step.adc):
        return replace(step, adc=adc_settings(step, target, step.adc.policy))
    return step


def follows_cells(adc: AdcSettings) -> bool:
    """Whether settings follow from the cells alone; those from data are kept as they are."""
    return adc.policy in ("lossless", "worst-case") or adc.policy.isdecimal()


def to_sense_side(step: CrossbarStep, target: Target) -> CrossbarStep:
    """Blocks that do not fill their array move down, next to the sense side of the bitlines."""
    tiling = step.tiling
    sizes = np.diff(tiling.row_bounds).reshape(1, -1, 1)
    mirrored = target.array.rows - tiling.row_offset - sizes
    offset = np.asarray(mirrored, dtype=tiling.row_offset.dtype)
    return replace(step, tiling=replace(tiling, row_offset=offset))
