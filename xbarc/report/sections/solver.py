"""What solvers found for a program, and what they proved."""

from __future__ import annotations

from typing import Literal

from xbarc.ir import CrossbarStep
from xbarc.report.section import Section, Subject
from xbarc.rows import Row, fact, number, seconds, shows

# A relative gap below this is rounding of the solver's float64 bound, not an open question.
_TINY = 1e-9


def _known(value: float | None) -> str:
    return "" if value is None else number(value)


class SolverRow(Row, title="Solver"):
    """One stage of mapping that a solver, or a search with a bound, decided."""

    stage: str = fact("what was asked for", head="stage")
    layer: str = fact("name of the layer, or all layers", head="layer")
    objective: float = fact("of what was found, in `unit`", head="objective>")
    bound: float | None = fact(
        "nothing that is allowed has less, in `unit`; null where none is known",
        head="bound>",
        text=_known,
    )
    gap: float | None = fact(
        "share of the objective above the bound, 0 to 1",
        head="gap>",
        text="{:.2%}",
    )
    status: Literal["optimal", "feasible"] = fact(
        "optimal: the bound is met; feasible: time was up before, or none is known", head="status"
    )
    compared: float | None = fact(
        "objective without the solver, in `unit`; null where there is no such rule",
        head="without>",
        text=_known,
    )
    unit: str = fact("of objective and bound", head="unit")
    deterministic_us: float | None = fact(
        "deterministic time of the solver, the same on every machine, us; null where "
        "a count of operations is the limit",
        head="deterministic s>",
        text=seconds,
    )


def solver_rows(subject: Subject) -> tuple[SolverRow, ...]:
    """Every layer's, then those of the whole network."""
    program = subject.program
    layers = [row for step in program.crossbar_steps for row in _layer_rows(step)]
    bits = [
        _row("converter bits", "all layers", point.energy_pj, point.bound_pj, "pJ", point.solver_s)
        for point in program.front
        # Points of the front that nobody chose were solved as well; their proofs interest no one.
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
        # By the gap, whatever the solver called its answer: a search that meets its bound proved as
        # much.
        status="optimal" if gap is not None and gap <= _TINY else "feasible",
        compared=compared,
        unit=unit,
        deterministic_us=None if seconds is None else 1e6 * seconds,
    )


def _gap(objective: float, bound: float) -> float:
    # The bound of a sum is added up in another order than the sum, and may round to above it.
    return max(0.0, 1.0 - bound / objective) if objective > 0 else 0.0


_COLUMNS = "stage layer objective compared bound gap status unit deterministic_us"
SOLVER = Section(solver_rows, shows(SolverRow, _COLUMNS))
