"""From bounds of a fragment's inputs to bounds of its outputs, node by node."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

import numpy as np

from xbarc.errors import ModelError
from xbarc.intervals.bounds import Bounds, anything, from_array
from xbarc.intervals.node import Node
from xbarc.intervals.rules import rule_of
from xbarc.numerics.types import AnyArray
from xbarc.operators import Operator, find

_LARGEST = 1 << 20
LARGEST_MODEL = 1 << 27
"""Bytes of a model beyond which nothing is read of it, so that memory stays bounded."""


def fragment_bounds(
    model: bytes, inputs: Mapping[str, Bounds], where: str = ""
) -> dict[str, Bounds]:
    """Bounds of the outputs of an ONNX model; what is not there can hold anything.

    Args:
        model: serialised.
        inputs: bounds by name; an input that is left out can hold anything.
        where: what the model is, for messages.

    Raises:
        ModelError: it is no ONNX model.
    """
    import onnx  # noqa: PLC0415  # --help must not load it
    from google.protobuf.message import (  # type: ignore[import-untyped]  # noqa: PLC0415
        DecodeError,
    )

    if len(model) > LARGEST_MODEL:
        return {}
    try:
        proto = onnx.load_from_string(model)
    except DecodeError as error:
        raise ModelError(f"cannot be read: {error}", where=where) from error
    graph = proto.graph
    known = {value.name: _declared(value) for value in graph.input} | dict(inputs)
    fed = {value.name for value in graph.input}  # may be given another value than its default
    tensors = (tensor for tensor in graph.initializer if tensor.name not in fed)
    constants = {tensor.name: _array(tensor) for tensor in tensors}
    known |= {name: _constant(array) for name, array in constants.items()}
    own = {(function.domain, function.name) for function in proto.functions}
    for node in graph.node:
        operator = _operator(node, own)
        if operator.name == "Constant":
            constants[node.output[0]] = _value(node)
            known[node.output[0]] = _constant(constants[node.output[0]])
        else:
            known |= _outputs(node, operator, known, constants)
    declared = {value.name: _declared(value) for value in graph.output}
    return {name: _within(known.get(name), form) for name, form in declared.items()}


def _operator(node: Any, own: Container[tuple[str, str]]) -> Operator:
    """What a node means; a function of the model may hide an operator."""
    hidden = (node.domain, node.op_type) in own
    return Operator("") if hidden else find(node.domain, node.op_type)


def _within(found: Bounds | None, declared: Bounds) -> Bounds:
    """What a rule found, or what the declared type holds."""
    return declared if found is None or not found.dtype else found


def _declared(value: Any) -> Bounds:
    """What a declared element type can hold; nothing else of the declaration is relied on."""
    return anything(_dtype(value.type.tensor_type.elem_type))


def _dtype(number: int) -> str:
    """Numpy name of an element type that intervals know; empty for others."""
    import onnx  # noqa: PLC0415

    if number in (onnx.TensorProto.BFLOAT16, onnx.TensorProto.UNDEFINED):
        return ""
    if number not in onnx.helper.get_all_tensor_dtypes():
        return ""
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(number))
    return str(dtype) if dtype.kind in "fiub" and dtype.isbuiltin else ""


def _array(tensor: Any) -> AnyArray | None:
    from onnx import TensorProto, numpy_helper  # noqa: PLC0415

    outside = tensor.data_location == TensorProto.EXTERNAL
    if outside or not _dtype(tensor.data_type):
        return None
    array: AnyArray = numpy_helper.to_array(tensor)
    return array


def _constant(array: AnyArray | None) -> Bounds:
    return anything() if array is None else from_array(array)


def _value(node: Any) -> AnyArray | None:
    """The tensor of a Constant; other kinds of constants are not looked at."""
    for attribute in node.attribute:
        if attribute.name == "value":
            return _array(attribute.t)
        if attribute.name == "value_float":
            return np.array(attribute.f, dtype=np.float32)
        if attribute.name == "value_int":
            return np.array(attribute.i, dtype=np.int64)
    return None


def _outputs(
    proto: Any,
    operator: Operator,
    known: Mapping[str, Bounds],
    constants: Mapping[str, AnyArray | None],
) -> dict[str, Bounds]:
    names = [name for name in proto.output if name]
    if not names:
        return {}
    node = Node(
        operator=operator,
        name=proto.name or names[0],
        inputs=tuple(known.get(name, anything()) if name else None for name in proto.input),
        constants=tuple(_small(constants.get(name)) for name in proto.input),
        attributes=_attributes(proto.attribute),
        outputs=len(proto.output),
    )
    with np.errstate(all="ignore"):  # ends may be infinite; what is no number counts as open
        found = rule_of(operator)(node)
    bounded = proto.output[: operator.bounded_outputs]
    return {name: found if name in bounded else anything() for name in names}


def _small(array: AnyArray | None) -> AnyArray | None:
    return array if array is not None and array.size <= _LARGEST else None


def _attributes(attributes: Iterable[Any]) -> dict[str, Any]:
    import onnx  # noqa: PLC0415

    found: dict[str, Any] = {}
    for attribute in attributes:
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if attribute.name == "to" and isinstance(value, int):
            value = _dtype(value)
        found[attribute.name] = list(value) if isinstance(value, list | tuple) else value
    return found
