"""Loops over a tensor: input vectors of a matrix, a bounded piece at a time, and back.

Matrix products and transposed convolutions yield pieces `[vector, group, input]` and take
`[vector, group, output]` back. Convolutions go by blocks, in `windows.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np

from xbarc.ir import (
    Codes,
    Dense,
    Geometry,
    Scatter,
    Window,
    scatter_extent,
    window_output,
    window_pads,
)
from xbarc.numerics import AnyArray, Int64Array, IntArray

# Codes that a layer gathers at a time: 16 MB of bytes, and 128 MB of accumulators where a vector
# has as many outputs as inputs.
DEFAULT_BUDGET = 1 << 24


@dataclass(frozen=True, eq=False)
class VectorPiece:
    """Some input vectors of a layer.

    Attributes:
        vectors: codes; axes: vector, group, input.
        first: index of the first vector among all of the layer.
        sample: the sample each vector belongs to; axis: vector.
    """

    vectors: IntArray
    first: int
    sample: Int64Array


def sample_axis_first(tensor: AnyArray, geometry: Geometry) -> AnyArray:
    """A view whose first axis is the sample: the batch of a convolution, a vector of a product."""
    if not isinstance(geometry, Dense):
        return tensor
    axis = -1 if tensor.ndim == 1 else geometry.contract_axis
    moved = np.moveaxis(tensor, axis, -1)
    return moved.reshape(prod(moved.shape[:-1]), moved.shape[-1])


def pieces(
    codes: Codes, geometry: Dense | Scatter, groups: int, shape: tuple[int, ...], budget: int
) -> Iterator[VectorPiece]:
    """Gather input vectors, at most about `budget` codes at a time.

    Args:
        codes: as `quantize` gives them for `sample_axis_first`.
        geometry: the layer's.
        groups: matrices of the layer.
        shape: shape of the layer's input tensor.
        budget: codes a piece, at least one vector.
    """
    match geometry:
        case Dense():
            return _dense_pieces(codes, geometry, groups, shape, budget)
        case Scatter():
            return _point_pieces(codes, groups, budget)


def _spans(total: int, step: int) -> Iterator[tuple[int, int]]:
    for start in range(0, total, step):
        yield start, min(total, start + step)


def _dense_pieces(
    codes: Codes, geometry: Dense, groups: int, shape: tuple[int, ...], budget: int
) -> Iterator[VectorPiece]:
    inputs = codes.values.shape[-1]
    if geometry.batch:
        index = stack_index(geometry, shape)
        for start, stop in _spans(index.shape[0], max(1, budget // max(1, groups * inputs))):
            part = index[start:stop]
            yield VectorPiece(codes.values[part], start, part)
        return
    for start, stop in _spans(codes.values.shape[0], max(1, budget // max(1, inputs))):
        yield VectorPiece(codes.values[start:stop, None, :], start, np.arange(start, stop))


def stack_index(geometry: Dense, shape: tuple[int, ...]) -> Int64Array:
    """Which vector meets which matrix of a stack; axes: vector, group."""
    lead = _lead_shape(geometry, shape)
    count = prod(lead)
    index = np.arange(count, dtype=np.int64).reshape(lead)
    full = np.broadcast_shapes(lead[:-1], geometry.batch)
    index = np.broadcast_to(index, (*full, lead[-1]))
    outer, inner = stack_axes(geometry, len(full))
    vectors, groups = prod(full[axis] for axis in outer) * lead[-1], prod(geometry.batch)
    return index.transpose(*outer, len(full), *inner).reshape(vectors, groups)


def stack_axes(geometry: Dense, rank: int) -> tuple[list[int], list[int]]:
    """Axes of the result's batch along which one matrix serves all, and those that choose one."""
    # Broadcasting aligns from the right, as ONNX's MatMul does.
    first = rank - len(geometry.batch)
    inner = [first + axis for axis, size in enumerate(geometry.batch) if size != 1]
    return [axis for axis in range(rank) if axis not in inner], inner


