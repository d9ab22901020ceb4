"""ONNX operators in torch's functions, the same up to rounding, so that they have a gradient.

To add one, write its function, name it in `OPERATORS`, and add an example to
`tests/train/test_digital.py`, which holds it equal to ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from math import prod
from typing import Any, cast

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor
from torch.nn import functional

from xbarc.errors import UnsupportedError
from xbarc.train.inputs import straight_through

Inputs = Sequence[Tensor]
Attributes = Mapping[str, Any]
Operator = Callable[[Inputs, Attributes], Tensor | tuple[Tensor, ...]]

ABSENT = torch.empty(0)
"""Stands for an optional input that a node leaves out."""


def read_tensor(item: onnx.TensorProto, where: str) -> Tensor:
    """A constant of a model.

    Raises:
        UnsupportedError: torch has no numbers of its type.
    """
    try:
        return torch.from_numpy(numpy_helper.to_array(item).copy())
    except TypeError as error:
        kind = onnx.TensorProto.DataType.Name(item.data_type)
        raise UnsupportedError(
            f"training has no numbers of type {kind}", where=f"{where}: {item.name}"
        ) from error


def _plain(function: Callable[..., Tensor]) -> Operator:
    return lambda inputs, _: function(*inputs)


def _optional(inputs: Inputs, place: int) -> Tensor | None:
    """An optional input; None where the node leaves it out."""
    if place >= len(inputs) or inputs[place] is ABSENT:
        return None
    return inputs[place]


def _numbers(tensor: Tensor) -> list[int]:
    return [int(value) for value in tensor.reshape(-1).tolist()]


def _clip(inputs: Inputs, attributes: Attributes) -> Tensor:
    low, high = _optional(inputs, 1), _optional(inputs, 2)
    least = attributes.get("min") if low is None else float(low)
    most = attributes.get("max") if high is None else float(high)
    return inputs[0] if least is None and most is None else inputs[0].clamp(least, most)


def _with_border(tensor: Tensor, attributes: Attributes, fill: float) -> Tensor:
    """The tensor with its border, since ONNX's pads may differ at both ends."""
    rank = tensor.ndim - 2
    pads = list(attributes.get("pads", [0] * 2 * rank))
    if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        pads = _same_pads(tensor, attributes)
    flat = [end for axis in reversed(range(rank)) for end in (pads[axis], pads[rank + axis])]
    return functional.pad(tensor, flat, value=fill) if any(flat) else tensor


