from __future__ import annotations

import tomllib

import pytest

from benchmarks.anchors import QUANTITIES, Anchor, Row, rebuild, rows
from xbarc.target import load_target, target_folder

ROWS = rows()
OF_CHIPS = [row for row in ROWS if row["quantity"] in QUANTITIES]


@pytest.mark.parametrize("row", OF_CHIPS, ids=[row["id"] for row in OF_CHIPS])
def test_published_total_is_rebuilt(row: Row) -> None:
    anchor = rebuild(row)
    assert anchor.holds, f"{anchor.rebuilt} against {row['published']} {row['unit']}"


def test_every_row_has_a_source_and_a_limit() -> None:
    known = tomllib.loads((target_folder() / "sources.toml").read_text())["sources"]
    assert {row["source"] for row in ROWS} <= set(known) | {"adc_plugin"}
    assert all(("factor" in row) != ("tolerance" in row) for row in ROWS)
    assert len({row["id"] for row in ROWS}) == len(ROWS) > 45


def test_an_anchor_that_is_off_does_not_hold() -> None:
    row = {"published": 100.0, "tolerance": 0.01}
    assert Anchor(row, 100.9).holds
    assert not Anchor(row, 101.1).holds
    assert not Anchor(row, 98.9).holds
    loose = {"published": 100.0, "factor": 2.5}
    assert Anchor(loose, 41.0).holds
    assert not Anchor(loose, 39.0).holds


def test_the_isaac_anchors_move_with_the_figures_of_the_target() -> None:
    row = next(row for row in ROWS if row["id"] == "isaac_chip_power")
    other = {**row, "set": ["costs.array_energy=33.0"]}
    assert rebuild(other).rebuilt > rebuild(row).rebuilt
    assert load_target("isaac").kind == "modelled"
