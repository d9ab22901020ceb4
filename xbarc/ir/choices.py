"""Why a layer has its integers and its encoding, for people."""

from __future__ import annotations

from math import log10
from typing import Literal

from xbarc.rows import Picojoule, Row, SquareMicrometre, fact, number


def _decibels(error: float | None) -> str:
    return "-" if not error else f"{-10 * log10(error):.1f} dB"


def _share(part: float | None, whole: float | None) -> str:
    return "-" if part is None or not whole else f"{100 * part / whole:.0f} %"


class FitRecord(Row, form="FitRow", title="Weights fitted, on held-back samples"):
    """How a layer's integers were chosen."""

    method: Literal["rounding", "feedback"] = fact(
        "plain rounding, or error feedback", head="integers by"
    )
    weight_error: float | None = fact(
        "root mean square error of the weights over that of the weights, 0 to 1 and beyond; null "
        "where nothing was fitted",
        default=None,
    )
    plain_error: float | None = fact(
        "squared error of the products over their variance with plain rounding, on held-back "
        "calibration samples, 0 to 1; null without data",
        default=None,
        head="SQNR rounded>",
        text=_decibels,
    )
    output_error: float | None = fact(
        "the same with the integers taken, 0 to 1; null without data",
        default=None,
        head="SQNR as set>",
        text=_decibels,
    )
    order_cost: float | None = fact(
        "cost of the order and signs of a chain of columns, in the `unit` of its criterion; null "
        "where outputs share no columns",
        default=None,
        head="order cost of natural>",
        of=lambda fit: _share(fit.order_cost, fit.natural_cost),
    )
    greedy_cost: float | None = fact(
        "the same, chosen greedily, in that `unit`",
        default=None,
        head="of greedy>",
        of=lambda fit: _share(fit.order_cost, fit.greedy_cost),
    )
    natural_cost: float | None = fact("the same, as outputs come, in that `unit`", default=None)
    order_bound: float | None = fact(
        "what no order can be below, in that `unit`; null where none is known",
        default=None,
        head="bound of cost>",
        of=lambda fit: _share(fit.order_bound, fit.order_cost),
    )


def _known(value: float | None) -> str:
    return "-" if value is None else number(value)


class Candidate(Row, form="CandidateRow", title="Candidates, cheapest first by area times energy"):
    """An encoding that was tried for a layer."""

    encoding: str = fact("name of the encoding", head="candidate")
    error: float | None = fact(
        "by `measure`, a share 0 to 1; null where it does not fit",
        default=None,
        head="error>",
        text=lambda error: "-" if error is None else f"{error:.3g}",
    )
    area_um2: SquareMicrometre | None = fact(
        "of the layer by itself, in the part of macros and tiles that it fills, {unit}",
        default=None,
        head="area mm2>",
        text=_known,
    )
    energy_pj: Picojoule | None = fact(
        "of the layer by itself, {unit} an inference; an input vector where positions are not "
        "known",
        default=None,
        head="energy uJ>",
        text=_known,
    )
    problem: str = fact("why it does not fit; empty where it does", default="", head="does not fit")


class ChoiceRecord(Row, form="ChoiceRow"):
    """Why a layer has its encoding, with `--encoding auto`."""

    measure: Literal["output", "weight", "none"] = fact(
        "output: squared error of the products over their variance, on held-back calibration "
        "samples; weight: squared error of the weights over their energy; none: all hold the same "
        "integers"
    )
    budget: float = fact("error that a cheaper encoding may cost, 0 to 1")
    reason: str = fact("why this one")
    candidates: tuple[Candidate, ...] = fact(
        "cheapest first, by area times energy; those that do not fit come last"
    )
