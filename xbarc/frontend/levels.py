"""Values that take only a few different numbers, by the structure of the graph alone.

Binary activations come in many forms: Sign, a comparison with Cast or Where, chains of these with
constants, and anything that only moves elements afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from xbarc.frontend.constants import Constants
from xbarc.numerics.types import AnyArray

_MOST = 8
_SMALL = 4096

_COMPARES = frozenset(
    ("Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Equal", "Not", "And", "Or", "Xor")
)
_MOVES = frozenset(
    (
        "MaxPool",
        "Flatten",
        "Reshape",
        "Transpose",
        "Squeeze",
        "Unsqueeze",
        "Identity",
        "Dropout",
        "Slice",
        "Gather",
        "Expand",
        "Tile",
        "DepthToSpace",
        "SpaceToDepth",
        "Split",
        "Cast",
    )
)
_ONE: dict[str, Callable[[AnyArray], AnyArray]] = {
    "Neg": np.negative,
    "Abs": np.abs,
    "Relu": lambda x: np.maximum(x, np.float32(0)),
    "Sign": np.sign,
}
_TWO: dict[str, Callable[[AnyArray, AnyArray], AnyArray]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Max": np.maximum,
    "Min": np.minimum,
}


@dataclass(frozen=True)
class Levels:
    """What a value can hold.

    Attributes:
        values: every number that can occur, as float32.
        ties: those that occur only where Sign met exactly 0.
    """

    values: frozenset[float]
    ties: frozenset[float] = frozenset()

    @property
    def pair(self) -> tuple[float, float] | None:
        """Low and high of a binary value; a tie may add 0, and nothing else."""
        usual = sorted(self.values - self.ties)
        if len(usual) != 2 or (self.ties - {0.0}):
            return None
        low, high = usual
        return (low, high) if low == -high or 0.0 in (low, high) else None


@dataclass(eq=False)
class LevelMap:
    """Levels of values, found forward in execution order."""

    constants: Constants
    found: dict[ir.Value, Levels | None] = field(default_factory=dict)

    def learn(self, nodes: Iterable[ir.Node]) -> None:
        """Look at every node once."""
        for node in nodes:
            for output in node.outputs[:1]:
                if not self.constants.holds(output):
                    self.found[output] = self._infer(node)

    def of(self, value: ir.Value | None) -> Levels | None:
        """Levels of a value; of a constant only where it is small."""
        if value is None:
            return None
        if value not in self.found:
            node = value.producer()
            if self.constants.holds(value):
                self.found[value] = self._constant(value)
            else:
                self.found[value] = None if node is None else self._infer(node)
        return self.found[value]

    def _constant(self, value: ir.Value) -> Levels | None:
        kind = self.constants.dtype(value)
        if kind is None or int(np.prod(self.constants.shape(value), dtype=object)) > _SMALL:
            return None
        array = self.constants.load(value)
        return _levels(array.reshape(-1)) if array.dtype.kind in "fiub" else None

    def _infer(self, node: ir.Node) -> Levels | None:
        if node.domain != "" or self.constants.holds(node.outputs[0]):
            return None
        first = self.of(node.inputs[0]) if node.inputs else None
        match node.op_type:
            case kind if kind in _COMPARES:
                found: Levels | None = Levels(frozenset((0.0, 1.0)))
            case "Sign" if first is None:
                found = Levels(frozenset((-1.0, 0.0, 1.0)), frozenset((0.0,)))
            case kind if kind in _MOVES:
                found = first
            case "Where":
                found = _joined([self.of(value) for value in node.inputs[1:]])
            case "Concat":
                found = _joined([self.of(value) for value in node.inputs])
            case "Clip":
                found = self._clip(node, first)
            case _:
                found = self._computed(node, first)
        return found

    def _computed(self, node: ir.Node, first: Levels | None) -> Levels | None:
        if first is None:
            return None
        if node.op_type in _ONE:
            return _mapped(first, _ONE[node.op_type])
        if node.op_type in _TWO and len(node.inputs) == 2:
            second = self.of(node.inputs[1])
            return None if second is None else _combined(first, second, _TWO[node.op_type])
        return None

    def _clip(self, node: ir.Node, first: Levels | None) -> Levels | None:
        limits = [self.constants.small(value, default=0.0) for value in node.inputs[1:]]
        if first is None or any(limit is None for limit in limits) or len(limits) != 2:
            return None
        low, high = (np.float32(np.asarray(limit).reshape(-1)[0]) for limit in limits)
        return _mapped(first, lambda x: np.clip(x, low, high))


def _levels(numbers: AnyArray, ties: AnyArray | None = None) -> Levels | None:
    values = frozenset(float(x) for x in np.unique(numbers.astype(np.float32)))
    tied = frozenset() if ties is None else frozenset(float(x) for x in np.unique(ties))
    if len(values) > _MOST or not np.isfinite(list(values)).all():
        return None
    return Levels(values, tied)


def _mapped(levels: Levels, function: Callable[[AnyArray], AnyArray]) -> Levels | None:
    usual = function(np.array(sorted(levels.values - levels.ties), np.float32))
    tied = function(np.array(sorted(levels.ties), np.float32))
    return _levels(np.concatenate([usual, tied]), np.setdiff1d(tied, usual))


def _combined(
    first: Levels, second: Levels, function: Callable[[AnyArray, AnyArray], AnyArray]
) -> Levels | None:
    if first.ties and second.ties:
        return None
    with np.errstate(all="ignore"):
        usual = _outer(first.values - first.ties, second.values - second.ties, function)
        every = _outer(first.values, second.values, function)
    return _levels(every, np.setdiff1d(every, usual))


def _outer(
    first: Iterable[float],
    second: Iterable[float],
    function: Callable[[AnyArray, AnyArray], AnyArray],
) -> AnyArray:
    left, right = (np.array(sorted(values), np.float32) for values in (first, second))
    return function(left[:, None], right[None, :]).reshape(-1)


def _joined(parts: list[Levels | None]) -> Levels | None:
    known = [part for part in parts if part is not None]
    if len(known) != len(parts) or not known:
        return None
    usual = frozenset().union(*(part.values - part.ties for part in known))
    values = frozenset().union(*(part.values for part in known))
    return Levels(values, values - usual) if len(values) <= _MOST else None
