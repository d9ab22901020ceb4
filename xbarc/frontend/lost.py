"""Why a layer computes without integers that the model declares."""

from __future__ import annotations

import onnx_ir as ir

from xbarc.frontend.carried import CARRIERS
from xbarc.frontend.integer_view import WIDEST, IntegerView, integer_format
from xbarc.frontend.views import Views, is_dequantize
from xbarc.operators import named

_DEEPEST = 64
"""Operators between a declaration and its reader, behind which nobody looks for a reason."""
_MANY = "they have more than one scale, or a negative one"
_REALS = ("float16", "float32", "float64")


def lost_weights(value: ir.Value, view: IntegerView | None, views: Views) -> str:
    """Why constant weights are taken as real numbers; empty where they declare no integers."""
    if view is not None:
        return "they need more than 17 bits" if view.dtype in _REALS else ""
    nodes, _ = views.constants.ancestors([value])
    declares = next((node for node in nodes if _declares(node, views)), None)
    if declares is None:
        return ""
    last = nodes[-1]
    if last is declares:
        return _own_reason(declares, views)
    name = f"{last.op_type} '{last.name or last.outputs[0].name}'"
    if last.domain == "" and last.op_type in ("Mul", "Div"):
        return f"{name} gives them more than one scale an output"
    return f"{name} follows them"


def lost_input(value: ir.Value, view: IntegerView | None, views: Views) -> str:
    """Why an activation is taken as real numbers; empty where it declares no integers."""
    if view is not None:
        return _MANY if view.dtype in _REALS else ""
    return _reason(value, views, _DEEPEST)


def _reason(value: ir.Value, views: Views, depth: int) -> str:
    node = value.producer()
    if node is None or not depth:
        return ""
    if views.of(value) is not None:
        return _MANY
    if is_dequantize(node) or value in views.given:
        return _own_reason(node, views)
    sources = [] if node.domain else _sources(node, views)
    reasons = ["" if _single(s, views) else _reason(s, views, depth - 1) for s in sources]
    if not sources or not all(
        reason or _single(source, views) for reason, source in zip(reasons, sources, strict=True)
    ):
        return ""
    return next((reason for reason in reasons if reason), _between(node))


def _single(value: ir.Value, views: Views) -> bool:
    view = views.of(value)
    return view is not None and view.is_scalar


def _sources(node: ir.Node, views: Views) -> list[ir.Value]:
    """What the elements of the result come from; empty where they are others."""
    carrier = CARRIERS.get(node.op_type)
    if carrier is not None and carrier.spells:
        return _changed_by_constants(node, views)
    if carrier is None and not named(node.op_type).keeps_step:
        return []
    reads = node.inputs[:1] if carrier is None else carrier.reads(node)
    return [read for read in reads if read is not None and not views.constants.holds(read)]


def _changed_by_constants(node: ir.Node, views: Views) -> list[ir.Value]:
    """The one operand of arithmetic whose elements it scales or moves."""
    live = [read for read in node.inputs if read is not None and not views.constants.holds(read)]
    divides = node.op_type == "Div" and live != [node.inputs[0]]
    casts = node.op_type in ("Cast", "CastLike")
    return [] if casts or divides or len(live) != 1 else live


def _between(node: ir.Node) -> str:
    name = f"{node.op_type} '{node.name or node.outputs[0].name}'"
    if node.op_type in ("Concat", "Where", "Max", "Min"):
        return f"{name} joins tensors that do not share one scale"
    if node.op_type in ("Mul", "Div"):
        return f"{name} gives them more than one scale"
    if node.op_type in ("Clip", "Pad", "Relu", "Add", "Sub"):
        return f"{name} uses a number that is not a multiple of their step"
    return f"{name} follows them"


def _own_reason(node: ir.Node, views: Views) -> str:
    """Why the declaration itself gives no integers."""
    if not is_dequantize(node):
        return "their scale or width is not constant, or above 16 bits"
    scale = node.inputs[1] if len(node.inputs) > 1 else None
    zero = node.inputs[2] if len(node.inputs) > 2 else None
    if not views.constants.holds(scale) or (zero is not None and not views.constants.holds(zero)):
        return "their scale or zero point is not constant"
    if integer_format(views.element_type(zero) or views.element_type(node.inputs[0])) is None:
        return f"they are no integers of at most {WIDEST} bits"
    return _MANY


def _declares(node: ir.Node, views: Views) -> bool:
    if is_dequantize(node) or node.outputs[0] in views.given:
        return True
    if node.domain:
        return False
    if node.op_type in ("Cast", "CastLike"):
        return _casts_weights(node, views)
    return node.op_type in ("Mul", "Div") and views.of(node.outputs[0]) is not None


def _casts_weights(node: ir.Node, views: Views) -> bool:
    """Whether integers of few bits become real numbers; zeros and ones are a mask, no weights."""
    source, kind = node.inputs[0], views.element_type(node.outputs[0])
    if source is None or kind is None or not kind.is_floating_point():
        return False
    if integer_format(views.element_type(source)) is None:
        return False
    values = views.constants.load(source)
    return bool(values.size) and not (values.min() >= 0 and values.max() <= 1)
