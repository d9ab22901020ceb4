"""Split networks out to ONNX and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.binary_models import (
    bnn_target,
    compiled,
    conv_net,
    dense_net,
    normal,
    pm_one,
    senses,
)
from tests.frontend.onnx_models import model_file
from xbarc.cli import main
from xbarc.executor import Executor
from xbarc.frontend import program_model
from xbarc.ir.files import load_program, save_program
from xbarc.ir.program import CrossbarStep, Program
from xbarc.mapping.place import permute_columns
from xbarc.runtime import OnnxSession


def _data(*shape: int) -> np.typing.NDArray[np.float32]:
    return np.random.default_rng(5).normal(size=shape).astype(np.float32)


def _equal(program: Program, **feeds: object) -> None:
    session = OnnxSession(program_model(program), where="split", threads=1)
    names = [value.name for value in program.outputs]
    found = session.run(feeds, names)
    for one, other in zip(found, Executor(program).run(feeds), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("bits", [1, 2])
def test_onnx_gives_the_programs_values(bits: int, tmp_path: Path) -> None:
    x = _data(40, 20)
    _equal(compiled(dense_net(tmp_path), bnn_target(10), {"b0": x}, sense_bits=bits), b0=x)
    x = _data(10, 3, 6, 6)
    _equal(compiled(conv_net(tmp_path, 3), bnn_target(20), {"x": x}, sense_bits=bits), x=x)
    _equal(compiled(dense_net(tmp_path), bnn_target(7), sense_rows="zero-one"), b0=_data(30, 20))


def test_columns_in_another_order(tmp_path: Path) -> None:
    x = _data(40, 20)
    program = compiled(dense_net(tmp_path), bnn_target(10), {"b0": x})
    steps = tuple(
        permute_columns(step, np.random.default_rng(1).permutation(step.cells.columns))
        if isinstance(step, CrossbarStep)
        else step
        for step in program.steps
    )
    _equal(replace(program, steps=steps), b0=x)


@pytest.mark.parametrize("pads", ["pads = [2, 0, 1, 1]", 'auto_pad = "SAME_LOWER"'])
def test_grouped_and_automatically_padded_convolutions(pads: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    path = model_file(
        tmp_path,
        f"""net (float[N, 6, 7, 6] x) => (float[N, 9, H, W] y) {{
        s = Sign (x)
        c = Conv <group = 3, kernel_shape = [3, 2], strides = [2, 1], {pads}> (s, w)
        n = BatchNormalization (c, n_gamma, n_beta, n_mean, n_variance)
        y = Sign (n) }}""",
        w=pm_one(rng, 9, 2, 3, 2),
        **normal(rng, "n", 9),
    )
    x = _data(20, 6, 7, 6)
    program = compiled(path, bnn_target(10), {"x": x})
    (step,) = senses(program)
    assert step.groups == 3
    assert len(step.tiling.segment_bounds) > 2
    _equal(program, x=x)


def test_tuned_numbers_come_back(tmp_path: Path) -> None:
    program = compiled(dense_net(tmp_path), bnn_target(10))
    save_program(program, tmp_path / "a.xbar")
    split, again = tmp_path / "split.onnx", tmp_path / "b.xbar"
    assert main(["export", str(tmp_path / "a.xbar"), "-o", str(split)]) == 0
    model = onnx.load(split)
    for tensor in model.graph.initializer:
        if tensor.name.endswith("/thresholds"):
            moved = numpy_helper.to_array(tensor) + np.float32(0.25)
            tensor.CopyFrom(numpy_helper.from_array(moved, tensor.name))
    onnx.save(model, split)
    assert main(["import", str(tmp_path / "a.xbar"), str(split), "-o", str(again)]) == 0
    x = _data(50, 20)
    wanted = OnnxSession(split, where="split").run({"b0": x})
    assert np.array_equal(Executor(load_program(again)).run({"b0": x})[0], wanted[0])
    assert main(["import", str(again), str(tmp_path / "model.onnx"), "-o", str(again)]) == 2
