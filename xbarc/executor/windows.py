"""Convolutions in blocks: some images times some lines of the result, so that memory is bounded.

A block is a padded view of the input. An engine takes it whole where it can convolve, otherwise the
windows of the block are gathered into vectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from xbarc.ir import Codes, Window, window_output, window_pads
from xbarc.numerics import AnyArray, IntArray


@dataclass(frozen=True, eq=False)
class WindowBlock:
    """Some lines of some images.

    Attributes:
        images: which images.
        lines: which indices of the result's first spatial axis.
        padded: codes that these lines need, borders included; axes: image, channel, space.
    """

    images: slice
    lines: slice
    padded: IntArray


def window_blocks(codes: Codes, geometry: Window, budget: int) -> Iterator[WindowBlock]:
    """Cut a convolution into blocks of at most about `budget` gathered codes, at least a line."""
    values = codes.values
    batch, channels = values.shape[:2]
    out = window_output(geometry, values.shape[2:])
    if not prod(out) or not batch:
        return
    line = channels * prod(geometry.kernel) * prod(out[1:])
    # Whole images as long as some fit; a single one that does not is cut into lines.
    images = max(1, budget // (line * out[0]))
    lines = max(1, budget // line) if images == 1 else out[0]
    for start in range(0, batch, images):
        stop = min(batch, start + images)
        padded = _pad_images(codes, geometry, start, stop)
        for top in range(0, out[0], lines):
            bottom = min(out[0], top + lines)
            needed = slice(top * geometry.strides[0], _reach(geometry, bottom))
            yield WindowBlock(slice(start, stop), slice(top, bottom), padded[:, :, needed])


def _reach(geometry: Window, bottom: int) -> int:
    """The end of the padded lines that the result's lines before `bottom` need."""
    extent = geometry.dilations[0] * (geometry.kernel[0] - 1) + 1
    return (bottom - 1) * geometry.strides[0] + extent


def _pad_images(codes: Codes, geometry: Window, start: int, stop: int) -> IntArray:
    """Some images with a border of the code that means zero."""
    values = codes.values[start:stop]
    pads = window_pads(geometry, values.shape[2:])
    if not any(amount for pad in pads for amount in pad):
        return values
    space = [s + a + b for s, (a, b) in zip(values.shape[2:], pads, strict=True)]
    zero = codes.zero[start:stop] if codes.zero.size > 1 else codes.zero
    padded = np.empty((*values.shape[:2], *space), dtype=values.dtype)
    # The code of zero and not 0: with ranges taken at run time each sample has its own.
    padded[...] = zero.reshape((-1,) + (1,) * (values.ndim - 1))
    inside = tuple(slice(a, a + s) for s, (a, _) in zip(values.shape[2:], pads, strict=True))
    padded[(slice(None), slice(None), *inside)] = values
    return padded


def block_extent(padded: AnyArray, geometry: Window) -> tuple[int, ...]:
    """Extent of a block's result along each spatial axis."""
    none = (0,) * (2 * len(geometry.kernel))
    bare = Window(geometry.kernel, geometry.strides, geometry.dilations, none)
    return window_output(bare, padded.shape[2:])


def gather(padded: IntArray, geometry: Window, groups: int) -> IntArray:
    """Every window of a block; axes: vector (image, then position), group, input.

    In memory the vector is the innermost axis: lines are copied whole, and engines pack along it.
    """
    extent = tuple(
        d * (k - 1) + 1 for k, d in zip(geometry.kernel, geometry.dilations, strict=True)
    )
    out = block_extent(padded, geometry)
    view = sliding_window_view(padded, extent, axis=tuple(range(2, padded.ndim)))
    strides = tuple(slice(0, n * s, s) for n, s in zip(out, geometry.strides, strict=True))
    steps = tuple(slice(None, None, d) for d in geometry.dilations)
    windows = view[(slice(None), slice(None), *strides, *steps)]
    length = padded.shape[1] * prod(geometry.kernel)
    rank = len(out)
    by_input = np.moveaxis(
        np.moveaxis(windows, 1, 0), range(2 + rank, 2 + 2 * rank), range(1, 1 + rank)
    )
    return by_input.reshape(groups, length // groups, -1).transpose(2, 0, 1)
