"""Looking changes nothing, and sees everything; a new statistic is a class with `add`."""

from __future__ import annotations

import numpy as np
import pytest

from tests.builders import int_layer, mapped, program_of, small_target
from xbarc.executor import FastLayer, StepRunner, layer_frame, run_layer
from xbarc.executor.tap import Tap
from xbarc.ir.geometry import Dense, Geometry, Window
from xbarc.ir.program import CrossbarStep
from xbarc.numerics.types import AnyArray, Int64Array, IntArray

WINDOW = Window((3, 3), (2, 1), (1, 1), (1, 0, 1, 0))


class Largest:
    """The largest code of each input: a statistic of its own, in ten lines."""

    def __init__(self, step: CrossbarStep) -> None:
        self.found: Int64Array = np.zeros((step.groups, step.inputs), dtype=np.int64)

    def add(self, vectors: IntArray) -> None:
        np.maximum(self.found, vectors.max(axis=0, initial=0), out=self.found)


def _layer(geometry: Geometry) -> tuple[CrossbarStep, AnyArray]:
    rng = np.random.default_rng(3)
    if isinstance(geometry, Dense):
        weights, tensor = rng.integers(-9, 10, (1, 18, 3)), rng.integers(0, 256, (20, 18))
    else:
        weights, tensor = rng.integers(-9, 10, (2, 18, 3)), rng.integers(0, 256, (5, 4, 7, 6))
    return mapped(int_layer(weights, geometry=geometry), small_target()), tensor.astype(np.uint8)


@pytest.mark.parametrize("geometry", [Dense(), WINDOW], ids=["dense", "window"])
def test_a_tap_gives_what_its_engine_gives(geometry: Geometry) -> None:
    step, tensor = _layer(geometry)
    frame, seen, summed = layer_frame(step), list[IntArray](), list[IntArray]()
    wanted = run_layer(frame, FastLayer(step), tensor, {})
    tap = Tap(FastLayer(step), seen.append, summed.append)
    assert np.array_equal(run_layer(frame, tap, tensor, {}, budget=97), wanted)
    vectors, sums = np.concatenate(seen), np.concatenate(summed)
    assert np.array_equal(FastLayer(step).accumulate(vectors), sums)
    assert len(vectors) * step.groups * step.outputs == wanted.size


def test_once_nobody_looks_blocks_pass_whole() -> None:
    step, tensor = _layer(WINDOW)
    seen: list[IntArray] = []
    tap = Tap(FastLayer(step), seen.append, looking=lambda: not seen)
    wanted = run_layer(layer_frame(step), FastLayer(step), tensor, {})
    found = run_layer(layer_frame(step), tap, tensor, {}, budget=97)
    assert np.array_equal(found, wanted)
    assert len(seen) == 1


@pytest.mark.parametrize("geometry", [Dense(), WINDOW], ids=["dense", "window"])
def test_a_new_statistic_is_a_class_with_add(geometry: Geometry) -> None:
    step, tensor = _layer(geometry)
    program = program_of([step], small_target(), [None] * tensor.ndim)
    largest = Largest(step)
    values = {"x": tensor}
    StepRunner(taps={step.name: largest.add}).run(program.steps[0], values)
    plain = {"x": tensor}
    StepRunner().run(step, plain)
    assert np.array_equal(values[step.output], plain[step.output])
    assert largest.found.max() == tensor.max()
