"""Tensors of a model file: that they are what they declare, and reading them without copies."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import onnx
import onnx_ir as ir

from xbarc.errors import ModelError, UnsupportedError
from xbarc.numerics import AnyArray

LARGEST_ELEMENTS = 1 << 33
"""Elements of one tensor; more than that is taken for damage or an attack."""

_STRING = onnx.TensorProto.STRING
_TYPED_FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")
_FIELDS: dict[int, str] = {
    onnx.TensorProto.FLOAT: "float_data",
    onnx.TensorProto.COMPLEX64: "float_data",
    onnx.TensorProto.DOUBLE: "double_data",
    onnx.TensorProto.COMPLEX128: "double_data",
    onnx.TensorProto.INT64: "int64_data",
    onnx.TensorProto.UINT32: "uint64_data",
    onnx.TensorProto.UINT64: "uint64_data",
}
# Arrays that were read and are still in use: who asks again gets the same one.
_IN_USE: WeakValueDictionary[tuple[object, ...], AnyArray] = WeakValueDictionary()
_PAIRED = (onnx.TensorProto.COMPLEX64, onnx.TensorProto.COMPLEX128)


def element_count(dims: tuple[int, ...], where: str) -> int:
    """Number of elements of a declared shape.

    Raises:
        ModelError: a dimension is negative, or the size is absurd.
    """
    if any(size < 0 for size in dims):
        raise ModelError(f"shape {list(dims)} has a negative dimension", where=where)
    total = math.prod(dims)
    if total > LARGEST_ELEMENTS:
        raise ModelError(
            f"shape {list(dims)} declares {total} elements, at most {LARGEST_ELEMENTS} are read",
            where=where,
        )
    return total


def check_tensor(tensor: onnx.TensorProto, folder: Path) -> None:
    """Refuse a tensor whose data is not what its shape and element type say."""
    where = f"tensor '{tensor.name}'" if tensor.name else "tensor"
    count = element_count(tuple(tensor.dims), where)
    kind = _element_type(tensor, where)
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        _check_external(tensor, folder, packed_bytes(kind, count), where)
    elif tensor.HasField("raw_data"):
        _expect(len(tensor.raw_data), packed_bytes(kind, count), "bytes", where)
    elif tensor.data_type == _STRING:
        _expect(len(tensor.string_data), count, "strings", where)
    else:
        field = _FIELDS.get(tensor.data_type, "int32_data")
        if any(len(getattr(tensor, other)) for other in _TYPED_FIELDS if other != field):
            raise ModelError(f"its numbers are not in {field}", where=where)
        stored = len(getattr(tensor, field))
        _expect(stored, _stored_numbers(tensor, kind, count), "numbers", where)


def packed_bytes(kind: ir.DataType, count: int) -> int:
    """Bytes that `count` elements take in a file; types below 8 bits are packed."""
    return -(-count * kind.bitwidth // 8)


def external_entries(tensor: onnx.TensorProto) -> dict[str, str]:
    """Where a tensor's data lies: `location`, `offset`, `length`."""
    return {entry.key: entry.value for entry in tensor.external_data}


def external_path(location: str, folder: Path, where: str) -> Path:
    """The file of external data.

    Raises:
        ModelError: it is missing, or lies outside the model's folder.
    """
    path = folder / location
    if not location or "\0" in location or Path(location).is_absolute():
        raise ModelError(f"external data {location!r} is not a relative path", where=where)
    # `..` is refused even where it comes back inside: behind a link it may lead elsewhere.
    if ".." in Path(location).parts or not _inside(path, folder):
        raise ModelError(f"external data {location!r} leaves the model's folder", where=where)
    if not path.is_file():
        raise ModelError(f"external data file {str(path)!r} is missing", where=where)
    return path


def tensor_array(tensor: ir.TensorProtocol) -> AnyArray:
    """Values of a tensor, read-only; external data is mapped, not read."""
    mapped = _map_file(tensor) if isinstance(tensor, ir.ExternalTensor) else None
    array = np.asarray(tensor.numpy()) if mapped is None else mapped
    view = array.view()
    view.flags.writeable = False
    return view


