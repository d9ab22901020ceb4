"""A program written as one ONNX model that runs anywhere and compiles to the same cells.

The graph says what the program computes: digital fragments as they are, layers as quantised
operators (`converter_layers`) or comparisons (`split_export`). Its metadata carry the mapping. What
reads it back writes the program once more and compares the two graphs: equal graphs prove that the
cells stand for the model's weights, its scales for the model's scales, and so on for everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import onnx
from onnx import numpy_helper
from onnx.external_data_helper import load_external_data_for_model

from xbarc.errors import ProgramError, UnsupportedError
from xbarc.frontend.export.converter_layers import write_converters
from xbarc.frontend.export.model_graph import read_fragment, start_graph
from xbarc.frontend.export.split_export import write_comparisons
from xbarc.ir import (
    CARRIED_KEY,
    DigitalFragment,
    Program,
    pack_program,
    unpack_program,
)
from xbarc.numerics import show_size
from xbarc.target import Target

CARRIED_SETTING = "carried_mapping"
"""Setting that says what became of a mapping that the model carries; an export leaves it out."""

# A protobuf holds less than 2 GiB.
_LARGEST = (1 << 31) - 1
_NAME = "xbarc"
_ABSURD = (IndexError, ValueError, TypeError, ArithmeticError, MemoryError, KeyError)


def program_model(program: Program) -> bytes:
    """The program as an ONNX model that carries its mapping.

    Raises:
        UnsupportedError: a layer has a form that is not written, or all is too large for one file.
    """
    model = _write(program)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    settings = tuple(item for item in program.settings if item[0] != CARRIED_SETTING)
    text = pack_program(replace(program, settings=settings), lambda part: _strip(part, constants))
    size = model.ByteSize() + len(text)
    if size > _LARGEST:
        raise UnsupportedError(
            f"takes {show_size(size)}, a file of ONNX holds {show_size(_LARGEST)}",
            where=program.name,
        )
    model.metadata_props.append(onnx.StringStringEntryProto(key=CARRIED_KEY, value=text))
    return bytes(model.SerializeToString(deterministic=True))


def read_carried(path: Path, target: Target) -> Program | None:
    """The program whose mapping a model carries; None where it carries none.

    Args:
        path: a model that was read without an error before.
        target: what is compiled for.

    Raises:
        ProgramError: the mapping is damaged, was made for another target, or is not that of the
            graph.
    """
    model = onnx.ModelProto.FromString(path.read_bytes())
    texts = [item.value for item in model.metadata_props if item.key == CARRIED_KEY]
    if not texts:
        return None
    if len(texts) > 1:
        raise ProgramError("is there more than once", where=CARRIED_KEY)
    load_external_data_for_model(model, str(path.parent))
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    program = unpack_program(texts[0], target, lambda part: _restore(part, constants))
    try:
        found = _write(program)
    except UnsupportedError as error:
        raise ProgramError(f"cannot be written again: {error}", where=CARRIED_KEY) from error
    except _ABSURD as error:
        raise ProgramError(f"holds absurd numbers: {error}", where=CARRIED_KEY) from error
    differs = (
        _first_difference(model.graph, found.graph)
        or _other_functions(model, found)
        or _other_opset(model, program)
    )
    if differs:
        raise ProgramError(f"is not that of the graph: {differs}", where=CARRIED_KEY)
    return program


def _write(program: Program) -> onnx.ModelProto:
    graph = start_graph(program)
    for step in program.steps:
        if isinstance(step, DigitalFragment):
            graph.add_fragment(step)
        elif step.sense is not None:
            write_comparisons(step, graph)
        else:
            write_converters(step, graph)
    return graph.model(program, _NAME)


def _strip(fragment: bytes, constants: Mapping[str, onnx.TensorProto]) -> bytes:
    """A fragment without the constants that the graph holds under the same names."""
    model = onnx.ModelProto.FromString(fragment)
    for tensor in model.graph.initializer:
        if constants.get(tensor.name) == tensor:
            tensor.CopyFrom(onnx.TensorProto(name=tensor.name))
    return bytes(model.SerializeToString(deterministic=True))


def _restore(fragment: bytes, constants: Mapping[str, onnx.TensorProto]) -> bytes:
    """A fragment with the constants of the graph in their places."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(fragment)
    except ValueError as error:  # protobuf's DecodeError is one
        raise ProgramError("holds a fragment that is no ONNX model", where=CARRIED_KEY) from error
    for tensor in model.graph.initializer:
        if not tensor.data_type:
            if tensor.name not in constants:
                raise ProgramError(
                    f"needs the constant '{tensor.name}', which the graph does not hold",
                    where=CARRIED_KEY,
                )
            tensor.CopyFrom(constants[tensor.name])
    return bytes(model.SerializeToString(deterministic=True))


def _first_difference(graph: onnx.GraphProto, other: onnx.GraphProto) -> str:
    """What of a graph another one has not, or has otherwise; empty where they mean the same."""
    for what, meanings in _MEANINGS.items():
        here, there = dict(meanings(graph)), dict(meanings(other))
        for name in (*here, *there):
            if here.get(name) != there.get(name):
                return f"{what} '{name}' differs"
    return ""


def _other_functions(model: onnx.ModelProto, other: onnx.ModelProto) -> str:
    """Which function only one of two models has, or each has otherwise; empty where none."""
    here, there = (
        {(f.domain, f.name): f.SerializeToString(deterministic=True) for f in held.functions}
        for held in (model, other)
    )
    names = sorted(key for key in here | there if here.get(key) != there.get(key))
    return f"function '{names[0][1]}' differs" if names else ""


def _other_opset(model: onnx.ModelProto, program: Program) -> str:
    """Which version of operators differs: the same node may mean something else in another one."""
    here = {_domain(item): item.version for item in model.opset_import}
    for step in program.digital_steps:
        for item in read_fragment(step).opset_import:
            domain, found = _domain(item), here.get(_domain(item))
            if found != item.version:
                return f"opset {found} of {domain}, {step.name} has {item.version}"
    return ""


def _domain(item: onnx.OperatorSetIdProto) -> str:
    """ONNX's own operators have two names of a domain."""
    return item.domain or "ai.onnx"


def _content(tensor: onnx.TensorProto) -> tuple[object, ...]:
    if tensor.data_type == onnx.TensorProto.STRING:
        return tuple(tensor.dims), tuple(tensor.string_data)
    array = numpy_helper.to_array(tensor)
    return tensor.data_type, array.shape, array.tobytes()


def _name(node: onnx.NodeProto) -> str:
    return next((name for name in node.output if name), node.name)


def _node(node: onnx.NodeProto) -> bytes:
    plain = onnx.NodeProto()
    plain.CopyFrom(node)
    plain.ClearField("doc_string")
    plain.ClearField("name")
    attributes = sorted(plain.attribute, key=lambda item: item.name)
    plain.ClearField("attribute")
    plain.attribute.extend(attributes)
    return bytes(plain.SerializeToString(deterministic=True))


def _port(value: onnx.ValueInfoProto) -> bytes:
    return bytes(value.type.SerializeToString(deterministic=True))


_MEANINGS: Mapping[str, Callable[[onnx.GraphProto], Iterable[tuple[str, object]]]] = {
    "constant": lambda graph: ((t.name, _content(t)) for t in graph.initializer),
    "operator": lambda graph: ((_name(n), _node(n)) for n in graph.node),
    "input": lambda graph: ((v.name, _port(v)) for v in graph.input),
    "output": lambda graph: ((v.name, _port(v)) for v in graph.output),
}
