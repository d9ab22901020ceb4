"""Damaged, dangerous and absurd files give one XbarcError, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from tests.frontend.onnx_models import check, f32, matrix_layer, model_file, normal, parse, write
from xbarc.errors import ModelError, UnsupportedError, XbarcError
from xbarc.frontend import read_network, runnable_model

DENSE = "g (float[N,4] x) => (float[] y) { y = MatMul(x, w) }"


def test_files_that_are_no_models(tmp_path: Path) -> None:
    empty, text, garbage = (tmp_path / name for name in ("empty", "text", "garbage"))
    empty.write_bytes(b"")
    text.write_text("this is a text file, not a network\n")
    garbage.write_bytes(bytes(range(256)) * 9)
    for path in (empty, text, garbage, tmp_path, tmp_path / "missing"):
        for read in (read_network, runnable_model):
            with pytest.raises(ModelError, match=str(path)):
                read(path)


def test_every_truncation(tmp_path: Path) -> None:
    data = model_file(tmp_path, DENSE, w=normal(4, 3)).read_bytes()
    path = tmp_path / "cut.onnx"
    for size in range(0, len(data), 3):
        path.write_bytes(data[:size])
        with pytest.raises(XbarcError):
            read_network(path)


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(place=st.integers(0, 10_000), value=st.integers(0, 255), count=st.integers(1, 4))
def test_flipped_bytes(tmp_path: Path, place: int, value: int, count: int) -> None:
    data = bytearray(model_file(tmp_path, DENSE, w=normal(4, 3)).read_bytes())
    for step in range(count):
        data[(place + 7 * step) % len(data)] = value
    path = tmp_path / "flipped.onnx"
    path.write_bytes(bytes(data))
    try:
        for layer in read_network(path).matrix_layers:
            layer.weight.tensor.load()
    except XbarcError:
        pass


def test_cycles(tmp_path: Path) -> None:
    path = model_file(
        tmp_path, "g (float[N] x) => (float[] y) { a = Add(x, b) b = Relu(a) y = Relu(b) }"
    )
    with pytest.raises(ModelError, match="cycle: a -> b"):
        read_network(path)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ("(float[N] x) => (float[] y) { y = Relu(x) y = Exp(x) }", "more than once"),
        ("(float[N] x) => (float[] y) { x = Relu(x) y = Exp(x) }", "is an input and is computed"),
        ("(float[N] x) => (float[] y) { y = Add(x, nothing) }", "nothing produces"),
        ("(float[N] x) => (float[] y) { z = Relu(x) }", "produced by nothing"),
        ("(float[N] x, float[N] x) => (float[] y) { y = Relu(x) }", "more than once"),
        ("(float[N] x) => () { y = Relu(x) }", "no outputs"),
    ],
)
def test_inconsistent_graphs(tmp_path: Path, graph: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read_network(model_file(tmp_path, f"g {graph}"))


def with_tensor(tmp_path: Path, tensor: TensorProto) -> Path:
    model = parse(DENSE)
    model.graph.initializer.append(tensor)
    return write(tmp_path, model)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (TensorProto(name="w", data_type=1, dims=[4, 3], raw_data=bytes(44)), "44 bytes"),
        (TensorProto(name="w", data_type=1, dims=[4, 3], float_data=[1.0]), "1 numbers"),
        (TensorProto(name="w", data_type=1, dims=[10**15], raw_data=bytes(4)), "declares"),
        (TensorProto(name="w", data_type=1, dims=[2**62, 2**62], raw_data=b""), "declares"),
        (TensorProto(name="w", data_type=1, dims=[-4, 3], raw_data=bytes(48)), "negative"),
        (TensorProto(name="w", data_type=99, dims=[4, 3], raw_data=bytes(48)), "element type 99"),
        (TensorProto(name="w", data_type=0, dims=[4, 3], raw_data=bytes(48)), "type is missing"),
        (TensorProto(name="w", data_type=1, dims=[1], int32_data=[1]), "not in float_data"),
        (TensorProto(name="w", data_type=8, dims=[1], raw_data=bytes(4)), "raw bytes"),
    ],
)
def test_tensors_that_lie(tmp_path: Path, tensor: TensorProto, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read_network(with_tensor(tmp_path, tensor))


@pytest.mark.parametrize("digital", [False, True])
def test_giant_fills_are_refused_before_they_are_made(tmp_path: Path, digital: bool) -> None:
    use = "y = Add(x, w)" if digital else "y = MatMul(x, w)"
    path = model_file(
        tmp_path,
        f"g (float[N,4] x) => (float[] y) {{ w = ConstantOfShape(s) {use} }}",
        s=np.asarray([10**8, 10**7]),
    )
    with pytest.raises(ModelError, match="declares 1000000000000000 elements"):
        read_network(path)


def test_giant_expansions_are_refused_too(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        "g (float[N,4] x) => (float[] y) { w = Expand(v, s) y = MatMul(x, w) }",
        s=np.asarray([10**8, 10**7]),
        v=f32([[1]]),
    )
    with pytest.raises(ModelError):
        matrix_layer(read_network(path)).weight.tensor.load()


def external(tmp_path: Path, **entries: str) -> Path:
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    tensor = TensorProto(name="w", data_type=1, dims=[4, 3], data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    model = parse(DENSE)
    model.graph.initializer.append(tensor)
    return write(folder, model)


def test_external_data(tmp_path: Path) -> None:
    weights = normal(4, 3)
    path = external(tmp_path, location="weights.bin", offset="8", length="48")
    (path.parent / "weights.bin").write_bytes(bytes(8) + weights.tobytes())
    network = check(path, x=normal(2, 4))
    loaded = matrix_layer(network).weight.tensor.load()
    np.testing.assert_array_equal(loaded[0], weights)
    base: Any = loaded
    while not isinstance(base, np.memmap):
        base = base.base
    (path.parent / "weights.bin").write_bytes(bytes(8) + weights[::-1].tobytes())
    assert read_network(path).source.sha256 != network.source.sha256


def test_external_data_of_digital_operators(tmp_path: Path) -> None:
    path = external(tmp_path, location="weights.bin")
    (path.parent / "weights.bin").write_bytes(normal(4, 3).tobytes())
    model = onnx.load(str(path), load_external_data=False)
    model.graph.node[0].op_type = "Gather"
    model.graph.node[0].input[:] = ["w", "x"]
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    check(write(path.parent, model), x=np.asarray([[0, 1, 2, 3]]))


def test_external_data_that_is_missing_or_escapes(tmp_path: Path) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(48))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link.bin").symlink_to(secret)
    (folder / "short.bin").write_bytes(bytes(40))
    (folder / "sub").mkdir()
    cases = [
        ({"location": "absent.bin"}, "missing"),
        ({"location": str(secret)}, "not a relative path"),
        ({"location": "../secret.bin"}, "leaves the model's folder"),
        ({"location": "sub/../../secret.bin"}, "leaves the model's folder"),
        ({"location": "link.bin"}, "leaves the model's folder"),
        ({"location": "sub"}, "missing"),
        ({}, "not a relative path"),
        ({"location": "short.bin"}, "beyond the end"),
        ({"location": "short.bin", "offset": "-8"}, "whole number"),
        ({"location": "short.bin", "offset": "9" * 30}, "whole number"),
        ({"location": "short.bin", "length": "40"}, "40 bytes"),
        ({"location": "a\0b"}, "not a relative path"),
    ]
    for entries, message in cases:
        with pytest.raises(ModelError, match=message):
            read_network(external(tmp_path, **entries))


def test_zero_sized_dimensions(tmp_path: Path) -> None:
    path = model_file(
        tmp_path, "g (float[0,4] x) => (float[] y) { a = MatMul(x, w) y = Relu(a) }", w=normal(4, 3)
    )
    check(path, x=np.zeros((0, 4), np.float32))


def test_models_without_types_or_versions(tmp_path: Path) -> None:
    model = parse(DENSE, w=normal(4, 3))
    model.graph.input[0].ClearField("type")
    with pytest.raises(ModelError, match="no type"):
        read_network(write(tmp_path, model))
    model = parse(DENSE, w=normal(4, 3))
    del model.opset_import[:]
    with pytest.raises(ModelError, match="no operator set"):
        read_network(write(tmp_path, model))
    model = parse(DENSE, w=normal(4, 3))


@pytest.mark.parametrize("where", ["input", "output", "value_info"])
def test_negative_dimensions_are_open(where: str, tmp_path: Path) -> None:
    """Older exporters write -1; to ONNX Runtime every negative extent is open."""
    text = "g (float[N,2,H,W] x) => (float[A,B,C,D] y) { c = Conv(x, w) y = Relu(c) }"
    model = parse(text, w=normal(3, 2, 3, 3))
    model.graph.value_info.append(helper.make_tensor_value_info("c", 1, [1, 3, 1, 1]))
    for value in getattr(model.graph, where):
        for axis in (0, 2, 3):
            value.type.tensor_type.shape.dim[axis].dim_value = -1 - axis
    network = check(write(tmp_path, model), x=normal(2, 2, 8, 5))
    assert network.matrix_layers
    if where == "input":
        assert network.inputs[0].shape == (None, 2, None, None)


def test_lengths_of_batch_normalisation_that_differ(tmp_path: Path) -> None:
    """ONNX Runtime loads them, and refuses every input."""
    text = """g (float[N,4] x) => (float[] y) {
        a = MatMul(x, w)
        [norm] y = BatchNormalization(a, s, b, m, v)
    }"""
    tensors: dict[str, Any] = {"w": normal(4, 3), "s": normal(3), "b": normal(3), "m": normal(6)}
    path = model_file(tmp_path, text, v=np.ones(3, np.float32), **tensors)
    with pytest.raises(ModelError, match="norm: BatchNormalization has parameters of shapes"):
        read_network(path)


@pytest.mark.parametrize("name", ["strides", "dilations", "pads", "output_shape"])
@pytest.mark.parametrize("size", [2**31, 2**62, 2**63 - 1])
def test_loops_beyond_32_bits_stay_digital(name: str, size: int, tmp_path: Path) -> None:
    operator = "ConvTranspose" if name == "output_shape" else "Conv"
    text = f"g (float[1,2,4,4] x) => (float[] y) {{ y = {operator}(x, w) }}"
    model = parse(text, w=normal(2, 2, 1, 1))
    values = [size] * (4 if name == "pads" else 2)
    model.graph.node[0].attribute.append(helper.make_attribute(name, values))
    try:
        network = read_network(write(tmp_path, model))
    except ModelError:
        return  # ONNX Runtime refuses it as well
    assert not network.matrix_layers


def test_large_strides_that_one_window_never_uses(tmp_path: Path) -> None:
    text = "g (float[1,2,1,1] x) => (float[] y) { y = Conv(x, w) }"
    model = parse(text, w=normal(3, 2, 1, 1))
    model.graph.node[0].attribute.append(helper.make_attribute("strides", [2**31 - 1, 1]))
    assert check(write(tmp_path, model), x=normal(1, 2, 1, 1)).matrix_layers


def test_wrongly_typed_attributes(tmp_path: Path) -> None:
    model = parse("g (float[1,2,4,4] x) => (float[] y) { y = Conv(x, w) }", w=normal(3, 2, 1, 1))
    model.graph.node[0].attribute.append(helper.make_attribute("strides", "two"))
    with pytest.raises(ModelError, match="strides"):
        read_network(write(tmp_path, model))


def test_an_attribute_that_stands_twice(tmp_path: Path) -> None:
    model = parse("g (float[1,2,4,4] x) => (float[] y) { y = Conv(x, w) }", w=normal(3, 2, 1, 1))
    for size in (1, 2):
        attribute = helper.make_attribute("strides", [size, size])
        model.graph.node[0].attribute.append(attribute)
    with pytest.raises(ModelError, match="'strides' more than once"):
        read_network(write(tmp_path, model))


def test_an_initialiser_of_another_type_than_its_input(tmp_path: Path) -> None:
    model = parse(DENSE, w=normal(4, 3))
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.DOUBLE, [4, 3]))
    with pytest.raises(ModelError, match="the graph input of that name declares 11"):
        read_network(write(tmp_path, model))


@pytest.mark.parametrize("shape", [["N", 2], [4, 3, 1], [4], [0, 3], [5, 3]])
def test_an_initialiser_of_another_shape_than_its_input(
    tmp_path: Path, shape: list[int | str]
) -> None:
    model = parse(DENSE, w=normal(4, 3))
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, shape))
    with pytest.raises(ModelError, match="the initialiser has the shape \\[4, 3\\]"):
        read_network(write(tmp_path, model))


def test_an_initialiser_may_fill_open_axes_of_its_input(tmp_path: Path) -> None:
    model = parse(DENSE, w=normal(4, 3))
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, ["N", 3]))
    assert read_network(write(tmp_path, model)).matrix_layers[0].rows == 4


def test_functions_that_call_each_other(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        """g (float[N] x) => (float[] y) { y = l.f(x) }
        <domain: "l", opset_import: ["": 17, "l": 1]> f (a) => (b) { b = l.h(a) }
        <domain: "l", opset_import: ["": 17, "l": 1]> h (a) => (b) { b = l.f(a) }""",
        '<ir_version: 8, opset_import: ["": 17, "l": 1]>',
    )
    with pytest.raises(ModelError, match="circle"):
        read_network(path)


def test_unreadable_file(tmp_path: Path) -> None:
    path = model_file(tmp_path, DENSE, w=normal(4, 3))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("the superuser reads everything")
    with pytest.raises(ModelError):
        read_network(path)


def test_sparse_initialisers(tmp_path: Path) -> None:
    model = parse(DENSE)
    values = helper.make_tensor("w", 1, [2], [1.0, 2.0])
    indices = helper.make_tensor("i", 7, [2], [0, 11])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4, 3]))
    loaded = matrix_layer(read_network(write(tmp_path, model))).weight.tensor.load()
    assert loaded[0, 0, 0] == 1
    assert loaded[0, 3, 2] == 2
    model.graph.sparse_initializer[0].indices.int64_data[1] = 12
    with pytest.raises(ModelError):
        read_network(write(tmp_path, model))


def test_unknown_quantised_operator_is_named(tmp_path: Path) -> None:
    path = model_file(tmp_path, "g (float[N] x) => (float[] y) { y = NoSuchOperator(x) }")
    with pytest.raises(UnsupportedError, match="NoSuchOperator"):
        read_network(path)


def test_importing_the_frontend_is_silent(tmp_path: Path) -> None:
    path = model_file(tmp_path, DENSE, w=normal(4, 3))
    code = f"import pathlib, xbarc.frontend as f; f.read_network(pathlib.Path({str(path)!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert not done.stdout
    assert not done.stderr


@pytest.mark.parametrize(
    ("nodes", "refused"),
    [
        ("y = Relu (x) z = TopK (x, k)", True),
        ("z = Split <axis = 1> (x)", False),
    ],
)
def test_a_result_that_is_always_given_needs_a_name(
    nodes: str, refused: bool, tmp_path: Path
) -> None:
    """Two outputs of which the second one is left without a name."""
    model = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["": 17]>
        g (float[2, 4] x) => (float[] z) {{ k = Constant <value = int64[1] {{2}}> () {nodes} }}"""
    )
    model.graph.node[-1].output.append("")
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    if refused:
        with pytest.raises(ModelError, match="output 1 of TopK has no name"):
            read_network(tmp_path / "model.onnx")
    else:
        read_network(tmp_path / "model.onnx")
