"""ADC settings from the cells that are really programmed."""

from __future__ import annotations

import numpy as np

from xbarc.errors import MappingError
from xbarc.ir.effective import sum_ranges
from xbarc.ir.program import AdcSettings, CrossbarStep
from xbarc.numerics.types import Int64Array, IntArray, UInt8Array
from xbarc.target import Target


def adc_settings(step: CrossbarStep, target: Target, policy: str) -> AdcSettings:
    """Range and width of every conversion of a layer.

    Lossless: the range covers every sum that the cells can produce, `2**bits - 1 >= high - lo`.
    Needs no data. The segments of a row block share a setting, and so do the columns that share a
    converter: they take the widest range among them.

    Raises:
        MappingError: the target's converter has too few bits.
    """
    low, high = _shared_ranges(step, target)
    if policy == "worst-case":
        low, high = _worst_case(step, low.shape)
    bits = range_bits(high - low)
    _check_width(step, target, int(bits.max(initial=1)), policy)
    if policy.isdecimal():
        bits = np.minimum(bits, np.uint8(policy))
    shape = (1, 1, 1, 1)
    lo = low[..., None].astype(np.int32) if low.any() else np.zeros(shape, dtype=np.int32)
    return AdcSettings(_narrow(bits[..., None]), lo, np.ones(shape, dtype=np.int32), policy)


def range_bits(span: Int64Array) -> UInt8Array:
    """Bits that number the sums `0 .. span`; at least 1."""
    if int(span.max(initial=0)) >> 52:
        raise ValueError("column sums beyond 52 bits")
    return np.maximum(1, np.frexp(span.astype(np.float64))[1]).astype(np.uint8)


def _narrow(bits: UInt8Array) -> UInt8Array:
    """One number where all are alike."""
    return bits[:1, :1, :1] if bits.size and (bits == bits.flat[0]).all() else bits


def _worst_case(step: CrossbarStep, shape: tuple[int, ...]) -> tuple[Int64Array, Int64Array]:
    """Every cell at its top level, every input at its largest slice."""
    rows = np.diff(step.tiling.segment_bounds).astype(np.int64)
    top = (1 << min(step.dac_bits, step.input_bits)) - 1
    most = (rows * top * ((1 << step.cells.bits) - 1)).reshape(1, -1, 1)
    high = np.broadcast_to(most, shape)
    signed = step.periphery.a_sign.size > 0
    return (-high if signed else np.zeros_like(high)), high


def _shared_ranges(step: CrossbarStep, target: Target) -> tuple[Int64Array, Int64Array]:
    """Ranges after joining the segments of a block and the columns of a converter."""
    low, high = sum_ranges(step)
    blocks = step.tiling.segment_block
    starts = np.flatnonzero(np.diff(blocks, prepend=-1))
    low = np.minimum.reduceat(low, starts, axis=1)
    high = np.maximum.reduceat(high, starts, axis=1)
    key = _converter(step, target)
    low = _over_runs(np.minimum, low, key)
    high = _over_runs(np.maximum, high, key)
    return low[:, blocks], high[:, blocks]


def _converter(step: CrossbarStep, target: Target) -> IntArray:
    """Equal numbers for neighbours on one converter; axes: group, row block, conversion."""
    tiling = step.tiling
    columns = _first_column(step)
    block = np.searchsorted(tiling.column_bounds, columns, side="right") - 1
    local = columns - tiling.column_bounds[block]
    position = tiling.column_offset[:, :, block] + local
    shared = target.adc.columns_per_adc
    converter = np.minimum(position // shared, (target.array.columns - 1) // shared)
    per_array = -(-target.array.columns // shared) + 1
    key: IntArray = converter + block.astype(np.int64) * per_array
    return key


def _first_column(step: CrossbarStep) -> IntArray:
    """The first column that each conversion sees."""
    if not step.periphery.a_sign.size:
        return np.arange(step.conversions)
    first = np.full(step.conversions, step.cells.columns, dtype=np.int64)
    np.minimum.at(first, step.periphery.a_conversion, step.periphery.a_column)
    return first


def _over_runs(combine: np.ufunc, values: Int64Array, key: IntArray) -> Int64Array:
    """Combine values over runs of equal keys along the last axis."""
    if not values.size:
        return values
    flat = key.reshape(-1, key.shape[-1])
    change = np.ones(flat.shape, dtype=bool)
    change[:, 1:] = flat[:, 1:] != flat[:, :-1]
    starts = np.flatnonzero(change.reshape(-1))
    joined = combine.reduceat(values.reshape(-1), starts)
    lengths = np.diff(np.append(starts, values.size))
    spread: Int64Array = np.repeat(joined, lengths).reshape(values.shape)
    return spread


def _check_width(step: CrossbarStep, target: Target, needed: int, policy: str) -> None:
    have = target.adc.max_bits
    asked = min(needed, int(policy)) if policy.isdecimal() else needed
    if asked <= have:
        return
    rows = int(np.diff(step.tiling.segment_bounds).max())
    fewer = rows >> (needed - have)
    times = -(-rows // fewer) if fewer else 0
    slower = f"--set array.active_rows={fewer} ({times} times the cycles), " if fewer else ""
    raise MappingError(
        f"{policy} conversions of {rows} rows need {needed} bits, "
        f"the ADC of {target.name} has {have}",
        where=step.name,
        hint=f"--adc {have} (saturating), {slower}fewer cell or DAC bits, or another encoding",
    )
