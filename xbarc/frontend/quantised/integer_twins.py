"""Repeating operators on integers, beside the real ones that they stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from xbarc.frontend.graph import Constants, name_of
from xbarc.frontend.quantised.integer_view import IntegerView
from xbarc.numerics import AnyArray
from xbarc.operators import find_by_name

NO_ATTRIBUTES_SINCE = 11
"""Opset from which on Pad and Clip take their numbers as inputs."""


@dataclass(eq=False)
class Twins:
    """Operators repeated on integers, each once, beside the ones that they repeat."""

    graph: ir.Graph
    constants: Constants
    made: dict[ir.Node, ir.Node] = field(default_factory=dict)
    cast: dict[ir.Value, ir.Value] = field(default_factory=dict)

    @property
    def opset(self) -> int:
        """Version of the standard operators."""
        return self.constants.model.opset_imports.get("", 0)

    def of(self, node: ir.Node, make: Callable[[], ir.Node]) -> ir.Node:
        """The twin of a node."""
        if node not in self.made:
            twin = make()
            stem = name_of(node.outputs[0])
            names = self.constants.names
            twin.name = names.fresh(f"{node.name or stem}/integers")
            for old, new in zip(node.outputs, twin.outputs, strict=False):
                new.name = names.fresh(f"{name_of(old)}/integers") if old.name else ""
            self._insert(node, twin)
            self.made[node] = twin
        return self.made[node]

    def as_float(self, value: ir.Value, beside: ir.Node) -> ir.Value:
        """Integers of at most 16 bits as float32, which holds them exactly."""
        if value not in self.cast:
            name = self.constants.names.fresh(f"{name_of(value)}/real")
            to = [ir.AttrInt64("to", ir.DataType.FLOAT.value)]
            node = ir.Node("", "Cast", [value], to, name=name, outputs=[ir.Value(name=name)])
            self._insert(beside, node, before=True)
            self.cast[value] = node.outputs[0]
        return self.cast[value]

    def constant(self, array: AnyArray, beside: ir.Node, what: str) -> ir.Value:
        """A constant for the twin of a node."""
        name = self.constants.names.fresh(f"{name_of(beside.outputs[0])}/{what}")
        attribute = ir.AttrTensor("value", ir.tensor(np.asarray(array), name=name))
        node = ir.Node("", "Constant", [], [attribute], name=name, outputs=[ir.Value(name=name)])
        self._insert(beside, node, before=True)
        return node.outputs[0]

    def _insert(self, beside: ir.Node, node: ir.Node, *, before: bool = False) -> None:
        graph = beside.graph or self.graph
        (graph.insert_before if before else graph.insert_after)(beside, node)
        self.constants.note([node])


@dataclass(frozen=True, eq=False)
class Passage:
    """An operator that integers pass.

    Attributes:
        output: the result that is asked for.
        reads: what its inputs are; None where an input is no integers times a scale.
        kind: element type of a value.
    """

    node: ir.Node
    output: ir.Value
    reads: tuple[IntegerView | None, ...]
    twins: Twins
    kind: Callable[[ir.Value | None], ir.DataType | None]

    @property
    def constants(self) -> Constants:
        """Constants of the graph."""
        return self.twins.constants

    def attributes(self) -> list[ir.Attr]:
        """Attributes of the operator."""
        return list(self.node.attributes.values())

    def runs_on(self, operator: str, integers: ir.Value) -> bool:
        """Whether ONNX Runtime has an operator for the element type of some integers."""
        kind, opset = self.kind(integers), self.twins.opset
        if kind == ir.DataType.FLOAT:
            return True
        if kind is None or not kind.is_integer() or kind.bitwidth not in (8, 16):
            return False
        kernels = find_by_name(operator).kernels
        since = kernels.bytes if kind.bitwidth == 8 else kernels.words
        return since is not None and opset >= since

    def usable(self, operator: str, integers: Sequence[ir.Value]) -> list[ir.Value]:
        """The integers in an element type that they share and that the operator takes."""
        # Concat and Max refuse mixed types; float32 holds all integers of at most 16 bits.
        one_type = len({self.kind(value) for value in integers}) == 1
        if one_type and all(self.runs_on(operator, value) for value in integers):
            return list(integers)
        return [self.twins.as_float(value, self.node) for value in integers]

    def repeat(self, inputs: Sequence[ir.Value | None], operator: str = "") -> ir.Value:
        """The asked result of the same operator on other inputs."""
        node = self.node
        outputs = [ir.Value() for _ in node.outputs]

        def make() -> ir.Node:
            attributes = self.attributes() if not operator else []
            return ir.Node(
                node.domain, operator or node.op_type, inputs, attributes, outputs=outputs
            )

        return self.twins.of(node, make).outputs[node.outputs.index(self.output)]

    def typed_constant(self, codes: AnyArray, integers: ir.Value, what: str) -> ir.Value:
        """Codes as a constant of the element type of some integers."""
        kind = self.kind(integers) or ir.DataType.FLOAT
        return self.twins.constant(codes.astype(kind.numpy()), self.node, what)

    def number(self, index: int, attribute: str, default: float) -> float | None:
        """A scalar that is an input or, in old opsets, an attribute; None: not constant."""
        if attribute in self.node.attributes:
            return self.node.attributes[attribute].as_float()
        value = self.node.inputs[index] if index < len(self.node.inputs) else None
        array = self.constants.small(value, default)
        return None if array is None or array.size != 1 else float(array.reshape(-1)[0])