def _same_pads(tensor: Tensor, attributes: Attributes) -> list[int]:
    kernel = attributes["kernel_shape"]
    strides = attributes.get("strides", [1] * len(kernel))
    begin, end = [], []
    for size, k, stride in zip(tensor.shape[2:], kernel, strides, strict=True):
        total = max(0, (-(-size // stride) - 1) * stride + k - size)
        small = total // 2
        upper = attributes["auto_pad"] == b"SAME_UPPER"
        begin.append(small if upper else total - small)
        end.append(total - small if upper else small)
    return [*begin, *end]


_MAX_POOLS = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
_MEAN_POOLS: dict[int, Callable[..., Tensor]] = {
    1: functional.avg_pool1d,
    2: functional.avg_pool2d,
    3: functional.avg_pool3d,
}


def _max_pool(inputs: Inputs, attributes: Attributes) -> Tensor:
    tensor = _with_border(inputs[0], attributes, float("-inf"))
    kernel = list(attributes["kernel_shape"])
    result = _MAX_POOLS[len(kernel)](
        tensor,
        kernel,
        stride=list(attributes.get("strides", [1] * len(kernel))),
        dilation=list(attributes.get("dilations", [1] * len(kernel))),
        ceil_mode=bool(attributes.get("ceil_mode", 0)),
    )
    return _drop_border_windows(result, inputs[0], attributes)


def _average_pool(inputs: Inputs, attributes: Attributes) -> Tensor:
    kernel = list(attributes["kernel_shape"])
    strides = list(attributes.get("strides", [1] * len(kernel)))
    pool = _MEAN_POOLS[len(kernel)]
    ceil = bool(attributes.get("ceil_mode", 0))
    tensor = _with_border(inputs[0], attributes, 0.0)
    total = pool(tensor, kernel, stride=strides, ceil_mode=ceil)
    if not attributes.get("count_include_pad", 0) and tensor is not inputs[0]:
        ones = _with_border(torch.ones_like(inputs[0][:1, :1]), attributes, 0.0)
        total = total / pool(ones, kernel, stride=strides, ceil_mode=ceil)
    return _drop_border_windows(total, inputs[0], attributes)


def _drop_border_windows(result: Tensor, tensor: Tensor, attributes: Attributes) -> Tensor:
    """Without windows that start in the border behind the tensor, which ONNX leaves out."""
    if not attributes.get("ceil_mode", 0):
        return result
    rank = tensor.ndim - 2
    pads = attributes.get("pads", [0] * rank)
    strides = attributes.get("strides", [1] * rank)
    for axis in range(rank):
        most = -(-(tensor.shape[2 + axis] + pads[axis]) // strides[axis])
        result = result.narrow(2 + axis, 0, min(most, result.shape[2 + axis]))
    return result


def _axes(inputs: Inputs, attributes: Attributes) -> list[int] | None:
    given = _optional(inputs, 1)
    if given is not None:
        return _numbers(given)
    axes = attributes.get("axes")
    return None if axes is None else list(axes)


def _reduce(function: Callable[..., Tensor]) -> Operator:
    def apply(inputs: Inputs, attributes: Attributes) -> Tensor:
        axes = _axes(inputs, attributes)
        if axes is None or not axes:
            if attributes.get("noop_with_empty_axes", 0):
                return inputs[0]
            axes = list(range(inputs[0].ndim))
        return function(inputs[0], axes, bool(attributes.get("keepdims", 1)))

    return apply


def _global(inputs: Inputs, _: Attributes) -> Tensor:
    return inputs[0].mean(list(range(2, inputs[0].ndim)), keepdim=True)


def _flatten(inputs: Inputs, attributes: Attributes) -> Tensor:
    axis = attributes.get("axis", 1)
    axis = axis + inputs[0].ndim if axis < 0 else axis
    # both said: of no samples at all, -1 could be any number
    return inputs[0].reshape(prod(inputs[0].shape[:axis]), prod(inputs[0].shape[axis:]))


def _reshape(inputs: Inputs, attributes: Attributes) -> Tensor:
    wanted = _numbers(inputs[1])
    if not attributes.get("allowzero", 0):
        wanted = [inputs[0].shape[i] if size == 0 else size for i, size in enumerate(wanted)]
    return inputs[0].reshape(wanted)


def _squeeze(inputs: Inputs, attributes: Attributes) -> Tensor:
    axes = _axes(inputs, attributes)
    if axes is None:
        return inputs[0].squeeze()
    return inputs[0].squeeze(tuple(axes))


def _unsqueeze(inputs: Inputs, attributes: Attributes) -> Tensor:
    axes = _axes(inputs, attributes) or []
    rank = inputs[0].ndim + len(axes)
    result = inputs[0]
    for axis in sorted(a % rank for a in axes):
        result = result.unsqueeze(axis)
    return result


def _slice(inputs: Inputs, attributes: Attributes) -> Tensor:
    if len(inputs) > 1:
        starts, ends = _numbers(inputs[1]), _numbers(inputs[2])
        along, by = _optional(inputs, 3), _optional(inputs, 4)
        axes = None if along is None else _numbers(along)
        steps = None if by is None else _numbers(by)
    else:
        starts, ends = list(attributes["starts"]), list(attributes["ends"])
        axes, steps = attributes.get("axes"), None
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    result = inputs[0]
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        size = result.shape[axis]
        index = torch.arange(size, device=result.device)[slice(start, end)]
        if step != 1:
            places = list(range(size))[slice(start, end if end > -size - 1 else None, step)]
            index = torch.tensor(places, device=result.device, dtype=torch.long)
        result = result.index_select(axis, index)
    return result


def _split(inputs: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
    axis = attributes.get("axis", 0)
    sizes = attributes.get("split")
    given = _optional(inputs, 1)
    if given is not None:
        sizes = _numbers(given)
    if sizes is None:
        count = attributes["outputs"]
        whole = inputs[0].shape[axis]
        size = -(-whole // count)
        sizes = [min(size, whole - start) for start in range(0, whole, size)]
    starts = np.cumsum([0, *sizes])[:-1].tolist()
    return tuple(
        inputs[0].narrow(axis, start, size) for start, size in zip(starts, sizes, strict=True)
    )


def _gather(inputs: Inputs, attributes: Attributes) -> Tensor:
    axis = attributes.get("axis", 0) % inputs[0].ndim
    index = inputs[1].long()
    index = torch.where(index < 0, index + inputs[0].shape[axis], index)
    taken = inputs[0].index_select(axis, index.reshape(-1))
    shape = (*inputs[0].shape[:axis], *index.shape, *inputs[0].shape[axis + 1 :])
    return taken.reshape(shape)


# Before this operator set, softmax ran over all axes from `axis` on together.
_SOFTMAX_OF_ONE_AXIS = 13


def _softmax(function: Callable[..., Tensor]) -> Operator:
    def apply(inputs: Inputs, attributes: Attributes) -> Tensor:
        if attributes["opset"] >= _SOFTMAX_OF_ONE_AXIS:
            return function(inputs[0], attributes.get("axis", -1))
        flat = _flatten(inputs, attributes)
        return function(flat, -1).reshape(inputs[0].shape)

    return apply


def _batch_norm(inputs: Inputs, attributes: Attributes) -> Tensor:
    tensor, gain, shift, mean, variance = inputs[:5]
    return functional.batch_norm(
        tensor, mean, variance, gain, shift, False, 0.0, attributes.get("epsilon", 1e-5)
    )


def _layer_norm(inputs: Inputs, attributes: Attributes) -> Tensor:
    axis = attributes.get("axis", -1) % inputs[0].ndim
    shape = list(inputs[0].shape[axis:])
    return functional.layer_norm(
        inputs[0], shape, inputs[1], _optional(inputs, 2), attributes.get("epsilon", 1e-5)
    )


def _instance_norm(inputs: Inputs, attributes: Attributes) -> Tensor:
    """By hand, since torch refuses one place a channel."""
    tensor, gain, shift = inputs
    places, least = list(range(2, tensor.ndim)), float(attributes.get("epsilon", 1e-5))
    apart = tensor - tensor.mean(places, keepdim=True)
    spread = apart.square().mean(places, keepdim=True) + least
    return apart / spread.sqrt() * _along(gain, tensor, {}) + _along(shift, tensor, {})


# Before this operator set, gains and shifts of `GroupNormalization` were a group's.
_GAIN_A_CHANNEL = 21


def _group_norm(inputs: Inputs, attributes: Attributes) -> Tensor:
    tensor, gain, shift = inputs
    groups = attributes["num_groups"]
    if attributes["opset"] < _GAIN_A_CHANNEL:
        gain, shift = (v.repeat_interleave(tensor.shape[1] // groups) for v in (gain, shift))
    return functional.group_norm(tensor, groups, gain, shift, attributes.get("epsilon", 1e-5))


def _index_of(function: Callable[..., Tensor]) -> Operator:
    def apply(inputs: Inputs, attributes: Attributes) -> Tensor:
        axis, last = attributes.get("axis", 0), attributes.get("select_last_index", 0)
        tensor = inputs[0].flip(axis) if last else inputs[0]
        index: Tensor = function(tensor, axis, bool(attributes.get("keepdims", 1)))
        return index.neg() + (inputs[0].shape[axis] - 1) if last else index

    return apply


def _norm(order: int) -> Callable[..., Tensor]:
    return lambda tensor, axes, keep: torch.linalg.vector_norm(tensor, order, axes, keep)


def _square_sum(tensor: Tensor, axes: list[int], keep: bool) -> Tensor:
    return tensor.square().sum(axes, keep)


def _depth_to_space(inputs: Inputs, attributes: Attributes) -> Tensor:
    images, channels, height, width = inputs[0].shape
    size = attributes["blocksize"]
    depth = channels // size**2
    if attributes.get("mode", b"DCR") == b"DCR":
        split = inputs[0].reshape(images, size, size, depth, height, width)
        moved = split.permute(0, 3, 4, 1, 5, 2)
    else:
        split = inputs[0].reshape(images, depth, size, size, height, width)
        moved = split.permute(0, 1, 4, 2, 5, 3)
    return moved.reshape(images, depth, height * size, width * size)


def _space_to_depth(inputs: Inputs, attributes: Attributes) -> Tensor:
    images, channels, height, width = inputs[0].shape
    size = attributes["blocksize"]
    split = inputs[0].reshape(images, channels, height // size, size, width // size, size)
    by_column = attributes.get("mode", b"DCR") == b"DCR"
    moved = split.permute(*(0, 3, 5, 1, 2, 4) if by_column else (0, 1, 3, 5, 2, 4))
    return moved.reshape(images, channels * size**2, height // size, width // size)


def _filled(inputs: Inputs, attributes: Attributes) -> Tensor:
    value = torch.zeros(1)
    if "value" in attributes:
        value = read_tensor(attributes["value"], "ConstantOfShape")
    return value.to(inputs[0].device).reshape(()).expand(_numbers(inputs[0])).clone()


def _thresholded_relu(inputs: Inputs, attributes: Attributes) -> Tensor:
    tensor = inputs[0]
    return torch.where(tensor > attributes.get("alpha", 1.0), tensor, torch.zeros_like(tensor))


# What the standard takes for `Selu` where nothing is said.
_SELU = (1.67326319217681884765625, 1.05070102214813232421875)


def _selu(inputs: Inputs, attributes: Attributes) -> Tensor:
    alpha, gamma = attributes.get("alpha", _SELU[0]), attributes.get("gamma", _SELU[1])
    made: Tensor = gamma * functional.elu(inputs[0], alpha)
    return made


def _sign(inputs: Inputs, _: Attributes) -> Tensor:
    """The gradient of a clamp to -1..1, which binary networks are trained with."""
    return straight_through(inputs[0].clamp(-1.0, 1.0), torch.sign(inputs[0]))


def _straight(function: Callable[[Tensor], Tensor]) -> Operator:
    """A rounding; the gradient goes straight through, since quantisers are spelled out with it."""
    return lambda inputs, _: straight_through(inputs[0], function(inputs[0]))


def _quantize(inputs: Inputs, attributes: Attributes) -> Tensor:
    tensor, scale = inputs[0], inputs[1]
    zero = _optional(inputs, 2)
    kind = torch.uint8 if zero is None else zero.dtype
    info = torch.iinfo(kind)
    scaled = tensor / _along(scale, tensor, attributes)
    shift = torch.zeros(()) if zero is None else _along(zero, tensor, attributes).to(scaled.dtype)
    soft = (scaled + shift).clamp(info.min, info.max)
    return straight_through(soft, (torch.round(scaled) + shift).clamp(info.min, info.max))


def _dequantize(inputs: Inputs, attributes: Attributes) -> Tensor:
    tensor, scale = inputs[0], inputs[1]
    zero = _optional(inputs, 2)
    real = tensor.to(scale.dtype)
    if zero is not None:
        real = real - _along(zero, tensor, attributes).to(scale.dtype)
    return real * _along(scale, tensor, attributes)


def _along(values: Tensor, tensor: Tensor, attributes: Attributes) -> Tensor:
    """Numbers of a channel each, shaped to meet the tensor."""
    if values.numel() == 1:
        return values.reshape(())
    axis = attributes.get("axis", 1) % tensor.ndim
    return values.reshape([-1 if place == axis else 1 for place in range(tensor.ndim)])


def _gemm(inputs: Inputs, attributes: Attributes) -> Tensor:
    left = inputs[0].mT if attributes.get("transA", 0) else inputs[0]
    right = inputs[1].mT if attributes.get("transB", 0) else inputs[1]
    result = (left @ right) * float(attributes.get("alpha", 1.0))
    bias = _optional(inputs, 2)
    return result if bias is None else result + bias * float(attributes.get("beta", 1.0))


_CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {
    1: functional.conv1d,
    2: functional.conv2d,
    3: functional.conv3d,
}


def _conv(inputs: Inputs, attributes: Attributes) -> Tensor:
    weight = inputs[1]
    rank = weight.ndim - 2
    with_kernel = {"kernel_shape": list(weight.shape[2:]), **attributes}
    tensor = _with_border(inputs[0], with_kernel, 0.0)
    return _CONVOLUTIONS[rank](
        tensor,
        weight,
        _optional(inputs, 2),
        stride=list(attributes.get("strides", [1] * rank)),
        dilation=list(attributes.get("dilations", [1] * rank)),
        groups=attributes.get("group", 1),
    )


def _pad(inputs: Inputs, attributes: Attributes) -> Tensor:
    pads = list(attributes["pads"]) if "pads" in attributes else _numbers(inputs[1])
    given = _optional(inputs, 2)
    fill = attributes.get("value", 0.0) if given is None else float(given)
    along = _optional(inputs, 3)
    if along is not None:
        ends = np.zeros((2, inputs[0].ndim), np.int64)
        ends[:, _numbers(along)] = np.reshape(pads, (2, -1))
        pads = ends.ravel().tolist()
    rank = len(pads) // 2
    flat = [end for axis in reversed(range(rank)) for end in (pads[axis], pads[rank + axis])]
    mode = attributes.get("mode", b"constant").decode()
    if mode == "constant":
        return functional.pad(inputs[0], flat, value=fill)
    result = inputs[0]
    for axis in range(rank):  # torch pads by other rules on the last axes only
        result = _border(result, axis, pads[axis], pads[rank + axis], mode)
    return result


def _border(tensor: Tensor, axis: int, before: int, behind: int, mode: str) -> Tensor:
    """One axis continued by its edge, its mirror image or its other end."""
    size = tensor.shape[axis]
    places = torch.arange(-before, size + behind, device=tensor.device)
    if mode == "edge":
        places = places.clamp(0, size - 1)
    elif mode == "wrap":
        places = places % size
    else:
        period = max(1, 2 * (size - 1))
        places = (places % period + period) % period
        places = torch.minimum(places, period - places)
    return tensor.index_select(axis, places)


def _where(test: Tensor, left: Tensor, right: Tensor) -> Tensor:
    return torch.where(test.bool(), left, right)


def _divide(left: Tensor, right: Tensor) -> Tensor:
    whole = not (left.is_floating_point() or right.is_floating_point())
    return torch.div(left, right, rounding_mode="trunc" if whole else None)


def _hard_swish(tensor: Tensor) -> Tensor:
    return functional.hardswish(tensor)


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _transpose(inputs: Inputs, attributes: Attributes) -> Tensor:
    order = attributes.get("perm", list(reversed(range(inputs[0].ndim))))
    return inputs[0].permute(*order)


def _fold(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    def apply(inputs: Inputs, _: Attributes) -> Tensor:
        return reduce(function, inputs)

    return apply


def _constant(_: Inputs, attributes: Attributes) -> Tensor:
    if "value" in attributes:
        return read_tensor(attributes["value"], "Constant")
    given = next(values for name, values in attributes.items() if name.startswith("value_"))
    integer = isinstance(given if not isinstance(given, list) else (given or [0])[0], int)
    return torch.tensor(given, dtype=torch.int64 if integer else torch.float32)


def _cast(inputs: Inputs, attributes: Attributes) -> Tensor:
    kind = onnx.helper.tensor_dtype_to_np_dtype(attributes["to"])
    wanted = torch.from_numpy(np.zeros(0, kind)).dtype
    if inputs[0].requires_grad and not wanted.is_floating_point and wanted != torch.bool:
        soft: Tensor = straight_through(inputs[0], torch.trunc(inputs[0]))
        return soft  # integers stay in floats, which carry the gradient
    return inputs[0].to(wanted)


OPERATORS: dict[str, Operator] = {
    **{
        name: _plain(function)
        for name, function in cast(
            dict[str, Callable[..., Tensor]],
            {
                "Abs": torch.abs,
                "Add": torch.add,
                "And": torch.logical_and,
                "Cos": torch.cos,
                "Div": _divide,
                "Equal": torch.eq,
                "Erf": torch.erf,
                "Exp": torch.exp,
                "Greater": torch.gt,
                "GreaterOrEqual": torch.ge,
                "HardSwish": _hard_swish,
                "Identity": _same,
                "Less": torch.lt,
                "LessOrEqual": torch.le,
                "Log": torch.log,
                "MatMul": torch.matmul,
                "Mish": functional.mish,
                "Mul": torch.mul,
                "Neg": torch.neg,
                "Not": torch.logical_not,
                "Or": torch.logical_or,
                "Pow": torch.pow,
                "Reciprocal": torch.reciprocal,
                "Relu": torch.relu,
                "Sigmoid": torch.sigmoid,
                "Sin": torch.sin,
                "Softplus": functional.softplus,
                "Softsign": functional.softsign,
                "Sqrt": torch.sqrt,
                "Sub": torch.sub,
                "Tanh": torch.tanh,
                "Where": _where,
                "Xor": torch.logical_xor,
            },
        ).items()
    },
    "ArgMax": _index_of(torch.argmax),
    "ArgMin": _index_of(torch.argmin),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Celu": lambda inputs, attributes: functional.celu(inputs[0], attributes.get("alpha", 1.0)),
    "Clip": _clip,
    "Concat": lambda inputs, attributes: torch.cat(list(inputs), attributes["axis"]),
    "Constant": _constant,
    "ConstantOfShape": _filled,
    "Conv": _conv,
    "DepthToSpace": _depth_to_space,
    "DequantizeLinear": _dequantize,
    "Dropout": lambda inputs, _: inputs[0],
    "Einsum": lambda inputs, attributes: torch.einsum(attributes["equation"].decode(), *inputs),
    "Elu": lambda inputs, attributes: functional.elu(inputs[0], attributes.get("alpha", 1.0)),
    "Expand": lambda inputs, _: (
        inputs[0] * torch.ones(_numbers(inputs[1]), dtype=inputs[0].dtype, device=inputs[0].device)
    ),
    "Flatten": _flatten,
    "Gather": _gather,
    "Gelu": lambda inputs, attributes: functional.gelu(
        inputs[0], approximate=attributes.get("approximate", b"none").decode()
    ),
    "Gemm": _gemm,
    "GlobalAveragePool": _global,
    "GlobalMaxPool": lambda inputs, _: inputs[0].amax(list(range(2, inputs[0].ndim)), keepdim=True),
    "GroupNormalization": _group_norm,
    "HardSigmoid": lambda inputs, attributes: (
        attributes.get("alpha", 0.2) * inputs[0] + attributes.get("beta", 0.5)
    ).clamp(0.0, 1.0),
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "LeakyRelu": lambda inputs, attributes: functional.leaky_relu(
        inputs[0], attributes.get("alpha", 0.01)
    ),
    "LogSoftmax": _softmax(torch.log_softmax),
    "Max": _fold(torch.maximum),
    "MaxPool": _max_pool,
    "Min": _fold(torch.minimum),
    "PRelu": lambda inputs, _: torch.where(inputs[0] < 0, inputs[0] * inputs[1], inputs[0]),
    "Pad": _pad,
    "QuantizeLinear": _quantize,
    "ReduceL1": _reduce(_norm(1)),
    "ReduceL2": _reduce(_norm(2)),
    "ReduceMax": _reduce(torch.amax),
    "ReduceMean": _reduce(torch.mean),
    "ReduceMin": _reduce(torch.amin),
    "ReduceSum": _reduce(torch.sum),
    "ReduceSumSquare": _reduce(_square_sum),
    "Reshape": _reshape,
    "Shape": lambda inputs, attributes: torch.tensor(
        inputs[0].shape[attributes.get("start", 0) : attributes.get("end")], dtype=torch.int64
    ),
    "Ceil": _straight(torch.ceil),
    "Floor": _straight(torch.floor),
    "Round": _straight(torch.round),
    "Selu": _selu,
    "Sign": _sign,
    "Slice": _slice,
    "Softmax": _softmax(torch.softmax),
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Squeeze": _squeeze,
    "Sum": _fold(torch.add),
    "ThresholdedRelu": _thresholded_relu,
    "Tile": lambda inputs, _: inputs[0].repeat(_numbers(inputs[1])),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
