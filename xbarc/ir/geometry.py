"""How a tensor becomes input vectors of a matrix, and how its products become a tensor again.

A geometry is a loop, never a list of pixels: its size does not grow with the picture. Every
geometry turns an input into vectors `[position, group, input]` and takes products
`[position, group, output]` back.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

AutoPad = Literal["explicit", "same_upper", "same_lower"]


@dataclass(frozen=True)
class Dense:
    """MatMul and Gemm: vectors lie along one axis of the input.

    Attributes:
        contract_axis: axis of the input that is summed: -1, or -2 where the constant stands on the
            left (or Gemm transposes its first operand). A 1-D input is always summed over itself.
        output_axis: axis of the result that holds the outputs: -2 for a constant on the left.
        squeeze: the constant is a vector, so the result has no output axis.
        batch: leading axes of a stack of constant matrices, which become groups; usually empty.
    """

    contract_axis: int = -1
    output_axis: int = -1
    squeeze: bool = False
    batch: tuple[int, ...] = ()
    kind: Literal["dense"] = "dense"


@dataclass(frozen=True)
class Window:
    """Conv with 1 to 3 spatial axes; an input vector is (channel of the group, kernel position).

    Attributes:
        kernel: extent along each spatial axis.
        strides: positions from one window to the next along each spatial axis.
        dilations: positions from one kernel element to the next along each spatial axis.
        pads: begin of each axis, then end of each axis, as in ONNX; used when auto_pad is explicit.
        auto_pad: `explicit`, or as ONNX's SAME_UPPER and SAME_LOWER.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]
    auto_pad: AutoPad = "explicit"
    kind: Literal["window"] = "window"


