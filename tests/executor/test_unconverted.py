"""A layer without converters is one product with the real weights of its cells, rounded once."""

from fractions import Fraction

import numpy as np
import pytest

from tests.builders import int_layer, mapped, small_target
from xbarc.circuit import real_weights
from xbarc.executor import UnconvertedLayer
from xbarc.executor.analog import GRID_BITS
from xbarc.ir.effective import effective_weights
from xbarc.numerics.types import AnyArray


def _round_half_even(value: Fraction) -> int:
    return round(value)


@pytest.mark.parametrize("encoding", ["differential", "offset", "acm"])
def test_the_product_is_exact(encoding: str) -> None:
    """In fractions, as the manual defines it."""
    rng = np.random.default_rng(0)
    target = small_target(array__rows=16, array__columns=16, array__active_rows=8)
    step = mapped(int_layer(rng.integers(-128, 128, (2, 20, 3))), target, encoding=encoding)
    levels = step.cells.unpack((slice(None),)) + rng.normal(0, 0.2, step.cells.shape)
    vectors = rng.integers(0, 256, (9, 2, 20)).astype(np.uint8)
    weights = np.rint(real_weights(step, levels) * 2.0**GRID_BITS).astype(np.int64)
    whole = np.einsum("vgi,gio->vgo", vectors.astype(np.int64), weights)
    wanted = [_round_half_even(Fraction(int(n), 1 << GRID_BITS)) for n in whole.reshape(-1)]
    found = UnconvertedLayer(step, levels).accumulate(vectors)
    assert np.array_equal(found.reshape(-1), wanted)


def _layer(rows: int) -> tuple[UnconvertedLayer, AnyArray, AnyArray]:
    step = mapped(int_layer(np.random.default_rng(1).integers(-9, 9, (1, rows, 2))), small_target())
    vectors = np.random.default_rng(2).integers(0, 256, (3000, 1, rows)).astype(np.uint8)
    whole = step.cells.unpack((slice(None),)).astype(np.float64)
    return UnconvertedLayer(step, whole), vectors, effective_weights(step)


def test_whole_levels_give_the_integer_product() -> None:
    """Over several blocks of vectors, in any memory order, and of none."""
    layer, vectors, weights = _layer(200)
    wanted = np.einsum("vgi,gio->vgo", vectors.astype(np.int64), weights)
    assert np.array_equal(layer.accumulate(vectors), wanted)
    assert np.array_equal(layer.accumulate(np.asfortranarray(vectors)), wanted)
    assert layer.accumulate(vectors[:0]).shape == (0, 1, 2)
