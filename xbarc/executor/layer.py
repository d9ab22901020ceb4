"""One matrix layer from tensor to tensor: codes, vectors, an engine's products, values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from xbarc.errors import InputError
from xbarc.executor.vectors import (
    DEFAULT_BUDGET,
    VectorPiece,
    dense_result,
    largest_array,
    output_shape,
    pieces,
    sample_axis_first,
    scatter_add,
)
from xbarc.executor.windows import block_extent, gather, window_blocks
from xbarc.ir import (
    Codes,
    Dense,
    LayerHead,
    LayerTrace,
    Scatter,
    Window,
    quantize,
    spatial_extent,
    stackable,
    to_values,
)
from xbarc.numerics import (
    ANOTHER_LIMIT,
    AnyArray,
    Int64Array,
    IntArray,
    limit_in_words,
    memory_limit,
    show_size,
)

_BYTES = 8
"""Bytes of an accumulator, the widest number that a layer makes of an input."""


_Number = TypeVar("_Number", bound=np.generic)


class Accumulate(Protocol):
    """What an engine offers for one layer; engines inherit what they do not do better."""

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None = None) -> IntArray:
        """Codes `[vector, group, input]` to accumulators `[vector, group, output]`, without `a`."""

    def convolve(
        self, padded: IntArray, geometry: Window, trace: LayerTrace | None = None
    ) -> IntArray | None:
        """A padded block to accumulators `[image, channel, space]`.

        None, as here, where there is no shorter way than to gather the windows of the block.
        """
        del padded, geometry, trace
        return None


@dataclass(frozen=True, eq=False)
class LayerFrame:
    """What every engine needs to know of a layer beside its cells.

    Attributes:
        head: of the layer, or of its step.
        constant: `a` without the zero point's share; axis: output of all groups.
        weight_sums: sum of the weights of each output, which the zero point multiplies; axes:
            group, output.
    """

    head: LayerHead
    constant: Int64Array
    weight_sums: Int64Array
    inputs: int

    @property
    def groups(self) -> int:
        """Matrices of the layer."""
        return len(self.weight_sums)

    @property
    def outputs(self) -> int:
        """Outputs of one group's matrix."""
        return int(self.weight_sums.shape[1])


@dataclass(frozen=True, eq=False)
class _Run:
    """What one execution of a layer works on; `shape` is that of the input tensor."""

    frame: LayerFrame
    engine: Accumulate
    codes: Codes
    shape: tuple[int, ...]
    trace: LayerTrace | None
    budget: int


def run_layer(
    frame: LayerFrame,
    engine: Accumulate,
    tensor: AnyArray,
    values: Mapping[str, Any],
    trace: LayerTrace | None = None,
    budget: int = DEFAULT_BUDGET,
) -> AnyArray:
    """Execute one matrix layer on a tensor.

    Args:
        frame: the layer.
        engine: gives the products.
        tensor: the layer's input.
        values: other values of the network by name, for zero points of run time.
        trace: observer.
        budget: largest count of codes gathered at a time.

    Raises:
        InputError: the tensor has the wrong shape, or values that no DAC can feed.
    """
    check_shape(frame, tensor.shape)
    samples = sample_axis_first(tensor, frame.head.geometry)
    codes = quantize(samples, frame.head.quantizer, values, frame.head.name)
    return run_codes(frame, engine, codes, tensor.shape, trace, budget)


def run_codes(
    frame: LayerFrame,
    engine: Accumulate,
    codes: Codes,
    shape: tuple[int, ...],
    trace: LayerTrace | None = None,
    budget: int = DEFAULT_BUDGET,
) -> AnyArray:
    """Execute one matrix layer on codes, the first axis the sample, of a tensor of this shape."""
    run = _Run(frame, engine, codes, shape, trace, budget)
    match frame.head.geometry:
        case Dense() as geometry:
            return _dense(run, geometry)
        case Window() as geometry:
            return _window(run, geometry)
        case Scatter() as geometry:
            return _scatter(run, geometry)


def check_shape(frame: LayerFrame, shape: tuple[int, ...]) -> None:
    """Refuse a tensor that does not fit the layer, or whose result no memory holds.

    Raises:
        InputError: says what was found and what is expected.
    """
    geometry = frame.head.geometry
    if isinstance(geometry, Dense):
        axis = -1 if len(shape) == 1 else geometry.contract_axis
        found = shape[axis] if shape else 0
        wanted = f"{frame.inputs} along axis {axis}"
        wanted += f" and a batch that meets {geometry.batch}" if geometry.batch else ""
        good = found == frame.inputs and stackable(geometry, shape)
    else:
        channels = frame.groups * frame.inputs
        if isinstance(geometry, Window):
            channels //= int(np.prod(geometry.kernel))
        wanted = f"{channels} channels and {len(geometry.kernel)} spatial axes"
        good = len(shape) == len(geometry.kernel) + 2 and shape[1] == channels
    if not good:
        raise InputError(f"input of shape {shape}, expected {wanted}", where=frame.head.name)
    if not isinstance(geometry, Dense) and 0 in spatial_extent(geometry, shape[2:]):
        raise InputError(
            f"input of shape {shape} has no position: a kernel of {list(geometry.kernel)} does not"
            " fit it, pads counted",
            where=frame.head.name,
            hint="larger inputs; ONNX Runtime refuses this one too",
        )
    size = _BYTES * largest_array(geometry, frame.groups, frame.outputs, shape)
    # Before anything is allocated: a kernel with a stride of a billion is a valid file.
    if size > memory_limit():
        raise InputError(
            f"input of shape {shape} needs an array of {show_size(size)}, {limit_in_words()}",
            where=frame.head.name,
            hint=f"fewer samples at a time, or {ANOTHER_LIMIT};"
            " strides, dilations and pads of the layer may ask too much",
        )


