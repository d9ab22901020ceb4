"""Placements from elsewhere: told of a layer, checked, judged like ours, named in the settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pytest

import xbarc as xbarc_api
from xbarc.errors import InputError, MappingError
from xbarc.mapping.place import Order, Placement, Sites
from xbarc.mapping.place.foreign import load_placement
from xbarc.numerics.types import AnyArray
from xbarc.options.files import read_options
from xbarc.testing import ConformanceError, check_placement


@dataclass(frozen=True)
class Heavy(Placement):
    """Units that matter most come first, and rows where least is lost."""

    name: str = "heavy"

    def order(self, sites: Sites) -> Order:
        """Both orders."""
        rows, total = np.arange(len(sites.weight)), sites.weight.sum(axis=1)
        for first, last in sites.row_ranges:
            best = np.argsort(sites.loss[first:last].mean(axis=1), kind="stable")
            rows[first + best] = first + np.argsort(-total[first:last], kind="stable")
        weight = sites.weight.sum(axis=0)
        columns = [
            unit
            for line in sites.units
            for unit in sorted(line, key=lambda unit: float(-weight[unit].sum()))
        ]
        return Order(rows, np.concatenate(columns) if columns else None)


def _rows(sites: Sites) -> AnyArray:
    return np.arange(len(sites.weight))


def _columns(sites: Sites) -> AnyArray:
    return np.arange(sites.weight.shape[1])


def _writes(sites: Sites) -> Order:
    sites.weight[0] = 0
    return Order()


def _clock(sites: Sites) -> Order:
    parts = [np.random.default_rng().permutation(np.arange(*part)) for part in sites.row_ranges]
    return Order(np.concatenate(parts))


FAULTS: dict[str, Callable[[Sites], object]] = {
    "twice": lambda sites: Order(0 * _rows(sites)),
    "short": lambda sites: Order(_rows(sites)[:-1]),
    "floats": lambda sites: Order(cast(AnyArray, _rows(sites) + 0.0)),
    "range": lambda sites: Order(_rows(sites)[::-1]),
    "unit": lambda sites: Order(None, _columns(sites)[::-1]),
    "line": lambda sites: Order(None, np.roll(_columns(sites), 2)),
    "writes": _writes,
    "clock": _clock,
    "nothing": lambda _: None,
    "raises": lambda _: dict[str, Order]()["row"],
}


@dataclass(frozen=True)
class Faulty(Placement):
    """Goes wrong in one way."""

    fault: str = "raises"
    name: str = "faulty"

    def order(self, sites: Sites) -> Order:
        """As its fault has it."""
        return cast(Order, FAULTS[self.fault](sites))


@pytest.mark.slow
def test_a_sound_one_passes_and_loses_less() -> None:
    found = check_placement(Heavy())
    assert sum(one.after for one in found) < sum(one.before for one in found)


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("twice", MappingError, "rows are not a permutation of 0 to"),
        ("short", MappingError, "rows are not a permutation of 0 to"),
        ("floats", MappingError, "rows are not a permutation of 0 to"),
        ("range", MappingError, r"rows 0 to \d+ must stay among themselves"),
        ("unit", MappingError, "of a unit must stay side by side"),
        ("line", MappingError, "leave their line, 0 to|of a unit must stay"),
        ("writes", MappingError, r"order\(\) failed: ValueError: assignment destination is read"),
        ("nothing", MappingError, "the order of layer layer failed: AttributeError"),
        ("raises", MappingError, r"order\(\) failed: KeyError: 'row' \(test_foreign"),
        ("clock", ConformanceError, "asked again, it gives another order"),
    ],
)
def test_faults_are_found(fault: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        check_placement(Faulty(fault))


def test_what_is_no_placement_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"'morse' is not available.*one of none.*package:Name"):
        xbarc_api.compile("none.onnx", placement="morse")
    with pytest.raises(MappingError, match="lacks"):
        load_placement(3)  # type: ignore[arg-type]
    file = tmp_path / "o.toml"
    file.write_text(f'[wires]\nplacement = "{__name__}:Heavy"', encoding="utf-8")
    with pytest.raises(InputError, match="names code"):
        read_options(file)
