"""Which weights go, and that the others make it good."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from xbarc.errors import MappingError
from xbarc.ir.geometry import Dense
from xbarc.ir.network import FloatWeight, LazyTensor, MatrixLayer
from xbarc.ir.quantizers import FloatInput, FloatResult
from xbarc.ir.statistics import SecondMoments
from xbarc.numerics.types import AnyArray
from xbarc.options import Pruning, parse_pruning
from xbarc.passes import prune, prune_weights


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


def moments_of(
    inputs: AnyArray, bounds: tuple[int, ...], weights: AnyArray, exact: AnyArray | None = None
) -> SecondMoments:
    """Of inputs as the compiled prefix gives them; `exact` are those of the exact network."""
    spans = list(pairwise(bounds))
    before = inputs if exact is None else exact
    blocks = tuple((inputs[:, a:b].T @ inputs[:, a:b])[None] for a, b in spans)
    shares = [before[:, a:b] @ weights[a:b] for a, b in spans]
    return SecondMoments(
        np.array(bounds),
        len(inputs),
        inputs.sum(axis=0)[None],
        blocks,
        np.stack([share.sum(axis=0)[None] for share in shares]),
        np.stack([(share**2).sum(axis=0)[None] for share in shares]),
        np.concatenate([inputs[:, a:b].T @ y for (a, b), y in zip(spans, shares, strict=True)])[
            None
        ],
    )


def error_of(layer: MatrixLayer, inputs: AnyArray, wanted: AnyArray) -> float:
    """Squared error of the values that a layer gives."""
    assert isinstance(layer.result, FloatResult)
    found = inputs @ layer.weight.tensor.load()[0] + layer.result.bias
    return float(((found - wanted) ** 2).sum())


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
    known = moments_of(inputs, (0, 48), weights[0])
    for moments, work in ((None, 0.0), (known, 0.0), (known, 2.0**60)):
        monkeypatch.setattr(prune, "_MOST_WORK", work)
        pruned = prune_weights(layer_of(weights), pruning, 16, moments)
        assert (pruned.weight.tensor.load() == 0).sum() == 192
        errors.append(error_of(pruned, inputs, inputs @ weights[0]))
    assert errors[2] < errors[1] < 0.8 * errors[0]
    assert errors[2] < 0.6 * errors[0]


def test_rounds_choose_better_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    inputs = np.maximum(rng.normal(size=(800, 48)) @ rng.normal(size=(48, 48)), 0)
    weights = rng.normal(size=(1, 48, 16))
    moments = moments_of(inputs, (0, 48), weights[0])
    errors = []
    for rounds in ((0.5, 0.8, 1.0), (1.0,)):
        monkeypatch.setattr(prune, "_ROUNDS", rounds)
        pruned = prune_weights(layer_of(weights), Pruning(0.75), 16, moments)
        errors.append(error_of(pruned, inputs, inputs @ weights[0]))
    assert errors[0] < errors[1]


def test_what_layers_before_lost_is_made_good_too() -> None:
    """Inputs of the compiled prefix are off by a share and an offset; the exact ones are wanted."""
    rng = np.random.default_rng(6)
    exact = np.maximum(rng.normal(size=(600, 40)), 0)
    inputs = 0.8 * exact + 0.3
    weights = rng.normal(size=(1, 40, 6))
    wanted = exact @ weights[0]
    pruning = Pruning(0.25)
    aims = (moments_of(inputs, (0, 24, 40), weights[0], before) for before in (exact, None))
    errors = [
        error_of(prune_weights(layer_of(weights), pruning, 16, aim), inputs, wanted) for aim in aims
    ]
    assert errors[0] < 0.5 * errors[1]


def test_nothing_to_prune_gives_the_same_layer() -> None:
    layer = layer_of(np.ones((1, 2, 2)))
    assert prune_weights(layer, Pruning(0.0), 16) is layer


@pytest.mark.parametrize("text", ["1", "-0.1", "half", "0.5:odd", "nan"])
def test_wrong_shares_are_refused(text: str) -> None:
    with pytest.raises(MappingError, match="not available"):
        parse_pruning(text)
