from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.binary_models import bnn_target, compiled, conv_net, dense_net, senses
from xbarc.circuit import Chip, Effects
from xbarc.executor import Noise, layer_engine
from xbarc.executor.analog_senses import AnalogSenses
from xbarc.executor.run import Executor, chip_layer
from xbarc.ir.program import CrossbarStep, Program
from xbarc.ir.trace import LayerTrace
from xbarc.numerics.types import AnyArray
from xbarc.options.values import parse_names
from xbarc.target import Target, load_target


def _codes(step: CrossbarStep, count: int = 40, seed: int = 0) -> AnyArray:
    """Binary codes, a tenth of them absent."""
    rng = np.random.default_rng(seed)
    shape = (count, step.groups, step.inputs)
    return rng.choice(np.array([1, 2, 4], np.uint8), shape, p=[0.45, 0.45, 0.1])


def _whole(step: CrossbarStep) -> AnyArray:
    return step.cells.unpack((slice(None),)).astype(np.float64)


def _target(*settings: str) -> Target:
    small = ["array.rows=16", "array.active_rows=16", "array.columns=16"]
    return load_target("bnn128", [*small, *settings])


def _program(folder: Path, *settings: str, **sense: Any) -> Program:
    return compiled(dense_net(folder), _target(*settings), **sense)


def _chip(program: Program, kinds: str, **settings: Any) -> Chip:
    return Chip(program, Effects(parse_names(kinds), **settings))


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_whole_levels_give_the_bits_of_the_reference(tmp_path: Path, bits: int) -> None:
    images = {"x": np.random.default_rng(0).normal(size=(60, 4, 6, 6)).astype(np.float32)}
    path = conv_net(tmp_path)
    (step,) = senses(compiled(path, bnn_target(16, 16), images, sense_bits=bits))
    assert len(step.tiling.segment_bounds) > 2
    assert step.sense is not None
    assert step.sense.levels == 2**bits - 1
    codes, wanted, found = _codes(step), LayerTrace(keep_codes=True), LayerTrace(keep_codes=True)
    reference = layer_engine(step, fast=False).accumulate(codes, wanted)
    analog = AnalogSenses(step, _whole(step)).accumulate(codes, found)
    assert np.array_equal(reference, analog)
    assert np.array_equal(wanted.codes[0], found.codes[0])
    assert (wanted.vectors, wanted.conversions) == (found.vectors, found.conversions)


def test_figures_of_zero_change_nothing(tmp_path: Path) -> None:
    program = _program(
        tmp_path,
        *("adc.offset.value=0", "cell.variation.sigma.value=0", "cell.read_noise.value=0"),
        *("cell.stuck_on.value=0", "cell.stuck_off.value=0"),
    )
    feeds = {"b0": np.random.default_rng(0).normal(size=(30, 20)).astype(np.float32)}
    chip = _chip(program, "offset,variation,noise,faults")
    names = [step.output for step in senses(program)]
    for one, other in zip(
        Executor(program).run(feeds, names),
        Executor(program, chip=chip).run(feeds, names),
        strict=True,
    ):
        assert np.array_equal(one, other)


def test_a_real_sum_reaches_a_threshold_half_a_cell_below_it(tmp_path: Path) -> None:
    """The plain walk: rows that are driven, their cells, offset, comparison."""
    (step, *_) = senses(_program(tmp_path))
    assert step.sense is not None
    rng = np.random.default_rng(1)
    real = np.round(_whole(step) + rng.normal(0, 0.2, step.cells.shape), 2)
    offsets = rng.normal(0, 1, step.bitlines().shape)
    codes, acc = _codes(step), np.zeros((40, step.outputs))
    bounds = step.tiling.segment_bounds
    for number, (first, last) in enumerate(pairwise(bounds)):
        driven = (codes[:, 0, step.tiling.row_input[first:last]] & step.sense.drive[first:last]) > 0
        sums = driven @ real[0, first:last] + offsets[0, step.tiling.segment_block[number]]
        acc += sums >= step.sense.thresholds[0, number, :, 0] - 0.5
    assert np.array_equal(AnalogSenses(step, real, offsets).accumulate(codes)[:, 0], acc)


def test_an_amplifier_keeps_its_offset(tmp_path: Path) -> None:
    """Bitlines that share it see the same, others another; another chip has other ones."""
    (step, *_) = senses(_program(tmp_path, "adc.columns_per_adc=4"))
    program = _program(tmp_path, "adc.columns_per_adc=4")
    drawn = _chip(program, "offset", seed=3).offsets(step)
    arrays = np.asarray(step.tiling.array)
    assert drawn.shape == step.bitlines().shape
    lines = step.bitlines()
    for column in range(1, step.conversions):
        shared = lines[0, 0, column] // 4 == lines[0, 0, column - 1] // 4
        same_array = column % 16 != 0
        assert (drawn[0, 0, column] == drawn[0, 0, column - 1]) == (shared and same_array)
    assert arrays.size > 1
    assert not np.isin(drawn[0, 0], drawn[0, 1]).any()
    again = _chip(program, "offset", seed=3, sample=1).offsets(step)
    assert not np.isin(drawn, again).any()


def test_offsets_have_the_targets_sigma(tmp_path: Path) -> None:
    target = bnn_target(64, 64)
    program = compiled(dense_net(tmp_path, inputs=600), target)
    (step, *_) = senses(program)
    drawn = _chip(program, "offset").offsets(step)
    assert target.adc.offset is not None
    assert drawn.size > 400
    assert abs(drawn.std() / target.adc.offset.value - 1) < 0.1
    assert abs(drawn.mean()) < 0.15


def test_effects_change_results_and_threads_do_not(tmp_path: Path) -> None:
    program = _program(tmp_path, "cell.variation.sigma.value=0.3", "cell.read_noise.value=0.1")
    (step, *_) = senses(program)
    codes = _codes(step, 3000)
    plain = layer_engine(step).accumulate(codes)
    for kind in ("offset", "variation", "noise", "faults"):
        chip = _chip(program, kind)
        one = chip_layer(chip, step, threads=1).accumulate(codes)
        assert not np.array_equal(one, plain)
        assert np.array_equal(one, chip_layer(chip, step, threads=3).accumulate(codes))


def test_noise_is_drawn_for_every_comparison(tmp_path: Path) -> None:
    """With one common draw the codes of equal thresholds would be 0 or all levels."""
    (step, *_) = senses(_program(tmp_path, sense_bits=2))
    assert step.sense is not None
    step.sense.thresholds[...] = step.sense.thresholds[..., :1]
    trace = LayerTrace(keep_codes=True)
    AnalogSenses(step, _whole(step), noise=Noise(cell=0.3)).accumulate(_codes(step, 200), trace)
    assert set(np.unique(trace.codes[0])) == {0, 1, 2, 3}
    quiet = LayerTrace(keep_codes=True)
    AnalogSenses(step, _whole(step)).accumulate(_codes(step, 200), quiet)
    assert set(np.unique(quiet.codes[0])) == {0, 3}


def test_placing_without_converters_still_compares(tmp_path: Path) -> None:
    program = _program(tmp_path)
    (step, *_) = senses(program)
    codes = _codes(step)
    chip = _chip(program, "variation", converters=False)
    exact = chip_layer(_chip(program, "variation"), step).accumulate(codes)
    assert np.array_equal(chip_layer(chip, step).accumulate(codes), exact)
