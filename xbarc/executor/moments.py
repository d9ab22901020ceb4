"""Second moments of a layer's inputs over calibration data: the statistics of error feedback."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xbarc.executor.exact import ExactLayer, layer_vectors, real_codes
from xbarc.ir.geometry import positions
from xbarc.ir.network import MatrixLayer
from xbarc.ir.quantize import Quantizer
from xbarc.ir.statistics import SecondMoments
from xbarc.numerics.types import AnyArray, BoolArray, Float64Array, IntArray

WIDEST = 2048
"""Inputs of a block whose products with each other are kept: 32 MB a group."""
_VECTORS_EACH = 16
_LEAST_VECTORS = 1 << 15
_CHUNK = 1 << 22
_EVERY = 4
"""One sample in so many is not fitted to but judged by."""


@dataclass(frozen=True, eq=False)
class Feed:
    """A layer's input on one batch of calibration data.

    Attributes:
        compiled: as the compiled prefix gives it.
        exact: as the exact network gives it.
        values, exact_values: all other values, for zero points of run time.
    """

    compiled: AnyArray
    exact: AnyArray
    values: dict[str, Any]
    exact_values: dict[str, Any]


def second_moments(
    layer: ExactLayer, quantizer: Quantizer, feeds: Sequence[Feed]
) -> tuple[SecondMoments, SecondMoments]:
    """Moments of the samples to fit and of those to judge by.

    Args:
        layer: with the model's own weights.
        quantizer: how the compiled layer takes its input.
        feeds: a batch each.

    Raises:
        InputError: the data does not fit the layer.
    """
    sums = (_Sums(layer.layer), _Sums(layer.layer))
    most = max(_LEAST_VECTORS, _VECTORS_EACH * layer.layer.rows)
    rng = np.random.default_rng(0)
    for number, feed in enumerate(feeds):
        share = most / max(1, len(feeds) * _vectors(layer.layer, feed))
        for compiled, exact, sample, samples in _pairs(layer, quantizer, feed):
            keep = rng.random(len(sample)) < share
            held = _held(sample, samples, number, len(feeds))
            for target, chosen in zip(sums, (keep & ~held, keep & held), strict=True):
                if chosen.any():
                    target.add(compiled[chosen], exact[chosen], layer)
    return sums[0].moments(), sums[1].moments()


def _held(sample: IntArray, samples: int, number: int, feeds: int) -> BoolArray:
    """Which vectors of a batch are judged by: its last quarter of samples.

    Of small batches it is every fourth batch, and of few small batches every fourth vector.

    Args:
        sample: of each vector.
        samples: of the batch.
        number: of the batch.
        feeds: how many batches there are.
    """
    if samples >= _EVERY:
        last: BoolArray = sample >= np.ceil(samples * (1 - 1 / _EVERY))
        return last
    if feeds >= _EVERY:
        return np.full(len(sample), number % _EVERY == _EVERY - 1)
    fourth: BoolArray = np.arange(len(sample)) % _EVERY == _EVERY - 1
    return fourth


def _vectors(layer: MatrixLayer, feed: Feed) -> int:
    return positions(layer.geometry, feed.compiled.shape)


def _pairs(
    layer: ExactLayer, quantizer: Quantizer, feed: Feed
) -> Iterator[tuple[AnyArray, AnyArray, IntArray, int]]:
    """Vectors of the compiled and of the exact network, side by side."""
    plain = layer.layer
    own = real_codes(feed.compiled, quantizer, plain.geometry, feed.values)
    exact = real_codes(feed.exact, plain.quantizer, plain.geometry, feed.exact_values)
    samples = len(own.values)
    left = layer_vectors(own, plain.geometry, plain.groups, feed.compiled.shape)
    right = layer_vectors(exact, plain.geometry, plain.groups, feed.exact.shape)
    for (a, sample), (b, _) in zip(left, right, strict=True):
        yield a, b, sample, samples


class _Sums:
    """Sums that grow batch by batch.

    Inputs are taken less the mean of the first vectors: single precision then holds the variance of
    inputs whose mean is far larger. `moments` puts it back in double precision.
    """

    def __init__(self, layer: MatrixLayer) -> None:
        groups, rows, outputs = layer.groups, layer.rows, layer.outputs
        count = -(-rows // WIDEST)
        self.bounds = np.linspace(0, rows, count + 1).astype(np.int64)
        self.count = 0
        self.shift = np.zeros((groups, rows))
        self.input_sum = np.zeros((groups, rows))
        sizes = np.diff(self.bounds)
        self.inputs = [np.zeros((groups, int(size), int(size))) for size in sizes]
        self.target_sum = np.zeros((count, groups, outputs))
        self.target_energy = np.zeros((count, groups, outputs))
        self.targets = np.zeros((groups, rows, outputs))

    def add(self, compiled: AnyArray, exact: AnyArray, layer: ExactLayer) -> None:
        """Add vectors; axes: vector, group, input."""
        step = max(1, _CHUNK // max(1, compiled.shape[1] * compiled.shape[2]))
        for start in range(0, len(compiled), step):
            piece = slice(start, start + step)
            x = np.ascontiguousarray(compiled[piece].transpose(1, 0, 2), dtype=np.float32)
            e = np.ascontiguousarray(exact[piece].transpose(1, 0, 2), dtype=np.float32)
            self._add(x, e, layer.weights)

    def _add(self, x: AnyArray, exact: AnyArray, weights: AnyArray) -> None:
        if not self.count:
            self.shift = x.mean(axis=1).astype(np.float64)
        x = x - self.shift[:, None].astype(np.float32)
        self.count += x.shape[1]
        self.input_sum += x.sum(axis=1, dtype=np.float64)
        for number in range(len(self.inputs)):
            rows = slice(int(self.bounds[number]), int(self.bounds[number + 1]))
            own = x[:, :, rows]
            y = exact[:, :, rows] @ weights[:, rows].astype(np.float32)
            turned = own.transpose(0, 2, 1)
            self.inputs[number] += turned @ own
            self.targets[:, rows] += turned @ y
            self.target_sum[number] += y.sum(axis=1, dtype=np.float64)
            self.target_energy[number] += _energy(y)

    def moments(self) -> SecondMoments:
        """What was added so far."""
        shift = self.shift.astype(np.float32).astype(np.float64)
        inputs, targets = [], self.targets.copy()
        for number, part in enumerate(self.inputs):
            rows = slice(int(self.bounds[number]), int(self.bounds[number + 1]))
            s, total = shift[:, rows], self.input_sum[:, rows]
            mixed = s[:, :, None] * (total + self.count / 2 * s)[:, None]
            inputs.append(part + mixed + mixed.transpose(0, 2, 1))
            targets[:, rows] += s[:, :, None] * self.target_sum[number][:, None]
        return SecondMoments(
            self.bounds,
            max(1, self.count),
            self.input_sum + self.count * shift,
            tuple(inputs),
            self.target_sum,
            self.target_energy,
            targets,
        )


def _energy(y: AnyArray) -> Float64Array:
    square: Float64Array = np.einsum("gvo,gvo->go", y, y, dtype=np.float64)
    return square
