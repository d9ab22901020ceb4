"""Which weights go, and that the others make it good."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from xbarc.errors import MappingError
from xbarc.ir.geometry import Dense
from xbarc.ir.network import FloatWeight, LazyTensor, MatrixLayer
from xbarc.ir.quantize import FloatInput, FloatResult
from xbarc.ir.statistics import SecondMoments
from xbarc.numerics.types import AnyArray
from xbarc.passes import Pruning, parse_pruning, prune, prune_weights


def layer_of(weights: AnyArray) -> MatrixLayer:
    values = weights.astype(np.float32)
    outputs = values.shape[2]
    one, zero = np.ones(outputs, np.float32), np.zeros(outputs, np.float32)
    tensor = LazyTensor(values.shape, lambda: values)
    return MatrixLayer(
        name="fc",
        operator="MatMul",
        geometry=Dense(),
        input="x",
        output="y",
        weight=FloatWeight(tensor),
        quantizer=FloatInput(),
        constant=np.zeros(outputs, dtype=np.int64),
        result=FloatResult(one, zero),
    )


def moments_of(inputs: AnyArray, bounds: tuple[int, ...]) -> SecondMoments:
    none = np.zeros((1, 1, 1))
    blocks = tuple((inputs[:, a:b].T @ inputs[:, a:b])[None] for a, b in pairwise(bounds))
    total = inputs.sum(axis=0)[None]
    return SecondMoments(np.array(bounds), len(inputs), total, blocks, none, none, none)


def test_balanced_keeps_as_many_of_every_column_of_every_array() -> None:
    weights = np.random.default_rng(0).normal(size=(2, 40, 6))
    pruned = prune_weights(layer_of(weights), Pruning(0.75), 16).weight.tensor.load()
    counts = np.add.reduceat(pruned != 0, [0, 16, 32], axis=1)
    assert (counts[:, :2] == 4).all()
    assert (counts[:, 2] == 2).all()
    kept = pruned != 0
    assert np.array_equal(pruned[kept], weights.astype(np.float32)[kept])


def test_free_drops_the_smallest() -> None:
    weights = np.random.default_rng(0).normal(size=(1, 40, 5))
    pruned = prune_weights(layer_of(weights), Pruning(0.5, "free"), 16).weight.tensor.load()
    assert (pruned == 0).sum() == 100
    assert np.abs(weights[pruned == 0]).max() <= np.abs(weights[pruned != 0]).min()


@pytest.mark.parametrize("pattern", ["balanced", "free"])
def test_what_stays_makes_it_good(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    inputs = np.maximum(rng.normal(size=(500, 48)) @ rng.normal(size=(48, 48)), 0)
    weights = rng.normal(size=(1, 48, 8))
    pruning = parse_pruning(f"0.5:{pattern}")
    errors = []
    swept = moments_of(inputs, (0, 48)), 0.0
    solved = moments_of(inputs, (0, 48)), 2.0**60
    for moments, work in ((None, 0.0), swept, solved):
        monkeypatch.setattr(prune, "_MOST_WORK", work)
        pruned = prune_weights(layer_of(weights), pruning, 16, moments).weight.tensor.load()
        assert (pruned == 0).sum() == 192
        errors.append(((inputs @ (pruned[0] - weights[0])) ** 2).sum())
    assert errors[2] < errors[1] < 0.8 * errors[0]
    assert errors[2] < 0.6 * errors[0]


def test_nothing_to_prune_gives_the_same_layer() -> None:
    layer = layer_of(np.ones((1, 2, 2)))
    assert prune_weights(layer, Pruning(0.0), 16) is layer


@pytest.mark.parametrize("text", ["1", "-0.1", "half", "0.5:odd", "nan"])
def test_wrong_shares_are_refused(text: str) -> None:
    with pytest.raises(MappingError, match="not available"):
        parse_pruning(text)
