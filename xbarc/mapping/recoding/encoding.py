"""Differential pairs whose digits were chosen for narrow converters; see `digits.py`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.mapping.converters import BOTH_LAWS
from xbarc.mapping.encodings import Encoded, Encoding, Pattern
from xbarc.mapping.recoding.digits import Law, Spelling, recode
from xbarc.mapping.tiling import segment_bounds
from xbarc.numerics import IntArray


@dataclass(frozen=True)
class Recoded(Encoding):
    """The columns and the periphery of an encoding in differential pairs, with other digits.

    Attributes:
        plain: the encoding whose places and name these are.
        active_rows: rows that are converted together.
        top: largest input slice.
        joined: one converter sees the difference of a pair.
        of_many: work on each weight is held down: there are many, or little effort was asked for.
        law: cost of each width of a converter.
        begin: prices to start from, chosen for the whole layer; empty: chosen for each piece of it.
    """

    plain: Encoding
    active_rows: int
    top: int
    joined: bool
    of_many: bool = False
    law: Law = BOTH_LAWS.cost
    begin: tuple[tuple[int, ...], ...] = ()

    @property
    def name(self) -> str:
        """That of the plain encoding: only digits differ."""
        return self.plain.name

    def slices(self, weights_low: int, weights_high: int, weight_bits: int, cell_bits: int) -> int:
        """As the plain encoding: digits replace slices one for one."""
        return self.plain.slices(weights_low, weights_high, weight_bits, cell_bits)

    def width(self, outputs: int, slices: int) -> int:
        """Two columns per slice and output."""
        return self.plain.width(outputs, slices)

    def adjacent(self) -> int:
        """As the plain encoding."""
        return self.plain.adjacent()

    def pattern(self, outputs: int, slices: int) -> Pattern:
        """As the plain encoding."""
        return self.plain.pattern(outputs, slices)

    def encode(
        self,
        weights: IntArray,
        row_bounds: IntArray,
        weight_bits: int,
        cell_bits: int,
        slices: int,
    ) -> Encoded:
        """Positive digits on plus cells, negative ones on minus cells."""
        blank = np.zeros_like(weights[:, :1])
        plain = self.plain.encode(blank, row_bounds, weight_bits, cell_bits, slices)
        groups, rows, blocks, outputs = weights.shape
        digits = recode(
            weights.reshape(groups, rows, blocks * outputs),
            segment_bounds(row_bounds, self.active_rows),
            Spelling(slices, cell_bits, self.top, self.joined, self.law),
            of_many=self.of_many,
            begin=np.array(self.begin, dtype=np.int64) if self.begin else None,
        ).reshape(groups, rows, blocks, outputs, slices)
        pairs = np.stack([np.maximum(digits, 0), np.maximum(-digits, 0)], axis=-1)
        cells = pairs.reshape(groups, rows, blocks, -1).astype(np.uint8)
        return Encoded(cells, plain.r_value)
