"""An encoding, a placement and a device model that xbarc does not ship, to copy and change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import xbarc


@dataclass(frozen=True)
class NegativeBase(xbarc.Encoding):
    """Digits of a negative base: slice k counts (-2**b)**k, so no weight needs a partner column.

    Every integer, negative ones too, has exactly one such numeral (Gruenwald 1885).
    """

    name: str = "negative-base"

    def reach(self, cell_bits, slices):
        """Least and largest weight of this many digits."""
        top = (1 << cell_bits) - 1
        scale = _scale(cell_bits, slices)
        return top * int(scale[1::2].sum()), top * int(scale[::2].sum())

    def slices(self, weights_low, weights_high, weight_bits, cell_bits):
        """Digits until both ends are in reach."""
        count = 1
        while True:
            low, high = self.reach(cell_bits, count)
            if low <= weights_low and weights_high <= high:
                return count
            count += 1

    def width(self, outputs, slices):
        """One column a digit."""
        return outputs * slices

    def pattern(self, outputs, slices):
        """Every column has a conversion and one entry of R."""
        columns = np.arange(outputs * slices, dtype=np.int32)
        none = np.zeros(0, dtype=np.int32)
        return xbarc.Pattern(len(columns), none, none, none, columns // slices, columns)

    def encode(self, weights, row_bounds, weight_bits, cell_bits, slices):
        """Digits by repeated division, least significant first."""
        rest, digits = weights.astype(np.int64), []
        for _ in range(slices):
            digits.append(rest & ((1 << cell_bits) - 1))
            rest = -(rest >> cell_bits)
        cells = np.stack(digits, axis=-1).astype(np.uint8).reshape(*weights.shape[:3], -1)
        entries = np.tile(_scale(cell_bits, slices), weights.shape[3])
        return xbarc.Encoded(cells, entries.reshape(1, 1, 1, -1))


def _scale(cell_bits, slices):
    """What each digit counts."""
    powers = np.int64(1) << (cell_bits * np.arange(slices, dtype=np.int64))
    return np.where(np.arange(slices) % 2, -powers, powers)


@dataclass(frozen=True)
class HeavyFirst(xbarc.Placement):
    """Rows that matter most to the places that lose least; columns stay."""

    name: str = "heavy-first"

    def order(self, sites):
        """Sorted within each range of rows that may change places."""
        rows, weight = np.arange(len(sites.weight)), sites.weight.sum(axis=1)
        for first, last in sites.row_ranges:
            best = np.argsort(sites.loss[first:last].mean(axis=1), kind="stable")
            rows[first + best] = first + np.argsort(-weight[first:last], kind="stable")
        return xbarc.Order(rows=rows)


@dataclass(frozen=True)
class TwoPopulations(xbarc.DeviceModel):
    """Most cells end near their level; some, the tail of a real array, end far from it.

    Our model, without a source: the shares are to be fitted to an array that was measured.
    """

    sigma: float = 0.05
    tail_sigma: float = 0.4
    tail_from: float = 2.0  # a normal number above this: 2.3 % of the cells
    name: str = "two-populations"

    def numbers(self):
        """One says where a cell ends, one to which population it belongs."""
        return 2

    def program(self, levels, cell, drawn):
        """Normal, in level units, and never below zero conductance."""
        sigma = np.where(drawn[1] > self.tail_from, self.tail_sigma, self.sigma)
        return np.maximum(cell.position[levels] + sigma * drawn[0], -cell.floor)
