"""Bringing a model into the one form that the rest of the frontend reads.

Functions are inlined, branches on constants are taken, QONNX becomes standard ONNX. A Gemm whose
addend is no vector of its outputs becomes a Gemm and an Add, and one that may read a vector gets it
as a row. Every value that the file names keeps its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import onnx_ir as ir
from onnx_ir.passes import common as ir_passes

from xbarc.frontend.canonical import gemm, qonnx
from xbarc.frontend.canonical.constant_branches import take_branches
from xbarc.frontend.canonical.fixed_inputs import fix_inputs
from xbarc.frontend.canonical.function_calls import inline_calls
from xbarc.frontend.canonical.resize_ranks import guard_ranks
from xbarc.frontend.graph import NEWEST_OPSET, Constants, execution_order, inner_nodes
from xbarc.frontend.loading import LoadedModel
from xbarc.frontend.quantised import IntegerView

NEWEST_IR = 13
"""The newest IR version that the oldest supported ONNX Runtime of today reads."""


@dataclass(eq=False)
class Normal:
    """A model in its one form.

    Attributes:
        nodes: all nodes in execution order.
        views: values that are integers times a scale, as QONNX nodes say.
        changed: the file itself is not what ONNX Runtime can run under the same names.
    """

    model: ir.Model
    nodes: list[ir.Node]
    constants: Constants
    views: dict[ir.Value, IntegerView] = field(default_factory=dict)
    changed: bool = False


def normalise(loaded: LoadedModel, fixed: Mapping[str, Any] | None = None) -> Normal:
    """Bring a model into its one form.

    Args:
        loaded: the model.
        fixed: what inputs hold that become constants, by name.

    Raises:
        InputError: an input to fix is not there, or what it shall hold does not fit it.
        ModelError: the graph has a cycle, or a QONNX node is not what it should be.
        UnsupportedError: a function cannot be inlined.
    """
    model = loaded.model
    _unify_domains(model)
    has_fixed = fix_inputs(model, fixed or {})
    changed = model.ir_version > NEWEST_IR or model.opset_imports.get("", 1) > NEWEST_OPSET
    # Calls before branches and QONNX: what a function hides is found only when it is inlined.
    changed |= inline_calls(model) or has_fixed
    # An initialiser that is also an input could be fed with something else; here it is a constant,
    # as the layers that are made of it stay the same for every run.
    ir_passes.RemoveInitializersFromInputsPass()(model)
    constants = Constants(model)
    constants.note(execution_order(model.graph))
    # Before integers are looked for: only nodes of the main graph are seen as layers.
    changed |= take_branches(model, constants)
    lowered = qonnx.lower(model, constants)
    constants.note(execution_order(model.graph))
    changed |= gemm.split_addends(model, constants) or lowered.changed
    changed |= gemm.make_rows(model, constants)
    # Last, since rewritten Gemms and QONNX nodes tell more about ranks.
    changed |= guard_ranks(model, constants)
    nodes = execution_order(model.graph)
    constants.note(nodes)
    constants.check_fills(nodes)
    views = qonnx.views(lowered, constants)
    return Normal(model, nodes, constants, views, changed)


def _unify_domains(model: ir.Model) -> None:
    """`ai.onnx` is another spelling of the empty domain."""
    for imports in (model.opset_imports, *(f.opset_imports for f in model.functions.values())):
        if "ai.onnx" in imports:
            imports.setdefault("", imports.pop("ai.onnx"))
    nodes = [*model.graph, *(node for f in model.functions.values() for node in f)]
    for node in (inner for outer in nodes for inner in inner_nodes(outer)):
        if node.domain == "ai.onnx":
            node.domain = ""
