"""Splitting, wordlines and the search for thresholds."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.binary_models import bnn_target
from tests.builders import Window, int_layer
from xbarc.executor import layer_engine
from xbarc.executor.senses import SenseReference
from xbarc.ir.network import MatrixLayer
from xbarc.ir.quantizers import ABSENT, DOWN, UP, BinaryInput, SignResult
from xbarc.mapping import ArrayPool, SplitSums, fit_thresholds, map_senses
from xbarc.mapping.sense_amplifiers.deal import deal
from xbarc.mapping.sense_amplifiers.split import wordlines
from xbarc.numerics.types import AnyArray
from xbarc.options import SenseOptions
from xbarc.options.compiling import SenseRows
from xbarc.options.values import SplitName


def _layer(
    seed: int, inputs: int, outputs: int, kernel: tuple[int, ...] = (), ternary: bool = False
) -> MatrixLayer:
    rng = np.random.default_rng(seed)
    choices = np.array([-1, 0, 1] if ternary else [-1, 1], np.int8)
    weights = rng.choice(choices, (1, inputs, outputs))
    ones = (1,) * len(kernel)
    geometry = Window(kernel, ones, ones, (1,) * (2 * len(kernel))) if kernel else None
    sign = SignResult(rng.integers(-4, 5, outputs), rng.integers(0, 2, outputs).astype(np.uint8))
    return int_layer(
        weights, weight_bits=2, geometry=geometry, quantizer=BinaryInput(-1, 1), result=sign
    )


def _wanted(layer: MatrixLayer, codes: AnyArray) -> AnyArray:
    """Bits by the layer's own definition; absent inputs are 0."""
    signs = (codes == UP).astype(np.int64) - (codes == DOWN)
    sums = signs[:, 0] @ layer.weight.tensor.load()[0].astype(np.int64)
    assert isinstance(layer.result, SignResult)
    bits: AnyArray = (sums >= layer.result.threshold) != layer.result.flip.astype(bool)
    return bits


@given(
    seed=st.integers(0, 1000),
    inputs=st.integers(1, 40),
    rows=st.sampled_from(["complementary", "zero-one"]),
    ternary=st.booleans(),
)
def test_one_group_is_the_layer_itself(
    seed: int, inputs: int, rows: SenseRows, ternary: bool
) -> None:
    layer = _layer(seed, inputs, 5, ternary=ternary)
    target = bnn_target(2 * inputs)
    step = map_senses(
        layer,
        target,
        SenseOptions(sense_rows=rows),
        ArrayPool(target.array, "layer"),
    )
    codes = np.random.default_rng(seed).choice([UP, DOWN], (50, 1, inputs))
    assert isinstance(step.result, SignResult)
    for fast in (True, False):
        acc = layer_engine(step, fast=fast, threads=1).accumulate(codes)[:, 0]
        assert np.array_equal(acc >= step.result.threshold, _wanted(layer, codes))


@given(seed=st.integers(0, 1000), channels=st.integers(1, 6))
def test_left_out_positions_count_half(seed: int, channels: int) -> None:
    layer = _layer(seed, channels * 4, 5, (2, 2))
    target = bnn_target(256)
    step = map_senses(layer, target, SenseOptions(), ArrayPool(target.array, "layer"))
    rng = np.random.default_rng(seed)
    codes = rng.choice([UP, DOWN], (60, 1, channels, 4))
    codes[:, 0, :, :] = np.where(rng.random((60, 1, 4)) < 0.4, ABSENT, codes[:, 0])
    vectors = codes.reshape(60, 1, -1)
    assert isinstance(step.result, SignResult)
    for fast in (True, False):
        acc = layer_engine(step, fast=fast, threads=1).accumulate(vectors)[:, 0]
        assert np.array_equal(acc >= step.result.threshold, _wanted(layer, vectors))


@given(
    seed=st.integers(0, 1000),
    inputs=st.integers(1, 60),
    rows=st.integers(2, 40),
    split=st.sampled_from(["strided", "consecutive"]),
    bits=st.integers(1, 3),
)
def test_engines_agree_on_split_layers(
    seed: int, inputs: int, rows: int, split: SplitName, bits: int
) -> None:
    layer = _layer(seed, inputs, 4)
    target = bnn_target(rows, 3)
    options = SenseOptions(split=split, sense_bits=bits)
    step = map_senses(layer, target, options, ArrayPool(target.array, "layer"))
    sizes = np.diff(step.tiling.row_bounds)
    assert sizes.max() <= rows
    assert sizes.max() - sizes.min() <= 2
    codes = np.random.default_rng(seed).choice([UP, DOWN, ABSENT], (20, 1, inputs))
    fast, slow = (layer_engine(step, fast=f, threads=1).accumulate(codes) for f in (True, False))
    assert np.array_equal(fast, slow)


