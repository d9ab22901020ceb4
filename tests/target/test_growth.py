"""Figures that follow the array: their laws, and what a sweep of each field does to the costs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbarc.cost import ChipCost, chip_cost
from xbarc.cost.chip import Level
from xbarc.errors import TargetError
from xbarc.mapping.whole_chip import full_load
from xbarc.report import source_rows
from xbarc.target import (
    AdcCosts,
    Costs,
    Figure,
    Peak,
    Target,
    figures,
    load_target,
    target_folder,
    target_names,
)
from xbarc.target.growth import TERMS, Growth, settling_ns
from xbarc.target.laws import LAWS


def square(size: int) -> list[str]:
    return [f"array.{field}={size}" for field in ("rows", "columns", "active_rows")]


def figure(target: Target, path: str) -> Figure:
    found = dict(figures(target))[path]
    assert isinstance(found, Figure)
    return found


def test_every_figure_of_a_cost_has_a_law() -> None:
    parts = (("costs.", Costs), ("costs.adc.", AdcCosts), ("peak.", Peak))
    fields = {
        f"{prefix}{name}"
        for prefix, model in parts
        for name, field in model.model_fields.items()
        if "Figure" in str(field.annotation)
    }
    assert set(LAWS) == fields | {"adc.rate"}
    assert set(TERMS) == set(get_args(Growth))
    assert all(law.per and (law.grows or law.why) for law in LAWS.values())


@pytest.mark.parametrize("name", target_names())
def test_reports_say_what_each_cost_figure_is_given_per(name: str) -> None:
    rows = source_rows(load_target(name))
    costs = [row for row in rows if row.path.startswith(("costs.", "peak.")) or "rate" in row.path]
    assert all(row.per and row.grows for row in costs)
    assert {row.path for row in rows if row.per} == {row.path for row in costs}


SIZES = st.sampled_from((16, 64, 128, 200, 512, 1024))


@given(SIZES, SIZES)
def test_a_read_takes_the_energy_of_its_cells(rows: int, columns: int) -> None:
    sets = [f"array.rows={rows}", f"array.active_rows={rows}", f"array.columns={columns}"]
    target = load_target("rram128", sets)
    assert target.costs.array_energy.value == pytest.approx(30 * rows * columns / 128**2)
    assert target.costs.driver_energy.value == pytest.approx(0.391 * columns / 128)


def test_lines_settle_by_their_own_resistance_and_capacitance() -> None:
    """An independent sum: every section of a ladder charges what lies behind it."""
    at = {
        "rows": 3.0,
        "columns": 4.0,
        "spare_columns": 1.0,
        "adc_bits": 7.0,
        "wordline": 2.0,
        "bitline": 5.0,
        "driver": 11.0,
        "sense": 13.0,
        "capacitance": 1e3,
    }
    wordline = sum(11.0 + 2.0 * (cell + 1) for cell in range(5)) * 1e-12
    bitline = sum(13.0 + 5.0 * (cell + 1) for cell in range(3)) * 1e-12
    assert settling_ns(at) == pytest.approx(8 * 0.6931471805599453 * (wordline + bitline) * 1e9)


def test_longer_lines_take_longer_to_read() -> None:
    own, long = load_target("rram128"), load_target("rram128", square(512))
    assert own.costs.cycle.carried is None
    was = long.costs.cycle.carried
    assert was is not None
    assert (was.value, was.factor) == (100.0, 1.0)
    assert long.costs.cycle.value == 100.0 + was.added
    wide = [*square(512), "wires.wordline=31.31"]
    assert load_target("rram128", wide).costs.cycle.value > long.costs.cycle.value


# what grows (1), shrinks (-1) or stays (0) per input vector of one array: energy, area, time
SWEEPS: dict[str, tuple[list[list[str]], Level, tuple[int, int, int]]] = {
    "rows": (
        [[f"array.rows={n}", f"array.active_rows={n}"] for n in (64, 256)],
        "array",
        (1, 1, 1),
    ),
    "columns": ([[f"array.columns={n}"] for n in (64, 256)], "array", (1, 1, 1)),
    "spare columns": ([[f"array.spare_columns={n}"] for n in (0, 8)], "array", (1, 1, 1)),
    # as many cells in fewer reads: the conversions are fewer
    "active rows": ([[f"array.active_rows={n}"] for n in (32, 128)], "array", (-1, 0, -1)),
    # level energies depend on the mean conductance, and that stays: see `why` of cell_area
    "cell bits": (
        [
            ["cell.bits=1", "cell.conductance=[1.0, 40.0]"],
            ["cell.bits=2", "cell.conductance=[1.0, 14.0, 27.0, 40.0]"],
        ],
        "array",
        (1, 0, 0),  # 9 outputs of 14 columns leave 2 columns idle, 16 of 8 columns none
    ),
    "conductance": (
        [["cell.conductance=[1.0, 2.0, 3.0, 4.0]"], ["cell.conductance=[1.0, 5.0, 9.0, 80.0]"]],
        "array",
        (1, 0, 0),
    ),
    "read voltage": ([[f"input.read_voltage={v}"] for v in (0.1, 0.4)], "array", (1, 0, 0)),
    "ADC bits": ([[f"adc.max_bits={n}"] for n in (6, 9)], "array", (1, 1, 1)),
    "columns an ADC": (
        [[f"adc.columns_per_adc={n}", "adc.overlap=none"] for n in (4, 16)],
        "array",
        (0, -1, 1),
    ),
    # fewer, larger slices: as much in drivers, less in reads and conversions
    "DAC bits": ([[f"input.dac_bits={n}"] for n in (1, 4)], "array", (-1, 1, -1)),
    "wordline": ([[f"wires.wordline={r}"] for r in (1.0, 9.0)], "array", (0, 0, 1)),
    "bitline": ([[f"wires.bitline={r}"] for r in (1.0, 9.0)], "array", (0, 0, 1)),
    "driver": ([[f"wires.driver={r}"] for r in (1.0, 90.0)], "array", (0, 0, 1)),
    "sense": ([[f"wires.sense={r}"] for r in (1.0, 90.0)], "array", (0, 0, 1)),
    "capacitance": ([[f"wires.capacitance={c}"] for c in (0.5, 3.0)], "array", (1, 0, 1)),
    "arrays a macro": ([[f"hierarchy.arrays_per_macro={n}"] for n in (4, 16)], "macro", (1, 1, 0)),
    "buffer": ([[f"hierarchy.buffer_kib={n}"] for n in (16, 256)], "tile", (1, 1, 0)),
}


def sign(before: float | None, after: float | None) -> int:
    assert before is not None
    assert after is not None
    return (after > before) - (after < before)


def energy(cost: ChipCost) -> float:
    return sum(part.total or 0.0 for part in cost.energy)


@pytest.mark.parametrize("name", SWEEPS)
@pytest.mark.parametrize("target", ["rram128", "isaac"])
def test_a_sweep_moves_each_cost_as_physics_says(target: str, name: str) -> None:
    (low, high), level, expected = SWEEPS[name]
    few, many = (
        chip_cost(changed, level, load=full_load(changed))
        for changed in (load_target(target, sets) for sets in (low, high))
    )
    found = (
        sign(round(energy(few), 9), round(energy(many), 9)),
        sign(few.area_um2, many.area_um2),
        sign(few.timing.vector_ns, many.timing.vector_ns),
    )
    if target == "isaac" and name in ("DAC bits", "columns an ADC", "spare columns", "buffer"):
        return  # one converter for all columns sets the time; its tile figures are components
    assert found == expected


def test_a_figure_set_by_hand_is_that_of_the_array_at_hand() -> None:
    for sets in ([*square(512), "costs.array_energy=77"], ["costs.array_energy=77", *square(512)]):
        energy = load_target("rram128", sets).costs.array_energy
        assert (energy.value, energy.carried, energy.source) == (77.0, None, "assumed")


def test_the_law_of_a_figure_can_be_its_own() -> None:
    fixed = load_target("rram128", ["costs.array_energy.grows=[]", *square(512)])
    assert fixed.costs.array_energy.value == 30.0
    cells = load_target("rram128", ['costs.array_energy.grows=["cells"]', "array.rows=256"])
    assert cells.costs.array_energy.value == 60.0


def test_reports_show_what_a_figure_was_and_for_which_array() -> None:
    rows = {row.path: row for row in source_rows(load_target("rram128", square(512)))}
    row = rows["costs.array_energy"]
    assert row.given_for == {"active_rows": 128, "columns": 128}
    assert (row.given_value, row.carry_factor, row.values) == (30.0, 16.0, (480.0,))
    assert rows["costs.cell_area"].given_for is None


def test_bands_are_carried_too() -> None:
    area = load_target("rram128").costs.driver_area
    assert (area.value, area.low) == (34.3, 0.083)


def edited(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    text = (target_folder() / "rram128.toml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "own.toml"
    path.write_text(text)
    return path


OLD = 'array_energy = { value = 30.0, unit = "pJ",'


@pytest.mark.parametrize(
    ("given_for", "value"),
    [
        ("{ rows = 128, columns = 128 }", 30.0),
        ("{ rows = 64, columns = 64 }", 120.0),  # all rows at once, no spare columns
        ("{ rows = 64, active_rows = 32, columns = 64, spare_columns = 64 }", 120.0),
        ("{ dac_bits = 4 }", 30.0),  # its law does not ask for that
    ],
)
def test_files_say_which_array_a_figure_was_published_for(
    tmp_path: Path, given_for: str, value: float
) -> None:
    path = edited(tmp_path, (OLD, f"{OLD} given_for = {given_for},"))
    assert load_target(path).costs.array_energy.value == value


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            [(OLD, f"{OLD} given_for = {{ row = 64 }},")],
            "costs.array_energy.given_for.row: unknown",
        ),
        ([(OLD, f'{OLD} grows = ["size"],')], "costs.array_energy.grows.0"),
        (
            [("driver = { value = 10.0,", "driver = { given_for = { rows = 1 }, value = 10.0,")],
            "wires.driver.given_for: only figures of costs grow with the array",
        ),
        (
            [(OLD, f"{OLD} given_for = {{ read_voltage = 0.0 }},")],
            "costs.array_energy: given for another array: voltage-squared is 0 there",
        ),
        (
            [("capacitance = {", "# {"), ("cycle = {", "cycle = { given_for = { rows = 64 },")],
            "costs.cycle: given for another array, and its law needs wires.capacitance",
        ),
        (
            [("cycle = { value = 100.0,", "cycle = { given_for = { rows = 60000 }, value = 1.0,")],
            "costs.cycle: given for another array: 1 ns is less than its lines take to settle",
        ),
    ],
)
def test_what_cannot_be_carried_is_refused(
    tmp_path: Path, changes: list[tuple[str, str]], message: str
) -> None:
    with pytest.raises(TargetError, match=re.escape(message)):
        load_target(edited(tmp_path, *changes))
