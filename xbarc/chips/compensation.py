"""Compensations that compensate for wires and stuck cells, each of them optional.

`gain` is one digital factor per layer, `outputs` a factor and an offset per output. Both are folded
into the numbers that scale a layer's result anyway. `predistort` chooses levels of signed pairs so
that their contributions at the end of the wires come near `k` times the weights. `feedback` lets
later rows compensate for the errors of earlier ones. `partner` encodes weights around stuck cells
that are known.

Gain and offset of an output are fitted to the layer as it is executed on the chip, behind the
corrected layers before it, so they also compensate for what those layers still lose. The single
gain of a layer compensates only for the layer's own losses: fitted to errors of earlier layers as
well, it would shrink with every one of them, and more answers would be wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xbarc.chips.levels import LevelTask, choose_levels, layer_gain, stuck_levels
from xbarc.chips.paired_networks import AccumulatorMoments, Pairing
from xbarc.circuit import FaultMap, Importance, real_weights
from xbarc.errors import MappingError
from xbarc.ir import (
    CrossbarStep,
    DynamicInput,
    FloatResult,
    RequantizedResult,
    Result,
    effective_weights,
    known_zero,
)
from xbarc.mapping import Wired
from xbarc.numerics import Float64Array
from xbarc.target import Target

_OF_LEVELS = frozenset({"predistort", "feedback", "partner"})
_OF_SCALES = frozenset({"gain", "outputs"})


@dataclass(frozen=True, eq=False)
class ChipKnowledge:
    """What compensations may know about the chip and the data.

    Attributes:
        kinds: some of `COMPENSATIONS`.
        target: whose cells.
        faults: the map of stuck cells.
        pairing: the network, plain and on the chip, up to the layer.
    """

    kinds: frozenset[str]
    target: Target
    faults: FaultMap | None
    pairing: Pairing


@dataclass(frozen=True, eq=False)
class DigitalScaling:
    """The digital factors and offsets of one layer, whatever its order.

    Attributes:
        original: the layer as it was compiled.
        wanted: its matrix; axes: group, input, output.
        importance: of its inputs and outputs.
        kinds: some of `COMPENSATIONS`; `gain` and `outputs` count here.
    """

    original: CrossbarStep
    wanted: Float64Array
    importance: Importance
    kinds: frozenset[str]

    @property
    def is_asked(self) -> bool:
        """Whether there is anything to fold."""
        return bool(self.kinds & _OF_SCALES)

    def gain(self, found: Float64Array, sums: AccumulatorMoments | None = None) -> Float64Array:
        """Factors for the matrix that the cells now stand for; axes: group, output."""
        if "outputs" in self.kinds:
            return (sums or self._expect_moments(found)).slopes
        ones = np.ones((self.original.groups, self.original.outputs))
        if "gain" not in self.kinds:
            return ones
        return ones * layer_gain(self.wanted, found, self.importance)

    def fold(
        self, step: CrossbarStep, found: Float64Array, sums: AccumulatorMoments | None = None
    ) -> CrossbarStep:
        """The layer with factors and offsets in its result.

        Args:
            step: the layer in its order, with its levels.
            found: the matrix that its cells stand for on the chip; axes: group, input, output.
            sums: moments of its accumulators as executed; None expects them from those of the
                plain network's inputs.
        """
        zero = float((known_zero(step.quantizer) or (0, 0.0))[0])
        gain = self.gain(found, sums)
        if "outputs" in self.kinds:
            offset = _offset(step, self.wanted, sums or self._expect_moments(found), zero)
        # The gain scales what the zero point contributes as well, so what the periphery subtracts
        # for it is no longer all of it.
        elif zero:
            offset = -zero * (self.wanted.sum(axis=1) - gain * _known_sums(step))
        else:
            offset = np.zeros_like(gain)
        return _fold_factors(step, gain, offset, self.original)

    def _expect_moments(self, found: Float64Array) -> AccumulatorMoments:
        matrix, mean = self.importance.matrix, self.importance.mean
        return AccumulatorMoments(
            # The plain network's inputs stand for those of the chip: an order is only compared with
            # others here, and its own inputs are not known before all layers have one.
            np.einsum("gi,gio->go", mean, self.wanted),
            np.einsum("gi,gio->go", mean, found),
            np.einsum("gio,gio->go", self.wanted, matrix @ found),
            np.einsum("gio,gio->go", found, matrix @ found),
        )


def compensate_layer(
    placed: CrossbarStep,
    original: CrossbarStep,
    importance: Importance,
    wired: Wired,
    known: ChipKnowledge,
) -> tuple[CrossbarStep, float]:
    """A layer with its compensations, and the share of its weights that its levels aim at.

    Args:
        placed: the layer in its order.
        original: as it was compiled, whose matrix is wanted.
        importance: of its inputs and outputs.
        wired: gives what cells contribute on the chip that is known.
        known: of the chip and of the data.
    """
    step, level_gain = placed, 1.0
    scaling = scaling_of(original, importance, known.kinds)
    if known.kinds & _OF_LEVELS:
        stuck = stuck_levels(placed, known.faults, known.target)
        task = LevelTask(
            placed,
            scaling.wanted,
            importance,
            wired,
            known.kinds,
            scaling.is_asked,
            known.target,
            stuck,
        )
        step, level_gain = choose_levels(task)
    # The wires are not solved where nobody asks.
    if not scaling.is_asked and step is placed:
        return step, level_gain
    levels = wired(step)
    sums = known.pairing.sums(original, step, levels) if "outputs" in known.kinds else None
    return scaling.fold(step, real_weights(step, levels), sums), level_gain


def scaling_of(
    original: CrossbarStep, importance: Importance, kinds: frozenset[str]
) -> DigitalScaling:
    """Factors and offsets that bring a layer back to what it was compiled for."""
    wanted = effective_weights(original).astype(np.float64)
    return DigitalScaling(original, wanted, importance, kinds)


def _known_sums(step: CrossbarStep) -> Float64Array:
    """What the periphery subtracts per step of the zero point; axes: group, output."""
    return np.asarray(effective_weights(step).sum(axis=1, dtype=np.float64))


def _offset(
    step: CrossbarStep, wanted: Float64Array, sums: AccumulatorMoments, zero: float
) -> Float64Array:
    """Mean error that is left after the gain, in accumulators; axes: group, output."""
    missing = sums.wanted - sums.slopes * sums.found
    if not zero:
        return missing
    return np.asarray(missing - zero * (wanted.sum(axis=1) - sums.slopes * _known_sums(step)))


def _fold_factors(
    step: CrossbarStep, gain: Float64Array, offset: Float64Array, original: CrossbarStep
) -> CrossbarStep:
    """Gain and offset in the numbers that turn accumulators into values."""
    g, o = gain.reshape(-1), offset.reshape(-1)
    if np.all(g == 1.0) and not o.any():
        return step
    if isinstance(step.quantizer, DynamicInput) and o.any():
        o = np.zeros_like(o)  # its scale is only known at run time
    return replace(step, result=_scale_result(step, original.result, g, o))


def _scale_result(
    step: CrossbarStep, result: Result, gain: Float64Array, offset: Float64Array
) -> Result:
    match result:
        case FloatResult() if len(result.scale) == len(gain):
            # From the result as it was compiled: a step that is folded again must not keep its old
            # gain.
            unit = float(getattr(step.quantizer, "scale", 0.0))
            bias = result.bias + offset * unit * result.scale.astype(np.float64)
            scale = result.scale * gain
            return replace(result, scale=scale.astype(np.float32), bias=bias.astype(np.float32))
        case RequantizedResult() if len(result.multiplier) == len(gain) and not offset.any():
            return replace(result, multiplier=(result.multiplier * gain).astype(np.float32))
        case _:
            raise MappingError(
                "its result leaves no room for gains and offsets",
                where=step.name,
                hint="compensate with predistort, feedback or partner only",
            )
