"""Factors of columns: what the periphery multiplies each converted column by, chosen from data.

A converter that rounds and saturates reads some columns smaller than they are and others larger,
and columns that share it share its settings. Each accumulator is fitted to the one it stands for,
by least squares over the factors of all columns and row blocks that enter it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from xbarc.calibration.refit import scale_result, takes_gain
from xbarc.executor import ReferenceLayer, layer_frame
from xbarc.ir import CrossbarStep, Scatter, known_zero
from xbarc.lazy import lazy_module
from xbarc.numerics import (
    AnyArray,
    Float32Array,
    Float64Array,
    Int64Array,
    IntArray,
    UInt8Array,
    ordered_sums,
)

if TYPE_CHECKING:
    from scipy import sparse
    from scipy.sparse import csgraph, linalg
else:
    sparse = lazy_module("scipy.sparse")
    csgraph = lazy_module("scipy.sparse.csgraph")
    linalg = lazy_module("scipy.sparse.linalg")

# Readings that are kept: 128 MiB in float32. Layers of more than 8,192 columns and row blocks are
# fitted to fewer vectors than the 4,096 that there are.
_READINGS = 1 << 25

# Vectors that speak for equal factors, as many as refitting takes: see `refit`.
_DOUBT = 16.0

# On `fashion-vgg` with 1-bit converters the error of an accumulator falls by less than a thousandth
# from 30 to 100 steps.
_STEPS = 30


# Share of the error that must be left at most: a factor costs a multiplication a conversion. Below,
# factors of 2 bits on shared unit columns made the error of other inputs larger.
_WORTH = 0.98

# Rows of readings at a time: with 4,096 vectors 16 MiB beside the readings themselves.
_ROWS = 1 << 10

# How much finer than what holds the largest factor units are tried: a few large factors may be cut
# off where many others gain bits.
_FINER = (1.0, 1.25, 1.5, 2.0, 3.0, 4.0)


@dataclass(frozen=True, eq=False)
class ScaledColumns:
    """A layer with factors, and the unit of its accumulators.

    Attributes:
        step: the layer.
        unit: accumulators of an output for one of before; axis: output of all groups.
    """

    step: CrossbarStep
    unit: Float64Array


def scale_columns(
    step: CrossbarStep, vectors: IntArray, wanted: AnyArray, bits: int
) -> ScaledColumns:
    """The layer with the factors that bring its accumulators nearest to others.

    A layer whose result takes no scale of its own, or whose input has no known zero point, stays as
    it is, and so does one that factors help too little.

    Args:
        step: a layer with converters.
        vectors: some of its input vectors; axes: vector, group, input.
        wanted: what each should give, before constants; axes: vector, group, output.
        bits: of a factor.
    """
    channels = step.groups * step.outputs
    none = ScaledColumns(step, np.ones(channels))
    takes = takes_gain(step.result, channels) and known_zero(step.quantizer) is not None
    if not takes or not len(vectors) or isinstance(step.geometry, Scatter) or step.sense:
        return none
    blocks = len(step.tiling.row_bounds) - 1
    share = -(-len(vectors) * blocks * step.conversions // _READINGS)
    vectors, wanted = vectors[:: max(1, share)], wanted[:: max(1, share)]
    scale = np.zeros((step.groups, blocks, step.conversions), dtype=np.uint8)
    unit, errors = np.ones((step.groups, step.outputs)), np.zeros(2)
    with ordered_sums():
        for group in range(step.groups):
            fit = _ColumnFit.make(step, group, vectors, wanted[:, group])
            factors = fit.solve()
            unit[group] = fit.choose_units(factors, (1 << bits) - 1)
            whole = fit.round(factors, unit[group], (1 << bits) - 1)
            scale[group] = whole.reshape(blocks, step.conversions)
            errors += fit.error_of(np.ones_like(whole)), fit.error_of(whole)
    left = errors[1] / max(errors[0], 1e-30)
    if left > _WORTH:
        return replace(
            none, step=_with_note(step, "no factors of columns, which would help little")
        )
    step = _with_note(step, f"factors of columns leave {100 * left:.3g} % of the squared error")
    return ScaledColumns(_in_units(step, scale, unit.reshape(-1)), unit.reshape(-1))


def _with_note(step: CrossbarStep, note: str) -> CrossbarStep:
    return replace(step, adc=replace(step.adc, notes=(*step.adc.notes, note)))


def _in_units(step: CrossbarStep, scale: UInt8Array, unit: Float64Array) -> CrossbarStep:
    """The layer with these factors; its digital numbers in the new unit of its accumulators.

    What the zero point adds follows the factors in a program, and must not: they stand for what
    converters lose, and the matrix that inputs are meant for has none. So `a` makes up for it.
    """
    zero = (known_zero(step.quantizer) or (0, 0.0))[0]
    p, meant = step.periphery, layer_frame(step).weight_sums.reshape(-1) * unit
    input_sum = np.rint(p.input_sum * unit).astype(np.int64)
    periphery = replace(p, column_scale=scale, input_sum=input_sum)
    scaled = replace(step, periphery=periphery, result=scale_result(step.result, 1 / unit))
    less = zero * (meant - layer_frame(scaled).weight_sums.reshape(-1))
    constant = np.rint(p.constant * unit - less).astype(np.int64)
    return replace(scaled, periphery=replace(periphery, constant=constant))


@dataclass(frozen=True, eq=False)
class _ColumnEntries:
    """Entries of `R` of all row blocks of one group; axis: entry.

    Attributes:
        output: that an entry adds to.
        column: conversion and row block, the conversions of a block side by side.
        value: real numbers.
        shape: outputs, and columns of all row blocks.
    """

    output: Int64Array
    column: Int64Array
    value: Float32Array
    shape: tuple[int, int]

    @classmethod
    def of(cls, step: CrossbarStep, group: int) -> _ColumnEntries:
        """Those of a layer, without factors."""
        p, blocks = replace(step.periphery, column_scale=None), len(step.tiling.row_bounds) - 1
        values = p.r_value[group % p.r_lead[0]]
        conversion = p.r_conversion.astype(np.int64)
        return cls(
            np.tile(p.r_output.astype(np.int64), blocks),
            (conversion + step.conversions * np.arange(blocks)[:, None]).reshape(-1),
            np.broadcast_to(values, (blocks, len(conversion))).reshape(-1).astype(np.float32),
            (step.outputs, blocks * step.conversions),
        )

    def matrix(self, factors: Float64Array) -> sparse.csr_array:
        """`R f`; axes: output, column."""
        values = self.value * factors[self.column].astype(np.float32)
        return sparse.csr_array((values, (self.output, self.column)), shape=self.shape)

    def turned(self) -> sparse.csr_array:
        """`R`; axes: column, output."""
        return sparse.csr_array((self.value, (self.column, self.output)), shape=self.shape[::-1])

    def joined_outputs(self) -> tuple[int, IntArray]:
        """How many sets of outputs share no column, and the set of each output."""
        seen = sparse.csr_array(
            (np.ones(len(self.value)), (self.output, self.column)), shape=self.shape
        )
        count, part = csgraph.connected_components(seen @ seen.T, directed=False)
        return int(count), part


@dataclass(frozen=True, eq=False)
class _ColumnFit:
    """One group's readings beside what they should add up to, both less their means.

    Attributes:
        readings: what columns are read back as; axes: column and row block, vector.
        entries: how they add up.
        wanted: axes: output, vector.
    """

    readings: Float32Array
    entries: _ColumnEntries
    wanted: Float32Array

    @classmethod
    def make(
        cls, step: CrossbarStep, group: int, vectors: IntArray, wanted: AnyArray
    ) -> _ColumnFit:
        engine, size = ReferenceLayer(step), step.conversions
        entries = _ColumnEntries.of(step, group)
        readings = np.zeros((entries.shape[1], len(vectors)), dtype=np.float32)
        for segment, block in enumerate(step.tiling.segment_block.tolist()):
            part = engine.joined_codes(vectors[:, group], group, segment)
            readings[block * size : (block + 1) * size] += part.T
        beta = step.periphery.input_sum.reshape(step.groups, step.outputs)[group]
        inputs = vectors[:, group].sum(axis=1, dtype=np.int64)
        left = (wanted - inputs[:, None] * beta).T.astype(np.float64)
        left -= left.mean(axis=1, keepdims=True)
        readings -= readings.mean(axis=1, keepdims=True)
        return cls(readings, entries, left.astype(np.float32))

    def solve(self) -> Float64Array:
        """Real factors of least squares; axis: column and row block."""
        entries, size = self.entries, len(self.readings)
        power = np.einsum("uv,uv->u", self.readings, self.readings, dtype=np.float64)
        weight = np.bincount(entries.column, entries.value.astype(np.float64) ** 2, size) * power
        # columns that are always read as the same say nothing: their factors stay 1
        doubt = np.where(weight > 0, weight * _DOUBT / max(1, self.readings.shape[1]), 1.0)

        def normal(factors: Float64Array) -> Float64Array:
            return self._pull(self._sums(factors)) + doubt * factors

        ones = np.ones(size)
        left = self._pull(self.wanted) - self._pull(self._sums(ones))
        operator = linalg.LinearOperator((size, size), matvec=normal, dtype=np.float64)
        near = sparse.diags_array(1 / (weight + doubt))
        change, _ = linalg.cg(operator, left, rtol=1e-4, maxiter=_STEPS, M=near)
        found: Float64Array = ones + change
        return found

    def _sums(self, factors: Float64Array) -> Float32Array:
        """Accumulators with these factors; axes: output, vector."""
        sums: Float32Array = self.entries.matrix(factors) @ self.readings
        return sums

    def _pull(self, sums: Float32Array) -> Float64Array:
        """How accumulators follow the factors; axis: column and row block."""
        back = self.entries.turned()
        found = np.empty(len(self.readings))
        for first in range(0, len(found), _ROWS):
            part = slice(first, first + _ROWS)
            moved: Float32Array = back[part] @ sums
            found[part] = np.einsum("uv,uv->u", self.readings[part], moved, dtype=np.float64)
        return found

    def choose_units(self, factors: Float64Array, top: int) -> Float64Array:
        """Whole numbers for a factor of 1 that leave the least error; axis: output.

        Outputs that share a column share their unit.
        """
        entries = self.entries
        count, part = entries.joined_outputs()
        largest = np.zeros(count)
        np.maximum.at(largest, part[entries.output], factors[entries.column])
        whole = np.where(largest > 0, top / np.where(largest > 0, largest, 1.0), 1.0)
        tried = [whole * finer for finer in _FINER]
        errors = []
        for unit in tried:
            rounded = self.round(factors, unit[part], top) / self._of_columns(unit[part])
            left = np.square(self.wanted - self._sums(rounded)).sum(axis=1, dtype=np.float64)
            errors.append(np.bincount(part, left, count))
        best: Float64Array = np.stack(tried)[np.argmin(errors, axis=0), np.arange(count)]
        return best[part]

    def error_of(self, factors: Float64Array) -> float:
        """What is left of all outputs' errors when each has the gain that suits it."""
        found = self._sums(factors).astype(np.float64)
        wanted = self.wanted.astype(np.float64)
        both, own = (found * wanted).sum(axis=1), np.square(found).sum(axis=1)
        said = both**2 / np.where(own > 0, own, 1.0)
        return float((np.square(wanted).sum(axis=1) - said).sum())

    def round(self, factors: Float64Array, unit: Float64Array, top: int) -> Float64Array:
        """Whole factors up to `top`; axis: column and row block."""
        whole = np.rint(np.maximum(factors, 0.0) * self._of_columns(unit))
        return np.minimum(whole, top)

    def _of_columns(self, unit: Float64Array) -> Float64Array:
        """The unit of the outputs that columns enter; axis: column and row block."""
        found = np.ones(self.entries.shape[1])
        found[self.entries.column] = unit[self.entries.output]
        return found
