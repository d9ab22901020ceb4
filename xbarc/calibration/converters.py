"""The walk that sets converters from data.

Ranges come from what the lossless program sees, on ideal cells or on those of a chip. The same data
goes through the layers whose converters are set already, so that each layer compensates what it and
those before it lose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from xbarc.calibration.cells import CalibrationCells, IdealCells
from xbarc.calibration.column_scales import scale_columns
from xbarc.calibration.refit import Fitting
from xbarc.executor import Accumulate, StepRunner, Values, Walk, layer_frame, run_layer
from xbarc.instruments import sample_vectors
from xbarc.ir import (
    AdcSettings,
    CrossbarStep,
    Step,
    SumStatistics,
    known_zero,
    step_meaning,
    sums_digest,
)
from xbarc.mapping import Table, needed_bits, setting_table, settings_of, with_settings
from xbarc.memo import Memo
from xbarc.numerics import AnyArray, Int64Array, IntArray, digest_of
from xbarc.pipeline import Progress
from xbarc.target import Target

MOST_CONVERSIONS = 1 << 26
"""Conversions that are counted for a layer; more say little that is new."""

SAMPLES = 4096
"""Input vectors of a layer that digital numbers are fitted to."""

# Batches that those vectors are drawn from, evenly spread: a batch is unfolded as a whole to give a
# few of its vectors, and 128 vectors of each hold more than one image.
_BATCHES = 32
Choose = Callable[[CrossbarStep, Table], AdcSettings]
IDEAL = IdealCells()


def calibrate_converters(
    steps: Sequence[Step],
    target: Target,
    batches: Sequence[Values],
    choose: Choose,
    *,
    most: int,
    cells: CalibrationCells = IDEAL,
    progress: Progress | None = None,
    memo: Memo | None = None,
) -> tuple[Step, ...]:
    """Range and step of every converter from calibration data, layer by layer.

    Args:
        steps: of a program whose converters are lossless as far as the target's width allows.
        target: the chip.
        batches: values of the program's inputs; they are not changed.
        choose: settings of a layer, from its table.
        most: bits that `choose` may pick at most.
        cells: whose sums converters will read.
        progress: called with the layer's name, its number and the count of layers.
        memo: of these data, what layers of lossless programs met; for ideal cells.
    """
    # Side by side: what sums are without converters, and what arrives through those already set.
    lossless = _LosslessData(steps, batches, cells, memo or Memo())
    converted = [dict(batch) for batch in batches]
    runner, done, walk = StepRunner(), list[Step](), Walk(steps)
    for number, step in enumerate(walk):
        if progress is not None:
            progress(step.name, number, len(steps))
        changed: Step = step
        if isinstance(step, CrossbarStep):
            seen = lossless.observe(step)
            table = setting_table(step, target, seen.statistics, most)
            changed = with_settings(step, choose(step, table))
            if target.adc.scale_bits is not None:
                changed, seen = seen.scale_columns(changed, converted, target.adc.scale_bits)
            changed = seen.make_fitting(
                changed, converted, cells.converted_layer(changed)
            ).fit_step()
            cells.prepare(runner, changed, converters=True)
        lossless.advance(step)
        walk.run(runner, changed, converted)
        runner.forget(step)
        done.append(changed)
    return tuple(done)


@dataclass(frozen=True, eq=False)
class LayerObservation:
    """What a layer of the lossless program met on data.

    Attributes:
        statistics: its column sums.
        vectors: some of its input vectors; axes: vector, group, input.
        product: their lossless products; axes: vector, group, output.
        origin: batch of each vector.
    """

    statistics: SumStatistics
    vectors: IntArray
    product: AnyArray
    origin: Int64Array

    def make_fitting(
        self, step: CrossbarStep, values: Sequence[Values], engine: Accumulate | None = None
    ) -> Fitting:
        """The layer beside what it should give, for numbers that suit it and those before it.

        Args:
            step: the layer with converters.
            values: those of the network on the same data, through converters so far.
            engine: executes the layer; None takes the fast one.
        """
        return Fitting(step, self._inputs(step, values), self.product, engine)

    def scale_columns(
        self, step: CrossbarStep, values: Sequence[Values], bits: int
    ) -> tuple[CrossbarStep, LayerObservation]:
        """The layer with factors of columns, and what was seen in the unit of its accumulators.

        Args:
            step: the layer with converters.
            values: as `make_fitting` takes them.
            bits: of a factor.
        """
        scaled = scale_columns(step, self._inputs(step, values), self.product, bits)
        unit = scaled.unit.reshape(step.groups, step.outputs)
        return scaled.step, replace(self, product=self.product * unit)

    def _inputs(self, step: CrossbarStep, values: Sequence[Values]) -> IntArray:
        """Input vectors through the converters so far, or those seen where codes depend on data."""
        if known_zero(step.quantizer) is None:
            return self.vectors
        return _sample_inputs(step, values)[0]


class _LosslessData:
    """Calibration data in the program without converters.

    With a memo, steps run only once a layer is observed that nobody has met on such data.
    """

    def __init__(
        self, steps: Sequence[Step], batches: Sequence[Values], cells: CalibrationCells, memo: Memo
    ) -> None:
        self._values = [dict(batch) for batch in batches]
        self._cells, self._memo = cells, memo
        self._walk, self._runner, self._chain = Walk(steps), StepRunner(), ""
        self._places, self._left = iter(self._walk), list[Step]()

    def observe(self, step: CrossbarStep) -> LayerObservation:
        """What the layer of this place meets."""
        if not self._memo.keeps:
            return self._look(step)
        # What is known of inputs bounds the sums, and so says where bins lie.
        key = ("observed", self._chain, sums_digest(step), digest_of(step.facts))
        return self._memo.recall(key, lambda: self._look(step), _observed_bytes)

    def _look(self, step: CrossbarStep) -> LayerObservation:
        for passed in self._left:
            next(self._places)
            if isinstance(passed, CrossbarStep):
                self._cells.prepare(self._runner, passed, converters=False)
            self._walk.run(self._runner, passed, self._values)
            self._runner.forget(passed)
        self._left.clear()
        return observe_layer(step, self._values, self._cells)

    def advance(self, step: Step) -> None:
        """Go on behind the step of this place."""
        self._left.append(step)
        if self._memo.keeps:
            self._chain = digest_of(self._chain, step_meaning(step, self._memo.root).digest)


def _observed_bytes(seen: LayerObservation) -> int:
    arrays = (seen.vectors, seen.product, seen.origin, seen.statistics.counts)
    return sum(int(array.nbytes) for array in arrays)


def observe_layer(
    step: CrossbarStep, values: Sequence[Values], cells: CalibrationCells = IDEAL
) -> LayerObservation:
    """Count the column sums of a layer on its inputs among the values, and keep some inputs."""
    counter = cells.counter(step)
    frame = layer_frame(step)
    for batch in values:
        # A share of each batch, or the first ones would use up all.
        counter.take(MOST_CONVERSIONS // max(1, len(values)))
        run_layer(frame, counter.engine, np.asarray(batch[step.input]), batch)
    vectors, origin = _sample_inputs(step, values)
    return LayerObservation(counter.statistics, vectors, counter.product(vectors), origin)


def _sample_inputs(step: CrossbarStep, values: Sequence[Values]) -> tuple[IntArray, Int64Array]:
    """Some input vectors of a layer, and the batch that each is from."""
    chosen = range(0, len(values), -(-len(values) // _BATCHES))
    share = -(-SAMPLES // max(1, len(chosen)))
    parts = [sample_vectors(step, [values[number]], share) for number in chosen]
    origin = np.repeat(np.array(chosen, dtype=np.int64), [len(part) for part in parts])
    return np.concatenate(parts), origin


def uniform(bits: int | None, policy: str) -> Choose:
    """The same bits for all, less where the data needs less; None takes what the data needs.

    Args:
        bits: of every converter.
        policy: what the settings will be called.
    """

    def choose(step: CrossbarStep, table: Table) -> AdcSettings:
        needed = needed_bits(table)
        chosen = needed if bits is None else np.minimum(needed, bits)
        return settings_of(step, table, chosen, policy)

    return choose
