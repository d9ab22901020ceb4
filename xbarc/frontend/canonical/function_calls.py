"""Inlining functions of the model; what comes out of a call keeps the name of the call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import onnx_ir as ir
from onnx_ir.passes import PreconditionError
from onnx_ir.passes import common as ir_passes

from xbarc.errors import ModelError, UnsupportedError
from xbarc.frontend.graph import inner_nodes, unique

_CALL, _OWN = "xbarc.call.", "xbarc.name"
"""Keys of metadata that inlining carries over from calls to their nodes."""


def inline_calls(model: ir.Model) -> bool:
    """Inline functions of the model's own operator sets; ONNX Runtime keeps the others.

    A node `conv` of a function that node `block1` calls becomes `block1/conv`.

    Raises:
        ModelError: functions call each other in a circle.
        UnsupportedError: a function cannot be inlined, or two nodes have one name.
    """
    if not model.functions:
        return False

    def fits(function: ir.Function) -> bool:
        mine = model.opset_imports
        # A body of another opset would change its meaning among the nodes of the model.
        return all(mine.get(key, value) == value for key, value in function.opset_imports.items())

    _refuse_equal_names(model)
    # Inlining copies metadata and renames nodes: the path of calls travels where it is left alone.
    _mark(model)
    try:
        ir_passes.InlinePass(criteria=fits)(model)
    except PreconditionError as error:
        raise ModelError("functions of the model call each other in a circle") from error
    except ValueError as error:
        raise UnsupportedError(f"a function cannot be inlined: {error}") from error
    _name(model)
    return True


def _refuse_equal_names(model: ir.Model) -> None:
    """Two nodes of one name, which ONNX Runtime refuses in a graph and in functions it calls.

    Inlining gives every node a name of its own, so nobody would find out behind it.
    """
    stack, called = list(model.graph), {}
    places: list[tuple[str, Iterable[ir.Node]]] = [("model", model.graph)]
    while stack:
        for node in inner_nodes(stack.pop()):
            function = model.functions.get(node.op_identifier())
            if function is not None and function.identifier() not in called:
                called[function.identifier()] = function
                places.append((f"function {function.name}", function))
                stack += list(function)
    for where, nodes in places:
        names = Counter(node.name for node in nodes if node.name)
        twice = next((name for name, count in names.items() if count > 1), None)
        if twice is not None:
            raise UnsupportedError(
                f"ONNX Runtime cannot run the model: {names[twice]} nodes have the name '{twice}'",
                where=where,
                hint="give each node a name of its own, or none",
            )


def _mark(model: ir.Model) -> None:
    """Write names of calls, and of nodes in functions, where inlining does not change them."""
    for function in model.functions.values():
        for node in function:
            node.metadata_props[_OWN] = node.name or node.op_type
    for number, node in enumerate(_nodes(model)):
        if node.op_identifier() in model.functions:
            node.metadata_props[f"{_CALL}{number}"] = node.name or node.op_type


def _name(model: ir.Model) -> None:
    """Name nodes by the calls that they came from, outermost first."""
    taken = {node.name or "" for node in model.graph}
    for node in _nodes(model):
        path = [name for key, name in node.metadata_props.items() if key.startswith(_CALL)]
        own = node.metadata_props.pop(_OWN, "")
        for key in [key for key in node.metadata_props if key.startswith(_CALL)]:
            del node.metadata_props[key]
        if path and own:
            node.name = unique("/".join([*path, own]), taken)


def _nodes(model: ir.Model) -> Iterable[ir.Node]:
    for outer in (*model.graph, *(node for f in model.functions.values() for node in f)):
        yield from inner_nodes(outer)
