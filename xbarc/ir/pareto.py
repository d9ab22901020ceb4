"""What choices over a whole network cost: points of a front, the one chosen among them."""

from __future__ import annotations

from dataclasses import dataclass

from xbarc.rows import Decibel, Nanosecond, Picojoule, Row, Second, fact


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


def _show_expected(point: FrontPoint) -> str:
    """Points lost by expectation, and their standard error."""
    if point.expected_loss is None:
        return ""
    error = "" if point.expected_error is None else f" +- {100 * point.expected_error:.2f}"
    return f"{100 * point.expected_loss:.2f}{error}"


def _gap(point: FrontPoint) -> str:
    """Between what was found and what the solver proved to be the least."""
    if point.bound_pj is None or point.energy_pj <= 0:
        return ""
    return f"{100 * max(0.0, 1 - point.bound_pj / point.energy_pj):.2f} %"


class FrontPoint(Row, form="FrontRow", title="Converter bits: energy against error"):
    """An allocation of converter bits that was executed on calibration data."""

    kind: str = fact(
        "uniform bits, or allocated ones",
        head="bits",
        of=lambda point: "chosen" if point.chosen else point.kind,
    )
    bits: float = fact(
        "mean over readings, bits; 0 where no conversion is made",
        name="mean_bits",
        head="mean b>",
        text="{:.2f}",
    )
    levels: float = fact(
        "mean of 2**bits over readings; 0 where no conversion is made",
        name="mean_levels",
        head="mean 2^b>",
        text="{:.1f}",
    )
    energy_pj: Picojoule = fact(
        "all conversions, by the target's converter, {unit}", head="energy uJ>"
    )
    predicted_db: Decibel | None = fact("SQNR of the output by the model, dB", head="predicted dB>")
    measured_db: Decibel | None = fact("SQNR of the output, executed, dB", head="measured dB>")
    top1: float | None = fact("share of labels met, 0 to 1", head="top-1>", text="{:.2%}")
    top1_error: float | None = fact(
        "standard error of the change in `top1`, from samples that changed",
        default=None,
        head="+- points>",
        text=lambda error: "" if error is None else f"{100 * error:.2f}",
    )
    model_db: float | None = fact(
        "`predicted_db` before it was corrected by points executed earlier, dB",
        default=None,
        inside=True,
    )
    expected_loss: float | None = fact(
        "top-1 lost by expectation, 0 to 1: what a budget in points is held to",
        default=None,
        head="expected loss>",
        of=_show_expected,
    )
    expected_error: float | None = fact(
        "standard error of `expected_loss`, 0 to 1; a budget has room for 1.64 of them",
        default=None,
    )
    bound_pj: Picojoule | None = fact(
        "least energy of any bits that keep the limit by the model, proven, {unit}",
        default=None,
        head="solver gap>",
        of=_gap,
    )
    solver_s: Second | None = fact(
        "deterministic time of the solver, {unit}", default=None, head="solver s>"
    )
    chosen: bool = fact("whether the program has these bits", default=False)
    judged: int | None = fact("samples that measured it, count", default=None)
    parts: int = fact(
        "parts of the samples, each judged by what was fitted to the others, count", default=1
    )


class RowsPoint(Row, form="RowsRow", title="Rows at a time: energy against cycles"):
    """A choice of wordlines driven at a time for every layer; all give the same results."""

    kind: str = fact(
        "the same rows in every layer, least by one law, or within a time; times are of `us`",
        head="rows",
        of=lambda point: f"{point.kind} (chosen)" if point.chosen else point.kind,
    )
    bits: float = fact("sum over the conversions of an inference, bits", head="sum b>")
    levels: float = fact("sum of 2**bits over the conversions of an inference", head="sum 2^b>")
    adc_pj: Picojoule = fact(
        "all conversions, by the target's converter, {unit}", head="converters uJ>"
    )
    energy_pj: Picojoule = fact(
        "all that crossbar layers do, {unit}; what only waits is left out", head="energy uJ>"
    )
    time_ns: Nanosecond = fact(
        "that arrays work, one layer after another, {unit}", head="arrays us>"
    )
    buildable: bool = fact(
        "whether the target's converter has the bits",
        head="",
        text=lambda buildable: "" if buildable else "converter too narrow",
    )
    bound_pj: Picojoule | None = fact(
        "no choice within this time costs less, as the solver proved, {unit}; null where it was "
        "not asked or nothing is so fast",
        default=None,
    )
    chosen: bool = fact("whether the program has these rows", default=False)
