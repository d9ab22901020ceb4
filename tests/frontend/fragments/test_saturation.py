"""Integer products of a model that was made runnable equal int64 arithmetic on every CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from tests.frontend.network_meaning import evaluate
from tests.frontend.onnx_models import model_file, rng
from xbarc.frontend import read_network, runnable_model
from xbarc.numerics.types import AnyArray
from xbarc.oracle import Oracle

UNSIGNED, SIGNED = (200, 256, np.uint8), (100, 128, np.int8)
KINDS = {"uint8": UNSIGNED, "int8": SIGNED}


def large(kind: str, *shape: int, seed: int = 0) -> AnyArray:
    """Operands whose products in pairs exceed 16 bits."""
    low, high, dtype = KINDS[kind]
    return rng(seed).integers(low, high, shape).astype(dtype)


def product(a: AnyArray, b: AnyArray) -> AnyArray:
    return a.astype(np.int64) @ b.astype(np.int64)


def answers(path: Path, **feeds: Any) -> tuple[AnyArray, AnyArray]:
    """`y` of the oracle and of the network."""
    wanted = Oracle(runnable_model(path)).run(feeds)["y"]
    return wanted, evaluate(read_network(path), dict(feeds))["y"]


@pytest.mark.parametrize("kinds", [(a, b) for a in KINDS for b in KINDS])
def test_matrix_products(tmp_path: Path, kinds: tuple[str, str]) -> None:
    left, right = kinds
    text = f"g ({left}[4,64] x, {right}[64,8] w) => (int32[] y) {{ y = MatMulInteger(x, w) }}"
    x, w = large(left, 4, 64), large(right, 64, 8, seed=1)
    for found in answers(model_file(tmp_path, text), x=x, w=w):
        assert np.array_equal(found, product(x, w))


@pytest.mark.parametrize("kinds", [(a, b) for a in KINDS for b in KINDS])
@pytest.mark.parametrize("group", [1, 2, 8])
def test_convolutions(tmp_path: Path, kinds: tuple[str, str], group: int) -> None:
    """With int8 inputs and uint8 weights too: the kernel takes the weights first."""
    left, right = kinds
    text = f"""g ({left}[2,8,5,5] x, {right}[8,{8 // group},3,3] w) => (int32[] y)
        {{ y = ConvInteger<group = {group}>(x, w) }}"""
    x, w = large(left, 2, 8, 5, 5), large(right, 8, 8 // group, 3, 3, seed=1)
    views = sliding_window_view(x.astype(np.int64), (3, 3), axis=(2, 3))
    views = views.reshape(2, group, 8 // group, 3, 3, 3, 3)
    weights = w.astype(np.int64).reshape(group, 8 // group, 8 // group, 3, 3)
    want = np.einsum("bgcyxkl,gockl->bgoyx", views, weights).reshape(2, 8, 3, 3)
    for found in answers(model_file(tmp_path, text), x=x, w=w):
        assert np.array_equal(found, want)


@pytest.mark.parametrize("operator", ["QLinearMatMul", "com.microsoft.QGemm"])
def test_requantised_products(tmp_path: Path, operator: str) -> None:
    """Scales are powers of two, so that rounding is exact."""
    gap = ', ""' if operator.endswith("QGemm") else ""
    text = f"""g (uint8[4,64] x, int8[64,8] w) => (uint8[] y)
        {{ y = {operator}(x, one, zx, w, one, zw{gap}, step, zx) }}"""
    scales = {"one": np.float32(1), "step": np.float32(2**14)}
    constants: dict[str, Any] = {**scales, "zx": np.uint8(0), "zw": np.int8(0)}
    path = model_file(tmp_path, text, **constants)
    x, w = large("uint8", 4, 64), large("int8", 64, 8, seed=1)
    for found in answers(path, x=x, w=w):
        assert np.array_equal(found, np.clip(np.rint(product(x, w) / 2**14), 0, 255))


def test_requantised_convolution_with_a_scale_a_channel(tmp_path: Path) -> None:
    text = """g (uint8[1,4,3,3] x, int8[8,2,3,3] w) => (uint8[] y)
        { y = QLinearConv<group = 2>(x, one, zx, w, scales, zeros, step, zx) }"""
    scales = np.repeat([1.0, 0.5], 4).astype(np.float32)
    one, step = np.float32(1), np.float32(2**12)
    constants: dict[str, Any] = {"one": one, "step": step, "zx": np.uint8(0)}
    path = model_file(tmp_path, text, **constants, scales=scales, zeros=np.zeros(8, np.int8))
    x, w = large("uint8", 1, 4, 3, 3), large("int8", 8, 2, 3, 3, seed=1)
    parts = x.astype(np.int64).reshape(2, 18), w.astype(np.int64).reshape(2, 4, 18)
    sums = np.einsum("gi,goi->go", *parts).reshape(8) * scales
    for found in answers(path, x=x, w=w):
        assert np.array_equal(found.reshape(-1), np.clip(np.rint(sums / 2**12), 0, 255))


def test_products_of_microsoft(tmp_path: Path) -> None:
    text = """g (uint8[4,64] x, int8[64,8] w) => (float[] y)
        { y = com.microsoft.MatMulIntegerToFloat(x, w, one, one) }"""
    path = model_file(tmp_path, text, one=np.float32(1))
    x, w = large("uint8", 4, 64), large("int8", 64, 8, seed=1)
    for found in answers(path, x=x, w=w):
        assert np.array_equal(found, product(x, w))


def test_inputs_quantised_by_the_kernel(tmp_path: Path) -> None:
    text = """g (float[4,64] x, int8[64,8] w) => (float[] y)
        { y = com.microsoft.DynamicQuantizeMatMul(x, w, one) }"""
    path = model_file(tmp_path, text, one=np.float32(1))
    x = large("uint8", 4, 64).astype(np.float32)
    x[0, 0] = 255  # codes are the numbers themselves
    w = large("int8", 64, 8, seed=1)
    for found in answers(path, x=x, w=w):
        assert np.array_equal(found, product(x, w))


def test_recurrent_layers(tmp_path: Path) -> None:
    """int8 weights mean what the same weights mean as uint8."""
    text = """g (float[3,2,64] x, {kind}[1,64,32] w, {kind}[1,8,32] r) => (float[] y) {{
        y = com.microsoft.DynamicQuantizeLSTM<hidden_size = 8>
            (x, w, r, "", "", "", "", "", s, z, s, z)
    }}"""
    w, r, x = large("int8", 1, 64, 32), large("int8", 1, 8, 32), rng().random((3, 2, 64))
    found = []
    for kind, zero, add in (("int8", np.int8(0), 0), ("uint8", np.uint8(128), 128)):
        scale = np.full(1, 1e-4, np.float32)
        path = model_file(tmp_path, text.format(kind=kind), s=scale, z=np.full(1, zero))
        weights = {"w": (w.astype(int) + add).astype(kind), "r": (r.astype(int) + add).astype(kind)}
        found.append(Oracle(runnable_model(path)).run({"x": x.astype(np.float32), **weights})["y"])
    assert np.array_equal(*found)


def test_attention(tmp_path: Path) -> None:
    """The same projection with weights of either sign."""
    text = """g (uint8[1,4,32] x, {kind}[32,96] w) => (float[] y)
        {{ y = com.microsoft.QAttention<num_heads = 4>(x, w, b, s, s, "", zx, zw) }}"""
    same: dict[str, Any] = {"b": np.zeros(96, np.float32), "s": np.float32(1e-3), "zx": np.uint8(0)}
    x, w = large("uint8", 1, 4, 32), large("int8", 32, 96, seed=1)
    signed = model_file(tmp_path, text.format(kind="int8"), **same, zw=np.int8(0))
    found, _ = answers(signed, x=x, w=w)
    plain = model_file(tmp_path, text.format(kind="uint8"), **same, zw=np.uint8(128))
    wanted, _ = answers(plain, x=x, w=(w.astype(np.int16) + 128).astype(np.uint8))
    assert np.array_equal(found, wanted)


def test_types_that_only_onnx_runtime_knows(tmp_path: Path) -> None:
    """Neither operand declares its type."""
    text = """g (uint8[4,64] x, int8[64,8] w) => (int32[] y) {
        a = Concat<axis = 0>(x, x)
        b = Concat<axis = 1>(w, w)
        y = MatMulInteger(a, b)
    }"""
    x, w = large("uint8", 4, 64), large("int8", 64, 8, seed=1)
    for found in answers(model_file(tmp_path, text), x=x, w=w):
        assert np.array_equal(found, np.tile(product(x, w), (2, 2)))


def test_products_in_bodies(tmp_path: Path) -> None:
    text = """g (uint8[4,64] x, int8[64,8] w, bool c) => (int32[] y) {
        y = If(c) <
            then_branch = t () => (int32[4,8] p) { p = MatMulInteger(x, w) },
            else_branch = e () => (int32[4,8] q) { q = MatMulInteger(x, w) }
        >
    }"""
    x, w = large("uint8", 4, 64), large("int8", 64, 8, seed=1)
    for found in answers(model_file(tmp_path, text), x=x, w=w, c=np.asarray(True)):
        assert np.array_equal(found, product(x, w))


def test_names_survive_and_exact_files_stay_as_they_are(tmp_path: Path) -> None:
    text = """g (uint8[4,64] x) => (int32[] y) { h = MatMulInteger(x, w) y = Neg(h) }"""
    path = model_file(tmp_path, text, w=large("int8", 64, 8))
    x = large("uint8", 4, 64)
    found = Oracle(runnable_model(path), ["h"]).run({"x": x})
    assert np.array_equal(found["h"], product(x, large("int8", 64, 8)))
    assert np.array_equal(found["y"], -found["h"])
    exact = model_file(tmp_path, text, w=large("uint8", 64, 8))
    assert runnable_model(exact) == exact
