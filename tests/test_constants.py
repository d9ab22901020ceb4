"""Networks with constants of every shape that broadcasts, end to end against ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import small_target
from tests.ir.test_value_ranges import Net
from xbarc.compiler import CompileOptions, compile_model
from xbarc.evaluate import self_check
from xbarc.executor.run import Executor
from xbarc.ir.program import Program
from xbarc.numerics.types import AnyArray
from xbarc.runtime import OnnxSession

SIZE = 6
LEAST_DB = 20.0
"""8-bit weights and activations of nets of at most two layers; less means that values are wrong."""


@dataclass(eq=False)
class Case:
    """A network that grows, with the shape of its last value for one sample."""

    net: Net
    shape: tuple[int, ...]

    @property
    def rng(self) -> np.random.Generator:
        """Where everything is drawn from."""
        return self.net.rng

    def pick(self, *choices: Any) -> Any:
        """One of several things."""
        return choices[int(self.rng.integers(len(choices)))]


def _constant(case: Case, kind: str) -> AnyArray:
    """Of rank 0 up to that of the tensor, with any axes of length 1."""
    first = int(case.rng.integers(0, len(case.shape) + 1))
    form = tuple(case.pick(1, size) for size in case.shape[first:])
    form = case.pick(form, (1, *form)) if len(form) == len(case.shape) else form
    values = case.rng.normal(0, 1, form)
    if kind == "Div":
        values = case.pick(-1, 1) * (0.5 + np.abs(values))
    elif case.rng.random() < 0.5:
        values = case.rng.integers(0, 2, form).astype(np.float64)  # a mask
    return values.astype(np.float32)


def _meet(case: Case) -> None:
    kind = case.pick("Mul", "Mul", "Add", "Sub", "Div", "Min", "Max", "PRelu")
    case.net.add(kind, case.net.constant(_constant(case, kind)))


def _activate(case: Case) -> None:
    kind = case.pick("Relu", "Clip", "Sigmoid", "Abs", "none")
    if kind == "Clip":
        ends = (case.net.constant(np.array(end, np.float32)) for end in (0.0, 1.0))
        case.net.add(kind, *ends)
    elif kind != "none":
        case.net.add(kind)


def _layer_input(case: Case) -> None:
    """Operators in front of a layer, in either layout."""
    _activate(case)
    turns = case.rng.random() < 0.4
    if turns:
        case.net.add("Transpose", perm=[0, 2, 3, 1])
        case.shape = (*case.shape[1:], case.shape[0])
    before = case.net.x
    for _ in range(int(case.rng.integers(1, 4))):
        _meet(case)
    if case.rng.random() < 0.3:
        axis = 3 if turns else 1
        case.net.add("Concat", before, axis=axis)
        grown = list(case.shape)
        grown[axis - 1] *= 2
        case.shape = tuple(grown)
    if turns:
        case.net.add("Transpose", perm=[0, 3, 1, 2])
        case.shape = (case.shape[2], *case.shape[:2])


def network(seed: int, folder: Path) -> tuple[Path, AnyArray]:
    """A file, and pictures to run it on."""
    channels = int(np.random.default_rng(seed).choice([1, 2, SIZE]))
    case = Case(Net(seed, channels), (channels, SIZE, SIZE))
    _layer_input(case)
    case.net.channels = case.shape[0]
    case.net.conv(case.pick(2, 4), pads=1)
    case.shape = (case.net.channels, SIZE, SIZE)
    if case.rng.random() < 0.6:
        _layer_input(case)
        case.net.dense(int(np.prod(case.shape)), 3)
    path = case.net.save(folder / f"net{seed}.onnx", ("n", channels, SIZE, SIZE))
    pictures = case.rng.normal(0, 1, (4, channels, SIZE, SIZE)).astype(np.float32)
    return path, pictures


def _sqnr(right: AnyArray, found: AnyArray) -> float:
    right, found = right.astype(np.float64), found.astype(np.float64)
    error = ((right - found) ** 2).sum()
    signal = (right**2).sum()
    return np.inf if error <= 1e-9 * signal or signal == 0 else float(10 * np.log10(signal / error))


def _outputs(program: Program, pictures: AnyArray) -> list[AnyArray]:
    """What both engines give."""
    feeds = {"image": pictures}
    return [
        np.asarray(Executor(program, kind, threads=1).run(feeds)[0])
        for kind in ("fast", "reference")
    ]


def check(seed: int, folder: Path) -> float:
    """Compile in several ways; gives the worst SQNR of converters that lose nothing."""
    path, pictures = network(seed, folder)
    right = OnnxSession(path, where="net", threads=1).run({"image": pictures})[0]
    target = small_target(array__rows=32, array__columns=32, array__active_rows=32)
    worst = np.inf
    for adc, data in (("lossless", None), ("worst-case", None), ("lossless", {"image": pictures})):
        options = CompileOptions(encoding="differential", adc=adc)
        program = compile_model(path, target, options=options, calibration=data)
        fast, reference = _outputs(program, pictures)
        assert np.array_equal(fast, reference), f"seed {seed}, {adc}: engines differ"
        plain = CompileOptions(encoding="differential", adc=adc, range_analysis="none")
        other = compile_model(path, target, options=plain, calibration=data)
        assert np.array_equal(fast, _outputs(other, pictures)[0]), f"seed {seed}, {adc}: facts"
        assert not list(self_check(program)), f"seed {seed}, {adc}: verify"
        worst = min(worst, _sqnr(right, fast))
    narrow = CompileOptions(encoding="differential", adc="4")
    fast, reference = _outputs(compile_model(path, target, options=narrow), pictures)
    assert np.array_equal(fast, reference), f"seed {seed}, 4 bits: engines differ"
    return worst


@pytest.mark.parametrize("seed", range(6))
def test_constants_of_every_shape(seed: int, tmp_path: Path) -> None:
    assert check(seed, tmp_path) >= LEAST_DB


@pytest.mark.slow
@pytest.mark.parametrize("start", range(100, 300, 50))
def test_constants_of_every_shape_at_length(start: int, tmp_path: Path) -> None:
    for seed in range(start, start + 50):
        assert check(seed, tmp_path) >= LEAST_DB, f"seed {seed}"
