"""What the comparisons of a layer see on data, for methods that choose thresholds from it."""

from __future__ import annotations

from itertools import pairwise
from math import prod

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from xbarc.errors import ProgramError
from xbarc.executor import block_extent, driven_rows, gather, sample_axis_first, window_blocks
from xbarc.ir import CrossbarStep, Dense, Geometry, Sense, Window, quantize
from xbarc.numerics import AnyArray, BoolArray, Float32Array, IntArray

# Codes that are gathered at once: 8 MiB as bytes, 32 MiB as the numbers that are multiplied.
_BUDGET = 1 << 23


def comparison_sums(
    step: CrossbarStep, tensor: AnyArray, pool: Window | None, chosen: IntArray
) -> IntArray:
    """Sums of some windows.

    Args:
        step: a layer with comparisons.
        tensor: its input.
        pool: a pool behind it; None makes every position a window of its own.
        chosen: numbers of the windows (sample, then position in C order) that are wanted, rising.

    Returns:
        int16; a position outside the picture holds -1. Axes: group, output, segment, window,
        position.
    """
    if step.sense is None:
        raise ValueError(f"{step.name}: no comparisons")
    codes = quantize(sample_axis_first(tensor, step.geometry), step.quantizer, {}, step.name)
    if isinstance(step.geometry, Dense):
        picked = _sums(step, step.sense, codes.values[chosen][:, None, :])
        return picked.transpose(1, 3, 2, 0)[..., None]
    if not isinstance(step.geometry, Window):
        raise ProgramError("comparisons of a transposed convolution", where=step.name)
    parts, first = [], 0
    whole = codes.values[0].size * prod(step.geometry.kernel) * 4  # pools need whole pictures
    for block in window_blocks(codes, step.geometry, max(_BUDGET, whole)):
        extent = block_extent(block.padded, step.geometry)
        sums = _sums(step, step.sense, gather(block.padded, step.geometry, step.groups))
        images = sums.reshape(block.padded.shape[0], *extent, *sums.shape[1:])
        windows = _cut_windows(np.moveaxis(images, (-3, -2, -1), (1, 2, 3)), pool)
        inside = chosen[(chosen >= first) & (chosen < first + windows.shape[3])]
        parts.append(windows[..., inside - first, :])
        first += windows.shape[3]
    return np.concatenate(parts, axis=3)


def _sums(step: CrossbarStep, sense: Sense, vectors: IntArray) -> IntArray:
    """Axes: vector, group, segment, output."""
    bounds = step.tiling.segment_bounds
    found = np.empty((len(vectors), step.groups, len(bounds) - 1, step.conversions), dtype=np.int16)
    for group in range(step.groups):
        for number, (first, last) in enumerate(pairwise(bounds)):
            rows = slice(int(first), int(last))
            driven = driven_rows(step, sense, vectors[:, group], rows)
            found[:, group, number] = driven.astype(np.float32) @ _sign_cells(step, group, rows)
    return found + np.int16(sum_shift(step))


def _sign_cells(step: CrossbarStep, group: int, rows: slice) -> Float32Array:
    """Cells as the comparisons see them; sums stay far below what float32 holds exactly."""
    cells = step.cells.unpack_as(np.float32, (group, rows))
    return cells if not step.periphery.a_sign.size else cells[:, 0::2] - cells[:, 1::2]


def _cut_windows(images: IntArray, pool: Window | None) -> IntArray:
    """Windows of a pool; axes: image, group, segment, output, space -> ..., window, position."""
    moved = np.moveaxis(images, 0, 3)  # group, segment, output, image, space
    moved = moved.transpose(0, 2, 1, *range(3, moved.ndim))
    if pool is None:
        return moved.reshape(*moved.shape[:3], -1, 1)
    rank = len(pool.kernel)
    pads = [(0, 0)] * 4 + [(pool.pads[i], pool.pads[rank + i]) for i in range(rank)]
    # No sum of a position inside is negative, so a maximum over a pool never takes the padding.
    padded = np.pad(moved, pads, constant_values=-1)
    extent = tuple(d * (k - 1) + 1 for k, d in zip(pool.kernel, pool.dilations, strict=True))
    view = sliding_window_view(padded, extent, axis=tuple(range(4, 4 + rank)))
    steps = tuple(slice(None, None, s) for s in pool.strides)
    gaps = tuple(slice(None, None, d) for d in pool.dilations)
    windows = view[(slice(None),) * 4 + steps + gaps]
    return windows.reshape(*moved.shape[:3], -1, prod(pool.kernel))


def pooled_bits(bits: BoolArray, geometry: Geometry, pool: Window | None) -> BoolArray:
    """Whether any position of a window is set.

    Args:
        bits: axes of the layer's output.
        geometry: the layer's.
        pool: as for `comparison_sums`.

    Returns:
        Axes: output of all groups, window.
    """
    if isinstance(geometry, Dense):
        return bits.reshape(-1, bits.shape[-1]).T
    images = np.moveaxis(bits.astype(np.int16), 1, -1)[..., None, None, :]
    windows = _cut_windows(np.moveaxis(images, (-3, -2, -1), (1, 2, 3)), pool)
    found: BoolArray = windows[0, :, 0].max(axis=-1) > 0
    return found


def sum_shift(step: CrossbarStep) -> int:
    """What `comparison_sums` adds to sums that may be negative, so that none is."""
    widest = int(np.diff(step.tiling.segment_bounds).max())
    return widest if step.periphery.a_sign.size else 0
