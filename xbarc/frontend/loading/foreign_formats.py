"""Files of other formats, by their content: what they are, and what exports them to ONNX."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from xbarc.errors import ModelError


@dataclass(frozen=True)
class _Format:
    """What a file is, and the command that makes ONNX of it."""

    name: str
    exporter: str


_TORCH = "torch.onnx.export(model, example_inputs, 'model.onnx') in PyTorch"
_KERAS = (
    "model.export('model.onnx', format='onnx') in Keras 3, or tf2onnx.convert.from_keras(model)"
)
_CHECKPOINT = _Format("a PyTorch checkpoint", f"build the network, load the weights, then {_TORCH}")
_SCRIPT = _Format("a TorchScript archive", f"torch.jit.load(FILE), then {_TORCH}")
_EXPORTED = _Format("a torch.export archive", f"torch.export.load(FILE).module(), then {_TORCH}")
_KERAS_ZIP = _Format("a Keras model", _KERAS)
_KERAS_H5 = _Format("an HDF5 file, as Keras writes models and weights", _KERAS)
_TFLITE = _Format(
    "a TensorFlow Lite model", "python -m tf2onnx.convert --tflite FILE --output model.onnx"
)
_SAVED = _Format(
    "a TensorFlow SavedModel", "python -m tf2onnx.convert --saved-model FOLDER --output model.onnx"
)
_GRAPH = _Format(
    "a TensorFlow graph",
    "python -m tf2onnx.convert --graphdef FILE --inputs NAMES --outputs NAMES --output model.onnx",
)
_SAFETENSORS = _Format(
    "a safetensors file, which holds weights but no network",
    f"build the network, load the weights, then {_TORCH}; optimum-cli export onnx does both"
    " for models of Hugging Face",
)
_PICKLE = _Format(
    "a Python pickle, which is never opened",
    f"load it where it was written, then {_TORCH}, or skl2onnx for scikit-learn",
)
_GGUF = _Format("a GGUF file", "export the model it was made from, such as optimum-cli export onnx")
_POINTER = _Format(
    "a Git LFS pointer, which stands in for the file", "git lfs pull fetches the file itself"
)
_OPENVINO = _Format("an OpenVINO network", "export the model it was made from to ONNX")
_NUMPY = _Format("an npz file of arrays", "pass data with --calibrate, --inputs or --data")

_MAGIC = (
    (b"\x89HDF\r\n\x1a\n", 0, _KERAS_H5),
    (b"TFL3", 4, _TFLITE),
    (b"GGUF", 0, _GGUF),
    (b"version https://git-lfs.github.com/", 0, _POINTER),
)
_FIRST_NODE = re.compile(rb"\n.{1,3}\n.+?\x12.(Placeholder|Const|NoOp|VarHandleOp)", re.DOTALL)
_LARGEST_HEADER = 100_000_000  # the format's own limit


def refuse_foreign(path: Path, data: bytes) -> None:
    """Say what a file is that is no ONNX model.

    Raises:
        ModelError: it is of a known format.
    """
    found = _recognise(data)
    if found is not None:
        raise ModelError(f"the file is {found.name}, not ONNX", hint=found.exporter)
    if path.suffix == ".pb" and path.name == "saved_model.pb":
        raise ModelError(f"the file is {_SAVED.name}, not ONNX", hint=_SAVED.exporter)


def refuse_foreign_folder(path: Path) -> None:
    """Say what a folder is that holds a model of another format.

    Raises:
        ModelError: it is of a known format.
    """
    if (path / "saved_model.pb").is_file():
        raise ModelError(f"the folder is {_SAVED.name}, not ONNX", hint=_SAVED.exporter)


def _recognise(data: bytes) -> _Format | None:
    for magic, offset, found in _MAGIC:
        if data[offset : offset + len(magic)] == magic:
            return found
    if data[:4] == b"PK\x03\x04":
        return _archive(data)
    if _is_safetensors(data):
        return _SAFETENSORS
    if data[:1] == b"\x80" and data[1:2] in b"\x02\x03\x04\x05" and data.rstrip(b"\0")[-1:] == b".":
        return _PICKLE
    if data[:5] == b"<?xml" and re.search(rb"<net\s", data[:4096]):
        return _OPENVINO
    # Last: protobufs have no magic, so that this test is the weakest.
    return _tensorflow(data)


def _archive(data: bytes) -> _Format | None:
    try:
        # The list of members alone: nothing in the archive is unpacked or loaded.
        names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return None
    parts = {name.rpartition("/")[2] for name in names}
    if {"config.json", "model.weights.h5"} <= parts:
        return _KERAS_ZIP
    if "constants.pkl" in parts or any("/code/" in name for name in names):
        return _SCRIPT
    if "archive_format" in parts or "serialized_exported_program.json" in parts:
        return _EXPORTED
    if "data.pkl" in parts:
        return _CHECKPOINT
    return _NUMPY if names and all(name.endswith(".npy") for name in names) else None


def _is_safetensors(data: bytes) -> bool:
    size = int.from_bytes(data[:8], "little")
    inside = 2 <= size <= min(_LARGEST_HEADER, len(data) - 8)
    return inside and data[8:9] == b"{" and data[8 : 8 + size].rstrip().endswith(b"}")


def _tensorflow(data: bytes) -> _Format | None:
    """Protobufs without magic: a SavedModel begins with its version, a graph with a node."""
    if data[:3] == b"\x08\x01\x12" and re.search(rb"tensorflow|saved_model_main_op|serve", data):
        return _SAVED
    return _GRAPH if _FIRST_NODE.match(data[:4096]) else None
