"""How a positive scale of a channel passes the operators that let it pass.

A rule takes a node and gives the labels of its outputs, after it said which scales must be equal.
Which rule serves follows from the table of operators, but for the few in `_OWN`; an operator whose
row has no scaling stops every scale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from xbarc.frontend.scales.scale_labels import Joins, Labels, compress_labels
from xbarc.numerics import AnyArray
from xbarc.operators import Form, Operator, ScaleRule, find_by_name
from xbarc.runtime import OnnxSession


@dataclass(frozen=True, eq=False)
class Visit:
    """One node on the way.

    Attributes:
        reads: labels of its inputs; an input without any has scale one.
        constants: contents of its inputs that are initialisers, by name.
        shapes: of its inputs and outputs, by name, where they are known.
        opset: version of the standard operators.
    """

    node: onnx.NodeProto
    reads: tuple[Labels | None, ...]
    constants: Mapping[str, AnyArray]
    shapes: Mapping[str, tuple[int, ...]]
    joins: Joins
    opset: int

    @property
    def source(self) -> Labels:
        """Labels of the first input."""
        first = self.reads[0]
        if first is None:
            raise Stopped
        return first

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the first output."""
        return self.shape_of(self.node.output[0])

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Shape of an input or output."""
        if name not in self.shapes:
            raise Stopped
        return self.shapes[name]

    def constant(self, index: int) -> AnyArray | None:
        """An input's contents; None where the input is left out."""
        name = self.node.input[index] if index < len(self.node.input) else ""
        if name and name not in self.constants:
            raise Stopped
        return self.constants[name] if name else None

    def attribute(self, name: str, default: float | bytes | AnyArray | None = None) -> AnyArray:
        """An attribute as an array."""
        for item in self.node.attribute:
            if item.name == name:
                return np.asarray(helper.get_attribute_value(item))
        return np.asarray(default)


class Stopped(Exception):  # noqa: N818  # a finding, not an error
    """The scales of a node's inputs do not pass."""


Rule = Callable[[Visit], list[Labels]]


def _stop_scales(visit: Visit) -> list[Labels]:
    """The rule of everything that has none."""
    raise Stopped(visit.node.op_type)


def _same(visit: Visit) -> list[Labels]:
    return [visit.source]


def _dropout(visit: Visit) -> list[Labels]:
    if len(visit.node.input) > 2:
        raise Stopped
    return [visit.source]


def _prelu(visit: Visit) -> list[Labels]:
    if visit.reads[1] is not None:
        raise Stopped
    return [Labels(visit.source.with_rank(len(visit.shape)), visit.shape)]


def _clip(visit: Visit) -> list[Labels]:
    """A clip at zero from below is Relu; any other bound stops scales."""
    low, high = _bound(visit, 1, "min", -np.inf), _bound(visit, 2, "max", np.inf)
    if low not in (0.0, -np.inf) or high not in (0.0, np.inf):
        raise Stopped
    return [visit.source]


def _bound(visit: Visit, index: int, name: str, default: float) -> float:
    given = visit.constant(index)
    if given is None:
        given = visit.attribute(name, default)
    bound = float(given.reshape(-1)[0])
    return default if abs(bound) >= float(np.finfo(np.float32).max) else bound


def _sum(visit: Visit) -> list[Labels]:
    """Terms of a sum, and candidates of a choice, share one scale."""
    rank = len(visit.shape)
    total = np.zeros((1,) * rank, dtype=np.int64)
    places = find_by_name(visit.node.op_type).places(len(visit.reads)) or range(len(visit.reads))
    for number, labels in enumerate(visit.reads[place] for place in places):
        term = np.zeros((1,) * rank, dtype=np.int64) if labels is None else labels.with_rank(rank)
        if number:
            visit.joins.join(total, term)
            term = np.broadcast_to(total, np.broadcast_shapes(total.shape, term.shape))
        total = term
    return [Labels(total, visit.shape)]


def _product(visit: Visit) -> list[Labels]:
    """One factor's scales pass, where the other factors have none; a divisor never has any."""
    rank, kept = len(visit.shape), None
    for number, labels in enumerate(visit.reads):
        if labels is None or visit.joins.are_one(labels.ids):
            continue
        # s x times y has the scale s only if y has none: the first keeps its own, the others are
        # pinned.
        if kept is None and (number == 0 or visit.node.op_type == "Mul"):
            kept = labels
        else:
            visit.joins.pin(labels.ids)
    if kept is None:
        raise Stopped
    return [Labels(kept.with_rank(rank), visit.shape)]


def _pool(visit: Visit) -> list[Labels]:
    """Positions of one channel are mixed, channels are not."""
    labels = visit.source
    if len(labels.shape) < 2 or labels.shape[:2] != visit.shape[:2]:
        raise Stopped
    # It fills places outside the box with a number that no scale multiplies.
    if visit.attribute("coordinate_transformation_mode", b"").tobytes().startswith(b"tf_crop"):
        raise Stopped
    ids = visit.joins.merge(labels.ids, range(2, labels.ids.ndim))
    return [Labels(ids, visit.shape)]


