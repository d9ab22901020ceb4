"""What solvers found for a program, and what they proved."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from xbarc.ir.program import CrossbarStep, Program
from xbarc.report.row import Row
from xbarc.rows.format import number
from xbarc.rows.table import TableData

_TINY = 1e-9


class SolverRow(Row):
    """One stage of mapping that a solver, or a search with a bound, decided."""

    stage: str = Field(description="what was asked for")
    layer: str = Field(description="name of the layer, or all layers")
    objective: float = Field(description="of what was found, in `unit`")
    bound: float | None = Field(
        description="nothing that is allowed has less, in `unit`; null where none is known"
    )
    gap: float | None = Field(description="share of the objective above the bound, 0 to 1")
    status: Literal["optimal", "feasible"] = Field(
        description="optimal: the bound is met; feasible: time was up before, or none is known"
    )
    compared: float | None = Field(
        description="objective without the solver, in `unit`; null where there is no such rule"
    )
    unit: str = Field(description="of objective and bound")
    deterministic_us: float | None = Field(
        description="deterministic time of the solver, the same on every machine, us; null where "
        "a count of operations is the limit"
    )


def solver_rows(program: Program) -> tuple[SolverRow, ...]:
    """Every layer's, then those of the whole network."""
    layers = [row for step in program.crossbar_steps for row in _layer_rows(step)]
    bits = [
        _row("converter bits", "all layers", point.energy_pj, point.bound_pj, "pJ", point.solver_s)
        for point in program.front
        if point.chosen and point.bound_pj is not None
    ]
    return (*layers, *bits)


def _layer_rows(step: CrossbarStep) -> list[SolverRow]:
    rows = [
        _row(run.stage, step.name, run.objective, run.bound, run.unit, run.seconds, run.compared)
        for run in step.adc.solved
    ]
    fit = step.fit
    if fit is not None and fit.order_cost is not None:
        cost, greedy = fit.order_cost, fit.greedy_cost
        rows.append(
            _row("chain order", step.name, cost, fit.order_bound, "criterion", None, greedy)
        )
    return rows


def _row(
    stage: str,
    layer: str,
    objective: float,
    bound: float | None,
    unit: str,
    seconds: float | None,
    compared: float | None = None,
) -> SolverRow:
    gap = None if bound is None else _gap(objective, bound)
    return SolverRow(
        stage=stage,
        layer=layer,
        objective=objective,
        bound=bound,
        gap=gap,
        status="optimal" if gap is not None and gap <= _TINY else "feasible",
        compared=compared,
        unit=unit,
        deterministic_us=None if seconds is None else 1e6 * seconds,
    )


def _gap(objective: float, bound: float) -> float:
    return max(0.0, 1.0 - bound / objective) if objective > 0 else 0.0


def solver_table(rows: tuple[SolverRow, ...]) -> TableData:
    """Objective, bound and gap of every stage."""
    cells = tuple(
        (
            row.stage,
            row.layer,
            number(row.objective),
            "" if row.compared is None else number(row.compared),
            "" if row.bound is None else number(row.bound),
            "" if row.gap is None else f"{100 * row.gap:.2f} %",
            row.status,
            row.unit,
            "" if row.deterministic_us is None else f"{row.deterministic_us / 1e6:.2f}",
        )
        for row in rows
    )
    what = ("stage", "layer", "objective>", "without>", "bound>", "gap>", "status", "unit")
    return TableData("Solver", (*what, "deterministic s>"), cells)
