"""From cells to levels, and from levels to the matrix that they stand for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

import xbarc.train.digital_loop as loops
from xbarc.ir import CrossbarStep
from xbarc.numerics import AnyArray
from xbarc.train.inputs import straight_through


def round_levels(cells: Tensor, top: int) -> Tensor:
    """Cells clamped to `[0, top]` and rounded; the gradient goes straight through the rounding."""
    if cells.is_cpu:
        levels: Tensor = _Levels.apply(cells, top)  # type: ignore[no-untyped-call]
        return levels
    clamped = cells.clamp(0.0, float(top))
    return straight_through(clamped, torch.round(clamped))


class _Levels(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, cells: Tensor, top: int) -> Tensor:
        ctx.save_for_backward(cells)
        ctx.top = top
        levels = torch.empty(cells.shape, dtype=cells.dtype)
        loops.round_levels(_flat(cells), top, _flat(levels))
        return levels

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (cells,) = ctx.saved_tensors
        back = torch.empty(cells.shape, dtype=cells.dtype)
        loops.pass_levels(_flat(cells), ctx.top, _flat(grad), _flat(back))
        return back, None


def _flat(tensor: Tensor) -> AnyArray:
    return tensor.detach().contiguous().reshape(-1).numpy()


@dataclass(frozen=True, eq=False)
class WeightEntries:
    """What each column adds to each output: `A` and `R` joined.

    Attributes:
        columns, outputs: places of the entries.
        conversions: that each entry goes through.
        values: axes: group or 1, row block or 1, entry.
        bounds: first row of each block, and the end.
        row_input: input of each row.
        shape: of the matrix: groups, inputs, outputs.
    """

    columns: AnyArray
    outputs: AnyArray
    conversions: AnyArray
    values: AnyArray
    bounds: AnyArray
    row_input: AnyArray
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, step: CrossbarStep) -> WeightEntries:
        """Those of a layer."""
        places, tiling = step.periphery, step.tiling
        conversion, column, sign = (
            places.a_conversion.astype(np.int64),
            places.a_column.astype(np.int64),
            places.a_sign.astype(np.float32),
        )
        if not sign.size:
            conversion = column = np.arange(step.conversions)
            sign = np.ones(step.conversions, np.float32)
        order = np.argsort(conversion, kind="stable")
        starts = np.searchsorted(conversion[order], np.arange(step.conversions + 1))
        r_conversion = places.r_conversion.astype(np.int64)
        counts = (starts[1:] - starts[:-1])[r_conversion]
        of_r = np.repeat(np.arange(len(r_conversion)), counts)
        within = np.arange(len(of_r)) - np.repeat(np.cumsum(counts) - counts, counts)
        of_a = order[starts[r_conversion[of_r]] + within]
        return cls(
            column[of_a],
            places.r_output.astype(np.int64)[of_r],
            r_conversion[of_r],
            places.r_value.astype(np.float32)[:, :, of_r] * sign[of_a],
            tiling.row_bounds.astype(np.int64),
            tiling.row_input.astype(np.int64),
            (step.groups, step.inputs, step.outputs),
        )

    def scaled_by(self, scale: AnyArray) -> WeightEntries:
        """With a factor for each conversion; axes: group or 1, row block or 1, conversion."""
        factor = scale.astype(np.float32)[:, :, self.conversions]
        return replace(self, values=self.values * factor)

    def significances(self, columns: int) -> AnyArray:
        """What a level of each cell weighs in outputs, as multiples of the layer's least.

        Args:
            columns: of a block.

        Returns:
            Axes: group or 1, row or 1, column. A cell that no output sees weighs 1.
        """
        values = np.moveaxis(self.values, 2, 0)
        # an output may see a column through several conversions, whose parts add up
        pairs, pair = np.unique(self.columns * self.shape[2] + self.outputs, return_inverse=True)
        joined = np.zeros((pairs.size, *values.shape[1:]), np.float32)
        np.add.at(joined, pair, values)
        weight = np.zeros((columns, *values.shape[1:]), np.float32)
        np.maximum.at(weight, pairs // self.shape[2], np.abs(joined))
        least = weight[weight > 0].min(initial=np.inf)
        weight = np.moveaxis(np.where(weight > 0, weight / least, np.float32(1)), 0, 2)
        rows = 1 if weight.shape[1] == 1 else np.diff(self.bounds)
        return np.ascontiguousarray(np.repeat(weight, rows, axis=1))

    def matrix(self, levels: Tensor) -> Tensor:
        """Weights of levels, without the input sum's share; axes: group, input, output."""
        if levels.is_cpu:
            made: Tensor = _Weights.apply(levels, self)  # type: ignore[no-untyped-call]
            return made
        here = levels.device
        columns, outputs = (torch.from_numpy(a).to(here) for a in (self.columns, self.outputs))
        values, inputs = (torch.from_numpy(a).to(here) for a in (self.values, self.row_input))
        weight = levels.new_zeros(self.shape)
        for block, (first, last) in enumerate(pairwise(self.bounds.tolist())):
            entries = values[:, block if values.shape[1] > 1 else 0, None].to(levels.dtype)
            terms = levels[:, first:last, columns] * entries
            shape = (self.shape[0], last - first, self.shape[2])
            part = levels.new_zeros(shape).index_add(2, outputs, terms)
            weight = weight.index_add(1, inputs[first:last], part)
        return weight

    @property
    def entries(self) -> tuple[AnyArray, AnyArray, AnyArray]:
        """As the compiled loops take them, all of one layout."""
        return self.columns, self.outputs, np.ascontiguousarray(self.values)


class _Weights(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, levels: Tensor, entries: WeightEntries) -> Tensor:
        ctx.entries, ctx.shape = entries, levels.shape
        weights = levels.new_zeros(entries.shape)
        given = levels.detach().contiguous().numpy()
        loops.add_weights(
            given, entries.entries, entries.bounds, entries.row_input, weights.numpy()
        )
        return weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        entries: WeightEntries = ctx.entries
        levels = grad.new_zeros(ctx.shape)
        given = grad.contiguous().numpy()
        loops.add_level_gradient(
            given, entries.entries, entries.bounds, entries.row_input, levels.numpy()
        )
        return levels, None
