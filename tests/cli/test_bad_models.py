"""A damaged or hostile model: one message, exit code 2, nothing written."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.cli.conftest import DENSE, HEADER, MLP, Finished, Run


@pytest.fixture
def refusal(xbarc: Run, tmp_path: Path) -> Callable[..., Finished]:
    """Compile, and see that nothing but the model is left behind."""

    def compile_it(path: Path, *options: object) -> Finished:
        before = sorted(item.name for item in tmp_path.iterdir())
        done = xbarc("compile", path, "-o", tmp_path / "out.xbar", *options)
        assert sorted(item.name for item in tmp_path.iterdir()) == before
        return done

    return compile_it


def dense_with(change: Callable[[onnx.ModelProto], object], path: Path) -> Path:
    proto = onnx.parser.parse_model(HEADER + DENSE)
    change(proto)
    path.write_bytes(proto.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "the file is empty"),
        (b"\xff" * 100, "not an ONNX protobuf"),
        (b"PK\x03\x04 not a model", "protobuf"),
        (MLP.read_bytes()[:5000], "cut short"),
    ],
)
def test_damaged_file(
    refusal: Callable[..., Finished], tmp_path: Path, content: bytes, part: str
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    refusal(path).refused(str(path), part)


@pytest.mark.parametrize("command", ["compile", "print"])
def test_missing_file_and_directory(xbarc: Run, tmp_path: Path, command: str) -> None:
    xbarc(command, tmp_path / "no.onnx").refused("no.onnx", "does not exist")
    xbarc(command, tmp_path).refused("is a directory")


def test_every_truncation_is_refused_or_read(
    refusal: Callable[..., Finished], tmp_path: Path
) -> None:
    whole = onnx.parser.parse_model(HEADER + DENSE).SerializeToString()
    path = tmp_path / "model.onnx"
    for end in range(1, len(whole), 5):
        path.write_bytes(whole[:end])
        refusal(path).refused(str(path))


def test_flipped_bytes_give_a_message_or_a_program(xbarc: Run, tmp_path: Path) -> None:
    whole = onnx.parser.parse_model(HEADER + DENSE).SerializeToString()
    rng = np.random.default_rng(5)
    path = tmp_path / "model.onnx"
    for place in rng.choice(len(whole), 30, replace=False):
        broken = bytearray(whole)
        broken[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(broken))
        done = xbarc("compile", path, "-o", tmp_path / "out.xbar")
        assert done.code in (0, 2), (place, done.err)
        if done.code:
            done.refused("model.onnx")


CYCLE = """
cycle (float[2] x) => (float[2] y)
{
    a = Add(x, b)
    b = Relu(a)
    y = Relu(b)
}
"""
DOMAIN = "d (float[2] x) => (float[2] y) { n = com.example.Strange(x)  y = Relu(n) }"
UNDEFINED = "u (float[2] x) => (float[2] y) { y = Add(x, nothing) }"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (CYCLE, ["cycle"]),
        (UNDEFINED, ["Add reads 'nothing', which nothing produces"]),
        (DOMAIN, ["Strange", "com.example"]),
    ],
)
def test_broken_graphs(
    refusal: Callable[..., Finished],
    model: Callable[..., Path],
    text: str,
    parts: list[str],
) -> None:
    path = model(text, header='<ir_version: 8, opset_import: ["" : 17, "com.example" : 1]>\n')
    refusal(path).refused(str(path), *parts)


def test_wrong_shapes(refusal: Callable[..., Finished], tmp_path: Path) -> None:
    def shrink(proto: onnx.ModelProto) -> None:
        for dim, size in zip(proto.graph.input[0].type.tensor_type.shape.dim, (2, 4), strict=True):
            dim.dim_value = size

    refusal(dense_with(shrink, tmp_path / "m.onnx")).refused("[2, 4], expected 5 entries")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers(xbarc: Run, tmp_path: Path, value: float) -> None:
    """ONNX Runtime runs such a product, so it is compiled: digital, and the report says why."""

    def spoil(proto: onnx.ModelProto) -> None:
        weights = numpy_helper.to_array(proto.graph.initializer[0]).copy()
        weights[2, 1] = value
        proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "w"))

    out = tmp_path / "out.xbar"
    assert xbarc("compile", dense_with(spoil, tmp_path / "m.onnx"), "-o", out).code == 0
    assert "its weights hold NaN or infinity" in " ".join(xbarc("report", out).out.split())


@pytest.mark.parametrize("dims", [[1 << 40, 1 << 40], [1 << 62, 8], [-5, 3], [5, 4]])
def test_sizes_that_the_data_does_not_have(
    refusal: Callable[..., Finished], tmp_path: Path, dims: list[int]
) -> None:
    def grow(proto: onnx.ModelProto) -> None:
        proto.graph.initializer[0].dims[:] = dims

    refusal(dense_with(grow, tmp_path / "m.onnx")).refused("m.onnx", "w")


@pytest.mark.parametrize(
    "location", ["../secret.bin", "/etc/hostname", "missing.bin", "sub/../../secret.bin", ""]
)
def test_external_data_that_escapes_or_is_missing(
    refusal: Callable[..., Finished], tmp_path: Path, location: str
) -> None:
    def move(proto: onnx.ModelProto) -> None:
        tensor = proto.graph.initializer[0]
        tensor.ClearField("float_data")
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)

    folder = tmp_path / "deep"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(struct.pack("<15f", *range(15)))
    refusal(dense_with(move, folder / "m.onnx")).refused("m.onnx", "w")


def test_giant_fill(refusal: Callable[..., Finished], tmp_path: Path) -> None:
    """ConstantOfShape of a petabyte as a weight."""
    fill = helper.make_node("ConstantOfShape", ["s"], ["w"])
    product = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph(
        [fill, product],
        "giant",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1 << 24])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1 << 24])],
        [numpy_helper.from_array(np.array([1 << 24, 1 << 24]), "s")],
    )
    proto = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    refusal(path).refused("m.onnx")


def test_a_name_cannot_move_the_cursor(refusal: Callable[..., Finished], tmp_path: Path) -> None:
    def rename(proto: onnx.ModelProto) -> None:
        proto.graph.node[0].input[0] = "no\nthing\x1b[2J"

    done = refusal(dense_with(rename, tmp_path / "m.onnx"))
    done.refused("reads 'no\\nthing\\x1b[2J', which nothing produces")


def test_a_long_and_odd_node_name_survives(xbarc: Run, tmp_path: Path) -> None:
    def rename(proto: onnx.ModelProto) -> None:
        proto.graph.node[0].name = "/a b/[bold]" + "x" * 9000

    path = dense_with(rename, tmp_path / "m.onnx")
    out = tmp_path / "out.xbar"
    assert xbarc("compile", path, "-o", out).code == 0
    assert xbarc("verify", out).code == 0
    assert "[bold]" in xbarc("report", out).out


def test_a_file_name_that_is_no_text(xbarc: Run, tmp_path: Path) -> None:
    path = tmp_path / "net\udcff.onnx"
    dense_with(lambda _: None, path)
    out = tmp_path / "out.xbar"
    assert xbarc("compile", path, "-o", out).code == 0
    assert xbarc("verify", out).code == 0


UNCOUNTABLE = {
    "tiled": """
        m (float[1, 4] x) => (float[N, 1] y)
        <int64[2] r = {FAR, 1}, float[4, 1] w = {1, -2, 3, -4}>
        { t = Tile(x, r) y = MatMul(t, w) }""",
    "padded": """
        m (float[1, 4] x) => (float[N, 1] y)
        <int64[4] p = {0, 0, FAR, 0}, float[4, 1] w = {1, -2, 3, -4}>
        { t = Pad(x, p) y = MatMul(t, w) }""",
    "convolved": """
        m (float[1, 1, 2, 2] x) => (float[N, 1, H, W] y) <float[1, 1, 1, 1] w = {1}>
        { t = Conv<pads = [1048576, 1048576, 1048576, 1048576]>(x, w) y = Conv(t, w) }""",
}


@pytest.mark.parametrize("rows", [1 << 39, 1 << 45, 1 << 61])
@pytest.mark.parametrize("kind", sorted(UNCOUNTABLE))
def test_what_no_count_holds_is_left_out_of_the_totals(
    xbarc: Run, tmp_path: Path, kind: str, rows: int
) -> None:
    """An inference of more numbers than 64 bits count: the layer compiles, and is named."""
    proto = onnx.parser.parse_model(HEADER + UNCOUNTABLE[kind].replace("FAR", str(rows)))
    path, out = tmp_path / "m.onnx", tmp_path / "out.xbar"
    path.write_bytes(proto.SerializeToString())
    assert xbarc("compile", path, "-o", out).code == 0
    assert ":y, one inference of shape" in " ".join(xbarc("report", out).out.split())
    assert xbarc("verify", out).code == 0
