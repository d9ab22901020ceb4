"""Large initialisers inside a model file are references into it, and nothing else changes."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from tests.frontend.onnx_models import model_file, normal
from tests.strategies import CHARACTERS
from xbarc.errors import XbarcError
from xbarc.frontend import read_network
from xbarc.frontend.loading import inside_weights, load_model
from xbarc.frontend.loading.inside_weights import shrink_model
from xbarc.frontend.loading.tensors import tensor_array

ANY = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TYPES = ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "INT8", "INT64", "UINT4", "BOOL", "STRING")
DENSE = "g (float[N,40] x) => (float[] y) { y = MatMul(x, w) }"


@pytest.fixture(autouse=True)
def every_file_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inside_weights, "_LARGE_FILE", 1)
    monkeypatch.setattr(inside_weights, "_LARGE_TENSOR", 32)


@st.composite
def tensors(draw: st.DrawFn) -> TensorProto:
    """Large and small, raw and not, of every width, with further fields."""
    kind = TensorProto.DataType.Value(draw(st.sampled_from(TYPES)))
    count = draw(st.sampled_from([0, 1, 5, 64, 301]))
    tensor = TensorProto(name=draw(st.text(CHARACTERS, max_size=300)), data_type=kind, dims=[count])
    if kind == TensorProto.STRING:
        tensor.string_data.extend([b"word"] * count)
    elif kind == TensorProto.FLOAT and draw(st.booleans()):
        tensor.float_data.extend(range(count))
    else:
        width = 1 if kind == TensorProto.UINT4 else helper.tensor_dtype_to_np_dtype(kind).itemsize
        tensor.raw_data = bytes(range(256)) * (count * width // 256) + bytes(count * width % 256)
    if draw(st.booleans()):
        tensor.data_location = TensorProto.DEFAULT
    if draw(st.booleans()):
        tensor.doc_string = "what it is"
    return tensor


def restored(shrunk: bytes, path: Path) -> onnx.ModelProto:
    """The model with its references followed."""
    model, data = onnx.ModelProto.FromString(shrunk), path.read_bytes()
    for tensor in model.graph.initializer:
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        found = {entry.key: entry.value for entry in tensor.external_data}
        assert found["location"] == path.name
        first = int(found["offset"])
        tensor.raw_data = data[first : first + int(found["length"])]
        assert len(tensor.raw_data) >= 32
        tensor.ClearField("external_data")
        tensor.data_location = TensorProto.DEFAULT
    return model  # type: ignore[no-any-return]


def plain(model: onnx.ModelProto) -> bytes:
    """Bytes in which a location that is told and one that is meant are equal."""
    for tensor in model.graph.initializer:
        tensor.data_location = TensorProto.DEFAULT
    return bytes(model.SerializeToString(deterministic=True))


@ANY
@given(st.lists(tensors(), max_size=5), st.booleans())
def test_references_lead_to_what_was_there(
    tmp_path: Path, found: list[TensorProto], twice: bool
) -> None:
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [], [], found)
    data = helper.make_model(graph, producer_name="tests").SerializeToString()
    path = tmp_path / "m.onnx"
    path.write_bytes(data * (1 + twice))  # messages that follow each other are one message
    shrunk = shrink_model(path)
    large = any(len(tensor.raw_data) >= 32 for tensor in found)
    assert (shrunk is not None) == large
    if shrunk is not None:
        assert plain(restored(shrunk, path)) == plain(onnx.ModelProto.FromString(path.read_bytes()))


@pytest.mark.parametrize("dtype", ["float", "double", "float16"])
def test_layers_are_read_as_before(
    tmp_path: Path, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every offset, so that numbers begin at every byte."""
    weights = normal(40, 3).astype({"float": "float32", "double": "float64"}.get(dtype, dtype))
    for pad in range(9):
        path = model_file(tmp_path, DENSE.replace("float[", f"{dtype}["), w=weights)
        model = onnx.load(str(path))
        model.graph.doc_string = "." * pad
        path.write_bytes(model.SerializeToString())
        assert shrink_model(path) is not None
        loaded = load_model(path)
        tensor = loaded.model.graph.initializers["w"].const_value
        assert tensor is not None
        array = tensor_array(tensor)
        assert np.array_equal(array, weights)
        assert array.flags.aligned
        assert not array.flags.writeable
        (layer,) = read_network(path).matrix_layers
        with monkeypatch.context() as patch:
            patch.setattr(inside_weights, "_LARGE_FILE", 1 << 40)
            assert load_model(path).digest == loaded.digest
            (other,) = read_network(path).matrix_layers
        assert np.array_equal(layer.weight.tensor.load(), other.weight.tensor.load())