def _lead_shape(geometry: Dense, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of the input that are not summed, the vector axis last."""
    axis = -1 if len(shape) == 1 else geometry.contract_axis
    lead = tuple(s for i, s in enumerate(shape) if i - len(shape) != axis)
    return lead if lead else (1,)


def _point_pieces(codes: Codes, groups: int, budget: int) -> Iterator[VectorPiece]:
    values = codes.values
    batch, channels = values.shape[:2]
    points = prod(values.shape[2:])
    flat = np.moveaxis(values.reshape(batch, channels, points), 1, 2).reshape(-1, channels)
    for start, stop in _spans(flat.shape[0], max(1, budget // channels)):
        part = flat[start:stop].reshape(stop - start, groups, channels // groups)
        yield VectorPiece(part, start, np.arange(start, stop) // max(1, points))


def output_shape(
    geometry: Geometry, groups: int, outputs: int, shape: tuple[int, ...]
) -> tuple[int, ...]:
    """Shape of the layer's result for an input of this shape."""
    match geometry:
        case Dense():
            return _dense_shape(geometry, outputs, shape)
        case Window():
            return (shape[0], groups * outputs, *window_output(geometry, shape[2:]))
        case Scatter():
            channels = groups * (outputs // prod(geometry.kernel))
            return (shape[0], channels, *scatter_extent(geometry, shape[2:])[0])


def largest_array(geometry: Geometry, groups: int, outputs: int, shape: tuple[int, ...]) -> int:
    """Numbers in the largest array that a layer makes of an input of this shape."""
    match geometry:
        case Dense():
            return prod(_dense_shape(geometry, outputs, shape))
        case Window():
            pads = window_pads(geometry, shape[2:])
            padded = (size + sum(pad) for size, pad in zip(shape[2:], pads, strict=True))
            result = prod(output_shape(geometry, groups, outputs, shape))
            return max(result, prod((*shape[:2], *padded)))
        case Scatter():
            channels = groups * (outputs // prod(geometry.kernel))
            return prod((shape[0], channels, *scatter_space(geometry, shape[2:])))


def scatter_space(geometry: Scatter, spatial: tuple[int, ...]) -> tuple[int, ...]:
    """Extent, before it is cropped, of the sums of overlapping windows."""
    extents, crops = scatter_extent(geometry, spatial)
    full = (
        s * (n - 1) + d * (k - 1) + 1 + p
        for n, s, d, k, p in zip(
            spatial,
            geometry.strides,
            geometry.dilations,
            geometry.kernel,
            geometry.output_padding,
            strict=True,
        )
    )
    return tuple(max(0, f, c + e) for f, c, e in zip(full, crops, extents, strict=True))


def _dense_shape(geometry: Dense, outputs: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) == 1 and not geometry.batch:
        return () if geometry.squeeze else (outputs,)
    lead = _lead_shape(geometry, shape)
    full = (*np.broadcast_shapes(lead[:-1], geometry.batch), lead[-1])
    if len(shape) == 1:
        full = full[:-1]
    if geometry.squeeze:
        return full
    if geometry.output_axis == -1 or len(shape) == 1:
        return (*full, outputs)
    return (*full[:-1], outputs, full[-1])


def dense_result(
    values: AnyArray, geometry: Dense, outputs: int, shape: tuple[int, ...]
) -> AnyArray:
    """Bring `[vector, output of all groups]` into the shape of a matrix product."""
    final = _dense_shape(geometry, outputs, shape)
    if geometry.batch:
        values = _unstack(values, geometry, outputs, shape)
    if geometry.squeeze or len(shape) == 1 or geometry.output_axis == -1:
        return values.reshape(final)
    swapped = (*final[:-2], final[-1], final[-2])
    return np.ascontiguousarray(np.swapaxes(values.reshape(swapped), -1, -2))


def _unstack(values: AnyArray, geometry: Dense, outputs: int, shape: tuple[int, ...]) -> AnyArray:
    lead = _lead_shape(geometry, shape)
    full = (*np.broadcast_shapes(lead[:-1], geometry.batch), lead[-1])
    outer, inner = stack_axes(geometry, len(full) - 1)
    order = (*outer, len(full) - 1, *inner)
    split = values.reshape(*(full[axis] for axis in order), outputs)
    return split.transpose(*np.argsort(order).tolist(), len(full))


def scatter_add(acc: AnyArray, geometry: Scatter, groups: int, shape: tuple[int, ...]) -> AnyArray:
    """Add the products of overlapping windows; gives axes batch, channel, space.

    Args:
        acc: axes: vector (batch-major), group, (channel of the group, kernel position).
        geometry: the layer's.
        groups: matrices of the layer.
        shape: shape of the layer's input.
    """
    batch, spatial = shape[0], shape[2:]
    kernel = geometry.kernel
    channels = acc.shape[2] // prod(kernel)
    parts = acc.reshape(batch, *spatial, groups * channels, *kernel)
    extents, crops = scatter_extent(geometry, spatial)
    need = scatter_space(geometry, spatial)
    # Windows overlap, so that a sum may be larger than any of its products.
    kind = np.int64 if acc.dtype.kind in "iu" else np.float64
    total = np.zeros((batch, *need, groups * channels), dtype=kind)
    rank = len(kernel)
    # Kernel position by position: within one no two products meet at a place, so that a slice can
    # add.
    places = product(*(range(k) for k in kernel)) if parts.size else ()
    for place in places:
        region = tuple(
            slice(p * d, p * d + s * (n - 1) + 1, s)
            for p, d, s, n in zip(place, geometry.dilations, geometry.strides, spatial, strict=True)
        )
        total[(slice(None), *region)] += parts[(slice(None),) * (rank + 2) + place]
    crop = tuple(slice(max(0, c), c + e) for c, e in zip(crops, extents, strict=True))
    return np.moveaxis(total[(slice(None), *crop)], -1, 1)
