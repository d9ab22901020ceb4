"""ADC settings from the cells that are really programmed."""

from __future__ import annotations

import numpy as np

from xbarc.errors import MappingError
from xbarc.ir.effective import cell_ranges, input_tops
from xbarc.ir.program import AdcSettings, CrossbarStep
from xbarc.mapping.capped import capped_settings
from xbarc.mapping.runs import over_runs
from xbarc.numerics.types import Int64Array, IntArray, UInt8Array
from xbarc.target import Target


def adc_settings(step: CrossbarStep, target: Target, policy: str) -> AdcSettings:
    """Range and width of every conversion of a layer.

    Lossless: the range covers every sum that the cells can produce, `2**bits - 1 >= high - lo`;
    a conversion that always reads the same has 0 bits. Needs no data. A number of bits caps it: at
    step 1 from the least sum on, or see `capped.py` where sums have a sign. The segments of a row
    block share a setting. Columns that share a converter share its lower end, and its width too
    unless the converter stops early. Settings differ between input slices only where some slice is
    narrower than the DAC and the converter can change its reference.

    Calibrated settings need data that mapping does not see: the layer gets the lossless ones,
    however wide, so that the data which sets ranges is not spoilt, and `calibrated.py` replaces
    them.

    Raises:
        MappingError: the target's converter has too few bits.
    """
    low, high = _block_ranges(step)
    if policy == "worst-case":
        low, high = _worst_case(step, low.shape)
    low, bits = converter_widths(low, high, _slice_tops(step, target), converter_keys(step, target))
    if not target.adc.stops_early:
        bits = _widest_of_run(bits, converter_keys(step, target))
    if policy.isdecimal() and step.periphery.a_sign.size:
        return capped_settings(step, converter_keys(step, target), low, bits, policy)
    blocks = step.tiling.segment_block
    low, bits = low[:, blocks], bits[:, blocks]
    if policy.isdecimal():
        bits = np.minimum(bits, np.uint8(int(policy)))
    if not policy.startswith(("calibrated", "budget")):
        _check_width(step, target, int(bits.max(initial=1)), policy)
    one = (1, 1, 1, 1)
    lo = low[..., None].astype(np.int32) if low.any() else np.zeros(one, dtype=np.int32)
    return AdcSettings(_narrow(bits), lo, np.ones(one, dtype=np.int32), policy)


def converter_widths(
    low: Int64Array, high: Int64Array, tops: Int64Array, key: IntArray
) -> tuple[Int64Array, UInt8Array]:
    """Lower ends that columns of one converter share, and the bits that each conversion needs.

    Args:
        low: least sum of each conversion for one-bit inputs; axes: group, row block, conversion.
        high: largest sum, alike.
        tops: largest value of an input slice, for each slice that is told apart.
        key: equal numbers for neighbours on one converter; broadcasts against `low`.

    Returns:
        Lower ends as `low`, and bits with the axis input slice or 1 behind.
    """
    most = int(tops.max(initial=0))
    order = np.broadcast_to(key, low.shape)
    shared = over_runs(np.minimum, low * most, order) if low.any() else low
    span = high[..., None] * tops - shared[..., None]
    constant = (low == high)[..., None] & (shared == low * most)[..., None]
    return shared, np.where(constant, 0, range_bits(span)).astype(np.uint8)


def range_bits(span: Int64Array) -> UInt8Array:
    """Bits that number the sums `0 .. span`; 0 where there is one sum only."""
    if int(span.max(initial=0)) >> 52:
        raise ValueError("column sums beyond 52 bits")
    return np.frexp(span.astype(np.float64))[1].astype(np.uint8)


def _slice_tops(step: CrossbarStep, target: Target) -> Int64Array:
    """Largest input slices that may have settings of their own."""
    tops = input_tops(step)
    apart = target.adc.reference == "per-cycle" and (tops != tops[0]).any()
    return tops if apart else tops.max(keepdims=True)


def _narrow(bits: UInt8Array) -> UInt8Array:
    """One number where all are alike."""
    return bits[:1, :1, :1, :1] if bits.size and (bits == bits.flat[0]).all() else bits


def _worst_case(step: CrossbarStep, shape: tuple[int, ...]) -> tuple[Int64Array, Int64Array]:
    """Every cell at its top level, for one-bit inputs."""
    rows = np.diff(step.tiling.segment_bounds).astype(np.int64)
    by_block = np.maximum.reduceat(rows, _first_segments(step))
    most = (by_block * ((1 << step.cells.bits) - 1)).reshape(1, -1, 1)
    high = np.broadcast_to(most, shape)
    signed = step.periphery.a_sign.size > 0
    return (-high if signed else np.zeros_like(high)), high


def _first_segments(step: CrossbarStep) -> IntArray:
    return np.flatnonzero(np.diff(step.tiling.segment_block, prepend=-1))


def _block_ranges(step: CrossbarStep) -> tuple[Int64Array, Int64Array]:
    """Ranges for one-bit inputs over a block's segments; axes: group, row block, conversion."""
    low, high = cell_ranges(step)
    starts = _first_segments(step)
    return np.minimum.reduceat(low, starts, axis=1), np.maximum.reduceat(high, starts, axis=1)


def converter_keys(step: CrossbarStep, target: Target) -> IntArray:
    """Equal numbers for conversions of one converter; axes: group, row block, conversion."""
    tiling, first = step.tiling, step.first_columns()
    block = np.searchsorted(tiling.column_bounds, first, side="right") - 1
    shared = target.adc.columns_per_adc
    converter = np.minimum(step.bitlines() // shared, (target.array.columns - 1) // shared)
    per_array = -(-target.array.columns // shared) + 1
    key: IntArray = converter + block.astype(np.int64) * per_array
    return key


def _widest_of_run(bits: UInt8Array, key: IntArray) -> UInt8Array:
    parts = [over_runs(np.maximum, bits[..., s], key) for s in range(bits.shape[3])]
    return np.stack(parts, axis=3)


def _check_width(step: CrossbarStep, target: Target, needed: int, policy: str) -> None:
    have = target.adc.max_bits
    if needed <= have:
        return
    rows = int(np.diff(step.tiling.segment_bounds).max())
    fewer = rows >> (needed - have)
    times = -(-rows // fewer) if fewer else 0
    slower = f"--set array.active_rows={fewer} ({times} times the cycles), " if fewer else ""
    raise MappingError(
        f"{policy} conversions of {rows} rows need {needed} bits, "
        f"the ADC of {target.name} has {have}",
        where=step.name,
        hint=f"--adc calibrated (range and step from data), --adc {have} (saturating), {slower}"
        "fewer cell or DAC bits, or another encoding",
    )
