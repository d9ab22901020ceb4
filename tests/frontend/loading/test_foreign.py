"""Files of other frameworks are named, with what exports them."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from xbarc.errors import ModelError
from xbarc.frontend import read_network


def archive(*names: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        for name in names:
            file.writestr(name, b"")
    return data.getvalue()


def field(number: int, data: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return bytes([number << 3 | 2, len(data)]) + data


GRAPH = field(1, field(1, b"input") + field(2, b"Placeholder")) * 3
SAVED = b"\x08\x01" + field(2, field(1, field(4, b"serve")) + field(2, GRAPH))
FILES = {
    "model.pt": (archive("m/data.pkl", "m/version", "m/data/0"), "PyTorch checkpoint"),
    "script.pt": (archive("m/data.pkl", "m/constants.pkl", "m/code/m.py"), "TorchScript archive"),
    "model.pt2": (archive("m/archive_format", "m/models/model.json"), "torch.export archive"),
    "old.pth": (pickle.dumps({"w": [1.0]}, protocol=2), "Python pickle, which is never opened"),
    "model.keras": (archive("metadata.json", "config.json", "model.weights.h5"), "Keras model"),
    "model.h5": (b"\x89HDF\r\n\x1a\n" + bytes(80), "HDF5 file, as Keras writes"),
    "model.tflite": (b"\x1c\0\0\0TFL3" + bytes(80), "TensorFlow Lite model"),
    "model.safetensors": (save({"w": np.ones(3, np.float32)}), "safetensors file"),
    "graph.pb": (GRAPH, "TensorFlow graph"),
    "saved_model.pb": (SAVED, "TensorFlow SavedModel"),
    "model.gguf": (b"GGUF" + bytes(60), "GGUF file"),
    "pointer.onnx": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "Git LFS pointer",
    ),
    "model.xml": (b'<?xml version="1.0"?>\n<net name="n">', "OpenVINO network"),
    "data.npz": (archive("x.npy", "labels.npy"), "npz file of arrays"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("renamed", [False, True])
def test_known_formats(tmp_path: Path, name: str, renamed: bool) -> None:
    """The content decides, whatever the name says."""
    data, words = FILES[name]
    path = tmp_path / ("model.onnx" if renamed else name)
    path.write_bytes(data)
    with pytest.raises(ModelError, match=words) as caught:
        read_network(path)
    assert caught.value.where == str(path)
    assert caught.value.hint


def test_a_saved_model_folder(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(SAVED)
    with pytest.raises(ModelError, match="SavedModel") as caught:
        read_network(tmp_path)
    assert "--saved-model" in caught.value.hint


@pytest.mark.parametrize(
    "data", [b"PK\x03\x04", b"\x80\x02abc", json.dumps({}).encode(), bytes(90)]
)
def test_what_is_none_of_them(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"is not an ONNX (protobuf|model)"):
        read_network(path)
