"""`--encoding auto`: the cheapest encoding of each layer that keeps an error budget.

A layer's statistics are gathered once and serve all candidates. Each is fitted and mapped as if the
user had named it, so its error and its price are those that the report gives; what is not chosen
leaves no trace but its line in the record. Layers are chosen in execution order, each on the inputs
that the layers before it give as they were chosen: an error budget of the whole network would have
to be shared out beforehand, and errors of layers do not add up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from xbarc.cost import Price, layer_price
from xbarc.errors import MappingError
from xbarc.ir import Candidate, ChoiceRecord, CrossbarStep, FitRecord, MatrixLayer, SecondMoments
from xbarc.mapping import ArrayPool, Fitted, find_encoding, fit_layer, map_layer
from xbarc.options import MapOptions
from xbarc.target import Target

CANDIDATES = (
    "differential",
    "segmented:4",
    "acm",
    "bias-column",
    "unipolar",
    "offset",
    "twos-complement",
)
"""In this order where prices are equal."""

Moments = tuple[SecondMoments, SecondMoments] | None


@dataclass(frozen=True, eq=False)
class _Tried:
    """A candidate that fits, and the pool as it is after it."""

    step: CrossbarStep
    pool: ArrayPool
    error: float
    price: Price

    @property
    def rank(self) -> tuple[float, int]:
        """Area times energy; cells where the target prices nothing."""
        return (self.price.product, self.step.cells.count)


def candidates(target: Target, slices: int | None) -> tuple[str, ...]:
    """Encodings that make sense: with few cells per weight, some have no levels left.

    Args:
        target: gives the bits of a cell.
        slices: cells of one sign that a weight has; None where it has as many as it needs.
    """
    if slices is None:
        return CANDIDATES
    bits = target.cell.bits
    return tuple(name for name in CANDIDATES if find_encoding(name).reach(bits, slices)[1] > 0)


def choose_encoding(
    layer: MatrixLayer,
    plain: MatrixLayer,
    moments: Moments,
    target: Target,
    options: MapOptions,
    pool: ArrayPool,
) -> CrossbarStep:
    """Map a layer with the encoding that suits it.

    Args:
        layer: with the model's own weights; the input's range is chosen.
        plain: the same with plainly rounded integer weights.
        moments: as `fit_layer` takes them.
        target: the chip.
        options: the choices of mapping; the encoding in them does not count.
        pool: hands out physical arrays.

    Raises:
        MappingError: no candidate fits; the message is that of the first.
    """
    names = candidates(target, options.weight_slices)
    shared = None
    if options.weight_slices is None:  # the integers do not depend on the encoding
        shared = fit_layer(layer, target, options.changed(encoding=names[0]), plain, moments)
    tried: list[_Tried] = []
    problems: dict[str, MappingError] = {}
    for name in names:
        own = options.changed(encoding=name)
        try:
            fitted = shared or fit_layer(layer, target, own, plain, moments)
            # A copy: what is not chosen must not take arrays.
            tried.append(_try(fitted, target, own, pool.copy()))
        except MappingError as error:
            problems[name] = error
    if not tried:
        raise problems[names[0]]
    # Stable, so that the order of `CANDIDATES` decides between equal prices.
    tried.sort(key=lambda one: one.rank)
    best, reason = _best(tried, options.encoding_budget)
    pool.adopt(best.pool)
    record = _record(tried, problems, options.encoding_budget, reason)
    return replace(best.step, choice=record)


def _try(fitted: Fitted, target: Target, options: MapOptions, pool: ArrayPool) -> _Tried:
    where = (target, options, pool)
    step = map_layer(fitted.layer, *where, fitted.arrangement, fitted.record)
    return _Tried(step, pool, _error(fitted.record), layer_price(step, target))


def _error(record: FitRecord) -> float:
    """Relative squared error of the products, or of the weights where no data says more."""
    if record.output_error is not None:
        return record.output_error
    return 0.0 if record.weight_error is None else record.weight_error**2


def _best(tried: list[_Tried], budget: float) -> tuple[_Tried, str]:
    """The first of those sorted by price that keeps the budget, or the one of least error."""
    errors = {one.error for one in tried}
    if len(errors) == 1:
        return tried[0], "all give the same error; the cheapest"
    good = [one for one in tried if one.error <= budget]
    if good:
        return good[0], f"the cheapest of {len(good)} within the budget"
    return min(tried, key=lambda one: one.error), "none keeps the budget; the least error"


def _record(
    tried: list[_Tried], problems: dict[str, MappingError], budget: float, reason: str
) -> ChoiceRecord:
    found = [
        Candidate(one.step.encoding, one.error, one.price.area_um2, one.price.energy_pj)
        for one in tried
    ]
    failed = [Candidate(name, problem=str(error)) for name, error in problems.items()]
    fit = tried[0].step.fit
    measure = "none"
    if fit is not None and fit.output_error is not None:
        measure = "output"
    elif fit is not None and fit.weight_error is not None:
        measure = "weight"
    return ChoiceRecord(measure, budget, reason, (*found, *failed))  # type: ignore[arg-type]
