"""From a file to an onnx_ir model, or to one clear error."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import numpy_helper

from xbarc.errors import ModelError
from xbarc.frontend.loading.external_data import place_data
from xbarc.frontend.loading.file_checks import check_proto, inner_graphs
from xbarc.frontend.loading.foreign_formats import refuse_foreign, refuse_foreign_folder
from xbarc.frontend.loading.inside_weights import shrink_model
from xbarc.frontend.loading.tensors import (
    element_count,
    external_entries,
    node_tensors,
    proto_tensors,
)

# onnx_ir logs what it repairs; the checks of this room have already refused it.
logging.getLogger("onnx_ir").setLevel(logging.ERROR)

BROKEN = (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError)
"""What onnx and onnx_ir raise on input that they did not expect."""


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model as the file gives it.

    Attributes:
        digest: SHA-256 of the file and of its external data files, in the order of their names.
    """

    path: Path
    model: ir.Model
    digest: str


def load_model(path: Path) -> LoadedModel:
    """Read and check a model file; large weights stay on disk, inside the file or beside it.

    Raises:
        ModelError: the file is not a sound ONNX model.
    """
    try:
        proto = _read_proto(path)
        # Before onnx_ir sees it: it repairs some damage silently and gives tracebacks for other.
        check_proto(proto, path.parent)
        external = [one for one in _external_files(proto, path.parent) if one != path]
        _fill_sparse(proto.graph)
        open_negative_axes(proto.graph)
        model = ir.serde.deserialize_model(proto)
        place_data(model, path.parent)
        return LoadedModel(path, model, _digest((path, *external)))
    except OSError as error:
        raise ModelError(f"cannot read the model: {error.strerror}", where=str(path)) from error
    except ModelError as error:
        where = f"{path}: {error.where}" if error.where else str(path)
        raise type(error)(error.message, where=where, hint=error.hint) from error
    except BROKEN as error:
        raise ModelError(f"the graph is damaged: {reason(error)}", where=str(path)) from error


def _read_proto(path: Path) -> onnx.ModelProto:
    if not path.is_file():
        refuse_foreign_folder(path)
        what = "is a directory" if path.is_dir() else "does not exist"
        raise ModelError(f"the model file {what}")
    data = shrink_model(path) or path.read_bytes()
    if not data:
        raise ModelError("the file is empty")
    try:
        proto: onnx.ModelProto = onnx.ModelProto.FromString(data)
    except DecodeError as error:
        # Only after parsing fails: an ONNX file may begin like anything.
        refuse_foreign(path, data)
        raise ModelError("the file is not an ONNX protobuf, or is cut short") from error
    if not proto.HasField("graph"):
        refuse_foreign(path, data)
    return proto


def reason(error: BaseException) -> str:
    """The innermost cause, on one line; onnx_ir wraps each error in its own."""
    # onnx_ir wraps an error at every level of the graph; the innermost says what is wrong.
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())[:200] or type(error).__name__


def _external_files(proto: onnx.ModelProto, folder: Path) -> tuple[Path, ...]:
    tensors = list(proto_tensors(proto.graph))
    for function in proto.functions:
        tensors.extend(node_tensors(function.node))
    names = {
        external_entries(tensor)["location"]
        for tensor in tensors
        if tensor.data_location == onnx.TensorProto.EXTERNAL
    }
    return tuple(folder / name for name in sorted(names))


def _digest(paths: tuple[Path, ...]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            # 1 MiB at a time: external data may be larger than memory.
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def _fill_sparse(graph: onnx.GraphProto) -> None:
    """Turn sparse initialisers, which onnx_ir does not know, into dense ones."""
    for sparse in graph.sparse_initializer:
        where = f"sparse tensor '{sparse.values.name}'"
        count = element_count(tuple(sparse.dims), where)
        values = numpy_helper.to_array(sparse.values)
        index = numpy_helper.to_array(sparse.indices).astype(np.int64)
        # ONNX allows flat numbers, and a row of coordinates for each entry.
        if index.ndim == 2:
            index = np.ravel_multi_index(tuple(index.T), tuple(sparse.dims))
        if index.size and (index.min() < 0 or index.max() >= count):
            raise ModelError("an index lies outside the shape", where=where)
        dense = np.zeros(count, dtype=values.dtype)
        dense[index] = values
        graph.initializer.append(
            numpy_helper.from_array(dense.reshape(tuple(sparse.dims)), sparse.values.name)
        )
    del graph.sparse_initializer[:]


def open_negative_axes(graph: onnx.GraphProto) -> None:
    """Clear negative extents of declared values: to ONNX Runtime they are open axes.

    Older exporters write -1 where newer ones write a name or nothing.
    """
    for value in (*graph.input, *graph.output, *graph.value_info):
        _open_type(value.type)
    for node in graph.node:
        for inner in inner_graphs(node):
            open_negative_axes(inner)


def _open_type(kind: onnx.TypeProto) -> None:
    held = kind.WhichOneof("value")
    if held in ("sequence_type", "optional_type"):
        _open_type(getattr(kind, held).elem_type)
    if held not in ("tensor_type", "sparse_tensor_type"):
        return
    for dim in getattr(kind, held).shape.dim:
        if dim.dim_value < 0:
            dim.Clear()
