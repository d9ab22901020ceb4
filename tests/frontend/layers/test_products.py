"""Matrix products with a constant on either side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from tests.frontend.onnx_models import (
    check,
    int_format,
    matrix_layer,
    model_file,
    normal,
    notes,
    operators,
    parse,
    rng,
    write,
)
from xbarc.errors import ModelError
from xbarc.frontend import read_network
from xbarc.ir.geometry import Dense
from xbarc.ir.quantizers import FloatResult, IntegerInput

SHAPES = [
    ((2, 5), (5, 3)),
    ((5,), (5, 3)),
    ((2, 5), (5,)),
    ((5,), (5,)),
    ((4, 2, 5), (5, 3)),
    ((4, 2, 5), (5,)),
    ((2, 5), (1, 5, 3)),
    ((4, 2, 5), (4, 5, 3)),
    ((1, 2, 5), (4, 5, 3)),
    ((7, 4, 2, 5), (4, 5, 3)),
    ((7, 1, 2, 5), (1, 4, 5, 3)),
    ((5,), (4, 5, 3)),
]


def turned_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if len(shape) == 1 else (*shape[:-2], shape[-1], shape[-2])


@pytest.mark.parametrize(("vectors", "matrix"), SHAPES)
@pytest.mark.parametrize("on_right", [True, False])
def test_matmul(
    tmp_path: Path, vectors: tuple[int, ...], matrix: tuple[int, ...], on_right: bool
) -> None:
    if not on_right:
        vectors, matrix = turned_shape(vectors), turned_shape(matrix)
    order = "x, w" if on_right else "w, x"
    path = model_file(
        tmp_path, f"g (float[] x) => (float[] y) {{ y = MatMul({order}) }}", w=normal(*matrix)
    )
    layer = matrix_layer(check(path, x=normal(*vectors, seed=1)))
    assert isinstance(layer.geometry, Dense)
    assert layer.geometry.batch == matrix[:-2]


@pytest.mark.parametrize("turned", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("on_right", [True, False])
@pytest.mark.parametrize("addend", [None, (), (1,), (3,), (1, 3), (2, 1), (2, 3), (1, 1)])
def test_gemm(
    tmp_path: Path, turned: tuple[int, int], on_right: bool, addend: tuple[int, ...] | None
) -> None:
    a, b = normal(2, 5), normal(5, 3, seed=1)
    a, b = (a.T if turned[0] else a), (b.T if turned[1] else b)
    inits: dict[str, Any] = {"b": b} if on_right else {"a": a}
    inits |= {} if addend is None else {"c": normal(*addend, seed=2).reshape(addend)}
    text = f"alpha = 0.5, beta = 0.25, transA = {turned[0]}, transB = {turned[1]}"
    name = "a" if on_right else "b"
    order = "a, b" if addend is None else "a, b, c"
    graph = f"g (float[M,N] {name}) => (float[] y) {{ y = Gemm<{text}>({order}) }}"
    inits = {key: np.ascontiguousarray(array) for key, array in inits.items()}
    path = model_file(tmp_path, graph, **inits)
    feeds: dict[str, Any] = {name: np.ascontiguousarray(a if on_right else b)}
    network = check(path, **feeds)
    vector = addend is None or (
        (len(addend) < 2 or addend[0] == 1) if on_right else (*addend, 1)[-2 if addend else 0] == 1
    )
    if on_right:
        assert (operators(network) == {}) == vector
    assert len(network.matrix_layers) == 1


def test_gemm_with_an_addend_from_outside(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        "g (float[N,4] x, float[N,3] c) => (float[] y) { y = Gemm<beta = 2.0>(x, w, c) }",
        w=normal(4, 3),
    )
    network = check(path, x=normal(2, 4), c=normal(2, 3))
    assert operators(network) == {"Add": 1, "Mul": 1}


def test_gemm_with_a_wrong_bias(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        "g (float[N,4] x) => (float[] y) { y = Gemm(x, w, c) }",
        w=normal(4, 3),
        c=normal(5),
    )
    with pytest.raises(ModelError):
        read_network(path)


def test_alpha_goes_into_the_scale(tmp_path: Path) -> None:
    path = model_file(
        tmp_path, "g (float[N,4] x) => (float[] y) { y = Gemm<alpha = 0.5>(x, w) }", w=normal(4, 3)
    )
    result = matrix_layer(check(path, x=normal(2, 4))).result
    assert isinstance(result, FloatResult)
    np.testing.assert_array_equal(result.scale, [0.5] * 3)


@pytest.mark.parametrize("dtype", ["float16", "double"])
def test_other_real_types(tmp_path: Path, dtype: str) -> None:
    kind = {"double": "float64"}.get(dtype, dtype)
    path = model_file(
        tmp_path,
        f"g ({dtype}[N,4] x) => ({dtype}[] y) {{ y = MatMul(x, w) }}",
        w=normal(4, 3).astype(kind),
    )
    result = matrix_layer(check(path, x=normal(2, 4, seed=1).astype(kind))).result
    assert isinstance(result, FloatResult)
    assert result.dtype == kind


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("zero", ["none", "scalar", "vector"])
@pytest.mark.parametrize("on_right", [True, False])
def test_matmul_integer(tmp_path: Path, dtype: str, zero: str, on_right: bool) -> None:
    low = 0 if dtype == "uint8" else -128
    w = rng(1).integers(low, low + 256, (6, 4)).astype(dtype)
    points = {"none": None, "scalar": np.asarray(5), "vector": rng(2).integers(0, 50, 4)}[zero]
    if not on_right:
        w = np.ascontiguousarray(w.T)
    inits: dict[str, Any] = {"w": w, "xz": np.uint8(9)}
    if points is not None:
        inits["wz"] = points.astype(dtype)
    names = ["xz"] if points is None else ["xz", "wz"]
    if not on_right:
        inits.setdefault("wz", np.asarray(0, dtype))
        names = ["wz", "xz"]
    order = ", ".join([*(("x", "w") if on_right else ("w", "x")), *names])
    path = model_file(
        tmp_path, f"g (uint8[] x) => (int32[] y) {{ y = MatMulInteger({order}) }}", **inits
    )
    shape = (3, 6) if on_right else (6, 3)
    # 7-bit inputs: beyond, ONNX Runtime itself saturates uint8 x int8 on CPUs without VNNI
    x = rng(3).integers(0, 128, shape).astype(np.uint8)
    if zero == "vector" and not on_right:
        network = read_network(path)  # ONNX Runtime has no such kernel; a crossbar has
    else:
        network = check(path, exact=True, x=x)
    layer = matrix_layer(network)
    assert layer.quantizer == IntegerInput(low=0, bits=8, scale=1.0, zero_point=9)


def test_dynamic_quantisation_reads_its_zero_point_at_run_time(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        """g (float[N,6] x) => (float[] y) {
            q, s, z = DynamicQuantizeLinear(x)
            i = MatMulInteger(q, w, z, wz)
            f = Cast<to = 1>(i)
            t = Mul(s, ws)
            y = Mul(f, t)
        }""",
        w=rng(1).integers(0, 256, (6, 4)).astype(np.uint8),
        wz=np.uint8(128),
        ws=np.float32(0.1),
    )
    network = check(path, x=normal(3, 6))
    layer = matrix_layer(network)
    assert isinstance(layer.quantizer, IntegerInput)
    assert layer.quantizer.zero_point == "z"
    assert int_format(network).bits == 8


def test_a_vector_of_run_time_zero_points_stays_digital(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        "g (uint8[2,6] x, uint8[2] z) => (int32[] y) { y = MatMulInteger(x, w, z) }",
        w=rng(1).integers(0, 256, (6, 4)).astype(np.uint8),
    )
    network = read_network(path)
    assert not network.matrix_layers
    assert "zero point" in notes(network)


def test_integers_of_matmul_stay_digital(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        "g (int32[2,6] x) => (int32[] y) { y = MatMul(x, w) }",
        w=np.ones((6, 4), np.int32),
    )
    network = check(path, exact=True, x=np.ones((2, 6), np.int32))
    assert "INT32" in notes(network)


def test_zero_sized_matrices_stay_digital(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        "g (float[2,0] x) => (float[] y) { y = MatMul(x, w) }",
        w=np.ones((0, 4), np.float32),
    )
    assert not check(path, x=np.ones((2, 0), np.float32)).matrix_layers


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_weights_that_no_cell_holds_stay_digital(odd: float, tmp_path: Path) -> None:
    weights = normal(4, 3)
    weights[1, 1] = odd
    path = model_file(tmp_path, "g (float[N,4] x) => (float[] y) { y = MatMul(x, w) }", w=weights)
    network = check(path, x=normal(2, 4))
    assert not network.matrix_layers
    assert "its weights hold NaN or infinity" in notes(network)


@pytest.mark.parametrize("size", [1e-45, 1e-38, 1e-25, 1e25, 1e38])
def test_weights_whose_scales_leave_float32_stay_digital(size: float, tmp_path: Path) -> None:
    text = "g (float[N,4] x) => (float[] y) { y = MatMul(x, w) }"
    path = model_file(tmp_path, text, w=np.full((4, 3), size, np.float32))
    network = check(path, x=normal(2, 4))
    assert "too far from 1" in notes(network)


def test_one_column_of_tiny_weights_changes_nothing(tmp_path: Path) -> None:
    weights = normal(4, 3)
    weights[:, 1] = 1e-42
    text = "g (float[N,4] x) => (float[] y) { y = MatMul(x, w) }"
    assert check(model_file(tmp_path, text, w=weights), x=normal(2, 4)).matrix_layers


@pytest.mark.parametrize("odd", [np.nan, np.inf, 1e39])
@pytest.mark.parametrize("place", ["bias", "alpha", "beta"])
def test_biases_and_factors_that_are_no_numbers_stay_digital(
    odd: float, place: str, tmp_path: Path
) -> None:
    bias = normal(3).astype(np.float32)
    with np.errstate(over="ignore"):
        bias[1] = odd if place == "bias" else 0
    text = "g (float[N,4] x) => (float[] y) { y = Gemm(x, w, b) }"
    model = parse(text, w=normal(4, 3), b=bias)
    if place != "bias":
        model.graph.node[0].attribute.append(helper.make_attribute(place, np.inf))
    network = check(write(tmp_path, model), x=normal(2, 4))
    assert not network.matrix_layers
    assert "stays digital" in notes(network)


@pytest.mark.parametrize("opset", [9, 13])
@pytest.mark.parametrize(
    ("attributes", "weight", "shape"),
    [
        ("", (6, 4), (6,)),
        ("", (6, 4), (3, 6)),
        ("<transA = 1>", (1, 4), (6,)),
        ("<transA = 1>", (3, 4), (3, 6)),
        ("<alpha = 2.0, transB = 1>", (4, 6), (6,)),
    ],
)
def test_a_vector_that_a_gemm_meets_at_run_time(
    tmp_path: Path, opset: int, attributes: str, weight: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    """ONNX Runtime takes it as a row, and so the result has one too."""
    header = f'<ir_version: 8, opset_import: ["": {opset}]>'
    graph = f"g (float[] x) => (float[] y) {{ y = Gemm {attributes} (x, w, b) }}"
    path = model_file(tmp_path, graph, header, w=normal(*weight), b=normal(4))
    check(path, x=normal(*shape))


def test_a_gemm_whose_input_is_a_matrix_keeps_its_form(tmp_path: Path) -> None:
    """Also where only operators say so: nothing digital stands between the two layers."""
    graph = """g (float[N,6] x) => (float[] y) {
        h = Gemm(x, w)  r = Relu(h)  s = Add(r, r)  y = Gemm(s, v) }"""
    path = model_file(tmp_path, graph, w=normal(6, 4), v=normal(4, 3))
    assert operators(check(path, x=normal(2, 6))) == {"Relu": 1, "Add": 1}
