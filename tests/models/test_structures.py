"""Every structure of layer and net, at 16 bits tightly against ONNX Runtime, integers exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models.graphs import (
    assert_within,
    both,
    integers,
    normal,
    precise,
    tolerance,
    write,
)
from tests.models.structures import ALL, SCATTERS, WINDOWS, Structure
from xbarc.compiler import compile_model
from xbarc.executor import Executor
from xbarc.ir.effective import effective_weights, is_lossless
from xbarc.ir.program import Program
from xbarc.numerics.types import AnyArray
from xbarc.oracle import Oracle


def _names(structures: tuple[Structure, ...]) -> dict[str, Any]:
    return {"argvalues": structures, "ids": [structure.name for structure in structures]}


@pytest.mark.parametrize("structure", **_names(ALL))
def test_a_layer_at_16_bits(structure: Structure, tmp_path: Path) -> None:
    """Batches of 0, 1 and 7, and 8 bits too, each within what quantisation explains."""
    constant = structure.constant()
    path = write(tmp_path, structure.text(), w=constant)
    programs = {16: precise(path), 8: compile_model(path)}
    for bits, program in programs.items():
        (step,) = program.crossbar_steps
        assert is_lossless(step)
        for batch in (0, 1, 7) if structure.batched else (1,):
            x = structure.input(batch)
            (found,) = Executor(program).run({"x": x})
            error = tolerance(structure.matrix(constant), x, bits)
            assert_within(found, _answer(structure, path, x), error)


def _answer(structure: Structure, path: Path, x: AnyArray) -> AnyArray:
    """ONNX Runtime's; its MatMul does not broadcast a batch of 0, so numpy's there."""
    if x.size or structure.operator != "MatMul":
        answer: AnyArray = Oracle(path).run({"x": x})["y"]
        return answer
    sides = (structure.constant(), x) if structure.left else (x, structure.constant())
    product: AnyArray = np.matmul(*sides)
    return product


@pytest.mark.parametrize("structure", **_names(tuple(s for s in ALL if s.batched)))
def test_a_sample_never_depends_on_the_batch(structure: Structure, tmp_path: Path) -> None:
    """Dynamic ranges are those of a sample: 100 times its neighbour changes nothing."""
    path = write(tmp_path, structure.text(), w=structure.constant())
    executor = Executor(compile_model(path))
    x = structure.input(7)
    x[3] *= 100
    (together,) = executor.run({"x": x})
    for at in range(7):
        (alone,) = executor.run({"x": x[at : at + 1]})
        assert np.array_equal(together[at : at + 1], alone)


@pytest.mark.parametrize("structure", **_names(tuple(s for s in WINDOWS if s.weights[2:])))
def test_integer_convolutions_are_exact(structure: Structure, tmp_path: Path) -> None:
    """ConvInteger with -128, 127, 0 and 255, against float64, which is exact below 2**53."""
    weights = integers(-128, 127, *structure.weights)
    x = integers(0, 255, 2, *structure.sample, seed=3)
    zero = np.uint8(7)
    settings = f"<{structure.attributes}>" if structure.attributes else ""
    dims = ", ".join(map(str, structure.sample))
    text = f"(uint8[N, {dims}] x) => (int32[] y) {{ y = ConvInteger{settings}(x, w, z) }}"
    path = write(tmp_path, text, w=weights.astype(np.int8), z=zero)
    (found,) = Executor(compile_model(path)).run({"x": x.astype(np.uint8)})
    # Sums of these sizes stay below 2**24, so float32 holds them exactly.
    assert np.abs(weights).reshape(len(weights), -1).sum(axis=1).max() * 255 < 2**24
    exact = write(tmp_path, structure.text(), w=weights.astype(np.float32))
    ((_, wanted),) = both(exact, compile_model(exact), {"x": (x - zero).astype(np.float32)})
    assert np.array_equal(found, wanted.astype(np.int64))


@pytest.mark.parametrize(
    ("left", "right"),
    [((5, 300), (300, 9)), ((1, 1), (1, 1)), ((2, 3, 6), (6, 5)), ((3, 4, 6), (3, 6, 5))],
)
@pytest.mark.parametrize("constant", ["left", "right"])
def test_integer_products_are_exact(
    left: tuple[int, ...], right: tuple[int, ...], constant: str, tmp_path: Path
) -> None:
    a, b = integers(0, 255, *left), integers(-128, 127, *right, seed=1)
    kinds = {"left": np.uint8, "right": np.int8}
    fixed = a if constant == "left" else b
    name, free = ("b", b) if constant == "left" else ("a", a)
    kind = "int8" if constant == "left" else "uint8"
    dims = ", ".join(map(str, free.shape))
    text = f"({kind}[{dims}] {name}) => (int32[] y) {{ y = MatMulInteger(a, b, p, q) }}"
    values = {"ab"[constant == "right"]: fixed.astype(kinds[constant])}
    path = write(tmp_path, text, p=np.uint8(9), q=np.int8(-3), **values)
    program = compile_model(path)
    assert len(program.crossbar_steps) == 1
    (found,) = Executor(program).run({name: free.astype(kind)})
    assert np.array_equal(found, (a - 9) @ (b + 3))


def _difference(one: Program, two: Program) -> bool:
    """Whether cells, scales or biases of the only layer differ."""
    (first,), (second,) = one.crossbar_steps, two.crossbar_steps
    pairs: list[tuple[Any, Any]] = [
        (effective_weights(first), effective_weights(second)),
        (getattr(first.result, "scale", None), getattr(second.result, "scale", None)),
        (getattr(first.result, "bias", None), getattr(second.result, "bias", None)),
    ]
    return not all(np.array_equal(a, b) for a, b in pairs)


def test_batch_normalisation_is_folded(tmp_path: Path) -> None:
    """Random statistics: negative and tiny gammas among them."""
    weights, rng = normal(6, 3, 3, 3), np.random.default_rng(5)
    gamma, beta, mean = (rng.normal(size=6).astype(np.float32) for _ in range(3))
    variance = rng.uniform(0.1, 4, 6).astype(np.float32)
    gamma[0], gamma[1] = -2.0, 1e-3
    text = (
        "(float[N,3,9,9] x) => (float[] y) { c = Conv(x, w) y = BatchNormalization(c, g, b, m, v) }"
    )
    path = write(tmp_path, text, w=weights, g=gamma, b=beta, m=mean, v=variance)
    program = precise(path)
    assert not program.digital_steps
    x = normal(2, 3, 9, 9, seed=4)
    ((found, wanted),) = both(path, program, {"x": x})
    factor = gamma / np.sqrt(variance + 1e-5)
    matrix = weights.reshape(6, -1).T * factor
    shift = np.abs(beta - mean * factor).max() + np.abs(mean * factor).max()
    assert_within(found, wanted, tolerance(matrix, x, 16) + shift * 2.0**-20)
    plain = precise(
        write(tmp_path, "(float[N,3,9,9] x) => (float[] y) { y = Conv(x, w) }", w=weights)
    )
    assert _difference(program, plain)


def test_mul_and_add_are_not_the_same(tmp_path: Path) -> None:
    weights, factor = normal(4, 3, 3, 3), np.array([2, -3, 0.5, 7], np.float32)[:, None, None]
    x, programs = normal(2, 3, 6, 6, seed=4), []
    for operator in ("Mul", "Add", "Sub", "Div"):
        text = f"(float[N,3,6,6] x) => (float[] y) {{ c = Conv(x, w) y = {operator}(c, f) }}"
        path = write(tmp_path, text, w=weights, f=factor)
        program = precise(path)
        ((found, wanted),) = both(path, program, {"x": x})
        scale = {"Mul": 7.0, "Div": 2.0}.get(operator, 1.0)
        error = tolerance(weights.reshape(4, -1).T, x, 16) * scale
        assert_within(found, wanted, error + np.abs(factor).max() * 2.0**-20)
        programs.append(program)
    for index, one in enumerate(programs):
        assert all(_difference(one, other) for other in programs[index + 1 :])


def test_depthwise_is_not_expanded(tmp_path: Path) -> None:
    """64 channels of 3x3 weights: 64 small matrices, not one of 576 x 64."""
    text = "(float[N,64,5,5] x) => (float[] y) { y = Conv<group=64>(x, w) }"
    (step,) = compile_model(write(tmp_path, text, w=normal(64, 1, 3, 3))).crossbar_steps
    groups, rows, columns = step.cells.shape
    assert (groups, rows) == (64, 9)
    assert columns == 2 * step.weight_slices
    assert groups * rows * columns == 64 * 9 * 2 * 4


def test_residual_block(tmp_path: Path) -> None:
    text = """(float[N,4,8,8] x) => (float[] y) {
        a = Conv<pads=[1,1,1,1]>(x, w)
        r = Relu(a)
        c = Conv<pads=[1,1,1,1]>(r, v)
        s = Add(c, x)
        y = Relu(s)
    }"""
    weights, others = normal(4, 4, 3, 3) / 6, normal(4, 4, 3, 3, seed=1) / 6
    path = write(tmp_path, text, w=weights, v=others)
    program = precise(path)
    assert len(program.crossbar_steps) == 2
    x = normal(3, 4, 8, 8, seed=2)
    ((found, wanted),) = both(path, program, {"x": x})
    # The first layer's error passes through the second; Relu and Add make none larger.
    first = tolerance(weights.reshape(4, -1).T, x, 16)
    inner = np.abs(weights).reshape(4, -1).sum(axis=1).max() * np.abs(x).max() + first
    second = tolerance(others.reshape(4, -1).T, np.array([0, inner]), 16)
    gain = np.abs(others).reshape(4, -1).sum(axis=1).max()
    assert_within(found, wanted, second + gain * first + 1e-6)


def test_weights_shared_by_two_nodes(tmp_path: Path) -> None:
    text = """(float[N,6] x, float[M,6] z) => (float[] y, float[] u) {
        y = MatMul(x, w)
        u = MatMul(z, w)
    }"""
    weights = normal(6, 4)
    path = write(tmp_path, text, w=weights)
    program = precise(path)
    assert len(program.crossbar_steps) == 2
    feeds = {"x": normal(3, 6, seed=1), "z": normal(2, 6, seed=2)}
    for name, (found, wanted) in zip("xz", both(path, program, feeds), strict=True):
        assert_within(found, wanted, tolerance(weights, feeds[name], 16))


def test_an_output_that_is_consumed(tmp_path: Path) -> None:
    """Nothing may be folded into the first layer: its own value is asked for."""
    text = """(float[N,6] x) => (float[] c, float[] s, float[] y) {
        c = MatMul(x, w)
        s = Mul(c, f)
        y = MatMul(s, v)
    }"""
    weights, others = normal(6, 5), normal(5, 4, seed=1)
    path = write(tmp_path, text, w=weights, v=others, f=np.float32(3))
    x = normal(3, 6, seed=2)
    pairs = both(path, precise(path), {"x": x})
    first = tolerance(weights, x, 16)
    inner = np.abs(pairs[1][1]).max() + 3 * first
    assert_within(*pairs[0], first)
    assert_within(*pairs[1], 3 * first + 1e-5)
    gain = np.abs(others).sum(axis=0).max()
    second = tolerance(others, np.array([-inner, inner]), 16)
    assert_within(*pairs[2], second + gain * (3 * first + 1e-5))


def test_an_input_that_is_an_output(tmp_path: Path) -> None:
    text = "(float[N,6] x) => (float[] y, float[N,6] z) { y = MatMul(x, w) z = Identity(x) }"
    path = write(tmp_path, text, w=normal(6, 4))
    x = normal(2, 6, seed=1)
    (_, (found, wanted)) = both(path, precise(path), {"x": x})
    assert np.array_equal(found, wanted)


def test_no_matrix_layer(tmp_path: Path) -> None:
    path = write(tmp_path, "(float[N,6] x) => (float[] y) { r = Relu(x) y = Softmax(r) }")
    program = compile_model(path)
    assert not program.crossbar_steps
    assert program.arrays == 0
    ((found, wanted),) = both(path, program, {"x": normal(3, 6)})
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize("zeros", ["layer", "row", "column", "input", "batch item"])
def test_zeros(zeros: str, tmp_path: Path) -> None:
    weights, bias, x = normal(6, 5), normal(5, seed=1), normal(3, 6, seed=2)
    if zeros == "layer":
        weights[:] = 0
    elif zeros in ("row", "column"):
        weights[(2, slice(None)) if zeros == "row" else (slice(None), 2)] = 0
    else:
        x[slice(None) if zeros == "input" else 1] = 0
    path = write(tmp_path, "(float[N,6] x) => (float[] y) { y = Gemm(x, w, b) }", w=weights, b=bias)
    program = precise(path)
    ((found, wanted),) = both(path, program, {"x": x})
    assert_within(found, wanted, tolerance(weights, x, 16) + np.abs(bias).max() * 2.0**-22)
    silent: dict[str, Any] = {
        "layer": np.s_[:],
        "column": np.s_[:, 2],
        "input": np.s_[:],
        "batch item": np.s_[1],
    }
    if zeros in silent:
        place = silent[zeros]
        assert np.array_equal(found[place], np.broadcast_to(bias, (3, 5))[place])


def test_a_constant_input_channel_of_minus_128(tmp_path: Path) -> None:
    """Its magnitude needs 8 bits; with 7 it would read back as 0."""
    text = "(uint8[N,3] x) => (int32[] y) { y = MatMulInteger(x, w) }"
    path = write(tmp_path, text, w=np.full((3, 2), -128, np.int8))
    (found,) = Executor(compile_model(path)).run({"x": np.full((1, 3), 255, np.uint8)})
    assert np.array_equal(found, [[-128 * 255 * 3] * 2])


@pytest.mark.parametrize("structure", **_names((WINDOWS[0], WINDOWS[8], SCATTERS[2])))
def test_sizes_that_are_open(structure: Structure, tmp_path: Path) -> None:
    """One program, pictures of every size."""
    constant = structure.constant()
    dims = ", ".join(map(str, structure.sample[1:]))
    text = structure.text().replace(f", {dims}]", ", H, W]")
    assert "H, W" in text
    path = write(tmp_path, text, w=constant)
    program = precise(path)
    for height, width in ((9, 9), (12, 31), (17, 10)):
        x = normal(2, structure.sample[0], height, width)
        ((found, wanted),) = both(path, program, {"x": x})
        assert_within(found, wanted, tolerance(structure.matrix(constant), x, 16))