@ANY
@given(st.integers(0, 1 << 20), st.integers(0, 255), st.booleans())
def test_damage_is_what_it_was(tmp_path: Path, place: int, value: int, cut: bool) -> None:
    data = bytearray(model_file(tmp_path, DENSE, w=normal(40, 3)).read_bytes())
    place %= len(data)
    data[place] = value
    path = tmp_path / "damaged.onnx"
    path.write_bytes(bytes(data[:place] if cut else data))
    shrunk = shrink_model(path)
    try:
        wanted = onnx.ModelProto.FromString(path.read_bytes())
    except DecodeError:
        with pytest.raises(XbarcError):
            load_model(path)
        return
    if shrunk is not None:
        assert plain(restored(shrunk, path)) == plain(wanted)
    with suppress(XbarcError):
        load_model(path)


def _initialiser(**fields: Any) -> bytes:
    return bytes(TensorProto(name="w", dims=[40], **fields).SerializeToString())


@pytest.mark.parametrize(
    "tensor",
    [
        _initialiser(data_type=2, raw_data=bytes(40)) * 2,
        _initialiser(data_type=2, raw_data=bytes(40), int32_data=[1] * 40),
        _initialiser(data_type=2, raw_data=bytes(40), data_location=1),
        _initialiser(data_type=8, raw_data=bytes(40)),
        _initialiser(raw_data=bytes(40)),
        _initialiser(data_type=2, raw_data=bytes(40)) + b"\x0b\x0c",  # a group
        _initialiser(data_type=2, raw_data=bytes(40)) + b"\x10" + b"\xff" * 12,
        _initialiser(data_type=2, raw_data=bytes(40)) + b"\x15" + bytes(4),
        _initialiser(data_type=2, raw_data=bytes(40)) + b"\x4a\xff\xff\xff\xff\x0f",
    ],
    ids=["twice", "two kinds", "elsewhere", "text", "no type", "group", "number", "wire", "end"],
)
def test_what_is_unusual_is_left_to_protobuf(tmp_path: Path, tensor: bytes) -> None:
    graph = b"\x2a" + bytes([len(tensor) & 127 | 128, len(tensor) >> 7]) + tensor
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x3a" + bytes([len(graph) & 127 | 128, len(graph) >> 7]) + graph)
    assert shrink_model(path) is None


def test_a_file_of_empty_fields_is_not_walked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = model_file(tmp_path, DENSE, w=normal(40, 3))
    assert shrink_model(path) is not None
    path.write_bytes(path.read_bytes() + b"\x08\x08" * 99)
    monkeypatch.setattr(inside_weights, "_MOST_FIELDS", 90)
    assert shrink_model(path) is None


def test_a_link_is_read_as_it_was(tmp_path: Path) -> None:
    """A reference from a link's folder would not find the file."""
    path = model_file(tmp_path, DENSE, w=normal(40, 3))
    link = tmp_path / "elsewhere" / "link.onnx"
    link.parent.mkdir()
    link.symlink_to(path)
    assert shrink_model(link) is None
    assert load_model(link).digest == load_model(path).digest


def test_small_files_are_parsed_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = model_file(tmp_path, DENSE, w=normal(40, 3))
    monkeypatch.setattr(inside_weights, "_LARGE_FILE", path.stat().st_size + 1)
    assert shrink_model(path) is None


_PEAK = """
import resource, sys
from pathlib import Path
from xbarc.frontend.loading import load_model
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
load_model(Path(sys.argv[1]))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_weights(tmp_path: Path) -> None:
    path = tmp_path / "large.onnx"
    weights = numpy_helper.from_array(np.zeros((1 << 12, 1 << 14), np.float32), "w")  # 256 MiB
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    ends = [helper.make_tensor_value_info(name, 1, None) for name in "xy"]
    path.write_bytes(
        helper.make_model(
            helper.make_graph([node], "g", ends[:1], ends[1:], [weights])
        ).SerializeToString()
    )
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, str(path)], env=os.environ, capture_output=True, check=True
    )
    assert int(done.stdout) < 64 << 20
