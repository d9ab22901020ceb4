from __future__ import annotations

import tomllib

import pytest

from benchmarks.anchors import NETWORKS, QUANTITIES, TABLE, Anchor, Row, rebuild, rows, table
from xbarc.target import load_target, target_folder

ROWS = rows()
OF_NETS = [row for row in ROWS if row["quantity"] in NETWORKS]
OF_CHIPS = [row for row in ROWS if row["quantity"] in QUANTITIES]


@pytest.mark.parametrize("row", OF_CHIPS, ids=[row["id"] for row in OF_CHIPS])
def test_published_total_is_rebuilt(row: Row) -> None:
    anchor = rebuild(row)
    assert anchor.holds == ("open" not in row), f"{anchor.rebuilt} against {row['published']}"


def test_no_row_of_arithmetic_or_silicon_is_open() -> None:
    assert {row["kind"] for row in ROWS if "open" in row} <= {"model"}


@pytest.mark.slow
@pytest.mark.parametrize("row", OF_NETS, ids=[row["id"] for row in OF_NETS])
def test_published_total_of_a_network_is_rebuilt(row: Row) -> None:
    """Rows that say why they are open must be open: a better model has to change the table."""
    anchor = rebuild(row)
    assert anchor.holds == ("open" not in row), f"{anchor.rebuilt} against {row['published']}"


def test_the_table_of_the_docs_is_that_of_the_script() -> None:
    """Rows of networks are compared by their names only: they take a minute."""
    written = TABLE.read_text().splitlines()[2:]
    assert [line.split(" | ")[0][2:] for line in written] == [row["id"] for row in ROWS]
    fresh = table([rebuild(row) for row in OF_CHIPS]).splitlines()[2:]
    assert [line for line in written if line in fresh] == fresh


def test_every_row_has_a_source_and_a_limit() -> None:
    known = tomllib.loads((target_folder() / "sources.toml").read_text())["sources"]
    assert {row["source"] for row in ROWS} <= set(known) | {"adc_plugin"}
    assert all(("factor" in row) != ("tolerance" in row) for row in ROWS)
    assert len({row["id"] for row in ROWS}) == len(ROWS) > 60


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