def _dense(run: _Run, geometry: Dense) -> AnyArray:
    frame, codes = run.frame, run.codes
    # First, so that a layer of no vectors still has the type of its values.
    rows = [_empty(frame)]
    for piece in pieces(codes, geometry, frame.groups, run.shape, run.budget):
        acc = _accumulators(run, piece).reshape(len(piece.vectors), -1)
        scale = _of_samples(codes.scale, piece.sample)
        if scale.ndim == 2:  # a stack of matrices: each group reads a vector of its own
            scale = np.repeat(scale, frame.outputs, axis=1)
        scale = scale if scale.ndim == 2 else scale[:, None]
        rows.append(to_values(acc + frame.constant, frame.head.result, scale))
    return dense_result(np.concatenate(rows), geometry, frame.outputs, run.shape)


def _window(run: _Run, geometry: Window) -> AnyArray:
    frame = run.frame
    shape = output_shape(geometry, frame.groups, frame.outputs, run.shape)
    result = np.empty(shape, dtype=_empty(frame).dtype)
    for block in window_blocks(run.codes, geometry, run.budget):
        acc = run.engine.convolve(block.padded, geometry, run.trace)
        if acc is None:
            acc = _gather_block(run, geometry, block.padded)
        result[block.images, :, block.lines] = _block_values(run, acc, block.images)
    return result


def _scatter(run: _Run, geometry: Scatter) -> AnyArray:
    frame, codes = run.frame, run.codes
    nothing = np.zeros((0, frame.groups, frame.outputs), dtype=np.int64)
    parts = [
        _accumulators(run, piece)
        for piece in pieces(codes, geometry, frame.groups, run.shape, run.budget)
    ]
    total = scatter_add(np.concatenate([nothing, *parts]), geometry, frame.groups, run.shape)
    spread = (-1,) + (1,) * (total.ndim - 1)
    return to_values(total, frame.head.result, codes.scale.reshape(spread))


def _of_samples(values: NDArray[_Number], which: slice | Int64Array) -> NDArray[_Number]:
    """Scales or zero points of some samples; a single one holds for all."""
    return values if values.size == 1 else values[which]


def _gather_block(run: _Run, geometry: Window, padded: IntArray) -> IntArray:
    """Accumulators of a block by way of vectors; axes: image, channel, space."""
    groups, outputs = run.frame.groups, run.frame.outputs
    acc = _accumulate(run, gather(padded, geometry, groups))
    extent = block_extent(padded, geometry)
    return np.moveaxis(acc.reshape(padded.shape[0], *extent, groups * outputs), -1, 1)


def _block_values(run: _Run, acc: IntArray, images: slice) -> AnyArray:
    """Values of a block, after what the zero point adds is subtracted."""
    frame = run.frame
    zero = _of_samples(run.codes.zero, images)
    scale = _of_samples(run.codes.scale, images)
    offset = frame.constant - zero.reshape(-1, 1) * frame.weight_sums.reshape(1, -1)
    # The addition would make a copy of all accumulators, also of zeros.
    if offset.any():
        acc = acc + offset.reshape(*offset.shape, *(1,) * (acc.ndim - 2))
    return to_values(acc, frame.head.result, scale.reshape((-1,) + (1,) * (acc.ndim - 1)))


def _accumulators(run: _Run, piece: VectorPiece) -> IntArray:
    """Products less what the zero point adds; axes: vector, group, output."""
    acc = _accumulate(run, piece.vectors)
    zero = _of_samples(run.codes.zero, piece.sample)
    # As above: the product with the sums of weights is left out.
    if not zero.any():
        return acc
    if zero.ndim == 1:
        zero = zero[:, None]
    return acc - zero[:, :, None] * run.frame.weight_sums


def _accumulate(run: _Run, vectors: IntArray) -> IntArray:
    """Products of an engine; whoever keeps its codes keeps what they were made of beside them."""
    if run.trace is not None and run.trace.keep_codes:
        # A copy: pieces may be views of a tensor that is given back.
        run.trace.inputs.append(vectors.copy())
    return run.engine.accumulate(vectors, run.trace)


def _empty(frame: LayerFrame) -> AnyArray:
    """No vector's values, which tell the type of all."""
    nothing = np.zeros((0, frame.groups * frame.outputs), dtype=np.int64)
    return to_values(nothing, frame.head.result, np.ones((1, 1)))
