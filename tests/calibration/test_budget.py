"""Converters from data, from the model to the program: uniform, and under a budget."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xbarc
from tests.models.places import MODELS, shipped_images
from xbarc.api import CompiledProgram
from xbarc.calibration.budget import keeps
from xbarc.errors import MappingError
from xbarc.ir.effective import is_lossless
from xbarc.ir.pareto import FrontPoint
from xbarc.ir.verify import verify_program
from xbarc.options import Budget, parse_budget
from xbarc.report import collect, render_html, render_json
from xbarc.report.sections.converters import front_notes
from xbarc.target import load_target

MLP = MODELS / "fashion-mlp.onnx"


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return shipped_images(48)


@pytest.fixture(
    scope="module", params=["static", pytest.param("per-cycle", marks=pytest.mark.slow)]
)
def budgeted(request: pytest.FixtureRequest, data: dict[str, Any]) -> CompiledProgram:
    target = load_target("rram128", [f'adc.reference="{request.param}"'])
    return xbarc.compile(MLP, target, calibration=data, adc_budget="18dB")


def test_the_front_has_ten_points_and_one_is_chosen(budgeted: CompiledProgram) -> None:
    front = budgeted.report().front
    allocated = [row for row in front if row.kind == "allocated"]
    assert len(allocated) >= 10
    assert sum(row.chosen for row in front) == 1
    energies = [row.energy_pj for row in allocated]
    assert energies == sorted(energies)
    for row in allocated:
        assert row.bound_pj is not None
        assert 0.99 * row.energy_pj <= row.bound_pj <= row.energy_pj * (1 + 1e-9)
        assert row.solver_s is not None
    assert all(row.solver_s is None for row in front if row.kind == "uniform")


def test_the_chosen_point_keeps_the_budget_and_is_cheaper_than_uniform_bits(
    budgeted: CompiledProgram,
) -> None:
    front = budgeted.report().front
    chosen = next(row for row in front if row.chosen)
    assert chosen.measured_db is not None
    assert chosen.measured_db >= 18
    uniform = [
        row.levels
        for row in front
        if row.kind == "uniform" and (row.measured_db is None or row.measured_db >= 18)
    ]
    assert chosen.levels < 0.8 * min(uniform)


def _decibels(exact: CompiledProgram, found: CompiledProgram, images: Any) -> float:
    wanted, got = (p.session().run(None, {"image": images})[0] for p in (exact, found))
    return float(10 * np.log10((wanted**2).sum() / ((wanted - got) ** 2).sum()))


def test_what_was_measured_is_what_the_program_does(
    budgeted: CompiledProgram, data: dict[str, Any]
) -> None:
    """The program has at most the stated error on images that it never met, and on its own."""
    exact = xbarc.compile(MLP, budgeted.program.target, calibration=data, adc="calibrated:10")
    chosen = next(row for row in budgeted.report().front if row.chosen)
    assert chosen.measured_db is not None
    assert _decibels(exact, budgeted, data["image"]) > chosen.measured_db - 0.1
    others = shipped_images(400)["image"][48:]
    found = _decibels(exact, budgeted, others)
    assert found > chosen.measured_db - 0.3
    assert found < chosen.measured_db + 1.5  # fitted to 48 samples, not to 42
    assert not all(is_lossless(step) for step in budgeted.program.crossbar_steps)
    verify_program(budgeted.program)


def test_the_report_says_who_judged(budgeted: CompiledProgram) -> None:
    report = budgeted.report()
    assert {(row.judged, row.parts) for row in report.front} == {(48, 8)}
    said = [note for note in report.notes if note.startswith("Converter bits were judged")]
    assert len(said) == 1
    assert "all 48 samples of the data in 8 parts" in said[0]
    one = tuple(replace(point, parts=1) for point in budgeted.program.front)
    flattered = collect(replace(budgeted.program, front=one)).notes
    assert any("flatters" in note for note in flattered)


@pytest.mark.parametrize(
    ("budget", "judged", "error", "told"),
    [
        ("0.5", 500, 0.004, "(500): one standard error of the loss is 0.40 points"),
        ("0.5", 40, 0.0, "(40): one standard error of the loss is 2.50 points"),  # an answer
        ("0.5", 1000, 0.004, ""),
        ("18dB", 40, 0.004, ""),
    ],
)
def test_a_budget_judged_by_few_labels_says_how_sure_it_is(
    budgeted: CompiledProgram, budget: str, judged: int, error: float, told: str
) -> None:
    front = tuple(
        replace(point, judged=judged, top1=0.9, top1_error=error)
        for point in budgeted.program.front
    )
    settings = tuple(sorted({**dict(budgeted.program.settings), "adc_budget": budget}.items()))
    notes = front_notes(replace(budgeted.program, front=front, settings=settings))
    few = [note for note in notes if "by few labels" in note]
    assert len(few) == bool(told)
    assert all(told in note for note in few)


def test_engines_agree_and_files_keep_everything(
    budgeted: CompiledProgram, data: dict[str, Any], tmp_path: Path
) -> None:
    budgeted.save(tmp_path / "b.xbar")
    loaded = xbarc.load(tmp_path / "b.xbar")
    assert loaded.program.front == budgeted.program.front
    feeds = {"image": data["image"][:3]}
    fast = loaded.session().run(None, feeds)[0]
    assert np.array_equal(fast, budgeted.session("reference").run(None, feeds)[0])
    report = loaded.report()
    assert "energy against error" in render_html(report)
    assert '"front"' in render_json(report)


def test_calibrated_bits_hold_the_accuracy_that_a_cap_loses(data: dict[str, Any]) -> None:
    exact, calibrated, capped = (
        xbarc.compile(MLP, calibration=data, adc=adc) for adc in ("lossless", "calibrated:4", "4")
    )
    feeds = {"image": data["image"]}
    wanted = exact.session().run(None, feeds)[0]
    errors = [((p.session().run(None, feeds)[0] - wanted) ** 2).sum() for p in (calibrated, capped)]
    assert errors[0] < 0.06 * errors[1]  # .027 with 48 images, .024 with 64
    assert int(max(s.adc.bits.max() for s in calibrated.program.crossbar_steps)) == 4


@pytest.mark.slow
def test_the_same_data_give_the_same_bytes(data: dict[str, Any]) -> None:
    first, second = (
        xbarc.compile(MLP, calibration=data, adc="calibrated:5", adc_savings="recode")
        for _ in range(2)
    )
    for one, two in zip(first.program.crossbar_steps, second.program.crossbar_steps, strict=True):
        assert one.adc.lo.tobytes() == two.adc.lo.tobytes()
        assert one.periphery.constant.tobytes() == two.periphery.constant.tobytes()


@pytest.mark.parametrize("adc", ["calibrated", "calibrated:5"])
def test_calibration_needs_data(adc: str) -> None:
    with pytest.raises(MappingError, match="needs calibration data"):
        xbarc.compile(MLP, adc=adc)


def test_points_need_labels(data: dict[str, Any]) -> None:
    with pytest.raises(MappingError, match="points of top-1 need labels"):
        # Told before the model is read, let alone compiled.
        xbarc.compile("none.onnx", calibration={"image": data["image"][:8]}, adc_budget="0.5")


def test_a_budget_beside_bits_is_refused() -> None:
    with pytest.raises(MappingError, match="and so does --adc 5"):
        xbarc.compile(MLP, adc="5", adc_budget="20dB")


@pytest.mark.parametrize("text", ["much", "-1", "nan", "1e9", "dB"])
def test_wrong_budgets_are_refused(text: str) -> None:
    with pytest.raises(MappingError, match="is not a budget"):
        parse_budget(text)


def test_budgets_in_points_and_decibels() -> None:
    assert parse_budget("0.5") == Budget(points=0.5)
    assert parse_budget("30dB") == Budget(sqnr_db=30.0)
    point = FrontPoint("allocated", 2.0, 4.0, 1.0, 20.0, 19.0, 0.90)
    assert keeps(Budget(points=0.5), point, 0.905)
    assert not keeps(Budget(points=0.5), point, 0.906)
    expected = replace(point, expected_loss=0.004, top1_error=0.003)
    assert keeps(Budget(points=0.5), expected, 0.907)  # 0.7 points counted, give or take 0.3
    assert not keeps(Budget(points=0.5), expected, 0.909)
    assert not keeps(Budget(points=0.3), expected, 0.90)
    unsure = replace(expected, expected_error=0.001)
    assert not keeps(Budget(points=0.5), unsure, 0.90)
    assert keeps(Budget(points=0.6), unsure, 0.90)
    assert keeps(Budget(sqnr_db=19.0), point, None)
    assert not keeps(Budget(sqnr_db=19.5), point, None)
