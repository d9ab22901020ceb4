"""Small random networks: every matrix operator, in every notation, between common operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from xbarc.numerics.types import AnyArray

OPSETS = (13, 15, 17, 18, 19, 21, 22)
DOMAINS = {"com.microsoft": 1, "qonnx.custom_op.general": 1}


@dataclass(eq=False)
class Net:
    """A graph under construction: one value at its end, whose shape is known.

    Attributes:
        shape: of the value, batch first.
    """

    rng: np.random.Generator
    opset: int
    value: str
    shape: tuple[int, ...]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: list[TensorProto] = field(default_factory=list)

    def const(self, array: Any, kind: type | None = None) -> str:
        """A new initialiser."""
        name = f"c{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.asarray(array, kind), name))
        return name

    def real(self, *shape: int) -> AnyArray:
        """Normal numbers, scaled so that sums stay near one."""
        size = max(1, int(np.prod(shape[1:]))) if len(shape) > 1 else 1
        array: AnyArray = (self.rng.normal(size=shape) / np.sqrt(size)).astype(np.float32)
        return array

    def add(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """A new node; gives the name of its first output."""
        names = [f"v{len(self.nodes)}_{index}" for index in range(outputs)]
        domain = attributes.pop("domain", "")
        name = f"{operator}_{len(self.nodes)}" if self.rng.random() < 0.8 else ""
        node = helper.make_node(operator, inputs, names, name=name, domain=domain, **attributes)
        self.nodes.append(node)
        return names[0]

    def become(self, value: str, shape: tuple[int, ...] | None = None) -> None:
        """Go on from this value."""
        self.value = value
        self.shape = self.shape if shape is None else shape

    def pick(self, *options: Any) -> Any:
        """One of the options."""
        return options[int(self.rng.integers(len(options)))]


def draw_net(rng: np.random.Generator) -> onnx.ModelProto:
    """A random network of one to five operators, one of them at least with a matrix."""
    shape = _STARTS[int(rng.integers(len(_STARTS)))](rng)
    net = Net(rng, OPSETS[int(rng.integers(len(OPSETS)))], "x", shape)
    start = shape
    places = rng.integers(1, 6)
    for place in range(places):
        table = MATRICES if place == 0 or rng.random() < 0.4 else BETWEEN
        table[int(rng.integers(len(table)))](net)
    open_batch = rng.random() < 0.7
    dims: list[int | str] = ["N" if open_batch else start[0], *start[1:]]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)]
    graph = helper.make_graph(
        net.nodes, "net", inputs, [onnx.ValueInfoProto(name=net.value)], net.tensors
    )
    opsets = [helper.make_opsetid("", net.opset)]
    opsets += [helper.make_opsetid(domain, version) for domain, version in DOMAINS.items()]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _size(rng: np.random.Generator, low: int, high: int) -> int:
    return int(rng.integers(low, high + 1))


_STARTS: tuple[Callable[[np.random.Generator], tuple[int, ...]], ...] = (
    lambda rng: (_size(rng, 1, 3), _size(rng, 1, 9)),
    lambda rng: (_size(rng, 1, 2), _size(rng, 1, 5), _size(rng, 1, 9)),
    lambda rng: (_size(rng, 1, 2), _size(rng, 1, 4), _size(rng, 3, 8), _size(rng, 3, 8)),
    lambda rng: (_size(rng, 1, 2), _size(rng, 1, 4), _size(rng, 3, 8), _size(rng, 3, 8)),
)


def _codes(net: Net, array: AnyArray, axis: int | None) -> tuple[AnyArray, AnyArray, AnyArray]:
    """Integers, scales and zero points of weights, for a tensor or along an axis."""
    kind = net.pick(np.int8, np.uint8)
    rest = None if axis is None else tuple(a for a in range(array.ndim) if a != axis)
    peak = np.abs(array).max(axis=rest, initial=1e-6)
    scale = np.asarray(peak / 127, np.float32)
    zero = np.full(scale.shape, 0 if kind is np.int8 else 128, kind)
    spread = (
        (1,) * array.ndim
        if axis is None
        else tuple(-1 if a == axis else 1 for a in range(array.ndim))
    )
    whole = np.rint(array / scale.reshape(spread)) + zero.reshape(spread).astype(np.int32)
    limits = np.iinfo(kind)
    return np.clip(whole, limits.min, limits.max).astype(kind), scale, zero


def _weight(net: Net, array: AnyArray, axis: int) -> str:
    """A constant matrix in one of the notations that real operators take."""
    form = net.pick("plain", "plain", "dq", "dq", "quant", "cast", "identity", "half")
    if form == "dq":
        along = axis if net.rng.random() < 0.5 else None
        codes, scale, zero = _codes(net, array, along)
        inputs = [net.const(codes), net.const(scale), net.const(zero)]
        attributes = {} if along is None else {"axis": along}
        return net.add("DequantizeLinear", *inputs, **attributes)
    if form == "quant":
        inputs = [net.const(x, np.float32) for x in (array, np.abs(array).max() / 7 + 1e-6, 0, 4)]
        return net.add("Quant", *inputs, domain="qonnx.custom_op.general", signed=1, narrow=1)
    if form == "cast":
        codes, scale, _ = _codes(net, array, None)
        real = net.add("Cast", net.const(codes.astype(np.int8)), to=TensorProto.FLOAT)
        return net.add("Mul", real, net.const(scale))
    if form == "half":
        return net.add("Cast", net.const(array, np.float16), to=TensorProto.FLOAT)
    return net.add("Identity", net.const(array)) if form == "identity" else net.const(array)


def _fake_quantised(net: Net) -> None:
    """QuantizeLinear and DequantizeLinear of the value."""
    kind = net.pick(np.int8, np.uint8)
    scale, zero = net.const(0.03, np.float32), net.const(0 if kind is np.int8 else 120, kind)
    codes = net.add("QuantizeLinear", net.value, scale, zero)
    net.become(net.add("DequantizeLinear", codes, scale, zero))


def _image(net: Net) -> None:
    """Give the value at least one axis behind batch and channel."""
    if len(net.shape) >= 3:
        return
    shape = (net.shape[0], 1, net.shape[1])
    net.become(net.add("Reshape", net.value, net.const([-1, 1, shape[2]], np.int64)), shape)


def _window(net: Net) -> tuple[list[int], dict[str, Any], list[int]]:
    """A kernel that fits, attributes, and the sizes that come out."""
    sizes = net.shape[2:]
    kernel = [_size(net.rng, 1, min(3, size)) for size in sizes]
    strides = [_size(net.rng, 1, 2) for _ in sizes]
    pads = [_size(net.rng, 0, edge - 1) for edge in (*kernel, *kernel)]
    out = [
        (size + pads[axis] + pads[axis + len(sizes)] - kernel[axis]) // strides[axis] + 1
        for axis, size in enumerate(sizes)
    ]
    return kernel, {"strides": strides, "pads": pads}, out


def _conv(net: Net) -> None:
    _image(net)
    batch, channels = net.shape[:2]
    kernel, attributes, out = _window(net)
    group = channels if net.rng.random() < 0.25 else 1
    outputs = group * _size(net.rng, 1, 4)
    weight = _weight(net, net.real(outputs, channels // group, *kernel), 0)
    inputs = [net.value, weight]
    if net.rng.random() < 0.5:
        inputs.append(net.const(net.real(outputs)))
    name = net.add("Conv", *inputs, group=group, kernel_shape=kernel, **attributes)
    net.become(name, (batch, outputs, *out))


def _conv_transpose(net: Net) -> None:
    _image(net)
    batch, channels, *sizes = net.shape
    kernel = [_size(net.rng, 1, 3) for _ in sizes]
    strides = [_size(net.rng, 1, 2) for _ in sizes]
    outputs = _size(net.rng, 1, 3)
    weight = _weight(net, net.real(channels, outputs, *kernel), 1)
    name = net.add("ConvTranspose", net.value, weight, strides=strides)
    out = [(n - 1) * s + k for n, s, k in zip(sizes, strides, kernel, strict=True)]
    net.become(name, (batch, outputs, *out))


def _gemm(net: Net) -> None:
    if len(net.shape) != 2:
        _flatten(net)
    rows, outputs = net.shape[1], _size(net.rng, 1, 6)
    turned = bool(net.rng.random() < 0.5)
    matrix = net.real(outputs, rows) if turned else net.real(rows, outputs)
    weight = _weight(net, matrix, 0 if turned else 1)
    addend = net.pick((), (1,), (outputs,), (1, outputs))
    inputs = [net.value, weight, net.const(net.real(*addend))]
    inputs = inputs[: net.pick(2, 3, 3)]
    alpha, beta = float(net.pick(1.0, 1.0, 0.5)), float(net.pick(1.0, 1.0, -2.0))
    name = net.add("Gemm", *inputs, transB=int(turned), alpha=alpha, beta=beta)
    net.become(name, (net.shape[0], outputs))


def _matmul(net: Net) -> None:
    rows, outputs = net.shape[-1], _size(net.rng, 1, 6)
    if len(net.shape) > 2 and net.rng.random() < 0.3:
        rows = net.shape[-2]
        name = net.add("MatMul", _weight(net, net.real(outputs, rows), 0), net.value)
        net.become(name, (*net.shape[:-2], outputs, net.shape[-1]))
        return
    name = net.add("MatMul", net.value, _weight(net, net.real(rows, outputs), 1))
    net.become(name, (*net.shape[:-1], outputs))


def _dynamic_product(net: Net) -> None:
    """DynamicQuantizeLinear, MatMulInteger or ConvInteger, and the scales behind."""
    image = len(net.shape) > 2 and net.rng.random() < 0.5
    outputs = _size(net.rng, 1, 5)
    codes = net.add("DynamicQuantizeLinear", net.value, outputs=3)
    step, point = codes[:-1] + "1", codes[:-1] + "2"
    if image:
        array = net.real(outputs, net.shape[1], *(1 for _ in net.shape[2:]))
        shape = (net.shape[0], outputs, *net.shape[2:])
    else:
        array = net.real(net.shape[-1], outputs)
        shape = (*net.shape[:-1], outputs)
    whole, scale, zero = _codes(net, array, None)
    operator = "ConvInteger" if image else "MatMulInteger"
    total = net.add(operator, codes, net.const(whole), point, net.const(zero))
    real = net.add("Cast", total, to=TensorProto.FLOAT)
    factor = net.add("Mul", step, net.const(scale))
    net.become(net.add("Mul", real, factor), shape)


def _qlinear_product(net: Net) -> None:
    """QLinearMatMul between quantisers."""
    outputs = _size(net.rng, 1, 5)
    whole, scale, zero = _codes(net, net.real(net.shape[-1], outputs), None)
    step = net.const(0.03, np.float32)
    kind = net.pick(np.int8, np.uint8) if whole.dtype == np.int8 else np.uint8
    point = net.const(3 if kind is np.int8 else 128, kind)
    codes = net.add("QuantizeLinear", net.value, step, point)
    inputs = [codes, step, point, net.const(whole), net.const(scale), net.const(zero), step, point]
    result = net.add("QLinearMatMul", *inputs)
    net.become(net.add("DequantizeLinear", result, step, point), (*net.shape[:-1], outputs))


def _qlinear_conv(net: Net) -> None:
    """QLinearConv between quantisers."""
    _image(net)
    kernel, attributes, out = _window(net)
    outputs = _size(net.rng, 1, 4)
    whole, scale, zero = _codes(net, net.real(outputs, net.shape[1], *kernel), None)
    step, point = net.const(0.03, np.float32), net.const(128, np.uint8)
    codes = net.add("QuantizeLinear", net.value, step, point)
    inputs = [codes, step, point, net.const(whole), net.const(scale), net.const(zero), step, point]
    inputs.append(net.const(net.rng.integers(-500, 500, outputs), np.int32))
    result = net.add("QLinearConv", *inputs, kernel_shape=kernel, **attributes)
    real = net.add("DequantizeLinear", result, step, point)
    net.become(real, (net.shape[0], outputs, *out))


def _qdq_product(net: Net) -> None:
    """A real operator between fake quantisers."""
    _fake_quantised(net)
    net.pick(_conv, _gemm, _matmul)(net)
    _fake_quantised(net)


def _binary(net: Net) -> None:
    """Signs times signs."""
    outputs = _size(net.rng, 1, 5)
    signs = np.where(net.rng.random((net.shape[-1], outputs)) < 0.5, -1, 1)
    product = net.add("MatMul", net.add("Sign", net.value), net.const(signs, np.float32))
    net.become(product, (*net.shape[:-1], outputs))


def _flatten(net: Net) -> None:
    shape = (net.shape[0], int(np.prod(net.shape[1:])))
    net.become(net.add("Flatten", net.value), shape)


def _activation(net: Net) -> None:
    kind = net.pick("Relu", "Sigmoid", "Tanh", "LeakyRelu", "Neg", "Abs", "Identity", "HardSigmoid")
    net.become(net.add(kind, net.value))


def _clip(net: Net) -> None:
    low, high = net.const(net.pick(0, -1), np.float32), net.const(net.pick(1, 6), np.float32)
    net.become(net.add("Clip", net.value, low, high))


def _constant_beside(net: Net) -> None:
    rank = _size(net.rng, 0, len(net.shape))
    shape = tuple(1 if net.rng.random() < 0.5 else n for n in net.shape[1:][-rank:]) if rank else ()
    operator = net.pick("Add", "Sub", "Mul", "Div", "Min", "Max")
    array = net.real(*shape)
    array = np.where(np.abs(array) < 0.1, 0.5, array)
    net.become(net.add(operator, net.value, net.const(array, np.float32)))


def _batch_normalization(net: Net) -> None:
    size = net.shape[1]
    tensors = [net.real(size), net.real(size), net.real(size), np.abs(net.real(size)) + 0.1]
    inputs = [net.const(array, np.float32) for array in tensors]
    net.become(net.add("BatchNormalization", net.value, *inputs))


def _pool(net: Net) -> None:
    _image(net)
    kernel, attributes, out = _window(net)
    operator = net.pick("MaxPool", "AveragePool")
    name = net.add(operator, net.value, kernel_shape=kernel, **attributes)
    net.become(name, (*net.shape[:2], *out))


def _global_pool(net: Net) -> None:
    _image(net)
    ones = (1,) * (len(net.shape) - 2)
    net.become(net.add("GlobalAveragePool", net.value), (*net.shape[:2], *ones))


def _transpose(net: Net) -> None:
    order = [0, *(1 + net.rng.permutation(len(net.shape) - 1))]
    name = net.add("Transpose", net.value, perm=[int(axis) for axis in order])
    net.become(name, tuple(net.shape[axis] for axis in order))


def _softmax(net: Net) -> None:
    net.become(net.add("Softmax", net.value, axis=-1))


def _concat(net: Net) -> None:
    axis = len(net.shape) - 1
    other = net.add("Relu", net.value)
    shape = (*net.shape[:axis], 2 * net.shape[axis])
    net.become(net.add("Concat", net.value, other, axis=axis), shape)


def _residual(net: Net) -> None:
    start, shape = net.value, net.shape
    width = shape[-1]
    value = net.add("MatMul", start, net.const(net.real(width, width)))
    net.become(net.add("Add", value, start))


def _slice(net: Net) -> None:
    axis = len(net.shape) - 1
    ends = _size(net.rng, 1, net.shape[axis])
    inputs = [net.const([number], np.int64) for number in (0, ends, axis)]
    net.become(net.add("Slice", net.value, *inputs), (*net.shape[:axis], ends))


def _pad(net: Net) -> None:
    rank = len(net.shape)
    pads = [0] * (2 * rank)
    pads[rank - 1], pads[-1] = _size(net.rng, 0, 2), _size(net.rng, 0, 2)
    shape = (*net.shape[:-1], net.shape[-1] + pads[rank - 1] + pads[-1])
    net.become(net.add("Pad", net.value, net.const(pads, np.int64)), shape)


Step = Callable[[Net], None]
MATRICES: tuple[Step, ...] = (
    _conv,
    _conv,
    _conv_transpose,
    _gemm,
    _gemm,
    _matmul,
    _matmul,
    _dynamic_product,
    _qlinear_product,
    _qlinear_conv,
    _qdq_product,
    _qdq_product,
    _binary,
)
BETWEEN: tuple[Step, ...] = (
    _activation,
    _activation,
    _clip,
    _constant_beside,
    _constant_beside,
    _batch_normalization,
    _pool,
    _global_pool,
    _transpose,
    _softmax,
    _concat,
    _residual,
    _slice,
    _pad,
    _flatten,
    _fake_quantised,
)
