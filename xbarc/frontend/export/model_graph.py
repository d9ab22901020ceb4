"""An ONNX graph that grows step by step: digital fragments as they are, layers as new operators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from xbarc.errors import UnsupportedError
from xbarc.frontend.graph import EMITTED_IR
from xbarc.ir import DigitalFragment, Program, Value, layer_outputs
from xbarc.numerics import AnyArray

# From opset 13 on ReduceSum and Squeeze read axes as inputs and DequantizeLinear takes a scale for
# each output: the forms that are written.
OLDEST_WRITTEN = 13


@dataclass(eq=False)
class ModelGraph:
    """Nodes, constants and types of a model that is being written.

    Attributes:
        opsets: versions by domain.
        taken: names that new values must not have.
        kinds: types of values at the borders of steps, by name.
        fragments: the digital fragments that are still to be added, by name.
        made: which node of a fragment makes a value.
    """

    opsets: dict[str, int]
    taken: set[str]
    kinds: dict[str, onnx.TypeProto]
    fragments: dict[str, onnx.ModelProto]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: dict[str, onnx.TensorProto] = field(default_factory=dict)
    functions: dict[tuple[str, str], onnx.FunctionProto] = field(default_factory=dict)
    made: dict[str, onnx.NodeProto] = field(default_factory=dict)

    @property
    def opset(self) -> int:
        """Version of the standard operators."""
        return self.opsets[""]

    def fresh(self, name: str) -> str:
        """A name that nothing else has, this one if it is free."""
        found, number = name, 0
        while found in self.taken:
            number += 1
            found = f"{name}_{number}"
        self.taken.add(found)
        return found

    def node(self, kind: str, inputs: Iterable[str], name: str, **attributes: Any) -> str:
        """Add an operator; gives the name of its result."""
        return self.last(kind, inputs, self.fresh(name), **attributes)

    def last(self, kind: str, inputs: Iterable[str], output: str, **attributes: Any) -> str:
        """Add an operator that makes a value of the program."""
        made = helper.make_node(kind, list(inputs), [output], name=output, **attributes)
        self.nodes.append(made)
        return output

    def constant(self, name: str, array: AnyArray) -> str:
        """Add a constant; gives its name."""
        found = self.fresh(name)
        self.initializers[found] = numpy_helper.from_array(np.asarray(array, order="C"), found)
        return found

    def shared(self, name: str, array: AnyArray) -> str:
        """Add a constant that several layers read under one name; gives the name."""
        self.taken.add(name)
        self.initializers[name] = numpy_helper.from_array(np.asarray(array, order="C"), name)
        return name

    def element(self, value: str) -> int:
        """Element type of a value at the border of a step; 0 where it is not known."""
        return int(self.kinds[value].tensor_type.elem_type) if value in self.kinds else 0

    def rank(self, value: str) -> int | None:
        """Axes of a value at the border of a step; None where they are not known."""
        kind = self.kinds.get(value)
        if kind is None or not kind.tensor_type.HasField("shape"):
            return None
        return len(kind.tensor_type.shape.dim)

    def add_fragment(self, step: DigitalFragment) -> None:
        """Add the nodes of a digital fragment under their own names.

        Fragments that read one constant each hold it, as an initialiser or as a node: it is added
        once. Two that hold other numbers under one name (a refitted classifier) are told apart.
        """
        model = self.fragments.pop(step.name)
        self.functions |= {(f.domain, f.name): f for f in model.functions}
        moved: dict[str, str] = {}
        for tensor in model.graph.initializer:
            if self.initializers.get(tensor.name) != tensor:
                self._add_constant(tensor, moved)
        for node in model.graph.node:
            _rename_reads(node, moved)
            if node != self.made.get(_first_output(node)):
                self._add_node(node, moved)

    def _add_constant(self, tensor: onnx.TensorProto, moved: dict[str, str]) -> None:
        name = tensor.name
        if name in self.initializers or name in self.made:
            moved[name] = self.constant(name, numpy_helper.to_array(tensor))
        else:
            self.initializers[name] = tensor

    def _add_node(self, node: onnx.NodeProto, moved: dict[str, str]) -> None:
        for place, name in enumerate(node.output):
            if name in self.initializers or name in self.made:
                moved[name] = node.output[place] = self.fresh(name)
        self.made |= {name: node for name in node.output if name}
        self.nodes.append(node)

    def model(self, program: Program, name: str) -> onnx.ModelProto:
        """The model, with the inputs and outputs of a program."""
        inputs, outputs = (
            [self._port(value) for value in side] for side in (program.inputs, program.outputs)
        )
        held = list(self.initializers.values())
        graph = helper.make_graph(self.nodes, name, inputs, outputs, held)
        opsets = [helper.make_opsetid(*item) for item in sorted(self.opsets.items())]
        made: onnx.ModelProto = helper.make_model(
            graph,
            opset_imports=opsets,
            ir_version=EMITTED_IR,
            producer_name="xbarc",
            functions=list(self.functions.values()),
        )
        return made

    def _port(self, value: Value) -> onnx.ValueInfoProto:
        kind = self.kinds.get(value.name)
        if kind is None:
            raise UnsupportedError("its type is not known", where=value.name)
        port = onnx.ValueInfoProto(name=value.name, type=kind)
        if kind.HasField("tensor_type"):
            port.type.tensor_type.ClearField("shape")
            if value.shape is not None:
                made = helper.make_tensor_type_proto(kind.tensor_type.elem_type, value.shape)
                port.type.CopyFrom(made)
        return port


def start_graph(program: Program) -> ModelGraph:
    """A graph without nodes that knows names and types of a program.

    Raises:
        UnsupportedError: a fragment is older than what is written, and cannot be made newer.
    """
    models = {step.name: read_fragment(step) for step in program.digital_steps}
    opsets = {"": OLDEST_WRITTEN}
    for item in (item for model in models.values() for item in model.opset_import):
        opsets[item.domain] = max(opsets.get(item.domain, 1), item.version)
    ports = [*program.inputs, *program.outputs]
    taken = {value.name for value in ports}
    taken |= {name for step in program.steps for name in layer_outputs(step)}
    # sequences and maps have their types in the fragments that read or make them
    kinds = {value.name: _kind_of(value) for value in ports if value.dtype != "other"}
    for step in program.crossbar_steps:
        element = helper.np_dtype_to_tensor_dtype(np.dtype(step.result.dtype))
        kinds.setdefault(step.output, helper.make_tensor_type_proto(element, None))
    for model in models.values():
        taken |= set(_names(model.graph))
        for port in (*model.graph.input, *model.graph.output):
            kinds.setdefault(port.name, port.type)
    return ModelGraph(opsets, taken, kinds, models)


def read_fragment(step: DigitalFragment) -> onnx.ModelProto:
    """A fragment as a model of a version that is written.

    Raises:
        UnsupportedError: it is older, and onnx cannot convert it.
    """
    model: onnx.ModelProto = onnx.ModelProto.FromString(step.model)
    version = next((item.version for item in model.opset_import if not item.domain), None)
    if version is None or version >= OLDEST_WRITTEN:
        return model
    try:
        newer: onnx.ModelProto = onnx.version_converter.convert_version(model, OLDEST_WRITTEN)
    except (RuntimeError, ValueError) as error:
        raise UnsupportedError(
            f"opset {version}, and onnx cannot convert its operators to {OLDEST_WRITTEN}",
            where=step.name,
            hint="export the model again with a newer opset",
        ) from error
    return newer


def _kind_of(value: Value) -> onnx.TypeProto:
    dtype = np.dtype(object if value.dtype == "string" else value.dtype)
    return helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(dtype), value.shape)


def _names(graph: onnx.GraphProto) -> Iterable[str]:
    """Every name of a graph and of its bodies."""
    for value in (*graph.input, *graph.output, *graph.initializer):
        yield value.name
    for node in graph.node:
        yield from node.input
        yield from node.output
        for body in _bodies(node):
            yield from _names(body)


def _bodies(node: onnx.NodeProto) -> Iterable[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def _first_output(node: onnx.NodeProto) -> str:
    return next((name for name in node.output if name), "")


def _rename_reads(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    """Let a node and its bodies read constants under other names."""
    if not names:
        return
    node.input[:] = [names.get(name, name) for name in node.input]
    for body in _bodies(node):
        for inner in body.node:
            _rename_reads(inner, names)
