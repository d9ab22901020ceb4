"""Class numbers beside the inputs in one file."""

from __future__ import annotations

import numpy as np
import pytest

from xbarc.errors import InputError
from xbarc.ir.geometry import Shape
from xbarc.ir.labels import check_labels, count_classes, label_name, labels_in, split_labels
from xbarc.ir.network import Value


@pytest.mark.parametrize(
    ("inputs", "name"),
    [
        (("x",), "labels"),
        (("labels",), "labels_"),
        (("x", "labels", "labels_"), "labels__"),
        (("labels_",), "labels"),
    ],
)
def test_no_input_is_taken_for_labels(inputs: tuple[str, ...], name: str) -> None:
    values = [Value(item, "float32", None) for item in inputs]
    data = {item: np.zeros(2) for item in (*inputs, name)}
    data[name] = np.array([3, 4])
    assert label_name(inputs) == name
    feeds, labels = split_labels(values, data)
    assert sorted(feeds) == sorted(inputs)
    assert labels is data[name]


def test_labels_where_the_model_is_not_known() -> None:
    assert labels_in({"x": np.zeros(1), "labels": np.zeros(1)}) == "labels"
    assert labels_in({"labels": np.zeros(1), "labels_": np.zeros(1)}) == "labels_"


@pytest.mark.parametrize(
    ("shape", "count"),
    [
        (("N", 10), 10),
        ((8, 3, 4), 12),
        (("N", 1), None),  # a number per sample is no choice among classes
        (("N", "M"), None),
        (("N", None), None),
        (("N",), None),
        (None, None),
    ],
)
def test_classes_of_an_output(shape: Shape | None, count: int | None) -> None:
    assert count_classes([Value("y", "float32", shape), Value("z", "float32", (1, 99))]) == count


@pytest.mark.parametrize(("low", "high"), [(0, 9), (3, 3)])
def test_labels_are_classes_of_the_network(low: int, high: int) -> None:
    check_labels(np.array([low, high]), (2,), "data", classes=10)
    check_labels(np.array([low - 50, high + 50]), (2,), "data")  # of a network that does not say
    for wrong in ([-1, high], [low, 10]):
        with pytest.raises(InputError, match=rf"reach from {wrong[0]} to {wrong[1]}, expected 0"):
            check_labels(np.array(wrong), (2,), "data", classes=10)
    check_labels(np.zeros(0, np.int64), (0,), "data", classes=10)
