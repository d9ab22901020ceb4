"""Compile layers that are read by comparisons, with thresholds from calibration data.

The unsplit network runs beside the compiled prefix on the same data. Thresholds of a split layer
are chosen so that its bits on the inputs from the compiled prefix equal those of the unsplit
network, as far as possible. So errors of earlier layers are compensated too.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from xbarc.errors import MappingError
from xbarc.executor import PlainLayer, StepRunner, Values, Walk
from xbarc.frontend import read_classifier, with_classifier, with_features
from xbarc.instruments import comparison_sums, pooled_bits, sum_shift
from xbarc.ir import (
    BinaryInput,
    CrossbarStep,
    DigitalFragment,
    FloatResult,
    Layer,
    MatrixLayer,
    Network,
    SignResult,
    Step,
)
from xbarc.mapping import (
    ArrayPool,
    Refit,
    SplitSums,
    ThresholdFit,
    can_be_fitted,
    fit_counts,
    fit_thresholds,
    map_senses,
    mean_start,
    refit_classifier,
    with_counts,
    with_thresholds,
)
from xbarc.numerics import AnyArray, Float64Array, IntArray
from xbarc.options import SenseOptions
from xbarc.passes import widen_binary
from xbarc.runtime import OnnxSession
from xbarc.target import Target

_SUMS = 1 << 25
"""Sums that are kept of one layer, 64 MiB; windows beyond that are left out at random."""


@dataclass(eq=False)
class SenseWalk:
    """The layers of one network on sense amplifiers.

    Attributes:
        network: what is compiled.
        walk: over its layers.
        target, options: what to compile for.
        clean: values of the unsplit network, a dictionary a batch; None as long as they are those
            of the compiled prefix.
        fits: thresholds that were found, by layer name.
        refit: the classifier's new weights; None where it stayed as it is.
    """

    network: Network
    walk: Walk[Layer]
    target: Target
    options: SenseOptions
    clean: list[Values] | None = None
    fits: dict[str, ThresholdFit] = field(default_factory=dict)
    refit: Refit | None = None
    _runner: StepRunner = field(default_factory=StepRunner)

    def crossbar(self, layer: MatrixLayer, batches: list[Values], pool: ArrayPool) -> CrossbarStep:
        """A layer, with thresholds from data where there is data and a choice.

        Raises:
            MappingError: the layer cannot be split within the target.
        """
        step = map_senses(layer, self.target, self.options, pool)
        if not batches or not can_be_fitted(step):
            self._advance_clean(layer)
            return step
        if self.clean is None:
            # Up to here no layer was split, so the compiled prefix is the unsplit network.
            self.clean = [dict(values) for values in batches]
        wanted = self._advance_clean(layer)
        counted = isinstance(layer.result, FloatResult)
        if self.options.thresholds == "even" and not counted:
            return step
        return self._calibrate(layer, step, batches, wanted)

    def advance(self, layer: Layer, step: Step) -> None:
        """Run a step of any kind on the clean values, and drop values that are no longer read."""
        if self.clean is None:
            return
        # `crossbar` has run such a layer already.
        if isinstance(layer, MatrixLayer) and isinstance(layer.quantizer, BinaryInput):
            for values in self.clean:
                self.walk.forget(values)
            return
        self.walk.run(self._runner, step, self.clean)
        self._runner.forget(step)

    def refit_fragment(
        self, number: int, step: DigitalFragment, batches: list[Values]
    ) -> DigitalFragment:
        """The last fragment, its classifier fitted to what the unsplit network says.

        Args:
            number: the layer's.
            step: as it stands in the model.
            batches: values of the compiled prefix.
        """
        if not self.options.refit or self.clean is None or number + 1 < len(self.network.layers):
            return step
        output = self.network.outputs[0].name
        found = read_classifier(step.model, output)
        if found is None:
            return step
        session = OnnxSession(with_features(step.model, found), where=step.name)
        features = _join_batches(_run(session, step, batches, found.features))
        wanted = _join_batches(_run(session, step, self.clean, output))
        if features.ndim != 2 or wanted.ndim != 2:
            return step
        old, biased = (found.weight, found.bias), bool(found.bias_name)
        self.refit = refit_classifier(features, wanted, *old, biased=biased)
        if self.refit is None:
            return step
        fresh = with_classifier(step.model, found, self.refit.weight, self.refit.bias)
        note = (
            "classifier fitted to the unsplit network's scores: divergence on held-back samples"
            f" {self.refit.before:.4f} before, {self.refit.after:.4f} after"
        )
        return replace(step, model=fresh, notes=(*step.notes, note))

    def _advance_clean(self, layer: MatrixLayer) -> list[AnyArray]:
        """The unsplit layer's outputs, a batch each."""
        if self.clean is None:
            return []
        plain = PlainLayer(widen_binary(layer))
        for values in self.clean:
            values[layer.output] = plain.run(values[layer.input], values)
        return [values[layer.output] for values in self.clean]

    def _calibrate(
        self, layer: MatrixLayer, step: CrossbarStep, batches: list[Values], wanted: list[AnyArray]
    ) -> CrossbarStep:
        if step.sense is None:
            raise MappingError("no comparisons to calibrate", where=layer.name)
        seen = self._gather(layer, step, batches, wanted)
        # Sums from data hold -1 outside the picture, so they were shifted until none is negative.
        shift = sum_shift(step)
        even: IntArray = step.sense.thresholds + np.int32(shift)
        start: IntArray = even
        if self.options.thresholds != "even":
            start = mean_start(layer, self.target, self.options, seen, shift)
        if isinstance(layer.result, FloatResult):
            moved = replace(step.sense, thresholds=(start - shift).astype(np.int32))
            line = fit_counts(seen, start)
            return with_counts(replace(step, sense=moved), layer, line)
        search = self.options.thresholds == "calibrated"
        fit = fit_thresholds(seen, start, search)
        if search:
            # The search is local: from the means it may end above where even thresholds begin.
            fit = _take_better(fit, fit_thresholds(seen, even, search))
        self.fits[layer.name] = fit
        return with_thresholds(step, replace(fit, thresholds=fit.thresholds - np.int32(shift)))

    def _gather(
        self, layer: MatrixLayer, step: CrossbarStep, batches: list[Values], wanted: list[AnyArray]
    ) -> SplitSums:
        pool = None if layer.pooling is None else layer.pooling.window
        goals = [_goal(layer, values) for values in wanted]
        windows = sum(goal.shape[1] for goal in goals)
        each = layer.groups * step.conversions * (len(step.tiling.segment_bounds) - 1)
        each *= 1 if pool is None else int(np.prod(pool.kernel))
        keep = np.sort(
            # At random: an even step would meet the same places of every picture.
            np.random.default_rng(0).permutation(windows)[: max(1, _SUMS // max(1, each))]
        )
        sums, kept, first = [], [], 0
        for values, goal in zip(batches, goals, strict=True):
            inside = keep[(keep >= first) & (keep < first + goal.shape[1])] - first
            sums.append(comparison_sums(step, values[layer.input], pool, inside))
            kept.append(goal[:, inside])
            first += goal.shape[1]
        shape = (layer.groups, layer.outputs, -1)
        return SplitSums(np.concatenate(sums, axis=3), np.concatenate(kept, axis=1).reshape(shape))


def _run(
    session: OnnxSession, step: DigitalFragment, batches: list[Values], name: str
) -> list[AnyArray]:
    """A tensor of a fragment, batch after batch."""
    if name in step.inputs:
        return [np.asarray(values[name]) for values in batches]
    feeds = ({key: values[key] for key in step.inputs} for values in batches)
    return [np.asarray(session.run(feed, (name,))[0]) for feed in feeds]


def _join_batches(parts: list[AnyArray]) -> Float64Array:
    return np.concatenate(parts).astype(np.float64)


def _goal(layer: MatrixLayer, values: AnyArray) -> AnyArray:
    """Output of the unsplit layer for each window: bits, or `sum w x`; axes: output, window."""
    result, quantizer = layer.result, layer.quantizer
    pool = None if layer.pooling is None else layer.pooling.window
    if isinstance(result, SignResult):
        return pooled_bits(values == np.asarray(result.high, values.dtype), layer.geometry, pool)
    if not isinstance(result, FloatResult) or not isinstance(quantizer, BinaryInput):
        raise MappingError(f"a {result.kind} result cannot be compared", where=layer.name)
    axis = values.ndim - 1 if layer.geometry.kind == "dense" else 1
    real: Float64Array = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
    scale = result.scale.astype(np.float64) * float(np.float32(quantizer.scale))
    usable = np.where(scale == 0, 1.0, scale)[:, None]
    return (real.astype(np.float64) - result.bias[:, None]) / usable


def _take_better(first: ThresholdFit, second: ThresholdFit) -> ThresholdFit:
    """Output by output, the fit with fewer wrong windows."""
    use = second.wrong < first.wrong
    thresholds: IntArray = np.where(use[:, None, :, None], second.thresholds, first.thresholds)
    votes = np.where(use, second.votes, first.votes)
    return ThresholdFit(thresholds, votes, np.minimum(first.wrong, second.wrong))
