"""Encodings on a forest of columns: a weight is the difference of two columns.

Vertices are columns, edges are outputs: `w[o] = m[plus(o)] - m[minus(o)]`. A star is a bias column
that all outputs share, a path is the adjacent connection matrix (ACM, arXiv 2004.06094), where each
output is the difference of neighbours, and a path cut every k outputs is its segmented form. With
`analog` the difference is taken before the converter: a conversion per output instead of one a
column, with a negative lower end.

An integer row of weights fixes the levels of a tree up to one constant, which is chosen such that
the least level is zero: the column sums, and with them the converters, are as small as they can be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from xbarc.mapping.encodings.base import Encoded, Encoding, Pattern
from xbarc.mapping.forests import MID, Forest, encode_exact, levels_needed
from xbarc.numerics import IntArray, bits_for, slice_count, slice_weights


@dataclass(frozen=True)
class Tree(Encoding):
    """Differences along the edges of a forest.

    Attributes:
        title: what `--encoding` calls it, without the suffix for analog differences.
        grow: the forest of a block of some outputs.
        chained: whether the forest is made of paths, along which order and sign matter.
        every: outputs of a path, or 0 where it is never cut.
        analog: whether the difference is taken before the converter.
    """

    title: str
    grow: Callable[[int], Forest]
    chained: bool = False
    every: int = 0
    analog: bool = False

    @property
    def name(self) -> str:
        """What `--encoding` calls it."""
        return f"{self.title}-analog" if self.analog else self.title

    def unit(self) -> int:
        """A segment stays in one block."""
        return self.every or 1

    def is_chained(self) -> bool:
        """Whether neighbours along a path share a column."""
        return self.chained

    def slices(self, weights_low: int, weights_high: int, weight_bits: int, cell_bits: int) -> int:
        """A column holds the largest magnitude at least."""
        del weight_bits
        return slice_count(bits_for(max(-weights_low, weights_high, 0)), cell_bits)

    def holds(self, weights: IntArray, cell_bits: int, slices: int) -> bool:
        """Whether the levels of every row fit, its best constant subtracted."""
        forest = self.grow(weights.shape[3])
        rows = weights.reshape(-1, weights.shape[3])
        return levels_needed(forest, rows) <= 1 << (cell_bits * slices)

    def width(self, outputs: int, slices: int) -> int:
        """A column per slice and vertex."""
        return self.grow(outputs).vertices * slices

    def adjacent(self) -> int:
        """The two columns of an analog difference."""
        return 2 if self.analog else 1

    def shared(self) -> int:
        """A bias column; along a path the columns differ from output to output."""
        # A bias column stands in every block; a path repeats none.
        return 0 if self.chained else 1

    def forest(self, outputs: int) -> Forest:
        """Columns and outputs of a block of one slice."""
        return self.grow(outputs)

    def pattern(self, outputs: int, slices: int) -> Pattern:
        """Columns slice after slice; two entries of `A` a conversion or two of `R` an output."""
        forest = self.grow(outputs)
        start = (np.arange(slices, dtype=np.int32) * forest.vertices)[:, None]
        plus, minus = (start + forest.plus).reshape(-1), (start + forest.minus).reshape(-1)
        owner = np.tile(np.arange(outputs, dtype=np.int32), slices)
        if not self.analog:
            none = np.zeros(0, dtype=np.int32)
            both = np.concatenate([plus, minus]).astype(np.int32)
            entries = np.concatenate([owner, owner])
            count = forest.vertices * slices
            return Pattern(count, none, none, none.astype(np.int8), entries, both)
        conversions = np.arange(outputs * slices, dtype=np.int32)
        columns = np.concatenate([plus, minus]).astype(np.int32)
        sign = np.repeat(np.array([1, -1], dtype=np.int8), len(plus))
        return Pattern(len(conversions), np.tile(conversions, 2), columns, sign, owner, conversions)

    def encode(
        self,
        weights: IntArray,
        row_bounds: IntArray,
        weight_bits: int,
        cell_bits: int,
        slices: int,
    ) -> Encoded:
        """Levels of every row, the least of each tree at zero, cut into bit slices."""
        del row_bounds, weight_bits
        outputs = weights.shape[3]
        forest = self.grow(outputs)
        levels = encode_exact(forest, weights.reshape(-1, outputs), 1 << (cell_bits * slices))
        parts = slice_weights(levels, cell_bits, slices)  # slice, row, vertex
        cells = np.moveaxis(parts, 0, 1).reshape(*weights.shape[:3], -1)
        scale = np.int64(1) << (cell_bits * np.arange(slices, dtype=np.int64))
        by_entry = np.repeat(scale, outputs)
        entries = by_entry if self.analog else np.concatenate([by_entry, -by_entry])
        return Encoded(cells, entries.reshape(1, 1, 1, -1))


def bias_column(*, mid: bool = False, analog: bool = False) -> Tree:
    """One column that all outputs of a block subtract; its level is free per row, or the middle."""
    if mid:
        return Tree("bias-column-mid", _pinned_star, analog=analog)
    return Tree("bias-column", _star, analog=analog)


def connection(*, analog: bool = False) -> Tree:
    """The adjacent connection matrix: each output is a column less its right neighbour."""
    return Tree("acm", _path, chained=True, analog=analog)


def segmented_connection(every: int, *, analog: bool = False) -> Tree:
    """The adjacent connection matrix, begun anew after every so many outputs."""
    return Tree(f"segmented:{every}", partial(_cut_path, every), True, every, analog)


# A forest plans its dynamic programme once; a network asks for the same few sizes in every layer.
@cache
def _star(outputs: int) -> Forest:
    return Forest.star(outputs)


@cache
def _pinned_star(outputs: int) -> Forest:
    return Forest.star(outputs, MID)


@cache
def _path(outputs: int) -> Forest:
    return Forest.path(outputs)


@cache
def _cut_path(every: int, outputs: int) -> Forest:
    return Forest.cut_path(outputs, every)
