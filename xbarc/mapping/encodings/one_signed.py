"""Outputs whose weights have one sign: their magnitudes need no partner column.

`Single` holds outputs whose weights agree in sign within each row block; the sign of a block is an
entry of `R`. `OneSigned` looks for such outputs, chooses which inputs share a row block so that
there are more of them, and gives all others a differential pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from xbarc.mapping.encodings.base import ByWeight, Encoded, Encoding, Pattern, Region
from xbarc.mapping.encodings.differential import Differential
from xbarc.numerics import (
    BoolArray,
    Int64Array,
    IntArray,
    UInt8Array,
    bits_for,
    slice_count,
    slice_weights,
)


@dataclass(frozen=True)
class Single(ByWeight):
    """One column per slice and output, the sign of each row block flipped digitally."""

    @property
    def name(self) -> str:
        """For people; users ask for `one-signed`."""
        return "single"

    def slices(self, weights_low: int, weights_high: int, weight_bits: int, cell_bits: int) -> int:
        """From the largest magnitude."""
        del weight_bits
        return slice_count(bits_for(max(-weights_low, weights_high, 0)), cell_bits)

    def width(self, outputs: int, slices: int) -> int:
        """One column per slice and output."""
        return outputs * slices

    def pattern(self, outputs: int, slices: int) -> Pattern:
        """One entry of `R` a column."""
        columns = np.arange(outputs * slices, dtype=np.int32)
        none = np.zeros(0, dtype=np.int32)
        return Pattern(len(columns), none, none, none.astype(np.int8), columns // slices, columns)

    def cells_of(self, weights: Int64Array, cell_bits: int, slices: int) -> UInt8Array:
        """Magnitudes."""
        return np.ascontiguousarray(slice_weights(np.abs(weights), cell_bits, slices).T)

    def entries(
        self, weights: IntArray, row_bounds: IntArray, cell_bits: int, slices: int
    ) -> Int64Array:
        """A power of two a slice, with the sign of the row block."""
        negative = np.minimum.reduceat(weights, row_bounds[:-1], axis=1) < 0
        sign = np.repeat(np.where(negative, np.int64(-1), np.int64(1)), slices, axis=3)
        scale = np.int64(1) << (cell_bits * np.arange(slices, dtype=np.int64))
        return np.asarray(sign * np.tile(scale, weights.shape[3]), dtype=np.int64)


@dataclass(frozen=True)
class OneSigned(Encoding):
    """Columns without a partner where signs agree, differential pairs elsewhere."""

    @property
    def name(self) -> str:
        """What `--encoding` calls it."""
        return "one-signed"

    def rows(self, weights: IntArray, row_bounds: IntArray) -> tuple[IntArray, IntArray] | None:
        """Inputs whose weights agree in sign for as many outputs as the row blocks allow."""
        return rows_by_sign(weights, row_bounds)

    def regions(self, weights: IntArray, row_bounds: IntArray) -> tuple[Region, ...]:
        """Outputs of one sign in each row block first, then the others."""
        alone = one_signed(weights, row_bounds)
        found = (Region(Single(), np.flatnonzero(alone)), Region(_PAIRS, np.flatnonzero(~alone)))
        return tuple(region for region in found if len(region.outputs))

    def slices(self, weights_low: int, weights_high: int, weight_bits: int, cell_bits: int) -> int:
        """From the largest magnitude."""
        return _PAIRS.slices(weights_low, weights_high, weight_bits, cell_bits)

    def width(self, outputs: int, slices: int) -> int:
        """At most, where no output has one sign."""
        return _PAIRS.width(outputs, slices)

    def pattern(self, outputs: int, slices: int) -> Pattern:
        """That of the pairs."""
        return _PAIRS.pattern(outputs, slices)

    def encode(
        self,
        weights: IntArray,
        row_bounds: IntArray,
        weight_bits: int,
        cell_bits: int,
        slices: int,
    ) -> Encoded:
        """That of the pairs; mapping asks the regions."""
        return _PAIRS.encode(weights, row_bounds, weight_bits, cell_bits, slices)


_PAIRS = Differential()


def rows_by_sign(weights: IntArray, row_bounds: IntArray) -> tuple[IntArray, IntArray] | None:
    """Deal inputs over row blocks such that many outputs have one sign in each.

    Output after output, those of the least minority first: inputs are split by the sign of their
    weight as long as no row block more is needed. The count of blocks sets the limit: `n` blocks
    tell at most `log2(n)` mixed outputs apart, so this pays for layers with few outputs.

    Args:
        weights: axes: group, row, output. Groups share their inputs' order, so more than one
            keeps it.
        row_bounds: first row of each row block, and the end.

    Returns:
        Input of each row and the new bounds; None where nothing is gained.
    """
    blocks, size = len(row_bounds) - 1, int(np.diff(row_bounds).max(initial=0))
    # With one row block there is nothing to distribute, and groups would each ask for another order
    # of the same inputs.
    if weights.shape[0] != 1 or blocks < 2:
        return None
    negative = weights[0] < 0
    minority = np.minimum(negative.sum(axis=0), (weights[0] > 0).sum(axis=0))
    label = np.zeros(len(negative), dtype=np.int64)
    for output in np.argsort(minority, kind="stable"):
        # Numbered anew each time, so that labels stay below the count of blocks.
        split = np.unique(2 * label + negative[:, output], return_inverse=True)[1]
        # Every class is rounded up to whole blocks: a split that needs one more would cost an
        # array.
        if int((-(-np.bincount(split) // size)).sum()) <= blocks:
            label = split
    if not label.any():
        return None
    ends = np.cumsum(np.bincount(label))
    starts = [np.arange(first, last, size) for first, last in pairwise([0, *ends.tolist()])]
    bounds = np.append(np.concatenate(starts), len(label)).astype(np.int32)
    return np.argsort(label, kind="stable").astype(np.int32), bounds


def one_signed(weights: IntArray, row_bounds: IntArray) -> BoolArray:
    """Outputs whose weights agree in sign within every row block of every group.

    Args:
        weights: axes: group, row, output.
        row_bounds: first row of each row block, and the end.
    """
    if not weights.size:
        return np.zeros(weights.shape[2], dtype=bool)
    low = np.minimum.reduceat(weights, row_bounds[:-1], axis=1)
    high = np.maximum.reduceat(weights, row_bounds[:-1], axis=1)
    agree: BoolArray = np.logical_or(low >= 0, high <= 0)
    every: BoolArray = np.logical_and.reduce(agree.reshape(-1, weights.shape[2]), axis=0)
    return every
