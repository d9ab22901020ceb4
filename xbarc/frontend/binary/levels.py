"""Values that take only a few different numbers, by the structure of the graph alone.

Binary activations come in many forms: Sign, a comparison with Cast or Where, chains of these with
constants, and anything that only moves elements afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import onnx_ir as ir

from xbarc.frontend.graph import Constants, only_moves, whole
from xbarc.numerics import AnyArray
from xbarc.operators import Form, find_by_name

# A binary layer reads 2 levels, or 3 with the tie of Sign. On the way there a sum or a product has
# up to as many levels as its sides have pairs: 4 to 9. The bound keeps such sets from multiplying
# through a graph of real numbers.
_MOST_LEVELS = 8
# Constants beside a threshold have one entry, or one a channel. Larger ones are weights: they are
# read when their layer asks for them, never to look for levels.
_MOST_CONSTANT_ENTRIES = 4096


@dataclass(frozen=True)
class FewLevels:
    """What a value can hold.

    Attributes:
        values: every number that can occur, as float32.
        ties: those that occur only where Sign met exactly 0.
        dtype: in which operators compute.
    """

    values: frozenset[float]
    ties: frozenset[float] = frozenset()
    dtype: str = "float32"

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
    found: dict[ir.Value, FewLevels | None] = field(default_factory=dict)
    nodes: Sequence[ir.Node] = ()

    def learn(self, nodes: Sequence[ir.Node]) -> None:
        """Look at every node once."""
        self.nodes = nodes
        for node in nodes:
            for output in node.outputs[:1]:
                if not self.constants.holds(output):
                    self.found[output] = self._infer(node)

    def settle(self, value: ir.Value) -> None:
        """A layer gives the value itself, by a threshold: it has no ties, nor what follows it."""
        known, node = self.found.get(value), value.producer()
        if known is None or node is None or not known.ties:
            return
        self.found[value] = replace(known, values=known.values - known.ties, ties=frozenset())
        for later in self.nodes[self.nodes.index(node) + 1 :]:
            before = self.found.get(later.outputs[0]) if later.outputs else None
            if before is not None and before.ties:
                self.found[later.outputs[0]] = self._infer(later)

    def of(self, value: ir.Value | None) -> FewLevels | None:
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

    def _constant(self, value: ir.Value) -> FewLevels | None:
        kind = self.constants.dtype(value)
        if (
            kind is None
            or int(np.prod(self.constants.shape(value), dtype=object)) > _MOST_CONSTANT_ENTRIES
        ):
            return None
        array = self.constants.load(value)
        return _levels(array.reshape(-1), str(array.dtype)) if array.dtype.kind in "fiub" else None

    def _infer(self, node: ir.Node) -> FewLevels | None:
        if node.domain != "" or self.constants.holds(node.outputs[0]):
            return None
        operator = find_by_name(node.op_type)
        if operator.dtype == "bool":
            return FewLevels(frozenset((0.0, 1.0)), dtype="bool")
        if operator.moves and not operator.zeros:
            places = operator.places(len(node.inputs))
            return (
                _join_levels([self.of(node.inputs[i]) for i in places])
                if only_moves(node)
                else None
            )
        first = self.of(node.inputs[0]) if node.inputs else None
        if operator.name == "Sign" and first is None:
            return FewLevels(frozenset((-1.0, 0.0, 1.0)), frozenset((0.0,)))
        return None if first is None else self._compute_levels(node, first)

    def _compute_levels(self, node: ir.Node, first: FewLevels) -> FewLevels | None:
        operator = find_by_name(node.op_type)
        if operator.picks and operator.form is not Form.ENTRY:
            return first if only_moves(node) and not operator.zeros else None
        if operator.name == "Cast":
            return _cast(first, ir.DataType(whole(node, "to", 0)))
        if operator.name == "Clip":
            return self._clip(node, first)
        return self._function(node, first, operator.exact)

    def _function(
        self, node: ir.Node, first: FewLevels, function: Callable[..., AnyArray] | None
    ) -> FewLevels | None:
        if function is None or getattr(function, "nin", 1) != len(node.inputs):
            return None
        if len(node.inputs) == 1:
            return _map_levels(first, function)
        second = self.of(node.inputs[1])
        return None if second is None else _combine_levels(first, second, function)

    def _clip(self, node: ir.Node, first: FewLevels) -> FewLevels | None:
        limits = [self.constants.small(value, default=0.0) for value in node.inputs[1:]]
        if any(limit is None for limit in limits) or len(limits) != 2:
            return None
        low, high = (np.asarray(limit).reshape(-1)[0] for limit in limits)
        return _map_levels(first, lambda x: np.clip(x, low, high))


def _levels(numbers: AnyArray, dtype: str, ties: AnyArray | None = None) -> FewLevels | None:
    values = frozenset(float(x) for x in np.unique(numbers.astype(np.float32)))
    tied = frozenset() if ties is None else frozenset(float(x) for x in np.unique(ties))
    if len(values) > _MOST_LEVELS or not np.isfinite(list(values)).all():
        return None
    return FewLevels(values, tied, dtype)


def _map_levels(levels: FewLevels, function: Callable[[AnyArray], AnyArray]) -> FewLevels | None:
    usual = _apply(function, _array(levels.values - levels.ties, levels.dtype))
    tied = _apply(function, _array(levels.ties, levels.dtype))
    return _levels(np.concatenate([usual, tied]), levels.dtype, np.setdiff1d(tied, usual))


def _array(values: Iterable[float], dtype: str) -> AnyArray:
    return np.array(sorted(values)).astype(dtype)


def _apply(function: Callable[..., AnyArray], *arrays: AnyArray) -> AnyArray:
    """A function in the type of its arguments: integers wrap, and are divided towards 0."""
    with np.errstate(all="ignore"):
        found = function(*arrays)
    dtype = arrays[0].dtype
    if dtype.kind in "iu" and found.dtype.kind == "f":
        # numpy divides integers to floats, ONNX cuts towards 0; a division by 0 stays infinite and
        # so has no levels.
        return np.trunc(found) if not np.isfinite(found).all() else np.trunc(found).astype(dtype)
    return found


def _cast(levels: FewLevels, to: ir.DataType) -> FewLevels | None:
    """Numbers in another type; None where it does not hold them."""
    dtype = to.numpy()
    if dtype.kind not in "fiub":
        return None
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        if any(not info.min <= int(value) <= info.max for value in levels.values):
            return None
    return _map_levels(replace(levels, dtype=str(dtype)), lambda x: x)


def _combine_levels(
    first: FewLevels, second: FewLevels, function: Callable[[AnyArray, AnyArray], AnyArray]
) -> FewLevels | None:
    dtype = _common(first.dtype, second.dtype)
    # Two ties may meet in one number that neither makes alone: nothing is said then.
    if (first.ties and second.ties) or dtype is None:
        return None
    usual = _outer(first.values - first.ties, second.values - second.ties, function, dtype)
    every = _outer(first.values, second.values, function, dtype)
    return _levels(every, dtype, np.setdiff1d(every, usual))


def _common(first: str, second: str) -> str | None:
    """The type of two operands: float32 may stand for another real one, which Sign was given."""
    reals = [dtype for dtype in (first, second) if dtype.startswith("float")]
    if first == second:
        return first
    return next((dtype for dtype in reals if dtype != "float32"), None) if len(reals) == 2 else None


def _outer(
    first: Iterable[float],
    second: Iterable[float],
    function: Callable[[AnyArray, AnyArray], AnyArray],
    dtype: str,
) -> AnyArray:
    left, right = (_array(values, dtype) for values in (first, second))
    return _apply(function, left[:, None], right[None, :]).reshape(-1)


def _join_levels(parts: list[FewLevels | None]) -> FewLevels | None:
    known = [part for part in parts if part is not None]
    if len(known) != len(parts) or not known:
        return None
    usual = frozenset().union(*(part.values - part.ties for part in known))
    values = frozenset().union(*(part.values for part in known))
    return (
        FewLevels(values, values - usual, known[0].dtype) if len(values) <= _MOST_LEVELS else None
    )
