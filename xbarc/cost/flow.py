"""Which positions of its inputs a value needs: windows of convolutions, pools and the like.

Positions are the places of a tensor apart from its channels, in the order of memory. A `Reach` says
how far the need of output position `o` extends along one axis: from `o stride - before` to
`o stride + after`. `None` in place of reaches means that all is needed before anything comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from xbarc.ir.geometry import Window, window_pads
from xbarc.ir.program import DigitalStep


@dataclass(frozen=True)
class Reach:
    """What one output position needs along one axis."""

    stride: int = 1
    before: int = 0
    after: int = 0

    def then(self, later: Reach) -> Reach:
        """The need through this window and then through a later one."""
        return Reach(
            self.stride * later.stride,
            later.before * self.stride + self.before,
            later.after * self.stride + self.after,
        )

    def joined(self, other: Reach) -> Reach | None:
        """The need of both; None where their strides differ."""
        if self.stride != other.stride:
            return None
        return Reach(self.stride, max(self.before, other.before), max(self.after, other.after))


Windows: TypeAlias = tuple[Reach, ...]
"""A reach for each spatial axis; empty: position by position, whatever the axes."""


@dataclass(frozen=True)
class Whole:
    """Everything that comes out of some windows is needed before anything comes."""

    of: Windows


Reaches: TypeAlias = Windows | Whole | None

POINT: Windows = ()

_POINTWISE = frozenset(
    (
        "Abs",
        "Add",
        "BatchNormalization",
        "Cast",
        "Ceil",
        "Celu",
        "Clip",
        "DequantizeLinear",
        "Div",
        "Dropout",
        "Elu",
        "Erf",
        "Exp",
        "Floor",
        "Gelu",
        "HardSigmoid",
        "HardSwish",
        "Identity",
        "LRN",
        "LeakyRelu",
        "Log",
        "Max",
        "Min",
        "Mish",
        "Mul",
        "Neg",
        "PRelu",
        "Pow",
        "QuantizeLinear",
        "Reciprocal",
        "Relu",
        "Round",
        "Selu",
        "Sigmoid",
        "Sign",
        "Softplus",
        "Softsign",
        "Sqrt",
        "Sub",
        "Sum",
        "Tanh",
        "ThresholdedRelu",
        "Where",
    )
)
_POOLS = frozenset(("AveragePool", "LpPool", "MaxPool"))


def window_reach(geometry: Window, spatial: tuple[int, ...]) -> tuple[Reach, ...]:
    """The need of a convolution's output positions."""
    pads = window_pads(geometry, spatial)
    axes = zip(geometry.kernel, geometry.strides, geometry.dilations, pads, strict=True)
    return tuple(
        Reach(stride, begin, dilation * (kernel - 1) - begin)
        for kernel, stride, dilation, (begin, _) in axes
    )


def chained(first: Reaches, later: Reaches) -> Reaches:
    """The need through two windows, one after the other."""
    if first is None or isinstance(first, Whole):
        return first
    if later is None or isinstance(later, Whole):
        return Whole(first) if later is None or not later.of else None
    if not first or not later:
        return first or later
    if len(first) != len(later):
        return None
    return tuple(a.then(b) for a, b in zip(first, later, strict=True))


def union(one: Reaches, other: Reaches) -> Reaches:
    """The need over two ways from the same value."""
    if one == other:
        return one
    if one is None or other is None or isinstance(one, Whole) or isinstance(other, Whole):
        return None
    if not one or not other:
        full = one or other
        one, other = one or tuple(Reach() for _ in full), other or tuple(Reach() for _ in full)
    if len(one) != len(other):
        return None
    found = []
    for a, b in zip(one, other, strict=True):
        both = a.joined(b)
        if both is None:
            return None
        found.append(both)
    return tuple(found)


def fragment_reaches(step: DigitalStep) -> dict[str, dict[str, Reaches]]:
    """What each output of a fragment needs of each input, by output and by input.

    An operator that is not known to work position by position or window by window needs all of its
    inputs, which is true of any operator and never too early.
    """
    import onnx  # noqa: PLC0415  # a fragment is ONNX by definition; only a schedule looks inside

    graph = onnx.ModelProto.FromString(step.model).graph
    needs: dict[str, dict[str, Reaches]] = {name: {name: POINT} for name in step.inputs}
    for node in graph.node:
        own = _node_reach(node)
        need: dict[str, Reaches] = {}
        for name in node.input:
            for source, reach in needs.get(name, {}).items():
                through = chained(reach, own)
                need[source] = union(need[source], through) if source in need else through
        if _has_body(node):
            need = dict.fromkeys(step.inputs)
        needs.update(dict.fromkeys(node.output, need))
    return {name: needs.get(name, {}) for name in step.outputs}


def _has_body(node: Any) -> bool:
    return any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute)


def _node_reach(node: Any) -> Reaches:
    if node.domain not in ("", "ai.onnx"):
        return None
    if node.op_type in _POINTWISE:
        return POINT
    given = {attribute.name: attribute for attribute in node.attribute}
    if node.op_type == "Concat":
        return POINT if given["axis"].i in (1, -3) else None
    return _pool_reach(given) if node.op_type in _POOLS else None


def _pool_reach(given: Mapping[str, Any]) -> Reaches:
    """A pool with explicit pads; others depend on the extent, so they wait for everything."""
    auto = given["auto_pad"].s if "auto_pad" in given else b"NOTSET"
    if auto not in (b"NOTSET", b"VALID"):
        return None
    kernel = list(given["kernel_shape"].ints)
    rank = len(kernel)
    strides = list(given["strides"].ints) if "strides" in given else [1] * rank
    dilations = list(given["dilations"].ints) if "dilations" in given else [1] * rank
    pads = list(given["pads"].ints) if "pads" in given and auto == b"NOTSET" else [0] * rank
    return tuple(
        Reach(strides[i], pads[i], dilations[i] * (kernel[i] - 1) - pads[i]) for i in range(rank)
    )


def is_empty(step: DigitalStep) -> bool:
    """Say whether a fragment holds no model to look into, as in hand-made programs."""
    return not step.model
