"""Allocate bits to every converter of a network, under a budget on the error of its outputs.

Histograms of each layer give the error that each setting group adds to its accumulators, for each
number of bits. One run of the network per layer measures how much of such an error reaches the
outputs. A multiple-choice knapsack then allocates bits for a series of limits. Every allocation is
executed, and the cheapest one that keeps the budget is refined and returned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from xbarc.calibration.converters import LayerObservation, observe_layer
from xbarc.calibration.expected_loss import FEWEST
from xbarc.calibration.folds import Folds, deal_folds, run_in_folds
from xbarc.calibration.refit import Fitting
from xbarc.calibration.scores import Scores, decibels
from xbarc.calibration.sensitivity import measured_errors
from xbarc.cost import adc_energy_pj, input_vectors
from xbarc.errors import MappingError
from xbarc.estimates import tell_search
from xbarc.executor import StepRunner, Values, Walk
from xbarc.ir import CrossbarStep, FrontPoint, Step
from xbarc.mapping import Picked, Table, pick, setting_table, settings_of
from xbarc.numerics import AnyArray, Float64Array, Int64Array
from xbarc.options import Budget, Effort
from xbarc.pipeline import Progress
from xbarc.target import Target

# Widest converters that are priced. What 10 bits of a range leave out lies 60 dB below it, far
# below the finest limit of the ladder.
_MOST_BITS = 10


@dataclass(frozen=True)
class _LimitSearch:
    """Allocations that are executed, each once over the calibration data.

    Attributes:
        uniform: bits everywhere; they are shown beside the allocations, and never chosen.
        ladder: limits on the SQNR of the output in dB, from no answer that turns to most of them.
        halvings: of the distance between the cheapest limit that keeps the budget and the next.
    """

    uniform: Sequence[int]
    ladder: Sequence[int]
    halvings: int


# From one limit to the next the error doubles; four halvings leave 0.2 dB of that. Low effort
# doubles it twice and leaves 1.5 dB: 10 executions for 23, at up to 1.5 dB more than was needed.
_SEARCH: Mapping[Effort, _LimitSearch] = {
    "low": _LimitSearch((4,), range(45, 8, -6), 2),
    "normal": _LimitSearch(range(2, 8), range(45, 8, -3), 4),
    "high": _LimitSearch(range(2, 8), range(45, 8, -3), 6),
}
# One run a layer where three bits are neither too coarse nor too fine, else two or three.
_GAIN_RUNS = 1.3
# A run that executes an allocation, in units of the first pass, which makes histograms too: .21 and
# .19 on `fashion-vgg` and `fashion-mlp`.
_RUN = 0.2
# A layer's harm is the answers that turn in one run with that layer coarse, so few that chance
# alone gives zero or twice as many. Layers of `fashion-vgg` range from .04 to .47, 3.4 times the
# usual harm either way: within the bound.
_MOST_HARM = 8.0
# Standard errors that must fit the budget too: one-sided 95 % of a normal distribution. Without
# them three nets of docs/explanation/adc-sizing.md lost .66 to .88 points of a budget of .5.
_SURE = 1.64


def keeps(budget: Budget, point: FrontPoint, exact: float | None) -> bool:
    """Whether a point keeps a budget; `exact` is top-1 of the lossless program.

    Of points, both by expectation, with `_SURE` standard errors on top, and by counting labels,
    with one standard error off: the samples are few of many that the program will meet.
    """
    if budget.sqnr_db is not None:
        return point.measured_db is None or point.measured_db >= budget.sqnr_db
    counted = (exact or 0.0) - (point.top1 or 0.0)
    lost = counted
    if point.expected_loss is not None:
        likely = point.expected_loss + _SURE * (point.expected_error or 0.0)
        lost = max(likely, counted - (point.top1_error or 0.0))
    # A loss of exactly the budget keeps it, whatever rounding says.
    return 100 * lost <= (budget.points or 0.0) + 1e-9


@dataclass(frozen=True, eq=False)
class _Layer:
    """What the knapsack knows of one crossbar layer.

    Attributes:
        place: number of the step.
        table: settings and errors.
        seen: what it met on the lossless program.
        errors: of the accumulators; axes: row block, group, slice or 1, bits.
        count: conversions of one inference; axes: row block, group, slice or 1.
        gain: error of the network's output for an error of one here.
        harm: what such an error of the output costs in top-1, against that of other layers.
    """

    place: int
    step: CrossbarStep
    table: Table
    seen: LayerObservation
    errors: Float64Array
    count: Float64Array
    gain: float = 0.0
    harm: float = 1.0


@dataclass(frozen=True, eq=False)
class _BudgetJob:
    """What all stages share."""

    steps: tuple[Step, ...]
    target: Target
    output: str
    batches: Sequence[Values]
    folds: Folds
    scores: Scores
    progress: Progress | None


def check_judge(budget: Budget, *, labelled: bool) -> None:
    """Refuse a budget in points without labels to count them by.

    Raises:
        MappingError: there are no labels.
    """
    if budget.points is not None and not labelled:
        hint = "put an array 'labels' into the calibration data, or give an SQNR such as 30dB"
        raise MappingError("points of top-1 need labels", where="--adc-budget", hint=hint)


def fit_budget(
    steps: Sequence[Step],
    target: Target,
    output: str,
    batches: Sequence[Values],
    labels: AnyArray | None,
    asked: tuple[Budget, Effort],
    progress: Progress | None = None,
) -> tuple[tuple[Step, ...], tuple[FrontPoint, ...]]:
    """Converter settings that keep a budget at the least energy that was found.

    Args:
        steps: of a program whose converters are lossless as far as the target's width allows.
        target: the chip.
        output: name of the output that is judged, one row of scores a sample for top-1.
        batches: values of the program's inputs.
        labels: class of each sample.
        asked: what may be lost, and how long may be searched.
        progress: called with a stage's name, its number and the count of stages.

    Returns:
        The steps, and all allocations that were executed.

    Raises:
        MappingError: labels are missing, or even the widest converters miss the budget.
    """
    budget, search = asked[0], _SEARCH[asked[1]]
    check_judge(budget, labelled=labels is not None)
    job = _BudgetJob(
        tuple(steps), target, output, batches, deal_folds(len(batches)), Scores(labels), progress
    )
    begin = perf_counter()
    layers = _layers(job)
    runs = _GAIN_RUNS * len(layers) + len(search.uniform) + len(search.ladder) + search.halvings
    passed = perf_counter() - begin
    tell_search("--adc-budget", _RUN * passed * runs, asked[1], "finds a dearer allocation")
    layers = _with_gains(job, layers, budget)
    uniform = [_execute(job, layers, _uniform(layers, bits), "uniform") for bits in search.uniform]
    found: list[Executed] = []
    for limit in search.ladder:
        found.append(_allocate(job, layers, float(limit), found))
    exact = job.scores.top1(job.scores.exact)
    best = _refine(job, layers, (budget, search), exact, found)
    bits, chosen = best
    changed = _fit_layers(job, _choice(layers, bits))
    points = [point for point, _ in uniform] + [point for point, _ in found]
    front = [replace(point, chosen=point is chosen) for point in points]
    return changed, tuple(sorted(front, key=lambda p: (p.kind, p.energy_pj)))


Bits = list[Int64Array]
Executed = tuple[FrontPoint, Bits]


def _layers(job: _BudgetJob) -> list[_Layer]:
    """Histograms and tables of all layers, on the lossless program; fills the exact scores."""
    values = [dict(batch) for batch in job.batches]
    runner, found, walk = StepRunner(), list[_Layer](), Walk(job.steps, keep=[job.output])
    most = min(_MOST_BITS, job.target.adc.max_bits)
    for number, step in enumerate(walk):
        _tell(job, f"histograms of {step.name}", number)
        if isinstance(step, CrossbarStep):
            seen = observe_layer(step, values)
            table = setting_table(step, job.target, seen.statistics, most)
            errors = measured_errors(step, table, seen.vectors)
            found.append(_Layer(number, step, table, seen, errors, _counts(step, table)))
        walk.run(runner, step, values)
        runner.forget(step)
    job.scores.exact.extend(_outputs(job, values))
    return found


def _counts(step: CrossbarStep, table: Table) -> Float64Array:
    """Conversions of one inference; axes: row block, group, slice or 1."""
    segments = np.bincount(step.tiling.segment_block, minlength=len(table.groups.size))
    each = (table.groups.size * segments[:, None]).astype(np.float64)
    slices = table.lo.shape[2]
    repeats = (input_vectors(step) or 1) * (step.input_slices if slices == 1 else 1)
    return np.repeat(each[..., None] * repeats, slices, axis=2)


def _with_gains(job: _BudgetJob, layers: list[_Layer], budget: Budget) -> list[_Layer]:
    """Gains, and under a budget of points how harmful each layer's errors are, 1 on the whole."""
    known = [_with_gain(job, layer) for layer in layers]
    harms = np.array([layer.harm for layer in known if layer.harm > 0])
    if budget.points is None or sum(map(len, job.scores.exact)) < FEWEST or not harms.size:
        return [replace(layer, harm=1.0) for layer in known]
    usual = float(np.exp(np.log(harms).mean()))
    return [
        replace(layer, harm=float(np.clip(layer.harm / usual, 1 / _MOST_HARM, _MOST_HARM)))
        for layer in known
    ]


