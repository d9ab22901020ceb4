"""Carrying declared integers through the operators between their declaration and their reader.

A rule takes an operator whose inputs are integers times a scale and gives its result in the same
form, or None where the result is no such thing. The operator itself is repeated on the integers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from xbarc.frontend.graph import name_of, only_moves, text
from xbarc.frontend.quantised.integer_twins import NO_ATTRIBUTES_SINCE, Passage
from xbarc.frontend.quantised.integer_view import (
    IntegerView,
    integer_format,
    scalar_of,
    stays_finite,
)
from xbarc.numerics import AnyArray, FloatArray, Int64Array, IntFormat, narrowest_format
from xbarc.operators import OPERATORS, Operator

_REALS = ("float32", "float64")
_WHOLE = ("int32", "int64")
_MOST_SPREAD = 1 << 28
"""Weights whose scale is spelled out for each of them, to follow them through an operator."""


Rule = Callable[[Passage], IntegerView | None]


def codes_of(array: AnyArray, view: IntegerView) -> Int64Array | None:
    """The integers that stand for real numbers in a view of one scale; None: they are between."""
    scale, zero = np.float32(scalar_of(view.scale)), int(view.zero_point.reshape(-1)[0])
    real = np.asarray(array, np.float32)
    with np.errstate(all="ignore"):  # a scale of 0 has no steps
        steps = np.rint(real.astype(np.float64) / np.float64(scale))
    # Beyond 2^24 float32 skips integers, so two codes could stand for one number.
    if not np.all(np.abs(steps) < 1 << 24):
        return None
    codes = steps.astype(np.int64) + zero
    # The product must give the very float32 that the model holds: a number half a bit beside a step
    # is no integer of this view, and rounding it would change the network.
    same = np.array_equal((steps.astype(np.float32) * scale), real)
    return codes if same and view.format.contains(codes) else None


def _move_integers(passage: Passage) -> IntegerView | None:
    view, node = passage.reads[0], passage.node
    if view is None or not only_moves(node):
        return None
    # Dropout has no kernel for integers, and in inference it is Identity.
    operator = "Identity" if node.op_type == "Dropout" else ""
    (integers,) = passage.usable(operator or node.op_type, [view.integers])
    rest = () if operator else node.inputs[1:]
    if view.is_single:
        return replace(view, integers=passage.repeat([integers, *rest], operator))
    # Only constants can have a scale an element followed: activations need one scale that
    # converters count in.
    if not passage.constants.holds(passage.output):
        return None
    return _spread(passage, [view], lambda first: [*first, *rest], operator)


def _spread(
    passage: Passage,
    views: Sequence[IntegerView],
    inputs: Callable[[Sequence[ir.Value]], list[ir.Value | None]],
    operator: str = "",
) -> IntegerView | None:
    """Constants with many scales: each has a scale of its own, which moves as it does."""
    constants, node = passage.constants, passage.node
    shapes = [constants.shape(view.integers) for view in views]
    if sum(int(np.prod(shape, dtype=object)) for shape in shapes) > _MOST_SPREAD:
        return None
    found: list[AnyArray] = []
    # ONNX Runtime itself moves scales and zero points as it moves elements: no second meaning of
    # every operator is written here.
    for what in ("scale", "zero_point"):
        full = [
            np.broadcast_to(getattr(view, what), shape)
            for view, shape in zip(views, shapes, strict=True)
        ]
        moved = _compute_with(passage, full, inputs, operator, what)
        found.append(moved)
    integers = passage.usable(operator or node.op_type, [view.integers for view in views])
    return IntegerView(
        passage.repeat(inputs(integers), operator),
        found[0].astype(np.float32),
        np.rint(found[1]).astype(np.int64),
        _union(view.format for view in views),
        views[0].dtype,
    )


def _compute_with(
    passage: Passage,
    arrays: Sequence[AnyArray],
    inputs: Callable[[Sequence[ir.Value]], list[ir.Value | None]],
    operator: str,
    what: str,
) -> AnyArray:
    """The operator on other arrays, as ONNX Runtime computes it."""
    node, twins = passage.node, passage.twins
    values = [
        twins.constant(array.astype(np.float32), node, f"{what}{index}")
        for index, array in enumerate(arrays)
    ]
    fresh = twins.constants.names.fresh
    names = [fresh(f"{name_of(out)}/{what}") if out.name else "" for out in node.outputs]
    copy = ir.Node(
        node.domain,
        operator or node.op_type,
        inputs(values),
        [] if operator else passage.attributes(),
        name=names[0],
        outputs=[ir.Value(name=name) for name in names],
    )
    (node.graph or twins.graph).insert_after(node, copy)
    twins.constants.note([copy])
    return twins.constants.load(copy.outputs[node.outputs.index(passage.output)])


def _gather_integers(passage: Passage) -> IntegerView | None:
    view, node = passage.reads[0], passage.node
    if view is None or not view.is_scalar or not only_moves(node):
        return None
    (integers,) = passage.usable(node.op_type, [view.integers])
    return replace(view, integers=passage.repeat([integers, *node.inputs[1:]]))


def _pad_integers(passage: Passage) -> IntegerView | None:
    view, node = passage.reads[0], passage.node
    if view is None or not view.is_single:
        return None
    (integers,) = passage.usable("Pad", [view.integers])
    if text(node, "mode", "constant") != "constant":
        return replace(view, integers=passage.repeat([integers, *node.inputs[1:]]))
    filling = passage.number(2, "value", 0.0)
    codes = None if filling is None else codes_of(np.asarray(filling), view)
    if codes is None:
        return None
    # Up to opset 10 the filling is an attribute, a float, which the twin keeps in float32.
    if passage.twins.opset < NO_ATTRIBUTES_SINCE:
        return replace(view, integers=_old_pad(passage, integers, float(codes)))
    fill = passage.typed_constant(codes.reshape(()), integers, "filling")
    return replace(
        view, integers=passage.repeat([integers, node.inputs[1], fill, *node.inputs[3:]])
    )


def _old_pad(passage: Passage, integers: ir.Value, filling: float) -> ir.Value:
    kept = [item for item in passage.attributes() if item.name != "value"]
    attributes = [*kept, ir.AttrFloat32("value", filling)]
    twin = passage.twins.of(
        passage.node, lambda: ir.Node("", "Pad", [integers], attributes, outputs=[ir.Value()])
    )
    return twin.outputs[0]


def _clip_integers(passage: Passage) -> IntegerView | None:
    view = passage.reads[0]
    low: float | None = 0.0
    high: float | None = np.inf
    if passage.node.op_type == "Clip":
        low, high = passage.number(1, "min", -np.inf), passage.number(2, "max", np.inf)
    if view is None or low is None or high is None:
        return None
    return _clip_between(passage, view, low, high)


def _clip_between(
    passage: Passage, view: IntegerView, low: float, high: float
) -> IntegerView | None:
    """The view with its integers clipped, where both limits are integers of it or outside."""
    if not view.is_scalar:
        return None
    least, most = _limit(low, view), _limit(high, view)
    if least is None or most is None:
        return None
    # Both limits lie beyond every code: nothing is clipped and no twin is needed.
    if (least, most) == (view.format.min, view.format.max):
        return view
    limits = {"min": least, "max": most}
    (integers,) = passage.usable("Clip", [view.integers])
    if passage.twins.opset < NO_ATTRIBUTES_SINCE:
        ends = [ir.AttrFloat32(k, float(v)) for k, v in limits.items()]
        twin = passage.twins.of(
            passage.node, lambda: ir.Node("", "Clip", [integers], ends, outputs=[ir.Value()])
        )
        return replace(view, integers=twin.outputs[0])
    typed = [
        passage.typed_constant(np.asarray(limit), integers, what) for what, limit in limits.items()
    ]
    return replace(view, integers=passage.repeat([integers, *typed], "Clip"))


def _limit(bound: float, view: IntegerView) -> int | None:
    """The integer that a bound stands for; the end of the format where it lies outside."""
    scale, zero = scalar_of(view.scale), int(view.zero_point.reshape(-1)[0])
    if np.isnan(bound):
        return None
    if bound <= (view.format.min - zero) * scale:
        return view.format.min
    if bound >= (view.format.max - zero) * scale:
        return view.format.max
    codes = codes_of(np.asarray(bound), view)
    return None if codes is None else int(codes)


def _larger(passage: Passage) -> IntegerView | None:
    """Max and Min: with a number it is a clip; tensors of one scale are compared as integers."""
    node, constants = passage.node, passage.constants
    views = [view for view in passage.reads if view is not None]
    others = [value for value, v in zip(node.inputs, passage.reads, strict=True) if v is None]
    if len(views) == 1 and len(others) == 1 and constants.holds(others[0]):
        bound = constants.small(others[0])
        if bound is None or bound.size != 1:
            return None
        limit = float(bound.reshape(-1)[0])
        ends = (limit, np.inf) if node.op_type == "Max" else (-np.inf, limit)
        return _clip_between(passage, views[0], *ends)
    return _join_integers(passage) if all(view.is_scalar for view in views) else None


def _join_integers(passage: Passage, first: int = 0) -> IntegerView | None:
    """Concat and Where: tensors of one scale, constants that are integers in it among them."""
    node = passage.node
    places = range(first, len(node.inputs))
    known = next((view for view in passage.reads[first:] if view is not None), None)
    if known is None:
        return None
    if not _of_one_scale([view for view in passage.reads[first:] if view is not None]):
        return _many_scales(passage) if not first else None
    integers = []
    for place in places:
        view, value = passage.reads[place], node.inputs[place]
        if view is not None:
            integers.append(view.integers)
        elif value is not None and passage.constants.holds(value):
            codes = codes_of(passage.constants.load(value), known)
            if codes is None:
                return None
            integers.append(passage.typed_constant(codes, known.integers, f"integers{place}"))
        else:
            return None
    inputs = passage.usable(node.op_type, integers)
    form = _union(view.format for view in passage.reads[first:] if view is not None)
    return replace(known, integers=passage.repeat([*node.inputs[:first], *inputs]), format=form)


def _many_scales(passage: Passage) -> IntegerView | None:
    views = [view for view in passage.reads if view is not None]
    constant = all(passage.constants.holds(view.integers) for view in views)
    if len(views) < len(passage.reads) or not constant or passage.node.op_type != "Concat":
        return None
    return _spread(passage, views, list)


def _of_one_scale(views: Sequence[IntegerView]) -> bool:
    if not all(view.is_single for view in views):
        return False
    return len({(scalar_of(v.scale), int(v.zero_point.reshape(-1)[0]), v.dtype) for v in views}) < 2


def _union(formats: Iterable[IntFormat]) -> IntFormat:
    """The narrowest format that holds all of some formats."""
    listed = list(formats)
    if len(set(listed)) == 1:
        return listed[0]
    return narrowest_format(min(item.min for item in listed), max(item.max for item in listed))


def _cast(passage: Passage) -> IntegerView | None:
    """Integers that become real or wider: the beginning of a scale that is spelled out."""
    node = passage.node
    source, to = node.inputs[0], _target(passage)
    if source is None or to is None or str(to.numpy()) not in (*_REALS, *_WHOLE):
        return None
    form = integer_format(passage.kind(source))
    if form is None:
        view = passage.reads[0]
        # A cast from real numbers to integers cuts fractions off.
        cut = view is not None and view.dtype not in _WHOLE and to.is_integer()
        return None if view is None or cut else replace(view, dtype=str(to.numpy()))
    one, zero = np.ones((), np.float32), np.zeros((), np.int64)
    return IntegerView(source, one, zero, form, str(to.numpy()))


def _target(passage: Passage) -> ir.DataType | None:
    """The element type that Cast names, or the one that CastLike takes from its second input."""
    node = passage.node
    if node.op_type == "CastLike":
        return passage.kind(node.inputs[1])
    return ir.DataType(node.attributes["to"].as_int())


def _rescale_integers(passage: Passage) -> IntegerView | None:
    """Mul, Div, Add and Sub with a constant: what a scale and a zero point are spelled with."""
    operator, inputs = passage.node.op_type, passage.node.inputs
    first, second = passage.reads
    # These commute; `number - x` and `number / x` are no scale times integers.
    turned = first is None and operator in ("Mul", "Add")
    view, other, rest = (second, inputs[0], first) if turned else (first, inputs[1], second)
    if view is None or rest is not None:
        return None
    factor = _factor(passage, view, other)
    if factor is None:
        return None
    change = _times if operator in ("Mul", "Div") else _plus
    return change(view, factor, operator)


def _factor(passage: Passage, view: IntegerView, other: ir.Value | None) -> AnyArray | None:
    """The constant operand: a number, or an array of the shape of constant integers."""
    factor = passage.constants.small(other)
    if factor is None or factor.dtype.kind not in "fiu" or not factor.size:
        return None
    if not np.all(np.isfinite(factor.astype(np.float64))):
        return None
    if passage.constants.holds(view.integers):
        return _fit_constant(factor, view, passage)
    return factor.reshape(()) if factor.size == 1 else None


def _fit_constant(factor: AnyArray, view: IntegerView, passage: Passage) -> AnyArray | None:
    """The constant where it broadcasts to the tensor's own shape, and is no tensor like it.

    One that is spelled out for each element counts as the scale or the vector that it repeats.
    """
    shape = passage.constants.shape(view.integers)
    try:
        same = np.broadcast_shapes(factor.shape, shape) == shape
    except ValueError:
        return None
    if not same:
        return None
    # Exporters write one scale out for every weight; it is one scale all the same.
    for axis in range(factor.ndim):
        first = factor.take([0], axis)
        factor = first if np.array_equal(np.broadcast_to(first, factor.shape), factor) else factor
    return factor if factor.size == 1 or factor.size < np.prod(shape) else None


def _negate_weights(passage: Passage) -> IntegerView | None:
    """Weights of the other sign; activations have positive steps."""
    view = passage.reads[0]
    if view is None or not passage.constants.holds(view.integers):
        return None
    return _times(view, np.asarray(-1.0), "Mul")


def _times(view: IntegerView, factor: AnyArray, operator: str) -> IntegerView | None:
    if view.dtype not in _REALS:
        return None
    wide = factor.astype(np.float64)
    with np.errstate(all="ignore"):  # what is not finite is not held
        scale = view.scale * wide if operator == "Mul" else view.scale / wide
        narrow: FloatArray = np.asarray(scale, np.float32)
    # A scale that float32 rounds to 0 would make all weights 0 where the model has small ones.
    vanishes = np.any((narrow == 0) & (scale != 0))
    held = not vanishes and stays_finite(narrow, view.zero_point, view.format)
    return replace(view, scale=narrow) if held else None


def _plus(view: IntegerView, addend: AnyArray, operator: str) -> IntegerView | None:
    with np.errstate(all="ignore"):  # a scale of 0 has no steps
        steps = np.rint(addend.astype(np.float64) / view.scale)
        same = np.array_equal((steps * view.scale).astype(np.float32), addend.astype(np.float32))
    # Codes have at most 16 bits; a zero point further away would need wider products.
    if not same or np.any(np.abs(steps) > 1 << 16):
        return None
    whole = steps.astype(np.int64)
    return replace(view, zero_point=view.zero_point + (whole if operator == "Sub" else -whole))


@dataclass(frozen=True)
class Carrier:
    """How an operator is passed.

    Attributes:
        sources: places of the inputs that give the elements; None: all.
        spells: a scale is spelled out with it.
    """

    rule: Rule
    sources: tuple[int, ...] | None = (0,)
    spells: bool = False

    def reads(self, node: ir.Node) -> tuple[ir.Value | None, ...]:
        """Those inputs, None at the places of the others."""
        wanted = range(len(node.inputs)) if self.sources is None else self.sources
        return tuple(value if i in wanted else None for i, value in enumerate(node.inputs))


_OWN: dict[str, Carrier] = {
    "Pad": Carrier(_pad_integers),
    "Relu": Carrier(_clip_integers),
    "Clip": Carrier(_clip_integers),
    "Max": Carrier(_larger, None),
    "Min": Carrier(_larger, None),
    "Concat": Carrier(_join_integers, None),
    "Where": Carrier(lambda passage: _join_integers(passage, 1), (1, 2)),
    "Cast": Carrier(_cast, spells=True),
    "CastLike": Carrier(_cast, spells=True),
    "Mul": Carrier(_rescale_integers, None, spells=True),
    "Div": Carrier(_rescale_integers, None, spells=True),
    "Add": Carrier(_rescale_integers, None, spells=True),
    "Sub": Carrier(_rescale_integers, None, spells=True),
    "Neg": Carrier(_negate_weights),
}


def _carrier(operator: Operator) -> Carrier | None:
    if operator.name in _OWN:
        return _OWN[operator.name]
    if operator.moves_first:
        return Carrier(_move_integers)
    return Carrier(_gather_integers) if operator.picks and not operator.zeros else None


CARRIERS: dict[str, Carrier] = {
    name: carrier
    for name, operator in OPERATORS.items()
    if (carrier := _carrier(operator)) is not None
}
"""How each standard operator is passed, by its name."""
