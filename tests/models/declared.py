"""Small models with declared integers, in many notations, on which ONNX Runtime is exact.

Scales are powers of two and sums stay below 2**24, so that float32 holds every sum as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from xbarc.numerics.types import AnyArray

Rng = np.random.Generator

NOTATIONS = ("qdq", "microsoft", "cast", "integer", "qlinear", "weights-only", "blocked")
KINDS = ("matmul", "left", "gemm", "conv", "grouped", "transposed")
BETWEEN = (
    *("nothing", "relu", "pad", "concat", "clip", "average", "two-scales", "maxpool"),
    *("sum", "leaky", "half", "whole"),
)
_RANGES = {
    "uint8": (0, 255),
    "int8": (-128, 127),
    "int16": (-300, 300),
    "uint16": (0, 300),
    "int4": (-8, 7),
    "uint4": (0, 15),
}


@dataclass(frozen=True)
class Case:
    """A model to be.

    Attributes:
        chained: weights are differences of cells, shuffled and negated.
    """

    notation: str
    kind: str
    between: str
    x_type: str
    w_type: str
    per_channel: bool
    zero: bool
    chained: bool
    seed: int


def draw(seed: int) -> Case:
    """A case at random; the same for a seed."""
    rng = np.random.default_rng(seed)

    def one(options: tuple[str, ...]) -> str:
        return str(options[rng.integers(len(options))])

    notation = one(NOTATIONS)
    narrow = notation in ("integer", "qlinear")
    between = "nothing" if narrow or rng.random() < 0.4 else one(BETWEEN)
    return Case(
        notation,
        one(KINDS) if not narrow else one(("matmul", "conv")),
        between,
        one(("uint8", "int8")) if narrow else one(("uint8", "int8", "uint16", "int16")),
        "int8" if narrow else one(tuple(_RANGES)),
        bool(rng.random() < 0.5),
        bool(rng.random() < 0.4),
        bool(rng.random() < 0.3),
        seed,
    )


class _Builder:
    """Nodes and constants of a model."""

    def __init__(self, case: Case) -> None:
        self.case, self.rng = case, np.random.default_rng(case.seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        found = helper.make_node(operator, inputs, [name], domain=domain, **attributes)
        self.nodes.append(found)
        return name

    def constant(self, array: Any, kind: str = "") -> str:
        name = f"c{len(self.constants)}"
        values = np.asarray(array)
        if kind.endswith("4"):
            code = getattr(TensorProto, kind.upper())
            tensor = helper.make_tensor(name, code, values.shape, values.reshape(-1).tolist())
        else:
            tensor = numpy_helper.from_array(values.astype(kind) if kind else values, name)
        self.constants.append(tensor)
        return name

    def linear(self, operator: str, value: str, scale: str, zero: str, **kind: Any) -> str:
        domain = "com.microsoft" if self.case.notation == "microsoft" else ""
        return self.node(operator, value, scale, zero, domain=domain, **kind)

    def input(self) -> str:
        """The activation: integers as they come, or quantised and carried on."""
        case = self.case
        zero = self.constant(3 if case.zero else 0, case.x_type)
        scale = self.constant(np.float32(0.25))
        if case.notation == "weights-only":
            return "x"
        if case.notation == "cast":
            kind = getattr(TensorProto, case.x_type.upper())
            codes = self.node("Cast", "x", to=kind)
            return self.between(self.node("Cast", codes, to=TensorProto.FLOAT), codes, scale, zero)
        codes = self.linear("QuantizeLinear", "x", scale, zero)
        if case.notation in ("integer", "qlinear"):
            self.zero, self.scale = zero, scale
            return codes
        return self.between(self.linear("DequantizeLinear", codes, scale, zero), codes, scale, zero)

    def between(self, value: str, codes: str, scale: str, zero: str) -> str:
        """An operator between the declaration and the layer."""
        del scale
        dense = self.case.kind in ("matmul", "left", "gemm")
        between = self.case.between
        if between == "clip":
            low, high = (self.constant(np.float32(n)) for n in (-1.25, 4.5))
            return self.node("Clip", value, low, high)
        if between == "two-scales":
            half = self.constant(np.float32(0.5))
            return self.node("Max", value, self.linear("DequantizeLinear", codes, half, zero))
        if between in ("relu", "sum", "leaky", "half", "whole"):
            return self._pointwise(value)
        if between in ("pad", "concat"):
            return self._longer(value, dense=dense)
        if dense or between == "nothing":
            return value
        operator = "AveragePool" if between == "average" else "MaxPool"
        return self.node(operator, value, kernel_shape=[2, 2])

    def _pointwise(self, value: str) -> str:
        """Numbers that are not declared to be integers, behind all but Relu."""
        between = self.case.between
        if between == "relu":
            return self.node("Relu", value)
        if between == "sum":
            return self.node("Add", value, value)
        if between == "leaky":
            return self.node("LeakyRelu", value, alpha=0.125)
        to = TensorProto.FLOAT16 if between == "half" else TensorProto.INT32
        return self.node("Cast", self.node("Cast", value, to=to), to=TensorProto.FLOAT)

    def _longer(self, value: str, *, dense: bool) -> str:
        """Padded or joined with itself, and cut to its size where a matrix asks for it."""
        if self.case.between == "concat":
            whole = self.node("Concat", value, value, axis=1)
            ends = (6, 18, 1) if dense else (2, 6, 1)
        else:
            pads = np.array([0, 2, 0, 0] if dense else [0, 0, 1, 1, 0, 0, 1, 1])
            whole, ends = self.node("Pad", value, self.constant(pads)), (0, 12, 1)
        if not dense and self.case.between == "pad":
            return whole
        return self.node("Slice", whole, *(self.constant(np.array([end])) for end in ends))

    def integers(self, shape: tuple[int, ...], outputs: int) -> AnyArray:
        """Weights; axis `outputs` is that of the outputs."""
        low, high = _RANGES[self.case.w_type]
        if not self.case.chained:
            values = self.rng.integers(low, high + 1, shape)
            values.reshape(-1)[:2] = low, high
            return values
        count = shape[outputs]
        rest = int(np.prod(shape)) // count
        cells = self.rng.integers(0, 2, (count + 1, rest))
        flat = (cells[:-1] - cells[1:])[self.rng.permutation(count)]
        flat *= self.rng.choice([-1, 1], (count, 1))
        moved = (count, *(n for axis, n in enumerate(shape) if axis != outputs))
        return np.moveaxis(flat.reshape(moved), 0, outputs) + (0 if low < 0 else 1)

    def powers(self, shape: tuple[int, ...]) -> AnyArray:
        """Scales."""
        return np.exp2(self.rng.integers(-3, 2, shape).astype(np.float64))

    def weights(self, shape: tuple[int, ...], outputs: int, summed: int) -> str:
        """The constant operand as the notation spells it."""
        case = self.case
        values = self.integers(shape, outputs)
        count = shape[outputs]
        powers = self.powers((count,) if case.per_channel else ())
        zero = 1 if case.chained and case.w_type.startswith("u") else 2 * case.zero
        if case.notation == "cast":
            spread = [1] * len(shape)
            spread[outputs] = -1 if case.per_channel else 1
            real = self.node("Cast", self.constant(values, case.w_type), to=TensorProto.FLOAT)
            if zero:
                real = self.node("Sub", real, self.constant(np.float32(zero)))
            scale = self.constant(powers.reshape(spread).astype(np.float32))
            return self.node("Mul", real, scale)
        codes = self.constant(values, case.w_type)
        if case.notation == "blocked" and shape[summed] % 2 == 0:
            blocks = [*shape]
            blocks[summed] //= 2
            scales = self.constant(self.powers(tuple(blocks)).astype(np.float32))
            zeros = self.constant(np.full(blocks, zero), case.w_type)
            return self.node("DequantizeLinear", codes, scales, zeros, axis=summed, block_size=2)
        scale = self.constant(powers.astype(np.float32))
        zeros = self.constant(np.full(powers.shape, zero), case.w_type)
        kind = {"axis": outputs} if case.per_channel else {}
        return self.linear("DequantizeLinear", codes, scale, zeros, **kind)


def build(case: Case) -> tuple[onnx.ModelProto, dict[str, AnyArray]]:
    """The model and inputs for it."""
    make = _Builder(case)
    dense = case.kind in ("matmul", "left", "gemm")
    shape = (12, 12) if case.kind == "left" else (5, 12) if dense else (2, 4, 5, 5)
    value = make.input()
    result = {"integer": _integer, "qlinear": _qlinear}.get(case.notation, _real)(make, value)
    x: AnyArray = make.rng.integers(-10, 11, shape) * 0.25
    if case.notation == "cast":
        x = make.rng.integers(0, 100, shape)
    graph = helper.make_graph(
        make.nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [onnx.ValueInfoProto(name=result)],
        make.constants,
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10), {
        "x": x.astype(np.float32)
    }


def _real(make: _Builder, value: str) -> str:
    match make.case.kind:
        case "matmul":
            return make.node("MatMul", value, make.weights((12, 9), 1, 0))
        case "left":
            return make.node("MatMul", make.weights((9, 12), 0, 1), value)
        case "gemm":
            return make.node("Gemm", value, make.weights((9, 12), 0, 1), transB=1)
        case "grouped":
            return make.node("Conv", value, make.weights((6, 2, 2, 2), 0, 1), group=2)
        case "transposed":
            return make.node("ConvTranspose", value, make.weights((4, 5, 2, 2), 1, 0))
        case _:
            pass
    return make.node("Conv", value, make.weights((6, 4, 2, 2), 0, 1), pads=[1, 1, 0, 0])


def _integer(make: _Builder, value: str) -> str:
    if make.case.kind == "matmul":
        weights = make.constant(make.integers((12, 9), 1), make.case.w_type)
        return make.node("MatMulInteger", value, weights, make.zero)
    weights = make.constant(make.integers((6, 4, 2, 2), 0), make.case.w_type)
    return make.node("ConvInteger", value, weights, make.zero)


def _qlinear(make: _Builder, value: str) -> str:
    case = make.case
    dense = case.kind == "matmul"
    shape, axis = ((12, 9), 1) if dense else ((6, 4, 2, 2), 0)
    powers = make.powers((shape[axis],) if case.per_channel else ())
    weights = make.constant(make.integers(shape, axis), case.w_type)
    scale = make.constant(powers.astype(np.float32))
    zeros = make.constant(np.zeros(powers.shape), case.w_type)
    rest = (make.constant(np.float32(4)), make.constant(0, case.x_type))
    operator = "QLinearMatMul" if dense else "QLinearConv"
    return make.node(operator, value, make.scale, make.zero, weights, scale, zeros, *rest)
