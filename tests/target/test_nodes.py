"""Figures of one node at another: the published ratios, and where the factor is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbarc.errors import TargetError
from xbarc.report import source_rows
from xbarc.target import area_factor, energy_factor, load_target, target_folder, target_names

NODES = (7, 10, 14, 16, 20, 32, 45, 65, 90, 130)
inside = st.floats(7, 130)


def test_areas_are_those_of_the_published_table() -> None:
    assert area_factor(65, 32) == 0.31
    assert area_factor(130, 32) == 0.072
    assert area_factor(32, 130) == 14
    assert area_factor(45, 45) == 1
    # 28 nm lies two thirds of the way from 20 to 32
    assert area_factor(28, 32) == pytest.approx(2.2 / 3 + 2 / 3)


@pytest.mark.parametrize(
    ("node", "to_32_nm"),
    [(130, 4.653), (90, 2.878), (65, 1.882), (45, 1.517), (20, 0.335), (14, 0.211), (7, 0.143)],
)
def test_energies_are_those_of_the_published_laws(node: int, to_32_nm: float) -> None:
    assert energy_factor(32, node) == pytest.approx(to_32_nm, rel=0.005)


@given(inside, inside, inside)
def test_energies_scale_in_any_number_of_steps(a: float, b: float, c: float) -> None:
    assert energy_factor(a, b) * energy_factor(b, c) == pytest.approx(energy_factor(a, c))


@given(inside, inside)
def test_there_and_back_is_where_one_was(a: float, b: float) -> None:
    # the published table is rounded to two digits
    assert area_factor(a, b) * area_factor(b, a) == pytest.approx(1, rel=0.08)


@given(inside, inside)
def test_nothing_grows_on_a_finer_node(a: float, b: float) -> None:
    fine, coarse = sorted((a, b))
    assert energy_factor(coarse, fine) <= 1 + 1e-9
    assert area_factor(coarse, fine) <= 1 + 1e-9


@pytest.mark.parametrize("node", [5, 180])
def test_nodes_beyond_the_table_are_refused(node: int) -> None:
    with pytest.raises(ValueError, match="outside 7 to 130 nm"):
        area_factor(node, 32)
    with pytest.raises(ValueError, match="outside 7 to 130 nm"):
        energy_factor(32, node)


def edited(tmp_path: Path, old: str, new: str) -> Path:
    text = (target_folder() / "rram128.toml").read_text()
    assert old in text
    path = tmp_path / "own.toml"
    path.write_text(text.replace(old, new))
    return path


def test_a_figure_of_another_node_is_scaled_and_the_factor_stands_apart() -> None:
    target = load_target("rram128")
    figure = target.costs.adc.comparator_area
    assert figure.scaled is not None
    assert figure.value == pytest.approx(40 * 0.31)
    assert figure.scaled.from_nm == 65
    assert (figure.scaled.value, figure.scaled.factor) == (40.0, 0.31)
    row = next(r for r in source_rows(target) if r.path == "costs.adc.comparator_area")
    assert (row.scaled_from_nm, row.scaled_from_value, row.scale_factor) == (65, 40.0, 0.31)
    assert row.scale_source == "stillmaker2017"
    assert "Stillmaker" in row.scale_cite


def test_another_node_for_the_whole_target_scales_what_names_its_own() -> None:
    own = load_target("rram128").costs.adc.comparator_area.value
    fine = load_target("rram128", ["node_nm=20"]).costs.adc.comparator_area.value
    assert fine == pytest.approx(own * 0.14 / 0.31)


def test_a_figure_set_by_hand_is_taken_as_it_is() -> None:
    target = load_target("rram128", ["costs.adc.comparator_area=7.5"])
    assert target.costs.adc.comparator_area.value == 7.5
    assert target.costs.adc.comparator_area.scaled is None


def test_bands_scale_with_their_figure(tmp_path: Path) -> None:
    path = edited(tmp_path, "value = 40.0, unit", "low = 20.0, high = 50.0, value = 40.0, unit")
    figure = load_target(path).costs.adc.comparator_area
    assert figure.low == pytest.approx(6.2)
    assert figure.high == pytest.approx(15.5)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("node_nm = 65", "node_nm = 180", "costs.adc.comparator_area: 180 nm is outside"),
        ("node_nm = 65", 'node_nm = "65"', "costs.adc.comparator_area: node_nm is a number"),
        (
            'unit = "ns", source = "isaac2016"',
            'unit = "ns", node_nm = 65, source = "isaac2016"',
            "costs.cycle: node_nm scales pJ and um2, not ns",
        ),
    ],
)
def test_what_cannot_be_scaled_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        load_target(edited(tmp_path, old, new))


def test_factors_in_notes_of_shipped_targets_are_those_of_the_function() -> None:
    """Figures that were scaled by hand, in notes, keep to the same laws."""
    assert 1 / energy_factor(40, 32) == pytest.approx(1.318, rel=0.001)
    for name in target_names():
        costs = load_target(name).costs
        if costs.adc.comparator_energy.source == "stillmaker2017":
            scaled = 0.0417 * energy_factor(65, 32)
            assert costs.adc.comparator_energy.value == pytest.approx(scaled, rel=0.005)
