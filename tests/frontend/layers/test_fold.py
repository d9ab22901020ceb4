"""What is folded into a layer, and what must not be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.frontend.onnx_models import check, f32, matrix_layer, model_file, normal, operators
from xbarc.frontend import read_network
from xbarc.ir.network import IntWeight


def statistics(channels: int) -> dict[str, Any]:
    return {
        "g": normal(channels, seed=11),
        "h": normal(channels, seed=12),
        "m": normal(channels, seed=13),
        "v": np.abs(normal(channels, seed=14)) + np.float32(0.1),
    }


NORM = "y = BatchNormalization<epsilon = 0.01>(c, g, h, m, v)"


@pytest.mark.parametrize(
    ("call", "weights", "shape"),
    [
        ("Conv<group = 2>(x, w)", (4, 1, 3, 3), (2, 2, 5, 5)),
        ("Conv<group = 2>(x, w, b)", (4, 1, 3, 3), (2, 2, 5, 5)),
        ("ConvTranspose<group = 2, strides = [2, 2]>(x, w, b)", (2, 2, 3, 3), (2, 2, 5, 5)),
        ("Gemm<alpha = 0.5, transB = 1>(x, w, b)", (4, 6), (3, 6)),
        ("MatMul(x, w)", (6, 4), (3, 6)),
    ],
)
def test_normalisation_is_folded(
    tmp_path: Path, call: str, weights: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    dims = ",".join(str(size) for size in shape)
    path = model_file(
        tmp_path,
        f"g (float[{dims}] x) => (float[] y) {{ c = {call} {NORM} }}",
        w=normal(*weights),
        b=normal(4, seed=5),
        **statistics(4),
    )
    network = check(path, x=normal(*shape, seed=1))
    assert operators(network) == {}
    assert matrix_layer(network).output == "y"


@pytest.mark.parametrize("which", ["g", "h", "m", "v"])
@pytest.mark.parametrize("extreme", [np.inf, -np.inf, np.nan, 3e38])
def test_statistics_that_are_not_finite_are_not_folded(
    tmp_path: Path, which: str, extreme: float
) -> None:
    """They are left to ONNX Runtime, and no warning is printed."""
    arrays = statistics(4)
    for name in "ghmv":
        arrays[name][0] = extreme if name == which else 0 if name == "g" else 1
    text = f"g (float[1,2,4,4] x) => (float[] y) {{ c = Conv(x, w) {NORM} }}"
    network = read_network(model_file(tmp_path, text, w=normal(4, 2, 1, 1), **arrays))
    assert np.isfinite(matrix_layer(network).result.bias).all()  # type: ignore[union-attr]
    assert operators(network) in ({}, {"BatchNormalization": 1})


def test_normalisation_scales_integer_weights(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        f"""g (float[1,2,4,4] x) => (float[] y) {{
            d = DequantizeLinear<axis = 0>(w, s)
            c = Conv(x, d)
            {NORM}
        }}""",
        w=np.arange(-8, 0, dtype=np.int8).reshape(4, 2, 1, 1),
        s=f32([1, 2, 3, 4]),
        **statistics(4),
    )
    network = check(path, x=normal(1, 2, 4, 4))
    assert isinstance(matrix_layer(network).weight, IntWeight)
    assert operators(network) == {}


@pytest.mark.parametrize(
    "body",
    [
        "c = MatMul(x, w) y = Add(c, b)",
        "c = MatMul(x, w) y = Sub(c, b)",
        "c = MatMul(x, w) d = Mul(b, c) y = Add(b, d)",
        "c = MatMul(x, w) y = Div(c, b)",
    ],
)
def test_arithmetic_is_folded(tmp_path: Path, body: str) -> None:
    path = model_file(
        tmp_path,
        f"g (float[N,2,6] x) => (float[] y) {{ {body} }}",
        w=normal(6, 4),
        b=normal(4, seed=2) + np.float32(3),
    )
    network = check(path, x=normal(3, 2, 6, seed=1))
    assert operators(network) == {}
    assert matrix_layer(network).output == "y"


@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 4, 1, 1), (1,), ()])
def test_channel_constants_are_folded_after_conv(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = model_file(
        tmp_path,
        "g (float[1,2,4,4] x) => (float[] y) { c = Conv(x, w) y = Add(c, b) }",
        w=normal(4, 2, 1, 1),
        b=normal(*shape, seed=2).reshape(shape),
    )
    assert operators(check(path, x=normal(1, 2, 4, 4))) == {}


@pytest.mark.parametrize(
    ("graph", "constants"),
    [
        (f"(float[1,2,4,4] x) => (float[] y, float[] c) {{ c = Conv(x, w) {NORM} }}", {}),
        (
            f"(float[1,2,4,4] x) => (float[] y, float[] z) {{ c = Conv(x, w) {NORM} z = Relu(c) }}",
            {},
        ),
        (f"(float[1,2,4,4] x) => (float[] y) {{ e = Conv(x, w) c = Relu(e) {NORM} }}", {}),
        (
            "(float[1,2,4,4] x, float[4] n) => (float[] y)"  # noqa: ISC004  # one text
            " { c = Conv(x, w) y = BatchNormalization(c, g, h, n, v) }",
            {"n": normal(4)},
        ),
        ("(float[1,2,4,4] x) => (float[] y) { c = Conv(x, w) y = Add(c, k) }", {}),
        ("(float[1,2,4,4] x) => (float[] y) { c = Conv(x, w) y = Div(g1, c) }", {}),
        ("(float[1,2,4,4] x) => (float[] y) { c = Conv(x, w) y = Add(c, c) }", {}),
    ],
)
def test_what_is_not_folded(tmp_path: Path, graph: str, constants: dict[str, Any]) -> None:
    path = model_file(
        tmp_path,
        f"g {graph}",
        w=normal(4, 2, 1, 1),
        k=normal(4),
        g1=normal(4, 1, 1),
        **statistics(4),
    )
    network = check(path, x=normal(1, 2, 4, 4) + 1, **constants)
    assert operators(network)


def test_a_cube_is_not_normalised_along_its_last_axis(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        f"g (float[2,4,4] x) => (float[] y) {{ c = MatMul(x, w) {NORM} }}",
        w=normal(4, 4),
        **statistics(4),
    )
    assert operators(check(path, x=normal(2, 4, 4))) == {"BatchNormalization": 1}


def test_a_row_constant_is_not_folded_into_columns(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        "g (float[3,6] x) => (float[] y) { c = MatMul(x, w) y = Add(c, b) }",
        w=normal(6, 3),
        b=normal(3, 1),
    )
    assert operators(check(path, x=normal(3, 6))) == {"Add": 1}
    path = model_file(
        tmp_path,
        "g (float[6,3] x) => (float[] y) { c = MatMul(w, x) y = Add(c, b) }",
        w=normal(3, 6),
        b=normal(3, 1),
    )
    assert operators(check(path, x=normal(6, 3))) == {}