def tensor_bytes(tensor: ir.ExternalTensor) -> bytes:
    """The bytes of external data as they lie in the file."""
    count = math.prod(tensor.shape.numpy())
    size = packed_bytes(tensor.dtype, count)
    with Path(tensor.path).open("rb") as stream:
        stream.seek(tensor.offset or 0)
        return stream.read(size)


def proto_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Every tensor of a graph: initialisers, attributes, and those of inner graphs."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from node_tensors(graph.node)


def node_tensors(nodes: object) -> Iterator[onnx.TensorProto]:
    """Every tensor in the attributes of some nodes."""
    for node in nodes:  # type: ignore[attr-defined]  # repeated protobuf field
        for attribute in node.attribute:
            yield from _attribute_tensors(attribute)


def _attribute_tensors(attribute: onnx.AttributeProto) -> Iterator[onnx.TensorProto]:
    if attribute.HasField("t"):
        yield attribute.t
    yield from attribute.tensors
    sparse = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
    for tensor in (*sparse, *attribute.sparse_tensors):
        yield from (tensor.values, tensor.indices)
    if attribute.HasField("g"):
        yield from proto_tensors(attribute.g)
    for graph in attribute.graphs:
        yield from proto_tensors(graph)


def _element_type(tensor: onnx.TensorProto, where: str) -> ir.DataType:
    try:
        kind = ir.DataType(tensor.data_type)
    except ValueError as error:
        raise ModelError(f"unknown element type {tensor.data_type}", where=where) from error
    if kind == ir.DataType.UNDEFINED:
        raise ModelError("the element type is missing", where=where)
    if kind == ir.DataType.STRING and tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise UnsupportedError("strings cannot lie in external data", where=where)
    if kind == ir.DataType.STRING and tensor.HasField("raw_data"):
        raise ModelError("strings cannot be raw bytes", where=where)
    return kind


def _stored_numbers(tensor: onnx.TensorProto, kind: ir.DataType, count: int) -> int:
    if tensor.data_type in _PAIRED:
        return 2 * count
    return packed_bytes(kind, count) if kind.bitwidth < 8 else count


def _expect(found: int, expected: int, what: str, where: str) -> None:
    if found != expected:
        raise ModelError(f"holds {found} {what}, its shape needs {expected}", where=where)


def _check_external(tensor: onnx.TensorProto, folder: Path, size: int, where: str) -> None:
    entries = external_entries(tensor)
    path = external_path(entries.get("location", ""), folder, where)
    offset = _whole(entries.get("offset", "0"), "offset", where)
    length = _whole(entries.get("length", str(size)), "length", where)
    _expect(length, size, "bytes", where)
    available = path.stat().st_size
    if offset + length > available:
        raise ModelError(
            f"bytes {offset} to {offset + length} lie beyond the end of {str(path)!r},"
            f" which has {available}",
            where=where,
        )


def _whole(text: str, what: str, where: str) -> int:
    # 19 digits hold every int64; longer text would cost time without bound to convert.
    if not text.isdecimal() or len(text) > 19:
        raise ModelError(
            f"{what} {text[:40]!r} of external data is not a whole number", where=where
        )
    return int(text)


def _inside(path: Path, folder: Path) -> bool:
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        return False


def _map_file(tensor: ir.ExternalTensor) -> AnyArray | None:
    shape = tensor.shape.numpy()
    # Packed types have no numpy type to map, and an empty file part cannot be mapped.
    if tensor.dtype.bitwidth < 8 or not math.prod(shape):
        return None
    dtype, offset = tensor.dtype.numpy(), tensor.offset or 0
    if offset % dtype.alignment:
        return _read_file(Path(tensor.path), dtype, offset, tuple(shape))
    mapped: AnyArray = np.memmap(tensor.path, dtype, "r", offset=offset, shape=shape)
    return mapped


def _read_file(path: Path, dtype: np.dtype[Any], offset: int, shape: tuple[int, ...]) -> AnyArray:
    """Numbers that begin at an odd byte, as they do inside a model file.

    Compiled loops take aligned arrays alone. They are read and not copied from mapped pages, which
    would hold them twice.
    """
    state = path.stat()
    key = (path, state.st_mtime_ns, state.st_size, dtype, offset, shape)
    array = _IN_USE.get(key)
    if array is None:
        array = np.fromfile(path, dtype, math.prod(shape), offset=offset).reshape(shape)
        _IN_USE[key] = array
    return array
