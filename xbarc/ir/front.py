"""What choices over a whole network cost: points of a front, the one chosen among them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SolverRun:
    """What a solver found, and what it proved.

    Attributes:
        stage: what it was asked for.
        objective: of what was found.
        bound: nothing that is allowed has less.
        unit: of both.
        seconds: deterministic time, the same on every machine.
        compared: objective without the solver, by a rule that is optimal in simpler cases.
    """

    stage: str
    objective: float
    bound: float
    unit: str
    seconds: float
    compared: float | None = None


@dataclass(frozen=True)
class FrontPoint:
    """One allocation of bits over a network, executed on the calibration data.

    Attributes:
        kind: `uniform`: the same bits everywhere; `allocated`: chosen for each setting group.
        bits: mean over conversions.
        levels: mean of `2**bits` over conversions; 0 bits count nothing.
        energy_pj: of all conversions of one inference, by the target's converter.
        predicted_db: SQNR of the output against lossless converters, by the additive model; None
            where no model was asked.
        measured_db: the same, executed; None where the outputs are equal.
        top1: share of labels met, None without labels.
        top1_error: standard error of the difference to lossless converters, from the samples that
            turned right or wrong.
        model_db: the additive model's SQNR before it was corrected by points executed earlier.
        chosen: whether the program has these settings.
        expected_loss: top-1 lost by expectation, 0 to 1, from how likely the exact scores make the
            classes of samples whose answer changed; None without labels.
        expected_error: standard error of `expected_loss`: other samples of the same kind would have
            given another one.
        bound_pj: no allocation that keeps the point's limit by the model costs less, as the solver
            proved; None where no solver was asked.
        solver_s: deterministic seconds of the solver.
        judged: samples that all but `predicted_db` come from; None where it was not recorded.
        parts: in how many parts they were cut, each judged by numbers fitted to the others; in one
            part they judged what was fitted to them.
    """

    kind: str
    bits: float
    levels: float
    energy_pj: float
    predicted_db: float | None
    measured_db: float | None
    top1: float | None
    top1_error: float | None = None
    model_db: float | None = None
    chosen: bool = False
    expected_loss: float | None = None
    bound_pj: float | None = None
    solver_s: float | None = None
    judged: int | None = None
    parts: int = 1
    expected_error: float | None = None


@dataclass(frozen=True)
class RowsPoint:
    """One choice of wordlines driven at a time, for every layer; all give the same results.

    Attributes:
        kind: which choice it is.
        bits: sum of the bits of all conversions of an inference.
        levels: sum of `2**bits`.
        adc_pj: of all conversions, by the target's converter.
        energy_pj: of all that crossbar layers do; what only waits is left out.
        time_ns: that arrays work, one layer after another.
        buildable: whether the target's converter has the bits.
        bound_pj: no choice within this time costs less, as the solver proved.
        chosen: whether the program has these rows.
    """

    kind: str
    bits: float
    levels: float
    adc_pj: float
    energy_pj: float
    time_ns: float
    buildable: bool
    bound_pj: float | None = None
    chosen: bool = False
