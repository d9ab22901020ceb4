"""How the integers of a layer were chosen, as reports show it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.report.programs import small_program
from xbarc.ir.choices import FitRecord
from xbarc.ir.program import CrossbarStep
from xbarc.report import collect
from xbarc.report.sections.layers import chosen_fit, fit_table


def test_nothing_chosen_is_nothing_shown() -> None:
    assert chosen_fit(None) is None
    assert chosen_fit(FitRecord("rounding")) is None
    assert not fit_table(collect(small_program()).layers).rows


def test_errors_in_decibels_and_the_order_beside_what_it_beats() -> None:
    record = FitRecord("feedback", 0.5, 0.1, 0.01, 2.0, 4.0, 8.0, 1.0)
    program = small_program()
    steps = tuple(
        replace(step, fit=record) if isinstance(step, CrossbarStep) else step
        for step in program.steps
    )
    report = collect(replace(program, steps=steps))
    row = report.layers[0].fit
    assert row is not None
    assert (row.output_error, row.order_bound) == (0.01, 1.0)
    shown = fit_table(report.layers).rows[0]
    assert shown[1:] == ("feedback", "10.0 dB", "20.0 dB", "25 %", "50 %", "50 %")
    assert any(table.title.startswith("Weights fitted") for table in report.tables())


@pytest.mark.parametrize("error", [None, 0.0])
def test_no_error_has_no_decibels(error: float | None) -> None:
    record = FitRecord("rounding", 0.5, error, error)
    program = small_program()
    steps = tuple(
        replace(step, fit=record) if isinstance(step, CrossbarStep) else step
        for step in program.steps
    )
    shown = fit_table(collect(replace(program, steps=steps)).layers).rows[0]
    assert shown[2:4] == ("-", "-")
