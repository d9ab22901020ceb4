"""Building the fragments in execution order, so that ONNX Runtime itself says every type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import onnx
import onnx_ir as ir

from xbarc.errors import ModelError, XbarcError
from xbarc.frontend.canonical import Normal
from xbarc.frontend.fragments.partition import Borders, DepthStage
from xbarc.frontend.graph import (
    Known,
    ModelPart,
    Partial,
    Traced,
    check_extent,
    complete,
    declared_shapes,
    element_types,
    emit_model,
    inner_graphs,
    inner_nodes,
    layer_shape,
    name_of,
    node_macs,
    probe,
    trace_shapes,
    unique,
)
from xbarc.ir import DigitalFragment, IntegerResult, Layer, MatrixLayer, is_countable
from xbarc.numerics import AnyArray
from xbarc.operators import Matrix, find_by_name
from xbarc.runtime import OnnxSession

_EXPANDED = frozenset(("CausalConvWithState", "LinearAttention"))
"""Operators without a kernel, whose definition depends on shapes or holds a Scan."""

_MOST_MACS = 1 << 50
"""Of one operator: a hundred times what the largest networks do; sums of such still fit 62 bits."""


@dataclass(eq=False)
class Builder:
    """Makes layers of stages, one after another.

    Attributes:
        kinds: type of every value so far, as the model means it.
        shapes: shape of every value so far, open axes of the model's inputs guessed.
        declared: the same without guesses, so that a misfit is the model's fault.
        names: of all layers, those to come included.
        why: reasons for values whose shape is not known.
        fixed: small values that follow from shapes and constants alone.
    """

    normal: Normal
    notes: dict[ir.Node, str]
    kinds: dict[str, onnx.TypeProto]
    shapes: Known
    declared: dict[str, Partial]
    names: set[str]
    why: dict[str, str] = field(default_factory=dict)
    fixed: dict[str, AnyArray] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)

    def add(self, index: int, stage: DepthStage, border: Borders) -> None:
        """Add the fragment and the matrix layers of one stage."""
        if border.outputs:
            name = unique(f"digital{index}", self.names)
            self.layers.append(self._fragment(name, stage.nodes, border))
        for matched in stage.layers:
            self.layers.append(self._matrix(matched.layer))

    def _matrix(self, layer: MatrixLayer) -> MatrixLayer:
        result = layer.result
        dtype = "int32" if isinstance(result, IntegerResult) else result.dtype
        self.kinds[layer.output] = element_types.from_numpy_name(dtype)
        open_shape = self.declared.get(layer.input)
        if open_shape is not None:
            self.declared[layer.output] = layer_shape(layer, open_shape)
            check_extent(layer, open_shape)
        shape = self.shapes.get(layer.input)
        if shape is None:
            return self._mark_uncounted(layer, self.why.get(layer.input, _no_shape(layer.input)))
        try:
            self.shapes.update(complete({layer.output: layer_shape(layer, shape)}))
        # Open axes are counted as 1, which a kernel may not fit; the model itself is sound.
        except ModelError as error:  # a guessed axis; a declared one was judged above
            return self._mark_uncounted(layer, f"with open axes counted as 1, {error.message}")
        if not is_countable(layer.geometry, shape):
            return self._mark_uncounted(
                layer, f"one inference of shape {list(shape)} is beyond counting"
            )
        return replace(layer, input_shape=shape)

    def _mark_uncounted(self, layer: MatrixLayer, reason: str) -> MatrixLayer:
        self.why[layer.output] = reason
        return replace(layer, uncounted=reason)

    def _fragment(self, name: str, nodes: list[ir.Node], border: Borders) -> DigitalFragment:
        own, roots = self.normal.constants.ancestors(border.constants)
        initializers = tuple(value for value in roots if value.is_initializer())
        piece = ModelPart(
            name=name,
            nodes=(*own, *nodes),
            inputs=tuple(self._port(value, nodes) for value in border.inputs),
            outputs=tuple(onnx.ValueInfoProto(name=name_of(v)) for v in border.outputs),
            initializers=initializers,
        )
        proto = self._validate_fragment(emit_model(self.normal.model, piece), name)
        macs, uncounted = self._measure(proto, nodes)
        return DigitalFragment(
            name=name,
            model=bytes(proto.SerializeToString(deterministic=True)),
            inputs=tuple(value.name for value in proto.graph.input),
            outputs=tuple(value.name for value in proto.graph.output),
            operators=_operators(nodes),
            macs=macs,
            uncounted=uncounted,
            notes=tuple(self.notes[node] for node in nodes if node in self.notes),
        )

    def _port(self, value: ir.Value, nodes: list[ir.Node]) -> onnx.ValueInfoProto:
        """An input; bodies of Scan and Loop need its shape, as far as the model declares it."""
        name = name_of(value)
        port = onnx.ValueInfoProto(name=name, type=self.kinds[name])
        if value.is_graph_input() and any(_needs_shapes(node) for node in nodes):
            # Elsewhere shapes are left out: a declared extent that is wrong would be refused at run
            # time.
            port.type.CopyFrom(ir.serde.serialize_value(value).type)
        return port

    def _validate_fragment(self, model: bytes, name: str) -> onnx.ModelProto:
        """Let ONNX Runtime judge a fragment, and write the types it found into the outputs."""
        proto: onnx.ModelProto = onnx.ModelProto.FromString(model)
        session = OnnxSession(model, where=name, threads=1)
        for value in session.outputs:
            self.kinds[value.name] = element_types.parse_type(value.type, value.name)
        changed = element_types.carry(proto, self.kinds)
        for port in (*proto.graph.input, *proto.graph.output):
            element_types.set_carried(port, self.kinds[port.name])
        # Types that changed at the border are judged again: a fragment that does not load must be
        # found here, not in the first run.
        if changed:
            OnnxSession(proto.SerializeToString(), where=name, threads=1)
        return proto

    def _measure(
        self, proto: onnx.ModelProto, nodes: list[ir.Node]
    ) -> tuple[int | None, tuple[str, ...]]:
        """Learn shapes behind a fragment.

        Returns:
            The multiply-accumulates inside it that can be counted, None where none can; and which
            cannot, and why.
        """
        counted = [node for node in nodes if find_by_name(node.op_type).matrix is Matrix.COUNTED]
        # Shapes are asked of counted operators alone: nobody reads the others.
        values = [v for node in counted for v in (*node.inputs, *node.outputs) if v is not None]
        inner = {name_of(out) for node in nodes for out in node.outputs}
        known, why = self._learn(proto, [n for n in map(name_of, values) if n in inner])
        for value in values:
            if self.normal.constants.holds(value):
                known[name_of(value)] = self.normal.constants.shape(value)
        macs = {node: node_macs(node, known) for node in counted}
        left_out = [_left_out(node, why) for node, count in macs.items() if count is None]
        hidden = [node for node in nodes if node in self.notes and node not in macs]
        left_out += [_reason_uncounted(node) for node in hidden]
        known_counts = [(node, count) for node, count in macs.items() if count is not None]
        left_out += [
            f"{_describe(node)}: {count:.3g} multiply-accumulates are beyond counting"
            for node, count in known_counts
            if count > _MOST_MACS
        ]
        counts = [count for _, count in known_counts if count <= _MOST_MACS]
        return (sum(counts) if counts or not left_out else None), tuple(left_out)

    def _learn(self, proto: onnx.ModelProto, asked: list[str]) -> tuple[Known, dict[str, str]]:
        """Shapes of the values asked for, and why some are not known; those of results stay."""
        inside = trace_shapes(proto, Traced(self.shapes, self.why, self.fixed), asked)
        found, why = inside.shapes, inside.why
        results = [port.name for port in proto.graph.output]
        self.fixed.update(inside.values)
        self.shapes.update((name, found[name]) for name in results if name in found)
        self.why.update((name, why[name]) for name in results if name in why)
        guessed = any(
            self.declared.get(value.name) != self.shapes.get(value.name)
            for value in proto.graph.input
        )
        # Shapes without guesses cost a second walk, so only where a guess went in.
        self.declared.update(probe(proto, self.declared, asked) if guessed else found)
        return {**self.shapes, **found}, {**self.why, **why}


def _no_shape(name: str) -> str:
    return f"the shape of '{name}' is not known; --shape states those of inputs"


def _left_out(node: ir.Node, why: Mapping[str, str]) -> str:
    """Why the multiply-accumulates of a matrix operator cannot be counted."""
    values = [name_of(value) for value in (*node.inputs, *node.outputs) if value is not None]
    reasons = [why[name] for name in values if name in why]
    return f"{_describe(node)}: {reasons[0] if reasons else 'shapes that it reads are not known'}"


def _reason_uncounted(node: ir.Node) -> str:
    """Why nothing is counted for an operator that multiplies matrices inside."""
    if any(True for _ in inner_graphs(node)):
        return f"{_describe(node)}: how often its body multiplies matrices depends on a run"
    return f"{_describe(node)}: its multiply-accumulates are not modelled"


def _describe(node: ir.Node) -> str:
    return f"{node.op_type} '{node.name or name_of(node.outputs[0])}'"


def _needs_shapes(node: ir.Node) -> bool:
    """Say whether ONNX Runtime wants shapes: for bodies, those it expands itself included."""
    return node.op_type in _EXPANDED or any(True for _ in inner_graphs(node))


def _operators(nodes: list[ir.Node]) -> tuple[tuple[str, int], ...]:
    names = (
        f"{inner.domain}.{inner.op_type}" if inner.domain else inner.op_type
        for node in nodes
        for inner in inner_nodes(node)
    )
    return tuple(sorted(Counter(names).items()))


def build_layers(
    normal: Normal,
    notes: dict[ir.Node, str],
    stages: list[DepthStage],
    found: list[Borders],
    shapes: Known,
) -> tuple[tuple[Layer, ...], dict[str, onnx.TypeProto]]:
    """Layers in execution order, and the type of every value at a border.

    Raises:
        ModelError: an input does not fit a layer's weights.
        UnsupportedError: ONNX Runtime cannot run a part of the model.
    """
    kinds = {
        name_of(value): _bare_type(ir.serde.serialize_value(value).type)
        for value in normal.model.graph.inputs
    }
    names = {matched.layer.name for stage in stages for matched in stage.layers}
    declared = declared_shapes(normal.model.graph)
    builder = Builder(normal, notes, kinds, dict(shapes), declared, names)
    for index, (stage, border) in enumerate(zip(stages, found, strict=True)):
        builder.add(index, stage, border)
    return tuple(builder.layers), builder.kinds


def _bare_type(kind: onnx.TypeProto) -> onnx.TypeProto:
    """A type without its shape, so that no dimension is fixed."""
    element = element_types.element_of(kind)
    return kind if element is None else element_types.tensor_type(element)


def relocate_error(error: XbarcError, path: str) -> XbarcError:
    """The same error, with the model's path in front of where it was found."""
    where = f"{path}: {error.where}" if error.where else path
    return type(error)(error.message, where=where, hint=error.hint)
