"""What a solver proved is in fields, not only in sentences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.builders import int_layer, mapped, small_target
from tests.report.programs import small_program, subject
from xbarc.ir.files import load_program, save_program
from xbarc.ir.pareto import FrontPoint, SolverRun
from xbarc.ir.program import Program
from xbarc.options import column_rule
from xbarc.report import Report, collect, render_html, render_json, render_text
from xbarc.report.sections.solver import solver_rows

RUN = SolverRun("column order", 1200.0, 900.0, "levels", 1.5, 1300.0)


def with_run(program: Program, *runs: SolverRun) -> Program:
    first = program.crossbar_steps[0]
    own = replace(first, adc=replace(first.adc, solved=runs))
    steps = tuple(own if step is first else step for step in program.steps)
    return replace(program, steps=steps)


def test_a_run_has_objective_bound_gap_and_time() -> None:
    (row,) = solver_rows(subject(with_run(small_program(), RUN)))
    assert (row.stage, row.objective, row.bound, row.compared) == ("column order", 1200, 900, 1300)
    assert row.gap == pytest.approx(0.25)
    assert row.status == "feasible"
    assert row.deterministic_us == 1.5e6
    (proven,) = solver_rows(subject(with_run(small_program(), replace(RUN, bound=1200.0))))
    assert (proven.gap, proven.status) == (0, "optimal")


def test_runs_survive_a_file_and_old_files_have_none(tmp_path: Path) -> None:
    program = with_run(small_program(), RUN)
    save_program(program, tmp_path / "a.xbar", {})
    assert load_program(tmp_path / "a.xbar").crossbar_steps[0].adc.solved == (RUN,)
    save_program(small_program(), tmp_path / "b.xbar", {})
    text = (tmp_path / "b.xbar" / "program.json").read_text()
    assert load_program(tmp_path / "b.xbar").crossbar_steps[0].adc.solved == ()
    assert '"adc_solved": []' in text or '"adc_solved":[]' in text


def test_every_format_shows_runs() -> None:
    report = collect(with_run(small_program(), RUN))
    assert '"column order"' in render_json(report)
    for shown in (render_html(report), rendered(report)):
        assert "25.00 %" in shown
        assert "column order" in shown


def rendered(report: Report) -> str:
    console = Console(width=200)
    with console.capture() as shown:
        console.print(render_text(report))
    return shown.get()


def test_bits_of_a_budget_are_a_row() -> None:
    point = FrontPoint(
        "allocated",
        3.0,
        8.0,
        2e6,
        30.0,
        30.0,
        None,
        None,
        chosen=True,
        bound_pj=1.9e6,
        solver_s=0.5,
    )
    front = (point, replace(point, chosen=False))
    (row,) = solver_rows(subject(replace(small_program(), front=front)))
    assert (row.stage, row.layer, row.unit) == ("converter bits", "all layers", "pJ")
    assert row.gap == pytest.approx(0.05)


@pytest.mark.slow
def test_the_order_of_columns_of_a_layer_is_a_row() -> None:
    weights = np.random.default_rng(1).integers(-99, 100, (1, 64, 16))
    step = mapped(
        int_layer(weights),
        small_target(),
        adc_savings=("group",),
        column_order=column_rule("layer"),
    )
    (run,) = step.adc.solved
    assert run.unit.startswith("levels")
    assert run.bound <= run.objective
    assert run.compared is not None
    assert run.objective <= run.compared
