"""Keeping ONNX Runtime exact where it multiplies integers.

On x86 CPUs without VNNI its uint8 x int8 kernels add pairs of products in 16 bits and saturate; no
session option helps while graph optimisations are off. The same product with both operands as
uint8 is exact, so int8 operands move up by 128, and their zero points with them. Products of two
int8 tensors are exact as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from xbarc.errors import XbarcError
from xbarc.frontend.graph import (
    element_of,
    emit_whole,
    execution_order,
    inner_nodes,
    name_of,
    parse_type,
)
from xbarc.frontend.layers import argument
from xbarc.frontend.quantised import Views
from xbarc.numerics import AnyArray
from xbarc.runtime import OnnxSession

_Place = tuple[int, int]
"""Where an operand and its zero point stand."""

_Types = Mapping[ir.Value, ir.DataType]


@dataclass(frozen=True)
class _Product:
    """Operands of an integer product.

    Attributes:
        left: the activation; None where it is real and the kernel itself makes it uint8.
        right: the weights.
        swaps: the kernel takes the weights first, so that int8 x uint8 saturates too.
    """

    left: _Place | None
    right: tuple[_Place, ...]
    swaps: bool = False


_CONTRIB = "com.microsoft"
_PRODUCTS = {
    ("", "MatMulInteger"): _Product((0, 2), ((1, 3),)),
    ("", "ConvInteger"): _Product((0, 2), ((1, 3),), swaps=True),
    ("", "QLinearMatMul"): _Product((0, 2), ((3, 5),)),
    ("", "QLinearConv"): _Product((0, 2), ((3, 5),)),
    (_CONTRIB, "QLinearConv"): _Product((0, 2), ((3, 5),)),
    (_CONTRIB, "QGemm"): _Product((0, 2), ((3, 5),)),
    (_CONTRIB, "MatMulIntegerToFloat"): _Product((0, 4), ((1, 5),)),
    (_CONTRIB, "DynamicQuantizeMatMul"): _Product(None, ((1, 3),)),
    (_CONTRIB, "DynamicQuantizeLSTM"): _Product(None, ((1, 9), (2, 11))),
    (_CONTRIB, "QAttention"): _Product((0, 6), ((1, 7),)),
}
_SATURATING = (ir.DataType.UINT8, ir.DataType.INT8)


def widen_products(nodes: Iterable[ir.Node], views: Views) -> bool:
    """Make integer products among these nodes, and in their bodies, exact; say whether any changed.

    No value of the graph changes, nor its name. A product whose element types neither the graph
    nor ONNX Runtime can tell stays as it is.
    """
    found = [
        (inner, _PRODUCTS[inner.op_identifier()[:2]])
        for node in nodes
        for inner in inner_nodes(node)
        if inner.op_identifier()[:2] in _PRODUCTS
    ]
    types = _ask_types(
        [v for node, product in found for v in _operands_without_type(node, product, views)], views
    )
    changed = False
    for node, product in found:
        for place in _operands_to_move(node, product, views, types):
            _widen_operands(node, place, views)
            changed = True
    return changed


def _operands_without_type(node: ir.Node, product: _Product, views: Views) -> Iterator[ir.Value]:
    """Operands whose type the graph does not tell."""
    for place in (*(() if product.left is None else (product.left,)), *product.right):
        value = argument(node, place[0])
        if value is not None and _kind(node, place, views, {}) is None:
            yield value


def _ask_types(values: Sequence[ir.Value], views: Views) -> _Types:
    """What ONNX Runtime says about types of values of the main graph."""
    model = views.constants.model
    names = {name_of(v): v for v in values if v.producer() in set(model.graph)}
    if not names:
        return {}
    try:
        whole = emit_whole(model, execution_order(model.graph), list(names))
        session = OnnxSession(whole, where=name_of(values[0]), threads=1)
    except XbarcError:
        # A model that ONNX Runtime refuses is refused again, with its own message, where it is run.
        return {}  # whoever runs the model learns the reason
    told = {out.name: element_of(parse_type(out.type, out.name)) for out in session.outputs}
    return {names[key]: ir.DataType(kind) for key, kind in told.items() if key in names and kind}


def _kind(node: ir.Node, place: _Place, views: Views, types: _Types) -> ir.DataType | None:
    """Element type of an operand: its own, or that of its zero point."""
    operand, zero = (argument(node, index) for index in place)
    found = views.element_type(operand) or views.element_type(zero)
    return found if found is not None or operand is None else types.get(operand)


def _operands_to_move(
    node: ir.Node, product: _Product, views: Views, types: _Types
) -> Iterator[_Place]:
    """The operands that have to move."""
    left = ir.DataType.UINT8
    if product.left is not None:
        left = _kind(node, product.left, views, types) or ir.DataType.UNDEFINED
    for place in product.right:
        right = _kind(node, place, views, types)
        # uint8 x int8 is what `pmaddubsw` of CPUs without VNNI adds in pairs to int16, and
        # saturates.
        if (left, right) == _SATURATING:
            yield place
        elif product.swaps and product.left is not None and (right, left) == _SATURATING:
            yield product.left


def _widen_operands(node: ir.Node, place: _Place, views: Views) -> None:
    for index in place:
        value = argument(node, index)
        if value is None:
            value = _constant(node, index, np.zeros((), np.int8), views)
        if len(node.inputs) <= index:
            node.resize_inputs(index + 1)
        node.replace_input_with(index, _raise_to_unsigned(node, index, value, views))


def _raise_to_unsigned(node: ir.Node, index: int, value: ir.Value, views: Views) -> ir.Value:
    # int8 + 128 is uint8: operand and zero point move together, so that their difference, which is
    # all that the product reads, stays the same.
    offset = _constant(node, index, np.asarray(128, np.int32), views)
    name = f"{_label(node)}/{index}"
    wide = _cast(node, value, ir.DataType.INT32, f"{name}/wide", views)
    added = ir.Node("", "Add", [wide, offset], name=f"{name}/moved")
    moved = _insert(node, added, f"{name}/moved", views)
    return _cast(node, moved, ir.DataType.UINT8, f"{name}/unsigned", views)


def _label(node: ir.Node) -> str:
    """A name that no other node has: that of its first result."""
    return next(name_of(value) for value in node.outputs if value.name)


def _constant(node: ir.Node, index: int, array: AnyArray, views: Views) -> ir.Value:
    name = f"{_label(node)}/{array.dtype}{index}"
    attribute = ir.AttrTensor("value", ir.tensor(np.asarray(array), name=name))
    return _insert(node, ir.Node("", "Constant", [], [attribute], name=name), name, views)


def _cast(node: ir.Node, value: ir.Value, to: ir.DataType, name: str, views: Views) -> ir.Value:
    added = ir.Node("", "Cast", [value], [ir.AttrInt64("to", to.value)], name=name)
    return _insert(node, added, name, views)


def _insert(node: ir.Node, added: ir.Node, name: str, views: Views) -> ir.Value:
    """Put a node before another one, in the same graph or body."""
    added.name = added.outputs[0].name = views.constants.names.fresh(name)
    graph = node.graph or views.graph
    graph.insert_before(node, added)
    if graph is views.graph:
        views.constants.note([added])
    return added.outputs[0]
