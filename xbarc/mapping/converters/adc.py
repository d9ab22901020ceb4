"""ADC settings from the cells that are really programmed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xbarc.errors import MappingError
from xbarc.ir import AdcSettings, CrossbarStep, input_tops, slice_ranges
from xbarc.mapping.converters.capped import capped_settings
from xbarc.mapping.converters.runs import over_runs
from xbarc.numerics import AnyArray, Int64Array, IntArray, UInt8Array
from xbarc.target import Adc, Target

_WIDEST = 32


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
    low, high = _block_ranges(step, target)
    if policy == "worst-case":
        low, high = _worst_case(step, low.shape, _slice_tops(step, target))
    keys = converter_keys(step, target)
    lo, bits = converter_widths(low, high, keys, target.adc)
    if policy.isdecimal() and step.periphery.a_sign.size:
        return capped_settings(step, keys, _alike(lo), _alike(bits), policy)
    blocks = step.tiling.segment_block
    lo, bits = lo[:, blocks], bits[:, blocks]
    if policy.isdecimal():
        bits = np.minimum(bits, np.uint8(int(policy)))
    if not policy.startswith(("calibrated", "budget")):
        _check_width(step, target, int(bits.max(initial=1)), policy)
    one = np.ones((1, 1, 1, 1), dtype=np.int32)
    low_ends = _alike(lo).astype(np.int32) if lo.any() else one - 1
    return AdcSettings(_narrow(_alike(bits)), low_ends, one, policy)


def _alike(settings: AnyArray) -> AnyArray:
    """One number for all input slices where they agree."""
    first = settings[..., :1]
    return first if (settings == first).all() else settings


def converter_widths(
    low: Int64Array, high: Int64Array, key: IntArray, adc: Adc
) -> tuple[Int64Array, UInt8Array]:
    """Lower ends that columns of one converter share, and the bits that each conversion needs.

    An input slice in which no column of a converter ever changes needs no conversion: its bits are
    0, and its lower end is what would be read. The other slices have one setting where the
    converter cannot change its reference.

    Args:
        low: least sum of each conversion; axes: group, row block, conversion, input slice or 1.
        high: largest sum, alike.
        key: equal numbers for neighbours on one converter; broadcasts against a slice of `low`.
        adc: what the converter can do.

    Returns:
        Lower ends and bits, both with axes as `low`.
    """
    order = np.broadcast_to(key, low.shape[:3])
    changes = _by_slice(np.logical_or, low != high, order)
    least = np.where(changes, low, np.iinfo(np.int64).max)
    shared = _by_slice(np.minimum, least, order)
    if adc.reference != "per-cycle":
        shared = np.where(changes, shared.min(axis=3, keepdims=True), shared)
    shared = np.where(changes, shared, low)
    bits = range_bits(high - shared)
    bits[(low == high) & (shared == low)] = 0
    if adc.reference != "per-cycle":
        bits = np.where(changes, bits.max(axis=3, keepdims=True), bits)
    if not adc.stops_early:
        bits = _by_slice(np.maximum, bits, order)
    return shared, bits


def _by_slice(combine: np.ufunc, values: AnyArray, order: IntArray) -> AnyArray:
    """Combined over the columns of each converter, one input slice after another."""
    parts = [over_runs(combine, values[..., s], order) for s in range(values.shape[3])]
    return np.stack(parts, axis=3)


def with_gain(step: CrossbarStep, target: Target, policy: str) -> CrossbarStep:
    """The layer with a note of what its conversions would be had nothing been known of inputs."""
    if step.facts is None:
        return step
    bits = adc_settings(replace(step, facts=None), wide(target), policy).bits
    levels = np.where(bits > 0, np.exp2(bits.astype(np.float64)), 0.0)
    means = (float(bits.mean()), float(levels.mean()))
    facts = replace(step.facts, plain_bits=means[0], plain_levels=means[1])
    return replace(step, facts=facts)


def wide(target: Target) -> Target:
    """The target with converters of any width: for settings that are compared, not built."""
    return target.model_copy(update={"adc": target.adc.model_copy(update={"max_bits": _WIDEST})})


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


def _worst_case(
    step: CrossbarStep, shape: tuple[int, ...], tops: Int64Array
) -> tuple[Int64Array, Int64Array]:
    """Every cell at its top level and every input at its largest, whatever is known of either."""
    rows = np.diff(step.tiling.segment_bounds).astype(np.int64)
    by_block = np.maximum.reduceat(rows, _first_segments(step))
    most = (by_block * ((1 << step.cells.bits) - 1)).reshape(1, -1, 1, 1) * tops
    high = np.broadcast_to(most, (*shape[:3], tops.size))
    signed = step.periphery.a_sign.size > 0
    return (-high if signed else np.zeros_like(high)), high


def _first_segments(step: CrossbarStep) -> IntArray:
    return np.flatnonzero(np.diff(step.tiling.segment_block, prepend=-1))


def _block_ranges(step: CrossbarStep, target: Target) -> tuple[Int64Array, Int64Array]:
    """Ranges of sums over a block's segments; axes: group, row block, conversion, slice or 1."""
    low, high = slice_ranges(step)
    if step.facts is None and len(_slice_tops(step, target)) == 1:
        low, high = low.min(axis=3, keepdims=True), high.max(axis=3, keepdims=True)
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


def _check_width(step: CrossbarStep, target: Target, needed: int, policy: str) -> None:
    have = target.adc.max_bits
    if needed <= have:
        return
    rows = int(np.diff(step.tiling.segment_bounds).max())
    fewer = rows >> (needed - have)
    times = -(-rows // fewer) if fewer else 0
    by_hand = f"--set array.active_rows={fewer} ({times} times the cycles)"
    slower = f"--levers rows, {by_hand}, " if fewer else ""
    kind = f"conversions with --adc {policy}" if policy.isdecimal() else f"{policy} conversions"
    raise MappingError(
        f"{kind} of {rows} rows need {needed} bits, the ADC of {target.name} has {have}",
        where=step.name,
        hint=f"--adc calibrated (range and step from data), --adc {have} (saturating), {slower}"
        "fewer cell or DAC bits, or another encoding",
    )
