"""Second moments of a layer's inputs: what placement and error feedback weigh errors by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from xbarc.executor import ExactLayer, layer_vectors, real_codes
from xbarc.ir import MatrixLayer, Quantizer, SecondMoments, positions
from xbarc.numerics import AnyArray, BoolArray, Float64Array, IntArray

WIDEST = 2048
"""Inputs of a block whose products with each other are kept: 32 MB a group."""
# Vectors in all. A matrix of second moments of n inputs has rank n only from n vectors on, and the
# feedback inverts it: 16 times as many, and 32,768 for narrow layers, where they cost little.
_VECTORS_EACH = 16
_LEAST_VECTORS = 1 << 15  # as above
# Numbers at once: 16 MiB in single precision.
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
    sums = (_PairedMoments(layer), _PairedMoments(layer))
    most = max(_LEAST_VECTORS, _VECTORS_EACH * layer.layer.rows)
    rng = np.random.default_rng(0)
    for number, feed in enumerate(feeds):
        share = most / max(1, len(feeds) * _vectors(layer.layer, feed))
        for compiled, exact, sample, samples in _pairs(layer, quantizer, feed):
            # Drawn vector by vector: an even step would meet the same places of every picture.
            keep = rng.random(len(sample)) < share
            held = _hold_back(sample, samples, number, len(feeds))
            for target, chosen in zip(sums, (keep & ~held, keep & held), strict=True):
                if chosen.any():
                    target.add_pairs(compiled[chosen], exact[chosen])
    return sums[0].moments(), sums[1].moments()


def _hold_back(sample: IntArray, samples: int, number: int, feeds: int) -> BoolArray:
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


class InputMoments:
    """Sums over input vectors of a layer: of each input, and of products of two inputs of a block.

    Args:
        groups, inputs: of the layer.
        cut: whether a wide layer is cut into blocks; else it is one block, and of more than
            `WIDEST` inputs only the square of each is kept.

    Attributes:
        count: vectors.
        total: axes: group, input.
        products: of each block; axes: group, input, input; or group, input.
    """

    def __init__(self, groups: int, inputs: int, *, cut: bool = False) -> None:
        blocks = -(-inputs // WIDEST) if cut else 1
        self.bounds = np.linspace(0, inputs, blocks + 1).astype(np.int64)
        self.count = 0
        self.total = np.zeros((groups, inputs))
        self.products = [
            np.zeros((groups, size, size) if size <= WIDEST else (groups, size))
            for size in np.diff(self.bounds).tolist()
        ]

    @property
    def blocks(self) -> list[slice]:
        """Inputs of each block."""
        return [slice(first, last) for first, last in pairwise(self.bounds.tolist())]

    def add(self, vectors: AnyArray) -> None:
        """Add vectors; axes: vector, group, input."""
        self._add(_by_group(vectors))

    def _add(self, x: AnyArray) -> None:
        """Axes: group, vector, input."""
        self.count += x.shape[1]
        self.total += x.sum(axis=1, dtype=np.float64)
        for number, rows in enumerate(self.blocks):
            own = x[:, :, rows]
            if self.products[number].ndim == 3:
                self.products[number] += own.transpose(0, 2, 1) @ own
            else:
                self.products[number] += np.square(own, dtype=np.float64).sum(axis=1)

    @property
    def mean(self) -> Float64Array:
        """Axes: group, input."""
        return self.total / max(1, self.count)

    @property
    def matrix(self) -> Float64Array:
        """Mean of `x x^T` of a layer of one block; a diagonal where it is wide."""
        found: Float64Array = self.products[0] / max(1, self.count)
        return found if found.ndim == 3 else found[:, :, None] * np.eye(found.shape[1])


class _PairedMoments(InputMoments):
    """The same beside the products that the exact network makes of its own vectors.

    Inputs are taken less the mean of the first vectors: single precision then holds the variance of
    inputs whose mean is far larger. `moments` puts it back in double precision.
    """

    def __init__(self, layer: ExactLayer) -> None:
        groups, rows, outputs = layer.weights.shape
        super().__init__(groups, rows, cut=True)
        self._weights = layer.weights
        self._shift = np.zeros((groups, rows))
        self._target_sum = np.zeros((len(self.products), groups, outputs))
        self._target_energy = np.zeros((len(self.products), groups, outputs))
        self._targets = np.zeros((groups, rows, outputs))

    def add_pairs(self, compiled: AnyArray, exact: AnyArray) -> None:
        """Add vectors of both networks; axes: vector, group, input."""
        step = max(1, _CHUNK // max(1, compiled.shape[1] * compiled.shape[2]))
        for start in range(0, len(compiled), step):
            piece = slice(start, start + step)
            self._add_pairs(_by_group(compiled[piece]), _by_group(exact[piece]))

    def _add_pairs(self, x: AnyArray, exact: AnyArray) -> None:
        # The first vectors' mean is near enough: any shift is put back exactly.
        if not self.count:
            self._shift = x.mean(axis=1).astype(np.float64)
        x = x - self._shift[:, None].astype(np.float32)
        self._add(x)
        for number, rows in enumerate(self.blocks):
            y = exact[:, :, rows] @ self._weights[:, rows].astype(np.float32)
            self._targets[:, rows] += x[:, :, rows].transpose(0, 2, 1) @ y
            self._target_sum[number] += y.sum(axis=1, dtype=np.float64)
            self._target_energy[number] += np.einsum("gvo,gvo->go", y, y, dtype=np.float64)

    def moments(self) -> SecondMoments:
        """What was added so far."""
        shift = self._shift.astype(np.float32).astype(np.float64)
        inputs, targets = [], self._targets.copy()
        for number, rows in enumerate(self.blocks):
            s, total = shift[:, rows], self.total[:, rows]
            mixed = s[:, :, None] * (total + self.count / 2 * s)[:, None]
            inputs.append(self.products[number] + mixed + mixed.transpose(0, 2, 1))
            targets[:, rows] += s[:, :, None] * self._target_sum[number][:, None]
        return SecondMoments(
            self.bounds,
            max(1, self.count),
            self.total + self.count * shift,
            tuple(inputs),
            self._target_sum,
            self._target_energy,
            targets,
        )


def _by_group(vectors: AnyArray) -> AnyArray:
    return np.ascontiguousarray(vectors.transpose(1, 0, 2), dtype=np.float32)