def test_strided_groups_take_every_kernel_position() -> None:
    lines = wordlines(_layer(0, 9 * 6, 2, (3, 3)), bnn_target(36), SenseOptions())
    assert lines.groups == 3
    for first, last in zip(lines.bounds[:-1], lines.bounds[1:], strict=True):
        positions = np.bincount(lines.inputs[first:last] % 9, minlength=9)
        assert np.all(positions == 4)  # two channels, two wordlines each


@given(
    inputs=st.integers(2, 80),
    capacity=st.integers(1, 60),
    split=st.sampled_from(["strided", "partition", "consecutive"]),
    extra=st.sampled_from([0.0, 0.5, 1.0, 8.0]),
)
def test_groups_hold_every_input_and_none_twice(
    inputs: int, capacity: int, split: SplitName, extra: float
) -> None:
    parts = deal(_layer(0, inputs, 2), SenseOptions(split=split, extra_groups=extra), capacity)
    least = -(-inputs // capacity)
    assert len(parts) == (1 if least == 1 else min(inputs, math.ceil(least * (1 + extra))))
    assert np.array_equal(np.unique(np.concatenate(parts)), np.arange(inputs))
    assert all(len(np.unique(part)) == len(part) <= capacity for part in parts)
    slots = sum(len(part) for part in parts)
    filled = split == "strided" and len(parts) > 1 and len(parts) * capacity * 3 >= inputs * 4
    assert slots == (len(parts) * capacity if filled else inputs)
    uses = np.bincount(np.concatenate(parts))
    assert uses.max() - uses.min() <= 2


@given(seed=st.integers(0, 1000), inputs=st.integers(9, 40))
def test_overlapping_groups_sum_their_own_inputs(seed: int, inputs: int) -> None:
    layer, target = _layer(seed, inputs, 3), bnn_target(2 * inputs - 6)
    step = map_senses(layer, target, SenseOptions(), ArrayPool(target.array, "layer"))
    parts = deal(layer, SenseOptions(), inputs - 3)
    assert len(parts) == len(step.tiling.segment_bounds) - 1 == 2
    codes = np.random.default_rng(seed).choice([UP, DOWN], (20, inputs))
    signs = np.where(codes == UP, 1, -1)
    assert isinstance(layer.result, SignResult)
    turn = np.where(layer.result.flip, -1, 1)
    weights = layer.weight.tensor.load()[0].astype(np.int64) * turn
    for number, part in enumerate(parts):
        sums = SenseReference(step).sums(codes, 0, number)
        assert np.array_equal(2 * sums - len(part), signs[:, part] @ weights[part])


@pytest.mark.parametrize(("bits", "slots"), [(1, 34), (2, 20)])
def test_inputs_are_repeated_only_where_a_group_is_read_once(bits: int, slots: int) -> None:
    layer, target = _layer(0, 20, 3), bnn_target(34)
    step = map_senses(
        layer, target, SenseOptions(sense_bits=bits), ArrayPool(target.array, "layer")
    )
    assert step.tiling.row_input.size == 2 * slots


def _wrong(sums: AnyArray, wanted: AnyArray, places: object, votes: int) -> float:
    reached = (sums >= np.array(places)[:, None, None]).sum(axis=0)
    return float(((reached >= votes).any(axis=1) != wanted).mean())


@given(seed=st.integers(0, 5000))
def test_search_counts_right_and_never_makes_it_worse(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sums = rng.integers(-1, 6, (1, 1, 2, 9, 2)).astype(np.int16)
    wanted = rng.random((1, 1, 9)) < 0.5
    start = np.full((1, 2, 1, 1), 3, np.int32)
    fit = fit_thresholds(SplitSums(sums, wanted), start, search=True)
    places, votes = fit.thresholds[0, :, 0, 0], int(fit.votes[0, 0])
    found = _wrong(sums[0, 0], wanted[0, 0], places, votes)
    assert np.isclose(found, fit.wrong[0, 0])
    assert found <= _wrong(sums[0, 0], wanted[0, 0], (3, 3), 1)
    assert found <= min(_wrong(sums[0, 0], wanted[0, 0], places, v) for v in (1, 2)) + 1e-12
    best = min(
        _wrong(sums[0, 0], wanted[0, 0], (a, b), v)
        for a, b, v in product(range(8), range(8), (1, 2))
    )
    assert found >= best - 1e-12
