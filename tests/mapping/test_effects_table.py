"""The table of effects and encodings is found, not known: the page shows what the code does."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from xbarc.mapping import encoding_names

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def effects() -> ModuleType:
    spec = importlib.util.spec_from_file_location("effects", ROOT / "docs" / "effects.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_page_shows_the_table_of_today(effects: ModuleType) -> None:
    shown = (ROOT / "docs" / "reference" / "encodings.md").read_text(encoding="utf-8")
    _, _, rest = shown.partition(effects.BEGIN)
    table, _, _ = rest.partition(effects.END)
    assert table.strip() == effects.table().strip(), "run python docs/effects.py"


def test_every_encoding_has_a_place_in_the_reference(effects: ModuleType) -> None:
    page = (ROOT / "docs" / "reference" / "encodings.md").read_text(encoding="utf-8")
    for name in encoding_names():
        family = name.removesuffix("-analog").replace("segmented:4", "segmented:K")
        assert f"`{family}`" in page
        assert f"\n### {family}" in page or f", {family}\n" in page
    drawn = effects.pictures()
    for line in page.splitlines():
        if "_generated/encoding-" in line:
            name = line.partition("encoding-")[2].partition(".txt")[0]
            assert name in drawn


def test_a_picture_by_hand(effects: ModuleType) -> None:
    lines = effects.pictures()["bias-column-analog"].splitlines()
    assert lines[1].split() == ["x0", "3", "-2", "1", "5", "0", "3", "2"]
    assert lines[4] == "k0 = c0 - c3"
    assert lines[-1] == "y2 = k2"
    unipolar = effects.pictures()["unipolar"].splitlines()
    assert unipolar[-2] == "y1 = c1 - 2 (x0 + x1)"
