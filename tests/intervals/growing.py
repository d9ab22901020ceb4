"""A graph that grows node by node, and what ONNX Runtime computes in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from xbarc.errors import XbarcError
from xbarc.intervals import Bounds
from xbarc.numerics.types import AnyArray
from xbarc.runtime import OnnxSession

FLOAT = np.float32
_BIG = float(np.finfo(FLOAT).max)
EXTREMES = (0.0, -0.0, 1.0, -1.0, _BIG, -_BIG, 1e-45, -1e-45, 1e-38, 1e30, -1e30, 3e-20)
NO_NUMBERS = (np.nan, np.inf, -np.inf)


@dataclass(eq=False)
class Graph:
    """A graph that grows operator by operator; every value is computed at once.

    Attributes:
        values: what ONNX Runtime computed, by name, in order.
        inputs: bounds of the graph's inputs, by name; their values lie within.
    """

    rng: np.random.Generator
    opset: int
    values: dict[str, AnyArray] = field(default_factory=dict)
    inputs: dict[str, Bounds] = field(default_factory=dict)
    nodes: list[Any] = field(default_factory=list)
    held: list[Any] = field(default_factory=list)

    def pick(self, *choices: Any) -> Any:
        """One of several things."""
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, share: float = 0.5) -> bool:
        """Whether the dice say so."""
        return bool(self.rng.random() < share)

    def input(self, array: AnyArray, bounds: Bounds) -> str:
        """One more input of the graph."""
        name = f"x{len(self.inputs)}"
        self.values[name], self.inputs[name] = array, bounds
        return name

    def constant(self, array: AnyArray) -> str:
        """An initialiser, or the output of a Constant."""
        name = f"c{len(self.held) + len(self.nodes)}_{len(self.held)}"
        tensor = numpy_helper.from_array(np.asarray(array), name)
        if self.chance(0.2):
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        else:
            self.held.append(tensor)
        return name

    def add(
        self, kind: str, reads: Sequence[str | AnyArray | None], **attributes: Any
    ) -> str | None:
        """One more operator; None where ONNX Runtime does not run it on these values."""
        outputs = attributes.pop("outputs", 1)
        names = [f"y{len(self.nodes)}_{place}" for place in range(outputs)]
        listed = [self._named(read) for read in reads]
        node = helper.make_node(kind, listed, names, name=names[0], **attributes)
        try:
            results = self._run(node)
        except XbarcError:
            return None
        if sum(result.size for result in results) > 4000:
            return None
        self.nodes.append(node)
        self.values.update(zip(names, results, strict=True))
        return names[int(self.rng.integers(outputs))]

    def _named(self, read: str | AnyArray | None) -> str:
        if read is None or isinstance(read, str):
            return read or ""
        return self.constant(read)

    def _run(self, node: Any) -> list[AnyArray]:
        names = dict.fromkeys(name for name in node.input if name in self.values)
        ports = [_port(name, self.values[name]) for name in names]
        needed = {name for name in node.input if name not in self.values}
        made = [n for n in self.nodes if n.op_type == "Constant" and n.output[0] in needed]
        held = [tensor for tensor in self.held if tensor.name in needed]
        model = self._model(
            [*made, node], ports, [onnx.ValueInfoProto(name=o) for o in node.output]
        )
        model.graph.initializer.extend(held)
        session = OnnxSession(model.SerializeToString(), where=node.op_type, threads=1)
        return [np.asarray(r) for r in session.run({name: self.values[name] for name in names})]

    def _model(self, nodes: list[Any], ports: list[Any], outputs: list[Any]) -> Any:
        graph = helper.make_graph(nodes, "part", ports, outputs)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)

    def model(self) -> bytes:
        """The whole graph, each of its values an output."""
        ports = [_port(name, self.values[name]) for name in self.inputs]
        outputs = [_port(name, array) for name, array in self.values.items()]
        outputs = [port for port in outputs if port.name not in self.inputs]
        whole = self._model(self.nodes, ports, outputs)
        whole.graph.initializer.extend(self.held)
        return bytes(whole.SerializeToString())

    def numbers(self, shape: tuple[int, ...], *, wild: float = 0.15) -> AnyArray:
        """Float numbers of many kinds, extremes with some probability each."""
        count = int(np.prod(shape))
        kinds: list[AnyArray] = [
            self.rng.normal(0, self.pick(0.1, 1, 10), count),
            self.rng.random(count),
            -self.rng.random(count),
            self.rng.integers(-3, 4, count),
            self.rng.integers(0, 2, count),
            np.full(count, self.pick(0.0, 1.0, 255.0, -2.0)),
        ]
        found = np.array(self.pick(*kinds), dtype=np.float64)
        if self.chance(wild):
            places = self.rng.random(count) < self.pick(0.1, 0.5, 1.0)
            pool = EXTREMES + (NO_NUMBERS if self.chance() else ())
            found = np.where(places, self.rng.choice(pool, count), found)
        with np.errstate(over="ignore"):
            return found.reshape(shape).astype(FLOAT)

    def partner(self, shape: tuple[int, ...], dtype: Any) -> AnyArray:
        """A constant that broadcasts with a tensor of this shape, of any rank."""
        keep = [size if self.chance(0.6) else 1 for size in shape]
        first = int(self.rng.integers(0, len(shape) + 1))
        form = tuple(keep[first:]) if self.chance(0.7) else (1,) * self.pick(0, 1, 2) + tuple(keep)
        if self.chance(0.1):
            form = tuple(self.pick(2, 3) if size == 1 else size for size in form)
        return typed(self.numbers(form), dtype)


def typed(array: AnyArray, dtype: Any) -> AnyArray:
    """The same numbers in another type, as near as it has them."""
    kind = np.dtype(dtype)
    with np.errstate(over="ignore"):
        if kind.kind in "fb":
            return array.astype(kind)
    info = np.iinfo(kind)
    near = np.clip(np.nan_to_num(array.astype(np.float64), nan=1.0), info.min, info.max)
    return np.clip(near, -(2.0**53), 2.0**53).astype(kind)


def _port(name: str, array: AnyArray) -> Any:
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    return helper.make_tensor_value_info(name, kind, None)
