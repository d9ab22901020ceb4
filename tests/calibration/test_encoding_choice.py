"""`--encoding auto`: the cheapest that keeps the budget, and a record that says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import int_layer, small_target
from tests.floats import float_data, write_floats
from xbarc.api import CompiledProgram
from xbarc.calibration import encoding_choice
from xbarc.calibration.encoding_choice import CANDIDATES, candidates, choose_encoding
from xbarc.calibration.prefix import Prefix
from xbarc.compiler import CompileOptions, compile_model
from xbarc.cost import layer_price, program_cost
from xbarc.errors import MappingError
from xbarc.ir.choices import ChoiceRecord
from xbarc.ir.files import load_program
from xbarc.ir.program import CrossbarStep, Program
from xbarc.mapping import ArrayPool, map_layer
from xbarc.options import MapOptions
from xbarc.report import collect

SMALL: dict[str, Any] = {"array__rows": 16, "array__columns": 16, "array__active_rows": 16}


def chosen(
    folder: Path, *, slices: int | None = None, budget: float = 0.01, data: bool = True, **cell: Any
) -> Program:
    target = small_target(**SMALL, **cell)
    mapping = CompileOptions(encoding="auto", weight_slices=slices, encoding_budget=budget)
    return compile_model(
        write_floats(folder / "floats.onnx"),
        target,
        options=mapping,
        calibration=float_data(300) if data else None,
    )


def records(program: Program) -> list[tuple[CrossbarStep, ChoiceRecord]]:
    found = []
    for step in program.crossbar_steps:
        assert step.choice is not None
        found.append((step, step.choice))
    return found


def test_candidates_that_make_sense() -> None:
    assert candidates(small_target(), None) == CANDIDATES
    assert "twos-complement" not in candidates(small_target(cell__bits=4), 1)
    assert "offset" in candidates(small_target(cell__bits=4), 1)
    assert "offset" not in candidates(small_target(cell__bits=1), 1)
    assert "twos-complement" in candidates(small_target(cell__bits=1), 2)


def test_exact_weights_go_to_the_cheapest(tmp_path: Path) -> None:
    for step, record in records(chosen(tmp_path)):
        fits = [one for one in record.candidates if not one.problem]
        products = [one.area_um2 * one.energy_pj for one in fits]  # type: ignore[operator]
        assert products == sorted(products)
        assert len({one.error for one in fits}) == 1
        assert step.encoding == fits[0].encoding
        assert record.reason == "all give the same error; the cheapest"


@pytest.mark.parametrize("data", [True, False])
def test_budgets_at_both_ends(tmp_path: Path, data: bool) -> None:
    for step, record in records(chosen(tmp_path, slices=1, budget=1.0, data=data, cell__bits=2)):
        assert step.encoding == record.candidates[0].encoding
        assert record.measure == ("output" if data else "weight")
        assert "within the budget" in record.reason
    for step, record in records(chosen(tmp_path, slices=1, budget=0.0, data=data, cell__bits=2)):
        least = min(one.error for one in record.candidates if one.error is not None)
        errors = {one.encoding: one.error for one in record.candidates}
        assert errors[step.encoding] == least
        assert record.reason == "none keeps the budget; the least error"


def test_a_budget_in_between_is_kept_by_the_cheapest_that_can(tmp_path: Path) -> None:
    _, first = records(chosen(tmp_path, slices=1, cell__bits=2))[0]
    errors = sorted(one.error for one in first.candidates if one.error is not None)
    middle = errors[len(errors) // 2]
    step, record = records(chosen(tmp_path, slices=1, budget=middle, cell__bits=2))[0]
    for one in record.candidates:  # cheapest first
        if one.encoding == step.encoding:
            assert one.error is not None
            assert one.error <= middle
            break
        assert one.error is not None
        assert one.error > middle


def test_the_step_is_that_of_the_encoding_asked_for_by_name(tmp_path: Path) -> None:
    target = small_target(**SMALL, cell__bits=2)
    auto = chosen(tmp_path, slices=1, cell__bits=2).crossbar_steps[0]
    named = compile_model(
        tmp_path / "floats.onnx",
        target,
        options=CompileOptions(encoding=auto.encoding, weight_slices=1),
        calibration=float_data(300),
    ).crossbar_steps[0]
    assert np.array_equal(auto.cells.data, named.cells.data)
    assert named.fit == auto.fit
    assert named.choice is None
    assert auto.choice is not None
    errors = {one.encoding: one.error for one in auto.choice.candidates}
    assert named.fit is not None
    assert errors[auto.encoding] == named.fit.output_error


def test_statistics_are_gathered_once_a_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    gather = Prefix.moments

    def counted(self: Prefix, layer: Any, quantizer: Any) -> Any:
        asked.append(layer.name)
        return gather(self, layer, quantizer)

    monkeypatch.setattr(Prefix, "moments", counted)
    chosen(tmp_path, slices=1, cell__bits=2)
    assert asked == ["first", "second"]


def test_what_does_not_fit_is_named_and_passed_over(tmp_path: Path) -> None:
    target = small_target(**SMALL, adc__max_bits=5, cell__bits=2)
    mapping = CompileOptions(encoding="auto")
    program = compile_model(write_floats(tmp_path / "floats.onnx"), target, options=mapping)
    failed = [one for _, record in records(program) for one in record.candidates if one.problem]
    assert failed
    assert all("bits" in one.problem and one.error is None for one in failed)
    with pytest.raises(MappingError, match="the ADC of rram128 has 2"):
        compile_model(
            tmp_path / "floats.onnx",
            small_target(**SMALL, adc__max_bits=2, cell__bits=2),
            options=mapping,
        )


def test_the_record_survives_saving_and_is_reported(tmp_path: Path) -> None:
    program = chosen(tmp_path, slices=1, cell__bits=2)
    CompiledProgram(program).save(tmp_path / "auto.xbar")
    again = load_program(tmp_path / "auto.xbar")
    for before, after in zip(program.crossbar_steps, again.crossbar_steps, strict=True):
        assert before.choice == after.choice
    rows = json.loads((tmp_path / "auto.xbar" / "report.json").read_text())["layers"]
    for row, (step, record) in zip(rows, records(program), strict=True):
        assert row["choice"]["reason"] == record.reason
        assert row["encoding"] == step.encoding
        assert [one["encoding"] for one in row["choice"]["candidates"]] == [
            one.encoding for one in record.candidates
        ]
        assert row["choice"]["candidates"][0]["energy_uj"] == pytest.approx(
            (record.candidates[0].energy_pj or 0) / 1e6
        )
    built = ", ".join(sorted({step.encoding for step in program.crossbar_steps}))
    said = f"auto (error of a layer up to 0.01); built: {built}"
    assert dict(program.settings)["encoding"] == said


@given(
    groups=st.integers(1, 3),
    rows=st.integers(1, 40),
    outputs=st.integers(1, 20),
    used=st.integers(0, 9),
)
def test_a_price_does_not_depend_on_where_the_layer_lies(
    groups: int, rows: int, outputs: int, used: int
) -> None:
    target = small_target(**SMALL)
    weights = np.random.default_rng(rows).integers(-127, 128, (groups, rows, outputs))
    layer = int_layer(weights)
    steps = [
        map_layer(layer, target, MapOptions(), ArrayPool(target.array, "layer", used=start))
        for start in (0, used)
    ]
    first, second = (layer_price(step, target) for step in steps)
    assert first == second
    assert first.area_um2 > 0
    assert first.energy_pj > 0
    assert first.product == first.area_um2 * first.energy_pj


def test_a_price_is_made_of_the_counts_of_the_report(tmp_path: Path) -> None:
    """Whole tiles apart, a program of one layer costs what its only layer costs."""
    tree: dict[str, Any] = {
        "hierarchy__arrays_per_macro": 1,
        "hierarchy__macros_per_tile": 1,
    }
    target = small_target(**SMALL, **tree)
    program = chosen(tmp_path)
    step = program.crossbar_steps[0]
    report = collect(
        Program(
            "one",
            program.source,
            target,
            (),
            (),
            (step,),
            int(step.tiling.array.max()) + 1,
            (),
        )
    )
    price = layer_price(step, target)
    cost = program_cost(program).layers[0]
    assert cost.positions is not None
    row = report.layers[0]
    tile_part = target.hierarchy.tiles_per_chip  # chips are the only part that is not whole now
    assert tile_part >= 1
    assert row.energy_uj is not None
    assert price.energy_pj / 1e6 == pytest.approx(row.energy_uj, rel=1e-9)


def test_all_candidates_failing_tells_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    target = small_target(**SMALL)
    layer = int_layer(np.ones((1, 4, 4), dtype=int))

    def refuse(*_: Any) -> CrossbarStep:
        raise MappingError("no room", where="layer")

    monkeypatch.setattr(encoding_choice, "map_layer", refuse)
    options = MapOptions(encoding="auto")
    pool = ArrayPool(target.array, "layer")
    with pytest.raises(MappingError, match="no room"):
        choose_encoding(layer, layer, None, target, options, pool)
    assert pool.used == 0


@pytest.mark.parametrize("budget", [-0.1, 1.5, float("nan")])
def test_budgets_are_shares(budget: float) -> None:
    with pytest.raises(MappingError, match="encoding-budget"):
        MapOptions(encoding="auto", encoding_budget=budget)
