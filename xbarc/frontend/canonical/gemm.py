"""Gemms in one form: vectors in rows, and an addend that is one number per output."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from xbarc.frontend.graph import (
    Constants,
    Names,
    execution_order,
    known_ranks,
    name_of,
    real,
    whole,
)

_SLICE_BY_INPUTS = 10
"""The opset from which Slice reads its ends as inputs."""
# Slice cuts its end to the length of what it cuts: this takes all that is left of a shape.
_END = 1 << 31


def split_addends(model: ir.Model, constants: Constants) -> bool:
    """Rewrite such Gemms as Gemm, then Add; say whether any was rewritten."""
    found = [node for node in model.graph if _is_mixed(node, constants)]
    for node in found:
        _split(node, model.graph, constants.names)
    return bool(found)


def make_rows(model: ir.Model, constants: Constants) -> bool:
    """Give Gemms the matrix of one row that ONNX Runtime makes of a vector; say whether any may.

    Only on the left, and where the number of axes is known at run time alone: it refuses a vector
    on the right, and one that it infers.
    """
    nodes = execution_order(model.graph)
    ranks = known_ranks(nodes, constants)
    wanted = [
        (node, vectors)
        for node in nodes
        if (node.domain, node.op_type) == ("", "Gemm") and (vectors := node.inputs[0]) is not None
        if not constants.holds(vectors) and vectors not in ranks
    ]
    for node, vectors in wanted:
        _make_row(node, vectors, model, constants.names)
    return bool(wanted)


def _make_row(node: ir.Node, vectors: ir.Value, model: ir.Model, names: Names) -> None:
    """Reshape to the last two of the extents behind a 1: a vector to a row, a matrix to itself."""
    label = name_of(node.outputs[0])

    def made(operator: str, reads: list[ir.Value | None], *attributes: ir.Attr) -> ir.Value:
        value = ir.Value(name=names.fresh(f"{label}/row"))
        new = ir.Node("", operator, reads, attributes, outputs=[value], name=value.name)
        model.graph.insert_before(node, new)
        return value

    def constant(number: int) -> ir.Value:
        return made("Constant", [], ir.AttrTensor("value", ir.tensor(np.array([number]))))

    # [1, shape...][-2:] is [1, n] for a vector and the shape itself for a matrix.
    extents = [constant(1), made("Shape", [vectors])]
    padded = made("Concat", [*extents], ir.AttrInt64("axis", 0))
    if model.opset_imports.get("", 1) < _SLICE_BY_INPUTS:
        ends = ir.AttrInt64s("starts", [-2]), ir.AttrInt64s("ends", [_END])
        last = made("Slice", [padded], *ends)
    else:
        last = made("Slice", [padded, constant(-2), constant(_END)])
    node.replace_input_with(0, made("Reshape", [vectors, last]))


def _is_mixed(node: ir.Node, constants: Constants) -> bool:
    if (node.op_type, node.domain) != ("Gemm", "") or len(node.inputs) != 3:
        return False
    left, right, addend = node.inputs
    if addend is None or constants.holds(left) == constants.holds(right):
        return False
    if not constants.holds(addend):
        return True
    return not is_output_vector(constants.shape(addend), on_right=constants.holds(right))


def is_output_vector(shape: tuple[int, ...], *, on_right: bool) -> bool:
    """Say whether a Gemm's addend is constant along the axis that is not the matrix's own."""
    rows = shape[-2] if len(shape) == 2 else 1
    columns = shape[-1] if shape else 1
    return len(shape) <= 2 and (rows if on_right else columns) == 1


def _split(node: ir.Node, graph: ir.Graph, names: Names) -> None:
    addend, output = node.inputs[2], node.outputs[0]
    name = name_of(output)
    added: list[ir.Node] = []
    beta = real(node, "beta", 1.0)
    if addend is not None and beta != 1.0:
        kind = addend.dtype or output.dtype or ir.DataType.FLOAT
        factor = ir.Value(name=names.fresh(f"{name}/beta"))
        tensor = ir.tensor(np.asarray(beta, kind.numpy()), name=factor.name)
        attributes = [ir.AttrTensor("value", tensor)]
        added.append(ir.Node("", "Constant", [], attributes, outputs=[factor], name=factor.name))
        scaled = ir.Value(name=names.fresh(f"{name}/addend"))
        added.append(ir.Node("", "Mul", [addend, factor], outputs=[scaled], name=scaled.name))
        addend = scaled
    product, total = (ir.Value(name=names.fresh(f"{name}/{what}")) for what in ("product", "sum"))
    # alpha stays with the product; beta went into the addend above.
    attributes = [item for key, item in node.attributes.items() if key != "beta"]
    bare = ir.Node("", "Gemm", node.inputs[:2], attributes, outputs=[product], name=node.name)
    add = ir.Node(
        "", "Add", [product, addend], outputs=[total], name=names.fresh(f"{node.name or name}/add")
    )
    ir.convenience.replace_nodes_and_values(
        graph, node, [node], [*added, bare, add], [output], [total]
    )
    total.name = name


def transposes(node: ir.Node) -> tuple[bool, bool]:
    """Whether a Gemm transposes its first and its second operand."""
    return bool(whole(node, "transA", 0)), bool(whole(node, "transB", 0))
