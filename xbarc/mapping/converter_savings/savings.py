"""Savings that make column sums small, so that lossless converters need few bits.

None changes a result: a lossless program gives the same bits with and without them. The option
`--adc-savings` names them:

    recode      signed digits of the slices of a differential pair are chosen together
    centre      each output's weights are moved by a number that a digital input sum puts back
    distribute  inputs go to the row blocks in the order that needs fewest bits
    group       columns of similar width share a converter
    rows        fewer wordlines at a time where that is worth the cycles; see `active_rows`
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xbarc.ir import CrossbarStep, SolverRun
from xbarc.mapping.converter_savings.centring import centres
from xbarc.mapping.converter_savings.dealing import deal_rows
from xbarc.mapping.converter_savings.grouping import order_columns
from xbarc.mapping.converters import WidthCosts
from xbarc.mapping.encodings import encoding_of
from xbarc.mapping.job import Job
from xbarc.mapping.recoding import MANY_WEIGHTS, Recoded, Spelling, layer_start
from xbarc.mapping.tiling import segment_bounds
from xbarc.options import AUTO, AdcSaving, ColumnRule, ColumnShares, Effort, MapOptions
from xbarc.target import Target

_NO_LIMIT = 1 << 62  # weights: more than any layer has
# Digits are kept as int8, with a sign.
_WIDEST_DIGIT = 7


def idle_savings(options: MapOptions, target: Target) -> tuple[AdcSaving, ...]:
    """Savings that change nothing on any layer: they act on pairs of columns."""
    paired = options.encoding == AUTO or encoding_of(options).is_paired()
    if paired and target.cell.bits <= _WIDEST_DIGIT:
        return ()
    return tuple(name for name in options.adc_savings if name in ("recode", "centre", "distribute"))


def held_above(effort: Effort) -> int:
    """Weights of a layer above which work on each is held down, so that time follows size."""
    return {"low": 0, "high": _NO_LIMIT}.get(effort, MANY_WEIGHTS)


def apply_to_weights(
    job: Job,
    target: Target,
    adc_savings: tuple[AdcSaving, ...],
    law: WidthCosts,
    effort: Effort = "normal",
) -> Job:
    """Apply the savings that act on weights; those that do not suit the encoding do nothing.

    Args:
        job: the layer as it would be mapped without savings.
        target: the chip.
        adc_savings: which to apply.
        law: the costs that they lower.
        effort: how long may be searched.
    """
    held = job.weights.size > held_above(effort)
    encodings = [part.encoding for part in job.cut.parts]
    paired = all(encoding.is_paired() for encoding in encodings)
    if not paired or target.cell.bits > _WIDEST_DIGIT or not job.weights.size:
        return job
    joined = encodings[0].adjacent() > 1  # halves are subtracted before the converter
    # One row block leaves nothing to distribute.
    if "distribute" in adc_savings and job.weights.shape[1] > target.array.rows:
        active = target.array.active_rows
        order = deal_rows(job.weights, job.bounds, active, target.cell.bits, law, held=held)
        before = order if job.row_input is None else job.row_input[order]
        job = replace(job, weights=job.weights[:, order], row_input=before)
    if "centre" in adc_savings:
        job = _subtract_centres(job, target, law, joined=joined, effort=effort)
    if "recode" in adc_savings and job.slices > 1:
        job = _choose_digits(job, target, law, joined=joined, held=held)
    return job


def _choose_digits(job: Job, target: Target, law: WidthCosts, *, joined: bool, held: bool) -> Job:
    """The layer in digits that are chosen once its cells are made."""
    top, active = (1 << target.input.dac_bits) - 1, target.array.active_rows
    # Cells of a large layer are made in pieces; all pieces must begin with the same prices, or the
    # result would depend on the size of a buffer.
    begin: tuple[tuple[int, ...], ...] = ()
    if held:
        how = Spelling(job.slices, target.cell.bits, top, joined, law.cost)
        begin = layer_start(job.weights, segment_bounds(job.bounds, active), how)
    recoded = Recoded(job.encoding, active, top, joined, held, law.cost, begin)
    parts = tuple(replace(part, encoding=recoded) for part in job.cut.parts)
    return replace(job, encoding=recoded, cut=replace(job.cut, parts=parts))


def _subtract_centres(
    job: Job, target: Target, law: WidthCosts, *, joined: bool, effort: Effort
) -> Job:
    """Subtract a number from the weights of each output; the periphery adds it back."""
    quick = effort == "low"
    off = centres(job.weights, job.bounds, job.slices, target, law, joined=joined, quick=quick)
    if not off.any():
        return job
    weights = job.weights - off[:, None].astype(np.int32)
    centre = np.zeros((off.shape[0], 1, off.shape[1]), dtype=np.int64)
    centre[:, 0, job.places.order] = (off * job.places.signs) << job.shift
    return replace(job, weights=weights, centre=centre + (0 if job.centre is None else job.centre))


def apply_to_columns(
    step: CrossbarStep,
    target: Target,
    adc_savings: tuple[AdcSaving, ...],
    rule: ColumnRule,
    law: WidthCosts,
    shares: ColumnShares,
) -> tuple[CrossbarStep, tuple[SolverRun, ...]]:
    """The layer with its columns in the order that suits its converters, and how it was found."""
    if "group" not in adc_savings and shares == "width":
        return step, ()
    found = order_columns(step, target, rule, law, shares)
    if found.order is None:
        return step, found.solved
    return replace(step, tiling=replace(step.tiling, column_order=found.order)), found.solved