def _with_gain(job: _BudgetJob, layer: _Layer) -> _Layer:
    """Run the network with this layer alone made coarse."""
    _tell(job, f"sensitivity of {layer.step.name}", layer.place)
    signal = job.scores.power
    gain = harm = 0.0
    # Coarse enough to be seen and fine enough to add up: where the error at the outputs is not
    # between a hundred-thousandth and a tenth of the signal, another width is tried.
    for bits in (3, 5, 2):
        chosen = np.full(layer.errors.shape[:3], min(bits, layer.errors.shape[3] - 1))
        predicted = _error(layer, chosen)
        if predicted <= 0:
            continue
        outputs = _judge(job, {layer.place: (layer, chosen)})
        gain = job.scores.difference(outputs) / predicted
        lost = job.scores.expected_loss(outputs) or 0.0
        harm = lost / (gain * predicted) if gain > 0 else 0.0
        if signal * 1e-5 <= gain * predicted <= signal * 0.1:
            break
    return replace(layer, gain=gain, harm=harm)


def _error(layer: _Layer, bits: Int64Array) -> float:
    return float(np.take_along_axis(layer.errors, bits[..., None], axis=3).sum())


def _choice(layers: list[_Layer], bits: Bits) -> dict[int, tuple[_Layer, Int64Array]]:
    return {layer.place: (layer, part) for layer, part in zip(layers, bits, strict=True)}


