"""The rule of an operator: its own, or the one that follows from its row in the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce

import numpy as np

from xbarc.intervals import arithmetic, data_movement, elementwise, quantising, reducing
from xbarc.intervals.bounds import (
    Bounds,
    Extents,
    bounds_of_type,
    broadcast_shape,
    collapse_bounds,
    limit_bounds,
    merge_reasons,
    union,
)
from xbarc.intervals.node import BoundedNode
from xbarc.operators import OPERATORS, Form, Operator

Rule = Callable[[BoundedNode], Bounds]

RULES: dict[str, Rule] = {
    **arithmetic.RULES,
    **elementwise.RULES,
    **data_movement.RULES,
    **reducing.RULES,
    **quantising.RULES,
}
"""Rules that say more than the table."""

# A row of the table names real ends, which kernels pass by their rounding: 512 roundings of
# float32, and one of bfloat16, whose numbers have 8 significant bits.
_SLACK = 2.0**-15
_HALF_SLACK = 2.0**-8  # as above


def rule_of(operator: Operator) -> Rule:
    """What bounds the results of an operator; of an unknown one only its type, if that."""
    if operator.name in RULES:
        return RULES[operator.name]
    if operator.curve is not None:
        return elementwise.curve
    if operator.exact is not None and operator.rises:
        return elementwise.round_ends
    if operator.moves or operator.picks:
        return move_entries
    if operator.within != Operator("").within:
        return bound_by_range
    return same_sign if operator.keeps_sign else bound_by_type


def bounds_something(operator: Operator) -> bool:
    """Whether more is known of the results than their type."""
    return rule_of(operator) is not bound_by_type


def move_entries(node: BoundedNode) -> Bounds:
    """Entries of inputs, anywhere, and zeros where an operator leaves places empty."""
    if node.attributes.get("reduction", "none") != "none":
        return bound_by_type(node)
    places = node.operator.places(len(node.inputs)) or (0,)
    found = reduce(union, (collapse_bounds(node.input(place)) for place in places))
    if not node.operator.zeros:
        return found
    return replace(found, low=np.minimum(found.low, 0.0), high=np.maximum(found.high, 0.0))


def bound_by_range(node: BoundedNode) -> Bounds:
    """Ends that hold whatever the inputs are; floats may pass them by their rounding."""
    room, (low, high) = bound_by_type(node), node.operator.within
    if not room.is_whole:
        slack = _SLACK if room.is_float else _HALF_SLACK
        low = low - slack * (1 + abs(low)) if low else low
        high = high + slack * (1 + abs(high)) if high else high
    found = limit_bounds(replace(room, nan=False), low, high, node.reason)
    return replace(found, nan=not room.is_whole, reasons=(node.reason,))


def same_sign(node: BoundedNode) -> Bounds:
    """Nothing below 0 where no input is, and no factor."""
    room = bound_by_type(node)
    reads = [node.input(place) for place in range(len(node.inputs)) if node.has_input(place)]
    turned = any(node.attribute(name, 1.0) < 0 for name in ("alpha", "beta"))
    if room.is_whole or turned or not all((read.low >= 0).all() for read in reads):
        return room
    return replace(
        room, low=np.array(0.0), reasons=merge_reasons(*(read.reasons for read in reads))
    )


def bound_by_type(node: BoundedNode) -> Bounds:
    """Anything of the type and of the extents that are known."""
    dtype = node.operator.dtype
    known = node.input(dtype).dtype if isinstance(dtype, int) else dtype
    return bounds_of_type(known, _shape(node))


def _shape(node: BoundedNode) -> Extents | None:
    if node.operator.form is Form.ENTRY and node.operator.broadcasts:
        return broadcast_shape(*(node.input(place) for place in range(len(node.inputs))))
    kept = node.operator.form is Form.ENTRY or node.kind in ("Softmax", "LogSoftmax")
    return node.first().shape if kept else None


BOUNDED = tuple(sorted(name for name, row in OPERATORS.items() if bounds_something(row)))
"""Operators of which more is known than their type."""
