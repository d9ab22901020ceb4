"""Why a layer computes without integers that the model declares.

A layer's input counts as declared where everything that it is computed from is: behind a
DequantizeLinear, QONNX or the like, with no matrix operator in between, whose sums are new numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from xbarc.frontend.quantised.integer_view import WIDEST, IntegerView, integer_format
from xbarc.frontend.quantised.propagate_integers import CARRIERS
from xbarc.frontend.quantised.views import Views, is_dequantize
from xbarc.operators import OPERATORS, Matrix, find

_FARTHEST = 1000
"""Values between declarations and their reader, behind which nobody looks for a reason: nets have
tens, and a model of thousands of layers behind thousands of operators must not take minutes."""
_MANY = "they have more than one scale, or one that is not positive"
_REALS = ("float16", "float32", "float64")
_ARITHMETIC = ("Mul", "Div", "Add", "Sub")
_CASTS = ("Cast", "CastLike")
_JOINS = ("Concat", "Where", "Max", "Min")
_NAMED = 2
"""Declarations that a reason names; the others are counted."""


def lost_weights(value: ir.Value, view: IntegerView | None, views: Views) -> str:
    """Why constant weights are taken as real numbers; empty where they declare no integers."""
    if view is not None:
        return "they need more than 17 bits" if view.dtype in _REALS else ""
    nodes, _ = views.constants.ancestors([value])
    if not any(_declares(node, views) for node in nodes):
        return ""
    last = next((node for node in nodes if _loses(node, views)), nodes[-1])
    if is_dequantize(last):
        return _own_reason(last, views)
    reason = _lost_on_the_way(last, 1, views)
    # Weights may have a scale for each output; only activations need a single one.
    return reason + " an output" if reason.endswith("one scale") else reason


def lost_input(value: ir.Value, views: Views) -> str:
    """Why an activation is taken as real numbers; empty where it declares no integers."""
    found = _OriginWalk(views).to(value)
    if not found.reason:
        return ""
    named = [_name(node) for node in found.declared[:_NAMED]]
    rest = len(found.declared) - len(named)
    text = " and ".join(named) + (f" and {rest} more" if rest else "")
    return f"{found.reason} (declared at {text})"


@dataclass(frozen=True, eq=False)
class _Origin:
    """What becomes of declared integers on the way to a value.

    Attributes:
        declared: the nodes that declare them; none: something else went into the value.
        reason: why they are lost; empty: they are not.
        fixed: they are constants of the model, as the table of an embedding is. What is computed
            from constants alone was not declared to be integers, what is picked from them was.
    """

    declared: tuple[ir.Node, ...] = ()
    reason: str = ""
    fixed: bool = False


@dataclass(eq=False)
class _OriginWalk:
    """A walk from a value back to the declarations that it is computed from."""

    views: Views
    _found: dict[ir.Value, _Origin] = field(default_factory=dict)

    def to(self, value: ir.Value) -> _Origin:
        """Where a value comes from."""
        stack = [(value, False)]
        entered: set[ir.Value] = set()
        while stack:
            current, ready = stack.pop()
            if ready:
                self._found[current] = self._origin(current)
            # Beyond that far back no reason is given: a wrong one would be worse than none.
            elif current not in entered and len(entered) < _FARTHEST:
                entered.add(current)
                stack.append((current, True))
                stack += [(source, False) for source in self._sources(current)]
        return self._found[value]

    def _origin(self, value: ir.Value) -> _Origin:
        node, views = value.producer(), self.views
        if node is None:
            return _Origin()
        view = views.of(value)
        sources = [self._found.get(source, _Origin()) for source in self._sources(value)]
        declared = tuple(dict.fromkeys(node for source in sources for node in source.declared))
        fixed = views.constants.holds(value) or (bool(sources) and all(s.fixed for s in sources))
        if view is not None:
            return _Origin(declared or (node,), "" if view.is_scalar else _MANY, fixed)
        if is_dequantize(node) or value in views.given:
            return _Origin((node,), _own_reason(node, views), fixed)
        computed = fixed and not find(node.domain, node.op_type).moves
        if computed or not sources or not all(source.declared for source in sources):
            return _Origin()
        reason = next((source.reason for source in sources if source.reason), "")
        return _Origin(declared, reason or _lost_on_the_way(node, len(sources), views), fixed)

    def _sources(self, value: ir.Value) -> list[ir.Value]:
        """Tensors that a value is computed from; none where it declares, or is something else."""
        node, views = value.producer(), self.views
        if node is None or is_dequantize(node) or value in views.given:
            return []
        moves = bool(find(node.domain, node.op_type).moves)
        return [
            read
            for read in _read(node, value)
            if not views.constants.holds(read) or (moves and views.of(read) is not None)
        ]


def _read(node: ir.Node, value: ir.Value) -> list[ir.Value]:
    """Inputs whose entries a result of a node is computed from, parameters left out."""
    operator = find(node.domain, node.op_type)
    carrier = CARRIERS.get(node.op_type) if node.domain == "" else None
    listed = operator is OPERATORS.get(node.op_type)
    first = operator.bounded_outputs
    other = first is not None and node.outputs.index(value) >= first
    if operator.matrix is not Matrix.NO or other:
        return []
    if carrier is not None:
        reads: Sequence[ir.Value | None] = carrier.reads(node)
        reads = reads[:1] if node.op_type in _CASTS else reads
    elif not listed:
        reads = node.inputs
    elif not isinstance(operator.dtype, int):
        return []
    elif operator.broadcasts:
        reads = node.inputs
    else:
        reads = [node.inputs[place] for place in operator.places(len(node.inputs)) or (0,)]
    return [read for read in reads if read is not None]


def _name(node: ir.Node) -> str:
    return f"{node.op_type} '{node.name or node.outputs[0].name}'"


def _lost_on_the_way(node: ir.Node, sources: int, views: Views) -> str:
    """Why a node on the way loses them; `sources`: tensors that it computes with."""
    name, operator = _name(node), node.op_type if node.domain == "" else ""
    kind = views.element_type(node.outputs[0])
    narrow = kind is not None and kind not in (ir.DataType.FLOAT, ir.DataType.DOUBLE)
    if narrow and operator in (*_CASTS, *_ARITHMETIC):
        return f"{name} rounds them to {kind.name.lower()}" if kind else ""
    if operator in _JOINS:
        return f"{name} joins tensors that do not share one scale"
    if operator in ("Clip", "Pad", "Relu") or (operator in ("Add", "Sub") and sources == 1):
        return f"{name} uses a number that is not a multiple of their step"
    if operator in ("Mul", "Div") and sources == 1:
        return f"{name} gives them more than one scale"
    return f"{name} gives new numbers, for which no scale is declared"


def _own_reason(node: ir.Node, views: Views) -> str:
    """Why the declaration itself gives no integers."""
    if not is_dequantize(node):
        return "their scale or width is not constant, or above 16 bits"
    scale = node.inputs[1] if len(node.inputs) > 1 else None
    zero = node.inputs[2] if len(node.inputs) > 2 else None
    if not views.constants.holds(scale) or (zero is not None and not views.constants.holds(zero)):
        return "their scale or zero point is not constant"
    if integer_format(views.element_type(zero) or views.element_type(node.inputs[0])) is None:
        return f"they are not integers of at most {WIDEST} bits"
    return _MANY


def _declares(node: ir.Node, views: Views) -> bool:
    if is_dequantize(node) or node.outputs[0] in views.given:
        return True
    if node.domain:
        return False
    if node.op_type in _CASTS:
        return _casts_weights(node, views)
    return node.op_type in ("Mul", "Div") and views.of(node.outputs[0]) is not None


def _loses(node: ir.Node, views: Views) -> bool:
    """Whether declared integers go into a node of constants, and none come out."""
    if any(views.of(result) is not None for result in node.outputs):
        return False
    viewed = any(read is not None and views.of(read) is not None for read in node.inputs)
    return viewed or _declares(node, views)


def _casts_weights(node: ir.Node, views: Views) -> bool:
    """Whether integers of few bits become real numbers; zeros and ones are a mask, no weights."""
    source, kind = node.inputs[0], views.element_type(node.outputs[0])
    if source is None or kind is None or not kind.is_floating_point():
        return False
    if integer_format(views.element_type(source)) is None:
        return False
    values = views.constants.load(source)
    # A mask of 0 and 1 that is cast to real numbers is how attention masks are written.
    return bool(values.size) and not (values.min() >= 0 and values.max() <= 1)
