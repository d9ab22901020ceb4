"""ADC settings from the cells that are really programmed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xbarc.errors import MappingError, say_count
from xbarc.ir import AdcSettings, CrossbarStep, input_tops, slice_ranges
from xbarc.mapping.converters.capped import capped_settings
from xbarc.mapping.converters.runs import over_runs
from xbarc.numerics import AnyArray, Int64Array, IntArray, UInt8Array
from xbarc.target import Adc, Target

# More than any converter that is built, and than a sum of 2**15 rows of 8-bit cells and inputs
# needs (31 bits).
_WIDEST = 32

# Conversions times input slices whose ranges are worked on at a time: 8 MiB for each of some ten
# arrays of 64-bit numbers. All of a layer of 100 million weights at once took 0.5 GB.
_PART = 1 << 20


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
    keys = converter_keys(step, target)
    if keys.size and (keys == keys[:1, :1]).all():
        keys = keys[:1, :1]
    parts = [_block_widths(step, target, policy, keys, part) for part in _block_parts(step)]
    lo, bits = (np.concatenate(found, axis=1) for found in zip(*parts, strict=True))
    # Sums of subtracted columns lie on both sides of zero: few bits from the least sum on would
    # read only the most negative ones.
    if policy.isdecimal() and step.periphery.a_sign.size:
        return capped_settings(step, keys, _join_slices(lo), _join_slices(bits), policy)
    blocks = step.tiling.segment_block
    lo, bits = lo[:, blocks], bits[:, blocks]
    if policy.isdecimal():
        bits = np.minimum(bits, np.uint8(int(policy)))
    if not policy.startswith(("calibrated", "budget")):
        _check_width(step, target, int(bits.max(initial=1)), policy)
    one = np.ones((1, 1, 1, 1), dtype=np.int32)
    low_ends = _join_slices(lo).astype(np.int32) if lo.any() else one - 1
    return AdcSettings(_join_equal(_join_slices(bits)), low_ends, one, policy)


def _block_parts(step: CrossbarStep) -> list[slice]:
    """Runs of row blocks, each with few enough conversions to be worked on at a time."""
    blocks = len(step.tiling.row_bounds) - 1
    each = step.groups * step.conversions * step.input_slices
    size = max(1, _PART // max(1, each))
    return [slice(first, first + size) for first in range(0, max(1, blocks), size)]


def _block_widths(
    step: CrossbarStep, target: Target, policy: str, keys: IntArray, blocks: slice
) -> tuple[Int64Array, UInt8Array]:
    """What `converter_widths` gives for some row blocks."""
    low, high = _block_ranges(step, target, blocks)
    if policy == "worst-case":
        low, high = _worst_case(step, low.shape, _slice_tops(step, target), blocks)
    own = keys if keys.shape[1] == 1 else keys[:, blocks]
    return converter_widths(low, high, own, target.adc)


def _join_slices(settings: AnyArray) -> AnyArray:
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
        high: largest sum of each; axes as `low`.
        key: equal numbers for neighbours on one converter; broadcasts against a slice of `low`.
        adc: what the converter can do.

    Returns:
        Lower ends and bits, both with axes as `low`.
    """
    changes = _by_slice(np.logical_or, low != high, key)
    least = np.where(changes, low, np.iinfo(np.int64).max)
    shared = _by_slice(np.minimum, least, key)
    if adc.reference != "per-cycle":
        shared = np.where(changes, shared.min(axis=3, keepdims=True), shared)
    shared = np.where(changes, shared, low)
    bits = range_bits(high - shared)
    # What never changes is known: the code is its lower end, and nothing is converted.
    bits[(low == high) & (shared == low)] = 0
    if adc.reference != "per-cycle":
        bits = np.where(changes, bits.max(axis=3, keepdims=True), bits)
    if not adc.stops_early:
        bits = _by_slice(np.maximum, bits, key)
    return shared, bits


def _by_slice(combine: np.ufunc, values: AnyArray, key: IntArray) -> AnyArray:
    """Combined over the columns of each converter, one input slice after another."""
    parts = [over_runs(combine, values[..., s], key) for s in range(values.shape[3])]
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
    # frexp below is exact only for whole numbers that float64 holds.
    if int(span.max(initial=0)) >> 52:
        raise ValueError("column sums beyond 52 bits")
    return np.frexp(span.astype(np.float64))[1].astype(np.uint8)


def _slice_tops(step: CrossbarStep, target: Target) -> Int64Array:
    """Largest input slices that may have settings of their own."""
    tops = input_tops(step)
    # Slices of equal width have equal ranges; only a narrower last one can differ.
    apart = target.adc.reference == "per-cycle" and (tops != tops[0]).any()
    return tops if apart else tops.max(keepdims=True)


def _join_equal(bits: UInt8Array) -> UInt8Array:
    """One number where all are equal."""
    return bits[:1, :1, :1, :1] if bits.size and (bits == bits.flat[0]).all() else bits


def _worst_case(
    step: CrossbarStep, shape: tuple[int, ...], tops: Int64Array, blocks: slice
) -> tuple[Int64Array, Int64Array]:
    """Every cell at its top level and every input at its largest, whatever is known of either."""
    rows = np.diff(step.tiling.segment_bounds).astype(np.int64)
    by_block = np.maximum.reduceat(rows, _first_segments(step))[blocks]
    most = (by_block * ((1 << step.cells.bits) - 1)).reshape(1, -1, 1, 1) * tops
    high = np.broadcast_to(most, (*shape[:3], tops.size))
    signed = step.periphery.a_sign.size > 0
    return (-high if signed else np.zeros_like(high)), high


def _first_segments(step: CrossbarStep) -> IntArray:
    return np.flatnonzero(np.diff(step.tiling.segment_block, prepend=-1))


def _block_ranges(
    step: CrossbarStep, target: Target, blocks: slice
) -> tuple[Int64Array, Int64Array]:
    """Ranges of sums over a block's segments; axes: group, row block, conversion, slice or 1."""
    starts = np.append(_first_segments(step), len(step.tiling.segment_bounds) - 1)
    first, last, _ = blocks.indices(len(starts) - 1)
    low, high = slice_ranges(step, slice(int(starts[first]), int(starts[last])))
    if step.facts is None and len(_slice_tops(step, target)) == 1:
        low, high = low.min(axis=3, keepdims=True), high.max(axis=3, keepdims=True)
    begin = starts[first:last] - starts[first]
    return np.minimum.reduceat(low, begin, axis=1), np.maximum.reduceat(high, begin, axis=1)


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
    slower = f"--adc-savings rows, {by_hand}, " if fewer else ""
    kind = f"conversions with --adc {policy}" if policy.isdecimal() else f"{policy} conversions"
    raise MappingError(
        f"{kind} of {rows} rows need {say_count(needed, 'bit')}, the ADC of {target.name} has"
        f" {have}",
        where=step.name,
        hint=f"--adc calibrated (range and step from data), --adc {have} (saturating), {slower}"
        "fewer cell or DAC bits, or another encoding",
    )