@dataclass(frozen=True)
class Scatter:
    """ConvTranspose: each input position gives (channel, kernel position) products.

    The accumulators of overlapping windows are added before they are scaled, so the sum stays an
    integer. An input vector is the channels of one position.

    Attributes:
        kernel: extent along each spatial axis.
        strides: positions between the windows of neighbouring inputs along each spatial axis.
        dilations: positions from one kernel element to the next along each spatial axis.
        pads: cut from the begin of each axis, then from the end of each axis, as in ONNX.
        output_padding: added to the extent of each axis at its end.
        output_shape: spatial extents asked for, or None where pads and output_padding decide.
        auto_pad: `explicit`, or as ONNX's SAME_UPPER and SAME_LOWER.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]
    output_padding: tuple[int, ...]
    output_shape: tuple[int, ...] | None = None
    auto_pad: AutoPad = "explicit"
    kind: Literal["scatter"] = "scatter"


Geometry = Dense | Window | Scatter

MOST_COUNTED = 1 << 40
"""Numbers or vectors of one inference that counts are made for: beyond it they leave 64 bits."""

Dim = int | str | None
Shape = tuple[Dim, ...]


def window_pads(geometry: Window, spatial: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Padding before and after each spatial axis for an input of this extent."""
    rank = len(geometry.kernel)
    if geometry.auto_pad == "explicit":
        return tuple((geometry.pads[i], geometry.pads[rank + i]) for i in range(rank))
    pairs = []
    for size, kernel, stride, dilation in zip(
        spatial, geometry.kernel, geometry.strides, geometry.dilations, strict=True
    ):
        # ONNX's SAME: the result has ceil(size / stride) positions, and pads are what that takes.
        out = -(-size // stride)
        total = max(0, (out - 1) * stride + dilation * (kernel - 1) + 1 - size)
        # SAME_UPPER puts an odd pad at the end, SAME_LOWER at the begin.
        small, large = total // 2, total - total // 2
        pairs.append((small, large) if geometry.auto_pad == "same_upper" else (large, small))
    return tuple(pairs)


def window_output(geometry: Window, spatial: tuple[int, ...]) -> tuple[int, ...]:
    """Extent of a convolution's result along each spatial axis; 0 where no window fits."""
    pads = window_pads(geometry, spatial)
    return tuple(
        # Floor division of a negative number: -1 // stride + 1 is 0, which is no window.
        max(0, (size + sum(pad) - dilation * (kernel - 1) - 1) // stride + 1)
        for size, pad, kernel, stride, dilation in zip(
            spatial, pads, geometry.kernel, geometry.strides, geometry.dilations, strict=True
        )
    )


def scatter_extent(
    geometry: Scatter, spatial: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Extent of a transposed convolution's result, and how much its start is cropped, by axis.

    The extent is 0 where pads cut off more than there is.
    """
    extents, crops = [], []
    for axis, size in enumerate(spatial):
        full = geometry.strides[axis] * (size - 1) + geometry.output_padding[axis]
        # What all windows cover, before pads are cut from it.
        full += geometry.dilations[axis] * (geometry.kernel[axis] - 1) + 1
        begin, end = _scatter_crop(geometry, axis, size, full)
        asked = geometry.output_shape
        extents.append(max(0, full - begin - end) if asked is None else asked[axis])
        crops.append(begin)
    return tuple(extents), tuple(crops)


def _scatter_crop(geometry: Scatter, axis: int, size: int, full: int) -> tuple[int, int]:
    rank = len(geometry.kernel)
    if geometry.output_shape is not None:
        total = max(0, full - geometry.output_shape[axis])
    elif geometry.auto_pad != "explicit":
        total = max(0, full - size * geometry.strides[axis])
    else:
        return geometry.pads[axis], geometry.pads[rank + axis]
    half = total // 2
    # As ONNX defines ConvTranspose: only SAME_UPPER cuts the odd one at the end.
    return (half, total - half) if geometry.auto_pad == "same_upper" else (total - half, half)


def spatial_extent(geometry: Window | Scatter, spatial: tuple[int, ...]) -> tuple[int, ...]:
    """Extent of the result along each spatial axis; ONNX Runtime refuses one that is 0."""
    if isinstance(geometry, Window):
        return window_output(geometry, spatial)
    return scatter_extent(geometry, spatial)[0]


def is_countable(geometry: Geometry, shape: tuple[int, ...]) -> bool:
    """Whether an input of this shape, and the vectors it gives, stay within `MOST_COUNTED`."""
    # Python's integers have no end, so the test itself cannot overflow.
    return max(prod(shape), positions(geometry, shape)) <= MOST_COUNTED


def positions(geometry: Geometry, shape: tuple[int, ...]) -> int:
    """How many input vectors an input of this shape gives; axes of Conv are batch, channel, space.

    Raises:
        ValueError: the shape has too few axes.
    """
    if isinstance(geometry, Dense):
        if not shape:
            raise ValueError("a matrix product takes at least one axis")
        # A vector is summed over its only axis, whichever side the matrix stands on.
        axis = -1 if len(shape) == 1 else geometry.contract_axis
        total = 1
        for index, size in enumerate(shape):
            total *= 1 if index - len(shape) == axis else size
        return total // _batch_size(geometry, shape)
    spatial = shape[2:]
    if len(spatial) != len(geometry.kernel):
        raise ValueError(f"expected {len(geometry.kernel) + 2} axes, found {len(shape)}")
    extent = window_output(geometry, spatial) if isinstance(geometry, Window) else spatial
    total = shape[0]
    for size in extent:
        total *= size
    return total


def stackable(geometry: Dense, shape: Shape) -> bool:
    """Whether the leading axes of an input of this shape meet those of a stack of matrices."""
    pairs = zip(reversed(shape[:-2]), reversed(geometry.batch), strict=False)
    return all(
        # An open axis may turn out to fit.
        have == want or 1 in (have, want) or not isinstance(have, int)
        for have, want in pairs
    )


def _batch_size(geometry: Dense, shape: tuple[int, ...]) -> int:
    """Product of the input's axes that line up with a stack of matrices."""
    divisor = 1
    lead = shape[:-2]
    for offset in range(1, min(len(lead), len(geometry.batch)) + 1):
        # These axes became groups of the layer: a vector of each is not one more position.
        divisor *= lead[-offset] if geometry.batch[-offset] != 1 else 1
    return max(1, divisor)