def _pad(visit: Visit) -> list[Labels]:
    """A border of zeros, or of values of the same channel."""
    labels, shape = visit.source, visit.shape
    value = visit.constant(2)
    zero = value is None or not value.any()
    if visit.attribute("value", 0).any() or not zero:
        raise Stopped
    grown = [axis for axis, size in enumerate(shape) if size != labels.shape[axis]]
    if any(labels.ids.shape[axis] != 1 for axis in grown):
        raise Stopped
    return [Labels(labels.ids, shape)]


def _reduce(visit: Visit) -> list[Labels]:
    """Entries that are added up, or compared, have the same scale."""
    labels = visit.source
    axes = visit.attribute("axes") if len(visit.node.input) < 2 else visit.constant(1)
    rank = len(labels.shape)
    listed = range(rank) if axes is None or axes.dtype == object else axes.reshape(-1).tolist()
    ids = visit.joins.merge(labels.ids, [axis % rank for axis in listed])
    kept = len(visit.shape) == rank
    gone = () if kept else tuple(axis % rank for axis in listed)
    return [Labels(ids if kept else ids.squeeze(gone), visit.shape)]


def _reshape(visit: Visit) -> list[Labels]:
    return [compress_labels(visit.source.full.reshape(visit.shape), visit.shape)]


def _transpose(visit: Visit) -> list[Labels]:
    rank = len(visit.source.shape)
    order = visit.attribute("perm", np.arange(rank)[::-1]).tolist()
    return [Labels(visit.source.ids.transpose(order), visit.shape)]


def _expand(visit: Visit) -> list[Labels]:
    return [Labels(visit.source.with_rank(len(visit.shape)), visit.shape)]


def _concat(visit: Visit) -> list[Labels]:
    rank = len(visit.shape)
    axis = int(visit.attribute("axis")) % rank
    parts = []
    for name, labels in zip(visit.node.input, visit.reads, strict=True):
        ids = np.zeros((1,) * rank, dtype=np.int64) if labels is None else labels.ids
        shape = list(ids.shape)
        shape[axis] = visit.shape_of(name)[axis]
        parts.append(np.broadcast_to(ids, shape))
    common = np.broadcast_shapes(*(part.take([0], axis=axis).shape for part in parts))
    spread = [
        np.broadcast_to(part, (*common[:axis], part.shape[axis], *common[axis + 1 :]))
        for part in parts
    ]
    return [compress_labels(np.concatenate(spread, axis=axis), visit.shape)]


def _split(visit: Visit) -> list[Labels]:
    labels = visit.source
    axis = int(visit.attribute("axis", 0)) % len(labels.shape)
    shapes = [visit.shape_of(name) for name in visit.node.output]
    shape = list(labels.ids.shape)
    shape[axis] = labels.shape[axis]
    cuts = np.cumsum([item[axis] for item in shapes])[:-1]
    parts = np.split(np.broadcast_to(labels.ids, shape), cuts, axis=axis)
    return [compress_labels(part, item) for part, item in zip(parts, shapes, strict=True)]


def _move_labels(visit: Visit) -> list[Labels]:
    """Elements change places only: ONNX Runtime moves the labels themselves."""
    # ONNX Runtime moves float64 in every operator; labels are far below 2^53.
    full = visit.source.full.astype(np.float64)
    for index in range(1, len(visit.node.input)):
        visit.constant(index)
    graph = helper.make_graph(
        [visit.node],
        "labels",
        [helper.make_tensor_value_info(visit.node.input[0], onnx.TensorProto.DOUBLE, full.shape)],
        [onnx.ValueInfoProto(name=visit.node.output[0])],
        [
            numpy_helper.from_array(visit.constants[name], name)
            for name in dict.fromkeys(visit.node.input[1:])
            if name
        ],
    )
    opset = [helper.make_opsetid("", visit.opset)]
    model = helper.make_model(graph, ir_version=10, opset_imports=opset)
    session = OnnxSession(model.SerializeToString(), where=visit.node.name, threads=1)
    found = np.asarray(session.run({visit.node.input[0]: full})[0])
    return [compress_labels(np.rint(found).astype(np.int64), visit.shape)]


def _cast(visit: Visit) -> list[Labels]:
    """From one real type to another."""
    if int(visit.attribute("to", 0)) not in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE):
        raise Stopped
    return [visit.source]


_OWN: dict[str, Rule] = {
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Dropout": _dropout,
    "Expand": _expand,
    "PRelu": _prelu,
    "Pad": _pad,
    "Split": _split,
    "Transpose": _transpose,
}

_BY_FORM: dict[Form, Rule] = {
    Form.ENTRY: _same,
    Form.WINDOW: _pool,
    Form.CHANNEL: _pool,
    Form.AXES: _reduce,
    Form.MOVE: _move_labels,
}


def rule_of(operator: Operator) -> Rule:
    """The rule of an operator."""
    if operator.name in _OWN:
        return _OWN[operator.name]
    match operator.scaling:
        case ScaleRule.JOINT:
            return _sum
        case ScaleRule.FACTOR:
            return _product
        case ScaleRule.ONE:
            reshapes = operator.form is Form.MOVE and operator.bijective
            return _reshape if reshapes else _BY_FORM[operator.form]
        case ScaleRule.NONE:
            return _stop_scales