def _fit_layers(job: _BudgetJob, chosen: dict[int, tuple[_Layer, Int64Array]]) -> tuple[Step, ...]:
    """The network with bits for some layers, each fitted to those before it on all samples."""
    values = [dict(batch) for batch in job.batches]
    runner, steps, walk = StepRunner(), list[Step](), Walk(job.steps)
    for number, step in enumerate(walk):
        changed = step
        if number in chosen:
            # Behind coarse layers, so that each compensates what those before it lose.
            changed = _make_fitting(chosen[number], values).fit_step()
        walk.run(runner, changed, values)
        runner.forget(step)
        steps.append(changed)
    return tuple(steps)


def _judge(job: _BudgetJob, chosen: dict[int, tuple[_Layer, Int64Array]]) -> list[AnyArray]:
    """Outputs of that network, each sample through numbers that were fitted without it."""
    values = [dict(batch) for batch in job.batches]
    runner, walk = StepRunner(), Walk(job.steps, keep=[job.output])
    for number, step in enumerate(walk):
        if number not in chosen:
            walk.run(runner, step, values)
            runner.forget(step)
            continue
        fit = _make_fitting(chosen[number], values)
        run_in_folds(fit, chosen[number][0].seen.origin, job.folds, values)
        for batch in values:
            walk.forget(batch)
    return _outputs(job, values)


def _make_fitting(chosen: tuple[_Layer, Int64Array], values: Sequence[Values]) -> Fitting:
    layer, bits = chosen
    settings = settings_of(layer.step, layer.table, bits, "budget")
    return layer.seen.make_fitting(replace(layer.step, adc=settings), values)


def _outputs(job: _BudgetJob, values: Sequence[Values]) -> list[AnyArray]:
    return [np.asarray(batch[job.output], dtype=np.float64) for batch in values]


def _uniform(layers: list[_Layer], bits: int) -> Bits:
    """The same bits for all, less where the data needs less."""
    chosen = []
    for layer in layers:
        free = layer.errors <= 0
        # So that `argmax` finds the widest where no width is without error.
        free[..., -1] = True
        chosen.append(np.minimum(free.argmax(axis=3), bits))
    return chosen


