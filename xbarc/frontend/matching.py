"""Finding the matrix layers of a graph, and the reasons of those that stay digital."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import onnx_ir as ir

from xbarc.frontend.binary import BinaryOptions, LevelMap, binarise, is_binary
from xbarc.frontend.canonical import Normal, condition_inputs
from xbarc.frontend.fragments import widen_products
from xbarc.frontend.graph import execution_order, inner_nodes, known_ranks, name_of
from xbarc.frontend.layers import (
    GraphContext,
    Matched,
    StaysDigital,
    cut_sums,
    fold_followers,
    match_conv,
    match_conv_integer,
    match_conv_transpose,
    match_gemm,
    match_matmul,
    match_matmul_integer,
    match_qgemm,
    match_qlinear_conv,
    match_qlinear_matmul,
)
from xbarc.frontend.quantised import Views
from xbarc.operators import Matrix, find_by_name

Recogniser = Callable[[ir.Node, GraphContext], Matched]

RECOGNISERS: dict[tuple[str, str], Recogniser] = {
    ("", "Conv"): match_conv,
    ("", "ConvInteger"): match_conv_integer,
    ("", "ConvTranspose"): match_conv_transpose,
    ("", "Gemm"): match_gemm,
    ("", "MatMul"): match_matmul,
    ("", "MatMulInteger"): match_matmul_integer,
    ("", "QLinearConv"): match_qlinear_conv,
    ("", "QLinearMatMul"): match_qlinear_matmul,
    ("com.microsoft", "QGemm"): match_qgemm,
    ("com.microsoft", "QLinearConv"): match_qlinear_conv,
}
"""The function that recognises each matrix operator, by domain and name."""

_RECOGNISED = frozenset(name for _, name in RECOGNISERS)


@dataclass(frozen=True, eq=False)
class Matching:
    """What was found.

    Attributes:
        layers: in execution order.
        notes: for each node that stays digital though it multiplies matrices: why.
    """

    layers: tuple[Matched, ...]
    notes: dict[ir.Node, str]


def match_layers(normal: Normal, binary: BinaryOptions) -> Matching:
    """Recognise matrix operators, fold what follows them, and make the rest exact."""
    views = Views(normal.model.graph, normal.constants, normal.views)
    if cut_sums(normal.nodes, views, known_ranks(normal.nodes, normal.constants)):
        # Cut sums added nodes, which are layers themselves.
        normal = replace(normal, nodes=execution_order(normal.model.graph))
    context = _context(normal, views)
    levels = LevelMap(normal.constants)
    levels.learn(normal.nodes)
    found: list[Matched] = []
    notes: dict[ir.Node, str] = {}
    for node in normal.nodes:
        if normal.constants.holds(node.outputs[0]):
            continue
        matched = _match(node, context, notes)
        if matched is None:
            continue
        matched = binarise(matched, context, levels, binary)
        if binary.senses and not is_binary(matched):
            notes[node] = _note(node, "it is not binary, and the target only compares")
            continue
        # After the binary reading, whose thresholds are found in the very nodes that would be
        # folded.
        found.append(fold_followers(matched, context))
    # Only products that stay digital: a layer has no kernel that could saturate.
    widen_products(list(notes), context.views)
    return Matching(tuple(found), notes)


def _context(normal: Normal, views: Views) -> GraphContext:
    constants = normal.constants
    return GraphContext(constants, views, known_ranks(normal.nodes, constants))


def _match(node: ir.Node, context: GraphContext, notes: dict[ir.Node, str]) -> Matched | None:
    recognise = RECOGNISERS.get((node.domain, node.op_type))
    try:
        if recognise is not None:
            return recognise(node, context)
    except StaysDigital as reason:
        notes[node] = _note(node, str(reason))
    if _has_no_form(node):
        notes[node] = _note(node, f"{node.op_type} has no crossbar form")
    for inner in list(inner_nodes(node))[1:]:
        if (inner.domain, inner.op_type) in RECOGNISERS or _has_no_form(inner):
            notes[node] = _note(
                inner, f"it stands in the body of {node.op_type}{_why_undecided(node)}"
            )
    return None


def _has_no_form(node: ir.Node) -> bool:
    """Whether nothing recognises an operator that multiplies matrices."""
    return find_by_name(node.op_type).matrix is not Matrix.NO and node.op_type not in _RECOGNISED


def _why_undecided(node: ir.Node) -> str:
    """Why an `If` is still one, and how to make it a branch."""
    names = condition_inputs(node) if (node.domain, node.op_type) == ("", "If") else []
    if not names:
        return ""
    what = ", ".join(f"'{name}'" for name in names)
    options = " ".join(f"--fix-input {name}=VALUE" for name in names)
    return f", whose condition depends on input {what}: {options} takes one branch"


def _note(node: ir.Node, reason: str) -> str:
    return f"{node.op_type} '{node.name or name_of(node.outputs[0])}' stays digital: {reason}"
