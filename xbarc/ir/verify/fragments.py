"""Rules of digital fragments: ONNX Runtime runs them, so they must not reach outside the program.

A fragment is parsed whole, whatever its size: external data could stand in any attribute, body or
function, and ONNX Runtime would resolve it against the working directory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from math import prod
from typing import Any

from xbarc.ir.network import DigitalFragment
from xbarc.ir.program import Program
from xbarc.onnx_graph import parse_model

LOOPS = ("Loop", "Scan")
"""Operators that repeat their body as often as their inputs say."""

# What the CPU build of ONNX Runtime registers; calls of the fragment's own functions come on top.
_DOMAINS = {
    "",
    "ai.onnx",
    "ai.onnx.ml",
    "ai.onnx.preview.training",
    "com.microsoft",
    "com.microsoft.nchwc",
    "com.ms.internal.nhwc",
}


def fragments_closed(program: Program) -> Iterator[str]:
    """Digital fragments are ONNX models that hold all of their data, and read no file."""
    for step in program.digital_steps:
        for text in _faults(step):
            yield f"{step.name}: {text}"


def loops(program: Program) -> Iterator[tuple[str, str]]:
    """Fragment and node of each operator that repeats its body as often as its inputs say."""
    for step in program.digital_steps:
        model = parse_model(step.model)
        for node in () if model is None else nodes(model):
            if node.op_type in LOOPS and node.domain in ("", "ai.onnx"):
                yield step.name, f"{node.op_type} '{node.name or ''.join(node.output[:1])}'"


def nodes(model: Any) -> Iterator[Any]:
    """Every node of a model, those of bodies and functions too."""
    return (part for part in _messages(model) if part.DESCRIPTOR.name == "NodeProto")


def _messages(message: Any) -> Iterator[Any]:
    """A message and all that it holds, however deep."""
    # A stack of our own: a file may nest deeper than Python recurses.
    todo = [message]
    while todo:
        part = todo.pop()
        yield part
        for field, value in part.ListFields():
            if field.message_type is not None:
                todo.extend((value,) if hasattr(value, "DESCRIPTOR") else value)


def _faults(step: DigitalFragment) -> Iterator[str]:
    model = parse_model(step.model)
    if model is None or not model.HasField("graph"):
        yield "is no ONNX model"
        return
    # ONNX Runtime can take session options from metadata: a fragment could change how it is run.
    if model.metadata_props or model.training_info:
        yield "carries settings or training parts, which no fragment has"
    for part in _messages(model):
        if fault := _TENSORS.get(part.DESCRIPTOR.name, _none)(part):
            yield fault
            return
    found = list(nodes(model))
    yield from _strange_operators(model, found)
    yield from _border_faults(step, model.graph)
    actual = Counter(f"{n.domain}.{n.op_type}" if n.domain else n.op_type for n in found)
    for name, count in step.operators:
        if count > actual[name]:
            yield f"is said to hold {count} times {name}, it holds {actual[name]}"


def _none(_part: Any) -> str:
    return ""


def _tensor_fault(tensor: Any) -> str:
    """Say what is wrong with a tensor: data elsewhere, or less of it than its shape needs."""
    if tensor.data_location or len(tensor.external_data):
        return f"holds the tensor '{tensor.name}', whose data lies in another file"
    stored = 8 * len(tensor.raw_data) + sum(_PACKED * len(getattr(tensor, f)) for f in _NUMBERS)
    # A few bytes may declare terabytes, which ONNX Runtime would try to allocate.
    if min(tensor.dims, default=0) < 0 or prod(tensor.dims) > stored:
        return f"holds the tensor '{tensor.name}' of shape {list(tensor.dims)} without its data"
    return ""


def _sparse_fault(tensor: Any) -> str:
    """Refuse a sparse tensor: the compiler writes none, and what one grows to has no bound."""
    return f"holds a sparse tensor of shape {list(tensor.dims)}"


_TENSORS = {"TensorProto": _tensor_fault, "SparseTensorProto": _sparse_fault}
_PACKED = 8  # at least as many elements as any field packs into one of its numbers
_NUMBERS = (
    "float_data",
    "int32_data",
    "string_data",
    "int64_data",
    "double_data",
    "uint64_data",
)


def _strange_operators(model: Any, found: Iterable[Any]) -> Iterator[str]:
    # Custom operators load from shared libraries: what is not built in must be defined in the
    # model.
    own = {(function.domain, function.name) for function in model.functions}
    for node in found:
        if node.domain not in _DOMAINS and (node.domain, node.op_type) not in own:
            yield f"holds {node.op_type} of the domain '{node.domain}', which nothing runs"
            return


def _border_faults(step: DigitalFragment, graph: Any) -> Iterator[str]:
    given = {tensor.name for tensor in graph.initializer}
    inputs = {value.name for value in graph.input}
    if not set(step.inputs) <= inputs or not inputs - given <= set(step.inputs):
        yield f"takes {sorted(inputs - given)}, expected {sorted(step.inputs)}"
    if not set(step.outputs) <= {value.name for value in graph.output}:
        yield f"gives {sorted(value.name for value in graph.output)}, expected {list(step.outputs)}"