def _execute(
    job: _BudgetJob, layers: list[_Layer], bits: Bits, kind: str, predicted: float | None = None
) -> Executed:
    """Execute an allocation and book what it costs."""
    _tell(job, f"{kind} bits", len(job.steps))
    outputs = _judge(job, _choice(layers, bits))
    counts = np.concatenate([layer.count.reshape(-1) for layer in layers])
    widths = np.concatenate([part.reshape(-1) for part in bits])
    total = max(1.0, float(counts.sum()))
    energy = [adc_energy_pj(b, job.target.costs.adc) for b in widths.tolist()]
    point = FrontPoint(
        kind=kind,
        bits=float((counts * widths).sum() / total),
        levels=float((counts * np.where(widths > 0, np.exp2(widths), 0)).sum() / total),
        energy_pj=float((counts * np.array(energy)).sum()),
        predicted_db=predicted,
        measured_db=job.scores.decibels(outputs),
        top1=job.scores.top1(outputs),
        top1_error=job.scores.spread(outputs),
        expected_loss=job.scores.expected_loss(outputs),
        judged=sum(map(len, outputs)),
        parts=job.folds.count,
        expected_error=job.scores.expected_error(outputs),
    )
    return point, bits


def _allocate(
    job: _BudgetJob, layers: list[_Layer], limit: float, before: Sequence[Executed]
) -> Executed:
    """The cheapest bits whose predicted error, weighed by its harm, keeps an SQNR, executed.

    The model adds errors up as if they were independent; by how much it was wrong at the nearest
    point that was executed before, it is taken to be wrong again.
    """
    signal = job.scores.power
    wrong = _bias(limit, before)
    picked, bits = _pick(job, layers, signal / 10 ** ((limit + wrong) / 10))
    model = decibels(signal, _predict_error(layers, bits))
    predicted = None if model is None else model - wrong
    point, bits = _execute(job, layers, bits, "allocated", predicted)
    solved = replace(point, model_db=model, bound_pj=picked.bound, solver_s=picked.seconds)
    return solved, bits


def _predict_error(layers: list[_Layer], bits: Bits) -> float:
    """Error of the network's output by the model."""
    return sum(item.gain * _error(item, part) for item, part in zip(layers, bits, strict=True))


def _bias(limit: float, before: Sequence[Executed]) -> float:
    """How many dB too good the model was at the point nearest to an SQNR."""
    known = [
        (abs(point.measured_db - limit), point.model_db - point.measured_db)
        for point, _ in before
        if point.measured_db is not None and point.model_db is not None
    ]
    return min(known)[1] if known else 0.0


def _pick(job: _BudgetJob, layers: list[_Layer], limit: float) -> tuple[Picked, Bits]:
    options = layers[0].errors.shape[3]
    energy = [adc_energy_pj(b, job.target.costs.adc) for b in range(options)]
    costs = np.concatenate([np.outer(item.count.reshape(-1), energy) for item in layers])
    errors = np.concatenate(
        [item.harm * item.gain * item.errors.reshape(-1, options) for item in layers]
    )
    picked = pick(costs, errors, limit)
    ends = np.cumsum([0] + [item.count.size for item in layers])
    return picked, [
        picked.choice[a:b].reshape(item.count.shape)
        for item, a, b in zip(layers, ends[:-1], ends[1:], strict=True)
    ]


def _refine(
    job: _BudgetJob,
    layers: list[_Layer],
    asked: tuple[Budget, _LimitSearch],
    exact: float | None,
    found: list[Executed],
) -> tuple[Bits, FrontPoint]:
    """The cheapest point that keeps the budget, and some more between it and the next cheaper."""
    budget, search = asked
    kept = [item for item in found if keeps(budget, item[0], exact)]
    if not kept:
        hint = "a larger budget, or wider converters"
        raise MappingError(
            "no allocation of bits keeps the budget", where="--adc-budget", hint=hint
        )
    best = min(kept, key=lambda item: item[0].energy_pj)
    top = float(search.ladder[found.index(best)])
    # The next cheaper limit was executed, and misses the budget.
    low = top + search.ladder[1] - search.ladder[0]
    for _ in range(search.halvings):
        middle = (low + top) / 2
        tried = _allocate(job, layers, middle, found)
        found.append(tried)
        if keeps(budget, tried[0], exact):
            top = middle
            best = tried if tried[0].energy_pj < best[0].energy_pj else best
        else:
            low = middle
    return best[1], best[0]


def _tell(job: _BudgetJob, what: str, number: int) -> None:
    if job.progress is not None:
        job.progress(what, min(number, len(job.steps) - 1), len(job.steps))
