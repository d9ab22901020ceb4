"""A layer without converters is one product with the real weights of its cells, rounded once."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

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


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_nothing(threads: int) -> None:
    step = mapped(int_layer(np.random.default_rng(3).integers(-9, 9, (2, 40, 5))), small_target())
    rng = np.random.default_rng(4)
    levels = step.cells.unpack((slice(None),)) + rng.normal(0, 0.2, step.cells.shape)
    vectors = rng.integers(0, 256, (20_000, 2, 40)).astype(np.uint8)
    wanted = UnconvertedLayer(step, levels, 1).accumulate(vectors)
    found = UnconvertedLayer(step, levels, threads).accumulate(vectors)
    assert np.array_equal(found, wanted)


def test_blas_works_on_one_thread_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads are those asked for, not those that BLAS would add to each of them."""
    layer, vectors, _ = _layer(200)
    seen: list[int] = []
    plain = np.matmul

    def look(*arguments: Any, **options: Any) -> Any:
        seen.extend(one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas")
        return plain(*arguments, **options)

    monkeypatch.setattr(np, "matmul", look)
    layer.accumulate(vectors)
    assert seen
    assert set(seen) == {1}
