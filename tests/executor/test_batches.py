"""Data that are cut into batches, along the axis of samples of each input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xbarc.executor.batches import split_batches
from xbarc.ir.network import Value


def _value(name: str, *shape: int | str | None) -> Value:
    return Value(name, "float32", shape)


def _shapes(batches: list[dict[str, Any]]) -> list[dict[str, tuple[int, ...]]]:
    return [{name: array.shape for name, array in batch.items()} for batch in batches]


def test_a_state_is_cut_along_its_named_axis() -> None:
    inputs = _value("x", "batch", None), _value("h", 2, "batch", 3)
    data = {"x": np.zeros((5, 7)), "h": np.arange(30).reshape(2, 5, 3)}
    batches = split_batches(inputs, data, 2)
    assert _shapes(batches) == [{"x": (count, 7), "h": (2, count, 3)} for count in (2, 2, 1)]
    assert np.array_equal(np.concatenate([b["h"] for b in batches], axis=1), data["h"])


def test_without_names_all_is_one_batch() -> None:
    inputs = _value("x", None, None), _value("h", 2, None, 3)
    data = {"x": np.zeros((5, 7)), "h": np.zeros((2, 5, 3))}
    assert len(split_batches(inputs, data, 2)) == 1


def test_what_has_its_fixed_shape_goes_into_every_batch() -> None:
    inputs = _value("x", "N", 4), _value("mask", 1, 9)
    data = {"x": np.zeros((5, 4)), "mask": np.zeros((1, 9))}
    assert [batch["mask"].shape for batch in split_batches(inputs, data, 2)] == [(1, 9)] * 3


@pytest.mark.parametrize("samples", [1, 3])
def test_a_fixed_batch_beside_a_state(samples: int) -> None:
    inputs = _value("x", 1, 4), _value("h", 2, 1, 3)
    data = {"x": np.zeros((samples, 4)), "h": np.zeros((2, 1, 3))}
    assert _shapes(split_batches(inputs, data)) == [{"x": (1, 4), "h": (2, 1, 3)}] * samples
