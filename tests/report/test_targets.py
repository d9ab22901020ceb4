from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.report.test_report import plain
from xbarc.report import render_target_json, render_target_text, target_reference
from xbarc.target import figures, load_target, parse_target, target_names

Golden = Callable[[str, str], None]


def test_reference(golden: Golden) -> None:
    golden("reference.md", target_reference())


def test_the_reference_has_every_field_with_its_unit() -> None:
    page = target_reference()
    assert "| `cycle` | figure | ns | one array read: settle, sample and hold |" in page
    assert "| `write_energy` | figure | pJ |" in page
    for path, _ in figures(load_target("isaac")):
        assert f"| `{path.rsplit('.', 1)[-1]}` |" in page


def test_every_field_says_what_it_is() -> None:
    rows = [line.split(" | ") for line in target_reference().splitlines() if line.startswith("| `")]
    assert len(rows) > 60
    assert [row[0] for row in rows if not row[-1].removesuffix("|").strip()] == []


@pytest.mark.parametrize("name", target_names())
def test_text_shows_every_figure_and_source(name: str) -> None:
    target = load_target(name)
    text = plain(render_target_text(target), width=200)
    for path, _ in figures(target):
        assert path in text
    for source in target.sources:
        assert f"  {source}: " in text


@pytest.mark.parametrize("name", target_names())
def test_json_is_the_whole_target(name: str) -> None:
    target = load_target(name)
    assert parse_target(json.loads(render_target_json(target)), where=name) == target
