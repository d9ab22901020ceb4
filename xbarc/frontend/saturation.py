"""Keeping ONNX Runtime exact where an integer product stays digital.

On x86 CPUs without VNNI its uint8 x int8 kernels add pairs of products in 16 bits and saturate; no
session option helps while graph optimisations are off. The same product with both operands as
uint8 is exact, so int8 operands on the right move up by 128, and their zero points with them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx_ir as ir

from xbarc.frontend.emit import name_of
from xbarc.frontend.scene import argument
from xbarc.frontend.views import Views
from xbarc.numerics.types import AnyArray

_PLACES = {
    "MatMulInteger": (1, 3),
    "ConvInteger": (1, 3),
    "QLinearMatMul": (3, 5),
    "QLinearConv": (3, 5),
}
"""Where the right operand and its zero point stand."""


def widen_products(nodes: Iterable[ir.Node], views: Views) -> None:
    """Rewrite uint8 x int8 products among nodes that stay digital."""
    for node in nodes:
        if node.op_type in _PLACES and node.domain == "" and _saturates(node, views):
            _widen(node, views)


def _saturates(node: ir.Node, views: Views) -> bool:
    right = argument(node, _PLACES[node.op_type][0])
    kinds = (views.element_type(argument(node, 0)), views.element_type(right))
    return kinds == (ir.DataType.UINT8, ir.DataType.INT8)


def _widen(node: ir.Node, views: Views) -> None:
    for index in _PLACES[node.op_type]:
        value = argument(node, index)
        if value is None:
            value = _constant(node, index, np.zeros((), np.int8), views)
        if len(node.inputs) <= index:
            node.resize_inputs(index + 1)
        node.replace_input_with(index, _raised(node, index, value, views))


def _raised(node: ir.Node, index: int, value: ir.Value, views: Views) -> ir.Value:
    offset = _constant(node, index, np.asarray(128, np.int32), views)
    name = f"{name_of(node.outputs[0])}/{index}"
    wide = _cast(node, value, ir.DataType.INT32, f"{name}/wide", views)
    added = ir.Node("", "Add", [wide, offset], name=f"{name}/moved")
    moved = _insert(node, added, f"{name}/moved", views)
    return _cast(node, moved, ir.DataType.UINT8, f"{name}/unsigned", views)


def _constant(node: ir.Node, index: int, array: AnyArray, views: Views) -> ir.Value:
    name = f"{name_of(node.outputs[0])}/{array.dtype}{index}"
    attribute = ir.AttrTensor("value", ir.tensor(np.asarray(array), name=name))
    return _insert(node, ir.Node("", "Constant", [], [attribute], name=name), name, views)


def _cast(node: ir.Node, value: ir.Value, to: ir.DataType, name: str, views: Views) -> ir.Value:
    added = ir.Node("", "Cast", [value], [ir.AttrInt64("to", to.value)], name=name)
    return _insert(node, added, name, views)


def _insert(node: ir.Node, added: ir.Node, name: str, views: Views) -> ir.Value:
    added.outputs[0].name = name
    views.graph.insert_before(node, added)
    views.constants.note([added])
    return added.outputs[0]
