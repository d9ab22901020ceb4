"""The two engines of sense amplifiers, held equal."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.binary_models import bnn_target, compiled, dense_net, normal, pm_one, senses
from tests.frontend.onnx_models import model_file
from xbarc.executor import Executor, layer_engine
from xbarc.executor.senses import SenseLayer, SenseReference
from xbarc.ir.program import CrossbarStep
from xbarc.ir.trace import LayerTrace
from xbarc.mapping.place import permute_columns
from xbarc.numerics.types import AnyArray


def _codes(step: CrossbarStep, count: int, states: tuple[int, ...]) -> AnyArray:
    rng = np.random.default_rng(count)
    return rng.choice(np.array(states, np.uint8), (count, step.groups, step.inputs))


def _same(step: CrossbarStep, codes: AnyArray, threads: int = 1) -> None:
    wanted, found = LayerTrace(), LayerTrace()
    reference = SenseReference(step).accumulate(codes, wanted)
    assert np.array_equal(reference, SenseLayer(step, threads).accumulate(codes, found))
    assert (wanted.vectors, wanted.conversions) == (found.vectors, found.conversions)


@pytest.mark.parametrize("count", [0, 1, 511, 512, 513, 4097])
def test_blocks_of_vectors(tmp_path: Path, count: int) -> None:
    (step, *_) = senses(compiled(dense_net(tmp_path, inputs=75), bnn_target(64)))
    assert len(step.tiling.segment_bounds) > 2
    _same(step, _codes(step, count, (1, 2)))
    _same(step, _codes(step, count, (1, 2, 4)), threads=2)


@pytest.mark.parametrize(("rows", "bits"), [(8, 1), (40, 2), (128, 3), (600, 1)])
def test_thresholds_of_any_size(tmp_path: Path, rows: int, bits: int) -> None:
    """Also those that every sum reaches, and those that none does."""
    path = dense_net(tmp_path, inputs=300)
    (step, *_) = senses(compiled(path, bnn_target(rows), sense_bits=bits))
    assert step.sense is not None
    rng = np.random.default_rng(rows)
    thresholds = rng.integers(-3, rows + 4, step.sense.thresholds.shape)
    thresholds[:, :, 0], thresholds[:, :, 1] = -(1 << 30), 1 << 30
    step.sense.thresholds[...] = np.sort(thresholds, axis=3)
    _same(step, _codes(step, 700, (1, 2, 4)))


def test_pairs_of_columns_are_taken_off(tmp_path: Path) -> None:
    (step, *_) = senses(compiled(dense_net(tmp_path), bnn_target(16), sense_rows="zero-one"))
    assert step.periphery.a_sign.min() < 0
    assert SenseLayer(step)._segments is not None
    _same(step, _codes(step, 600, (1, 2)))


def test_columns_in_another_order(tmp_path: Path) -> None:
    (step, *_) = senses(compiled(dense_net(tmp_path), bnn_target(16)))
    moved = permute_columns(step, np.random.default_rng(0).permutation(step.cells.columns))
    assert SenseLayer(moved)._segments is not None
    codes = _codes(step, 600, (1, 2, 4))
    _same(moved, codes)
    assert np.array_equal(SenseLayer(moved).accumulate(codes), SenseLayer(step).accumulate(codes))


GEOMETRIES = {
    "lines": (
        "N, 3, 9",
        "group = 1, kernel_shape = [3], dilations = [2], strides = [2]",
        (4, 3, 3),
    ),
    "grouped": (
        "N, 4, 7, 9",
        "group = 2, kernel_shape = [3, 2], strides = [2, 3], pads = [1, 0, 2, 1]",
        (6, 2, 3, 2),
    ),
    "dilated": ("N, 2, 6, 8", "kernel_shape = [2, 3], dilations = [3, 2]", (3, 2, 2, 3)),
    "volumes": (
        "N, 1, 4, 5, 6",
        "kernel_shape = [2, 3, 2], pads = [0, 1, 0, 1, 0, 1]",
        (2, 1, 2, 3, 2),
    ),
}


@pytest.mark.parametrize("name", GEOMETRIES)
def test_windows_need_no_gathering(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape, attributes, kernel = GEOMETRIES[name]
    rng = np.random.default_rng(4)
    path = model_file(
        tmp_path,
        f"""net (float[{shape}] x) => (float y) {{
        s = Sign (x)
        c = Conv <{attributes}> (s, w)
        n = BatchNormalization (c, n_gamma, n_beta, n_mean, n_variance)
        y = Sign (n) }}""",
        w=pm_one(rng, *kernel),
        **normal(rng, "n", kernel[0]),
    )
    program = compiled(path, bnn_target(12))
    (step,) = senses(program)
    extent = [int(size) for size in shape.split(", ")[1:]]
    x = rng.normal(size=(300, *extent)).astype(np.float32)
    wanted = Executor(program, "reference").run({"x": x})[0]
    shortcut = _convolving(monkeypatch)
    assert np.array_equal(Executor(program).run({"x": x})[0], wanted)
    assert np.array_equal(Executor(program).run({"x": x[:1]})[0], wanted[:1])
    assert shortcut == [True, False], "one image is gathered, many are not"
    assert isinstance(layer_engine(step), SenseLayer)


def _convolving(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each call of the shortcut took it."""
    taken, plain = [], SenseLayer.convolve

    def watched(self: SenseLayer, *arguments: Any) -> Any:
        found = plain(self, *arguments)
        taken.append(found is not None)
        return found

    monkeypatch.setattr(SenseLayer, "convolve", watched)
    return taken
