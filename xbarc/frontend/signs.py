"""Which values cannot be below zero, by the structure of the graph alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import onnx_ir as ir

from xbarc.frontend.constants import Constants

_ALWAYS = frozenset(
    [
        "Relu",
        "Sigmoid",
        "Softmax",
        "HardSigmoid",
        "Abs",
        "Exp",
        "Sqrt",
        "Softplus",
        "ReduceL1",
        "ReduceL2",
        "ReduceSumSquare",
        "Shape",
        "Size",
        "NonZero",
        "OneHot",
    ]
)
_FIRST = frozenset(
    [
        "MaxPool",
        "AveragePool",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "Reshape",
        "Flatten",
        "Split",
        "Transpose",
        "Dropout",
        "Identity",
        "Squeeze",
        "Unsqueeze",
        "Slice",
        "Gather",
        "Expand",
        "Tile",
        "DepthToSpace",
        "SpaceToDepth",
        "ReduceMean",
        "ReduceSum",
        "ReduceMax",
        "LRN",
    ]
)
_ALL = frozenset(["Concat", "Add", "Mul", "Sum", "Max", "Min", "Mean", "Div"])
_SMALL = 1 << 16


def nonnegative_values(nodes: Iterable[ir.Node], constants: Constants) -> set[ir.Value]:
    """Values proven to hold no number below zero; nodes come in execution order."""
    found: set[ir.Value] = set()

    def proven(value: ir.Value | None) -> bool:
        return value is not None and (value in found or _positive_constant(value, constants))

    for node in nodes:
        if node.domain == "" and _keeps(node, proven, constants):
            found.update(node.outputs)
    return found


def _keeps(node: ir.Node, proven: Callable[[ir.Value | None], bool], constants: Constants) -> bool:
    kind = node.op_type
    if kind in _ALWAYS:
        return True
    if kind in _FIRST:
        return proven(node.inputs[0])
    if kind == "Max":
        return any(proven(value) for value in node.inputs)
    if kind in _ALL:
        return all(proven(value) for value in node.inputs)
    if kind == "Clip":
        return proven(node.inputs[0]) or _clips_below_zero(node, constants)
    return False


def _clips_below_zero(node: ir.Node, constants: Constants) -> bool:
    if "min" in node.attributes:
        return node.attributes["min"].as_float() >= 0
    return len(node.inputs) > 1 and _positive_constant(node.inputs[1], constants)


def _positive_constant(value: ir.Value | None, constants: Constants) -> bool:
    if value is None or not constants.holds(value) or constants.dtype(value) is None:
        return False
    if not all(constants.shape(value)) or np.prod(constants.shape(value), dtype=object) > _SMALL:
        return False
    array = constants.load(value)
    return array.dtype.kind in "fiu" and bool(np.all(array >= 0))
