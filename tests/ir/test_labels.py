"""Class numbers beside the inputs in one file."""

from __future__ import annotations

import numpy as np
import pytest

from xbarc.ir.labels import label_name, labels_in, split_labels
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
