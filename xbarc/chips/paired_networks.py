"""Run the plain network and the network on its chip side by side, layer by layer.

The plain network's accumulators are what the chip's should be. The chip's layers are fed by the
layers before them as they were corrected, so a factor that is fitted to both suits the layer where
it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from xbarc.executor import (
    Accumulate,
    FastLayer,
    StepRunner,
    Tap,
    UnconvertedLayer,
    Values,
    Walk,
    labelled_batches,
    layer_frame,
    run_layer,
)
from xbarc.ir import CrossbarStep, DynamicInput, Program, Step
from xbarc.numerics import AnyArray, Float64Array, IntArray

# A slope and an offset of each output come from them; both networks' values are held for all.
IMAGES = 512
# Share of the largest variance that counts as none: the difference of two means of squares is wrong
# by 1e-16 of the squares, and a constant output must not be given a slope of noise.
_LEAST = 1e-9


@dataclass(frozen=True, eq=False)
class AccumulatorMoments:
    """Moments of a layer's accumulators, plain and on the chip; axes: group, output.

    Attributes:
        wanted, found: means.
        wanted_found, found_found: means of products.
    """

    wanted: Float64Array
    found: Float64Array
    wanted_found: Float64Array
    found_found: Float64Array

    @property
    def slopes(self) -> Float64Array:
        """Factor of each output beside an offset; 1 where nothing can be fitted."""
        both = self.wanted_found - self.wanted * self.found
        own = self.found_found - np.square(self.found)
        known = own > float(own.max(initial=0.0)) * _LEAST
        slope = np.where(known, both / np.where(known, own, 1.0), 1.0)
        # An output that falls where it should rise has met too few samples to be believed.
        return np.where(slope > 0, slope, 1.0)


class Pairing:
    """Both networks, up to a layer.

    Args:
        program: the plain one.
        data: inputs by name; labels are ignored.
    """

    def __init__(self, program: Program, data: Mapping[str, AnyArray]) -> None:
        some = {name: array[:IMAGES] for name, array in data.items()}
        self._plain: list[Values] = [dict(feeds) for feeds, _, _ in labelled_batches(program, some)]
        self._chip: list[Values] = [dict(values) for values in self._plain]
        self._runner, self._wired = StepRunner(), StepRunner()
        self._walk = Walk(program.steps)
        self._steps = iter(self._walk)
        self._at: Step | None = None

    def sums(
        self, plain: CrossbarStep, step: CrossbarStep, levels: Float64Array
    ) -> AccumulatorMoments:
        """Moments of a layer's accumulators.

        Args:
            plain: the layer of the plain network.
            step: the same on the chip.
            levels: what its cells contribute there.
        """
        self._advance_to(plain.name)
        parts = []
        for own, other in zip(self._plain, self._chip, strict=True):
            # A scale that is found at run time follows what wires lose, and the sums of both
            # networks would be in different units.
            codes = own if isinstance(step.quantizer, DynamicInput) else other
            wanted = _accumulators(plain, FastLayer(plain), own)
            found = _accumulators(step, UnconvertedLayer(step, levels), codes)
            products = (wanted, found, wanted * found, found * found)
            parts.append((len(wanted), [values.sum(axis=0) for values in products]))
        count = max(1, sum(number for number, _ in parts))
        return AccumulatorMoments(*(sum(part[k] for _, part in parts) / count for k in range(4)))

    def put(self, step: CrossbarStep, levels: Float64Array) -> None:
        """Run a layer of the chip like this from now on."""
        self._wired.prepare(step, UnconvertedLayer(step, levels))

    def _advance_to(self, name: str) -> None:
        while self._at is None or self._at.name != name:
            if self._at is not None:
                self._walk.run(self._runner, self._at, self._plain)
                self._walk.run(self._wired, self._at, self._chip)
            self._at = next(self._steps)


def _accumulators(step: CrossbarStep, engine: Accumulate, values: Values) -> Float64Array:
    """Axes: vector, group, output."""
    kept: list[IntArray] = []
    tap = Tap(engine, sums=kept.append)
    run_layer(layer_frame(step), tap, np.asarray(values[step.input]), values)
    return np.concatenate(kept).astype(np.float64)
