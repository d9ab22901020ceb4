"""Programming flows: what is made good, and that the result is what runs on the chip."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import small_target
from tests.floats import float_data, write_floats
from xbarc.circuit import Chip, Effects
from xbarc.circuit.layer_matrix import real_weights
from xbarc.compiler import CompileOptions, compile_model, prepared_network
from xbarc.encoding_comparison import NoiseSettings
from xbarc.errors import MappingError
from xbarc.executor.batches import calibration_batches
from xbarc.executor.run import Executor
from xbarc.experiments import programming
from xbarc.experiments.programming import Flow, Programmed, program_chip
from xbarc.ir.effective import is_lossless
from xbarc.ir.network import Network
from xbarc.ir.program import Program
from xbarc.ir.verify import verify_program
from xbarc.mapping import fitting
from xbarc.options import MapOptions
from xbarc.oracle import Oracle

FLOWS: tuple[Flow, ...] = ("refitted", "read-back")


@dataclass(frozen=True)
class Bench:
    model: Path
    program: Program
    network: Network
    options: MapOptions

    def chip(self, sample: int = 0, kinds: str = "variation") -> Chip:
        return Chip(self.program, Effects(frozenset(kinds.split(",")), 0, sample))

    def programmed(self, chip: Chip, flow: Flow) -> Programmed:
        batches = calibration_batches(self.network.inputs, float_data(400))
        return program_chip(self.program, self.network, chip, batches, self.options, flow)

    def error(self, program: Program, chip: Chip | None) -> float:
        """Mean square error of the outputs on data that was not fitted to."""
        data = float_data(300, seed=5)
        wanted = Oracle(self.model, ()).run(data)["y"]
        found = Executor(program, chip=chip).run(data)[0]
        return float(((found - wanted) ** 2).mean())


def bench(folder: Path, encoding: str = "differential", **noise: Any) -> Bench:
    target = small_target(cell__bits=4, array__rows=8, array__columns=16, array__active_rows=8)
    target = NoiseSettings(**{"sigma": 0.05, "of_range": True, **noise}).target(target)
    model = write_floats(folder / "floats.onnx")
    options = CompileOptions(encoding=encoding, weight_slices=1)
    program = compile_model(model, target, options=options, calibration=float_data(400))
    return Bench(model, program, prepared_network(model, target, options), options)


@pytest.mark.parametrize("encoding", ["differential", "acm", "bias-column", "segmented:4"])
def test_each_flow_makes_more_good(tmp_path: Path, encoding: str) -> None:
    here = bench(tmp_path, encoding)
    errors = np.zeros((3, 4))
    for sample in range(4):
        chip = here.chip(sample)
        done = [here.programmed(chip, flow).program for flow in FLOWS]
        for row, program in enumerate([here.program, *done]):
            errors[row, sample] = here.error(program, chip)
    blind, refitted, read_back = errors.mean(axis=1)
    assert refitted < blind
    assert read_back < 0.9 * refitted
    assert here.error(here.program, None) < refitted


@pytest.mark.parametrize("flow", FLOWS)
def test_outcomes_say_what_was_gained(tmp_path: Path, flow: Flow) -> None:
    here = bench(tmp_path)
    done = here.programmed(here.chip(), flow)
    assert [layer.name for layer in done.layers] == ["first", "second"]
    for layer in done.layers:
        assert layer.method == flow
        assert layer.error is not None
        assert layer.blind_error is not None
        assert layer.error < layer.blind_error
    verify_program(done.program)
    assert all(is_lossless(step) for step in done.program.crossbar_steps)
    for old, new in zip(here.program.crossbar_steps, done.program.crossbar_steps, strict=True):
        same = np.array_equal(old.cells.data, new.cells.data)
        assert same == (flow == "refitted")
        assert np.array_equal(old.tiling.array, new.tiling.array)


@pytest.mark.parametrize("encoding", ["differential", "acm", "bias-column"])
@pytest.mark.parametrize("kinds", ["variation", "variation,faults,drift"])
def test_what_was_read_back_is_what_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, kinds: str
) -> None:
    here = bench(tmp_path, encoding)
    chip = here.chip(2, kinds)
    seen = []
    write = fitting.write_fed_back

    def watched(*arguments: Any) -> Any:
        seen.append(write(*arguments))
        return seen[-1]

    monkeypatch.setattr(programming, "write_fed_back", watched)
    done = here.programmed(chip, "read-back")
    for (_, held), step in zip(seen, done.program.crossbar_steps, strict=True):
        assert np.allclose(held, real_weights(step, chip.levels(step)), rtol=0, atol=1e-9)


def test_a_perfect_chip_needs_nothing(tmp_path: Path) -> None:
    here = bench(tmp_path, sigma=0.0)
    done = here.programmed(here.chip(), "refitted")
    plain = here.error(here.program, None)
    assert here.error(done.program, here.chip()) < 1.2 * plain
    for layer in done.layers:
        assert layer.error is not None
        assert layer.blind_error is not None
        assert layer.error <= layer.blind_error + 1e-12


def test_rows_that_do_not_stand_alone_are_refitted(tmp_path: Path) -> None:
    here = bench(tmp_path, "unipolar")
    done = here.programmed(here.chip(), "read-back")
    assert {layer.method for layer in done.layers} == {"refitted"}


def test_the_same_chip_gives_the_same_program(tmp_path: Path) -> None:
    here = bench(tmp_path)
    one, two = (here.programmed(here.chip(), "read-back").program for _ in range(2))
    other = here.programmed(here.chip(1), "read-back").program
    for a, b, c in zip(one.crossbar_steps, two.crossbar_steps, other.crossbar_steps, strict=True):
        assert np.array_equal(a.cells.data, b.cells.data)
        assert np.array_equal(a.result.scale, b.result.scale)  # type: ignore[union-attr]
        assert not np.array_equal(a.cells.data, c.cells.data)


def test_refusals(tmp_path: Path) -> None:
    here = bench(tmp_path)
    with pytest.raises(MappingError, match="needs calibration data"):
        program_chip(here.program, here.network, here.chip(), [], here.options, "refitted")
    with pytest.raises(MappingError, match="cannot be read back one by one"):
        here.programmed(here.chip(0, "variation,lines"), "read-back")
