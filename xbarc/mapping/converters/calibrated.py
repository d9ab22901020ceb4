"""Converters whose range and step come from histograms of column sums.

A *setting group* is a set of conversions that must share their settings: kinds that share a
converter, in one row block, and in one input slice where the converter can change its reference
every cycle. Each group gets the range and step of least output error for its number of bits: a
histogram counts as much as the square of the weight with which its sums enter an output, so that
the range of a converter with a fixed reference follows the upper input bits. Nothing here looks at
extremes alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from xbarc.ir import AdcSettings, CrossbarStep, SumStatistics, conversion_kinds
from xbarc.lazy import lazy_module
from xbarc.mapping.converters.adc import converter_keys
from xbarc.numerics import AnyArray, BoolArray, Float64Array, Int64Array, IntArray
from xbarc.target import Target

if TYPE_CHECKING:
    from xbarc.mapping.converters import setting_kernels
else:
    setting_kernels = lazy_module("xbarc.mapping.converters.setting_kernels")

# Steps and lower ends that are tried for a number of bits, 24 of each, then those around the
# best. `test_calibrated` holds the result to 15 % above the best of all settings.
_TRIES = 24


@dataclass(frozen=True, eq=False)
class Groups:
    """Conversions that share settings.

    Attributes:
        member: number of the group of each conversion; axes: group of the layer, row block,
            conversion.
        kinds: kinds that each group holds; axes: group, kind.
        size: conversions of each row block and group, over the groups of the layer.
    """

    member: Int64Array
    kinds: Float64Array
    size: Int64Array


def setting_groups(step: CrossbarStep, target: Target) -> Groups:
    """Groups of kinds that meet on some converter; those that never share are groups of one."""
    kinds, _ = conversion_kinds(step)
    count = int(kinds.max(initial=0)) + 1
    keys = converter_keys(step, target)
    lead = keys.shape[:2]
    flat = keys + (int(keys.max(initial=0)) + 1) * np.arange(lead[0] * lead[1]).reshape(*lead, 1)
    names, converter = np.unique(flat.reshape(-1), return_inverse=True)
    seen = np.zeros((len(names), count), dtype=np.bool_)
    seen[converter, np.tile(kinds, lead[0] * lead[1])] = True
    sets, member = np.unique(seen, axis=0, return_inverse=True)
    found = member.reshape(-1)[converter].reshape(keys.shape)
    by_block = found.swapaxes(0, 1).reshape(lead[1], -1)
    size = np.stack([np.bincount(row, minlength=len(sets)) for row in by_block])
    return Groups(found, sets.astype(np.float64), size)


@dataclass(frozen=True, eq=False)
class Table:
    """The best setting of every group for every number of bits, and the error that it leaves.

    Attributes:
        groups: who shares settings.
        lo, step: axes: row block, group, input slice or 1, bits.
        error: mean squared error of the layer's accumulators, each group's share; axes as `lo`.
        outside: share of conversions beyond the range; axes as `lo`.
        sums: what each bin of the histograms stands for.
        bin_width: sums of a bin.
        shares: histogram of each group, of which each kind is 1 in all; axes: row block, group,
            input slice or 1, bin.
        worth: mean squared error of the accumulators for a unit of squared error of these sums;
            axes as `shares`.
    """

    groups: Groups
    lo: Int64Array
    step: Int64Array
    error: Float64Array
    outside: Float64Array
    sums: Int64Array
    bin_width: int
    shares: Float64Array
    worth: Float64Array

    def with_settings(self, bits: Int64Array, lo: Int64Array, step: Int64Array) -> Table:
        """One setting per group, whatever bits are asked for; axes: row block, group, slice."""
        error, outside = np.zeros(bits.shape), np.zeros(bits.shape)
        for at in np.ndindex(*bits.shape):
            asked = (int(lo[at]), int(step[at]), int(bits[at]))
            moments = _moments(self.worth[at], self.sums)
            error[at] = setting_kernels.setting_error(self.sums, moments, *asked)
            total = self.shares[at].sum()
            beyond = self.shares[at][_beyond(self.sums, *asked)].sum()
            outside[at] = beyond / total if total else 0.0
        error += _inside_bins(self.worth, step[..., None], self.bin_width)[..., 0]
        return replace(
            self,
            lo=self._whatever_bits(lo),
            step=self._whatever_bits(step),
            error=self._whatever_bits(error),
            outside=self._whatever_bits(outside),
        )

    def _whatever_bits(self, values: AnyArray) -> AnyArray:
        return np.broadcast_to(values[..., None], self.lo.shape)


def setting_table(
    step: CrossbarStep, target: Target, statistics: SumStatistics, most: int
) -> Table:
    """Settings of 0 to `most` bits for every group."""
    groups = setting_groups(step, target)
    _, weight = conversion_kinds(step)
    apart = target.adc.reference == "per-cycle"
    # The square of the place value: errors of an upper slice count that much more in the output.
    place = 4.0 ** (step.dac_bits * np.arange(step.input_slices))
    counts = statistics.counts.astype(np.float64)
    shares = counts / np.maximum(1.0, counts.sum(axis=3, keepdims=True))
    energy = shares * (weight**2)[None, :, None, None] * place[None, None, :, None]
    joined = np.einsum("bksv,gk->bgsv", energy, groups.kinds)
    plain = np.einsum("bksv,gk->bgsv", shares, groups.kinds)
    # A converter with one reference sees all slices, so that their histograms are one.
    if not apart:
        joined, plain = joined.sum(axis=2, keepdims=True), plain.sum(axis=2, keepdims=True)
    blocks = len(step.tiling.row_bounds) - 1
    lo, width, error, outside = _search(joined, plain, statistics.sums, most)
    error = error + _inside_bins(joined, width, statistics.width)
    full = (blocks, *lo.shape[1:])
    segments = np.bincount(step.tiling.segment_block, minlength=blocks)
    members = groups.kinds.sum(axis=1)
    each = groups.size / members / (step.groups * step.outputs) * segments[:, None]
    return Table(
        groups,
        np.broadcast_to(lo, full),
        np.broadcast_to(width, full),
        error * each[..., None, None],
        np.broadcast_to(outside, full),
        statistics.sums,
        statistics.width,
        np.broadcast_to(plain, (*full[:3], plain.shape[3])),
        joined * each[..., None, None],
    )


def _inside_bins(joined: Float64Array, step: Int64Array, width: int) -> Float64Array:
    """What rounding costs among the sums of one bin, which the search takes for one sum."""
    # Uniform rounding error of a step s among whole numbers: (s**2 - 1) / 12.
    finest = np.minimum(step, width).astype(np.float64)
    cost: Float64Array = joined.sum(axis=3)[..., None] * (finest**2 - 1) / 12
    return cost


def _search(
    joined: Float64Array, plain: Float64Array, sums: Int64Array, most: int
) -> tuple[Int64Array, Int64Array, Float64Array, Float64Array]:
    """Best settings for each histogram; axes: those of `joined` without bins, then bits."""
    shape = (*joined.shape[:3], most + 1)
    lo, step = np.zeros(shape, dtype=np.int64), np.ones(shape, dtype=np.int64)
    error, outside = np.zeros(shape), np.zeros(shape)
    for place in np.ndindex(*shape[:3]):
        moments = _moments(joined[place], sums)
        total = plain[place].sum()
        for bits in range(most + 1):
            at = (*place, bits)
            lo[at], step[at], error[at] = setting_kernels.best_setting(sums, moments, bits, _TRIES)
            beyond = plain[place][_beyond(sums, int(lo[at]), int(step[at]), bits)].sum()
            outside[at] = beyond / total if total else 0.0
            if error[at] == 0 and step[at] == 1:
                rest = (*place, slice(bits, None))
                lo[rest], step[rest], error[rest], outside[rest] = lo[at], 1, 0.0, 0.0
                break
    return lo, step, error, outside


def _beyond(sums: Int64Array, lo: int, step: int, bits: int) -> BoolArray:
    """Whether sums lie beyond what the codes reach."""
    half = step // 2
    high = lo + step * ((1 << bits) - 1) + step - half
    found: BoolArray = (sums < lo - half) | (sums >= high)
    return found


def _moments(weights: Float64Array, sums: Int64Array) -> Float64Array:
    values = sums.astype(np.float64)
    parts = np.stack([weights, weights * values, weights * values**2])
    running: Float64Array = np.concatenate([np.zeros((3, 1)), np.cumsum(parts, axis=1)], axis=1)
    return running


def needed_bits(table: Table) -> Int64Array:
    """Fewest bits that leave no error on the data; axes: row block, group, input slice or 1."""
    free = table.error <= 0
    free[..., -1] = True
    needed: Int64Array = free.argmax(axis=3)
    return needed


def settings_of(step: CrossbarStep, table: Table, bits: Int64Array, policy: str) -> AdcSettings:
    """Converter settings of a layer for chosen bits; axes of `bits`: row block, group, slice."""
    chosen = np.broadcast_to(bits, table.lo.shape[:3])[..., None]
    member, block = table.groups.member, step.tiling.segment_block
    rows = np.arange(len(step.tiling.row_bounds) - 1)[None, :, None]

    def spread(values: Int64Array, kind: type[np.integer[Any]]) -> IntArray:
        picked = values.astype(kind)[rows, member][:, block]
        return picked[:1] if (picked == picked[:1]).all() else picked

    lo = np.take_along_axis(table.lo, chosen, axis=3)[..., 0]
    width = np.take_along_axis(table.step, chosen, axis=3)[..., 0]
    return AdcSettings(
        spread(chosen[..., 0], np.uint8).astype(np.uint8),
        spread(lo, np.int32),
        spread(width, np.int32),
        policy,
        _notes(step, table, chosen),
    )


def settings_with_bits(
    step: CrossbarStep, table: Table, bits: IntArray, policy: str
) -> AdcSettings:
    """Converter settings of a layer for bits that are given conversion by conversion.

    Args:
        step: the layer.
        table: its settings; it holds as many bits as are given.
        bits: axes: group, segment, conversion, input slice, each of its length or 1.
        policy: what the settings will be called.
    """
    member = table.groups.member[:, step.tiling.segment_block]
    shape = (*member.shape, table.lo.shape[2])
    chosen = np.broadcast_to(bits, shape).astype(np.int64)
    place = (
        step.tiling.segment_block[None, :, None, None],
        member[..., None],
        np.arange(shape[3]),
        chosen,
    )
    beyond = float(table.outside[place].mean())
    return AdcSettings(
        np.asarray(bits, dtype=np.uint8),
        _join_groups(table.lo[place]).astype(np.int32),
        _join_groups(table.step[place]).astype(np.int32),
        policy,
        (*step.adc.notes, f"calibrated: {100 * beyond:.3g} % of conversions beyond their range"),
    )


def _join_groups(values: Int64Array) -> Int64Array:
    """Settings of one group of the layer where all groups have the same."""
    return values[:1] if (values == values[:1]).all() else values


def _notes(step: CrossbarStep, table: Table, chosen: Int64Array) -> tuple[str, ...]:
    size = table.groups.size[..., None]
    beyond = np.take_along_axis(table.outside, chosen, axis=3)[..., 0]
    share = float((beyond * size).sum() / max(1, (size * np.ones_like(beyond)).sum()))
    noise = float(np.take_along_axis(table.error, chosen, axis=3).sum())
    text = f"calibrated: {100 * share:.3g} % of conversions beyond their range"
    return (*step.adc.notes, f"{text}, RMS error of an accumulator {np.sqrt(noise):.4g}")


def with_settings(step: CrossbarStep, settings: AdcSettings) -> CrossbarStep:
    """The layer with other converter settings."""
    return replace(step, adc=settings)


def judge_setting(statistics: SumStatistics, lo: int, step: int, bits: int) -> float:
    """Mean squared error of one setting over all that was counted, for tests and tables."""
    counts = statistics.counts.sum(axis=(0, 1, 2)).astype(np.float64)
    moments = _moments(counts / max(1.0, counts.sum()), statistics.sums)
    return float(setting_kernels.setting_error(statistics.sums, moments, lo, step, bits))
