"""Conversions as torch computes them, forward exactly and backward with the gradient of a clamp.

    S = u table,   q = clamp(floor((S - lo) / step + 1/2), 0, 2**bits - 1),   acc += 2**(d s) R S'

All numbers are integers held in floats: a float32 product is exact while no sum reaches 2**24, a
float64 product while none reaches 2**53, and the layer picks the type by that bound. The sums of
a convolution are many times larger than its result, so nothing of them is kept: backward makes
them again, a piece of vectors at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# Sums in flight: 2**22 float32 are 16 MiB, about what stays in the caches of one core together
# with the planes that make them; four times as many ran 1.3 times slower, a quarter no faster.
_SUMS_AT_ONCE = 1 << 22


@dataclass(frozen=True, eq=False)
class ColumnConverters:
    """`lo`, `step` and the largest code of one segment's conversions.

    Attributes:
        low, step, top: axes: input slice, group or 1, vector (1), conversion or 1.
    """

    low: Tensor
    step: Tensor
    top: Tensor


@dataclass(frozen=True, eq=False)
class ColumnThresholds:
    """ColumnThresholds of one segment's sense amplifiers.

    Attributes:
        level: axes: level, group or 1, vector (1), conversion.
        width: over how many steps of the sum the gradient of a comparison is spread.
    """

    level: Tensor
    width: float


@dataclass(frozen=True, eq=False)
class ActiveRows:
    """Rows that are active together.

    Attributes:
        rows: which of the layer's rows.
        inputs: input of each row; axis: row.
        output: `R`, axes: group or 1, conversion, output.
        read: how sums become codes.
        drive: which signs drive each row, for sense amplifiers; axis: row.
    """

    rows: slice
    inputs: Tensor
    output: Tensor
    read: ColumnConverters | ColumnThresholds
    drive: Tensor | None = None

    def wires(self, vectors: Tensor) -> Tensor:
        """What drives the rows: codes, or whether a sign is one that drives the row."""
        values = vectors[:, :, self.inputs]
        if self.drive is None:
            return values
        up, down, absent = (((self.drive >> bit) & 1).to(values.dtype) for bit in range(3))
        # the three cases of a sign as polynomials, exact for -1, 0 and +1
        square = values * values
        return (up * (square + values) + down * (square - values)) / 2 + absent * (1 - square)

    def slope(self, dtype: torch.dtype) -> Tensor | None:
        """How a row's drive changes with its sign; None where codes drive it."""
        if self.drive is None:
            return None
        return ((self.drive & 1) - ((self.drive >> 1) & 1)).to(dtype) / 2


@dataclass(frozen=True, eq=False)
class LayerCut:
    """What the function needs beside its tensors.

    Attributes:
        segments: all segments of the layer.
        dac_bits, slices: how codes are cut into planes.
        joined: float type in which accumulators are summed.
    """

    segments: tuple[ActiveRows, ...]
    dac_bits: int
    slices: int
    joined: torch.dtype

    def planes(self, codes: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Weight of each input slice and the slice, least significant first.

        Both operations are exact on integers in floats: a product with a power of two, a floor.
        """
        size = float(1 << self.dac_bits)
        rest = codes
        for number in range(self.slices):
            above = torch.floor(rest / size)
            yield 1 << (self.dac_bits * number), rest - above * size
            rest = above


class _Convert(torch.autograd.Function):
    """The function of `convert` and its gradient."""

    @staticmethod
    def forward(
        ctx: Any, vectors: Tensor, table: Tensor, thresholds: Tensor | None, cut: LayerCut
    ) -> Tensor:
        """Every conversion of every vector; float64 sums where `table` is float64."""
        ctx.save_for_backward(vectors, table, thresholds)
        ctx.cut = cut
        parts = []
        for piece in _pieces(vectors, table):
            total = torch.zeros((), dtype=cut.joined, device=piece.device)
            for number, segment in enumerate(cut.segments):
                read = _with_trained(segment.read, thresholds, number)
                codes = _read_segment(piece, table, segment, read, cut)
                total = total + codes.to(cut.joined) @ segment.output.to(cut.joined)
            parts.append(total)
        return torch.cat(parts, dim=1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor | None, None]:
        """Straight through where a converter is in its range, nothing where it saturates."""
        vectors, table, thresholds = ctx.saved_tensors
        cut: LayerCut = ctx.cut
        sums = _Gradients(
            torch.zeros_like(vectors),
            torch.zeros_like(table),
            None if thresholds is None else torch.zeros_like(thresholds),
        )
        start = 0
        for piece in _pieces(vectors, table):
            span = slice(start, start + piece.shape[1])
            for number, segment in enumerate(cut.segments):
                read = _with_trained(segment.read, thresholds, number)
                back = grad[:, span].to(piece.dtype) @ segment.output.mT.to(piece.dtype)
                seen = _Seen(piece, table, segment, back, span, number)
                if isinstance(read, ColumnThresholds):
                    _compare_back(seen, read, sums)
                else:
                    _convert_back(seen, read, cut, sums)
            start = span.stop
        return sums.vectors, sums.table, sums.thresholds, None


def convert(vectors: Tensor, table: Tensor, thresholds: Tensor | None, cut: LayerCut) -> Tensor:
    """Codes of input vectors to accumulators, through every conversion.

    Args:
        vectors: axes: group, vector, input.
        table: `A` applied to the cells; axes: group, row, conversion.
        thresholds: trained ones; axes: segment, level, group, vector (1), conversion. None where
            converters read the sums.
        cut: segments, slices and types.

    Returns:
        Axes: group, vector, output.
    """
    acc: Tensor = _Convert.apply(vectors, table, thresholds, cut)  # type: ignore[no-untyped-call]
    return acc


@dataclass(frozen=True, eq=False)
class _Gradients:
    vectors: Tensor
    table: Tensor
    thresholds: Tensor | None


@dataclass(frozen=True, eq=False)
class _Seen:
    """One segment of one piece: its vectors, and the gradient of its conversions."""

    piece: Tensor
    table: Tensor
    segment: ActiveRows
    back: Tensor
    span: slice
    number: int


def _pieces(vectors: Tensor, table: Tensor) -> Iterator[Tensor]:
    groups, count, _ = vectors.shape
    size = max(1, _SUMS_AT_ONCE // max(1, groups * table.shape[2]))
    for start in range(0, max(count, 1), size):
        yield vectors[:, start : start + size].to(table.dtype)


def _with_trained(
    read: ColumnConverters | ColumnThresholds, trained: Tensor | None, number: int
) -> ColumnConverters | ColumnThresholds:
    if trained is None or isinstance(read, ColumnConverters):
        return read
    return ColumnThresholds(trained[number], read.width)


def _read_segment(
    piece: Tensor,
    table: Tensor,
    segment: ActiveRows,
    read: ColumnConverters | ColumnThresholds,
    cut: LayerCut,
) -> Tensor:
    """Codes read back and joined over input slices; axes: group, vector, conversion."""
    cells = table[:, segment.rows]
    wires = segment.wires(piece)
    if isinstance(read, ColumnThresholds):
        sums = wires @ cells
        return torch.stack([sums >= level for level in read.level]).sum(0).to(sums.dtype)
    total = torch.zeros((), dtype=piece.dtype, device=piece.device)
    for number, (weight, plane) in enumerate(cut.planes(wires)):
        low, step, top = (_of_slice(a, number) for a in (read.low, read.step, read.top))
        sums = plane @ cells
        # one division and one floor, both exact: |S - lo| is far below 2**22, so the rounding of
        # the quotient never crosses the next multiple of 1/2
        codes = sums.sub_(low).div_(step).add_(0.5).floor_().clamp_(min=0.0).minimum(top)
        back = codes.mul_(step).add_(low).mul_(weight)
        total = total + back
    return total


def _of_slice(values: Tensor, number: int) -> Tensor:
    return values[number if values.shape[0] > 1 else 0]


def _convert_back(seen: _Seen, read: ColumnConverters, cut: LayerCut, sums: _Gradients) -> None:
    cells = seen.table[:, seen.segment.rows]
    wires = seen.segment.wires(seen.piece)
    largest = (1 << (cut.dac_bits * cut.slices)) - 1
    share = torch.zeros_like(seen.back)
    for number, (weight, plane) in enumerate(cut.planes(wires)):
        low, step, top = (_of_slice(a, number) for a in (read.low, read.step, read.top))
        scaled = (plane @ cells).sub_(low).div_(step)
        inside = (scaled > -0.5) & (scaled < top + 0.5)
        passed = inside * seen.back
        sums.table[:, seen.segment.rows] += plane.mT @ passed * weight
        # an input moves all its planes; each counts by its weight, so that an unsaturated layer
        # gets exactly the gradient of the plain product
        share = share + passed * (weight * ((1 << cut.dac_bits) - 1) / largest)
    _add_to_inputs(seen, share, cells, sums)


def _compare_back(seen: _Seen, read: ColumnThresholds, sums: _Gradients) -> None:
    cells = seen.table[:, seen.segment.rows]
    wires = seen.segment.wires(seen.piece)
    columns = wires @ cells
    near = [((columns - level).abs() < read.width / 2) * seen.back for level in read.level]
    if sums.thresholds is not None:
        for place, part in enumerate(near):
            lost = part.sum(1, keepdim=True) / read.width
            sums.thresholds[seen.number, place] -= lost
    passed = torch.stack(near).sum(0) / read.width
    sums.table[:, seen.segment.rows] += wires.mT @ passed
    _add_to_inputs(seen, passed, cells, sums)


def _add_to_inputs(seen: _Seen, passed: Tensor, cells: Tensor, sums: _Gradients) -> None:
    to_rows = (passed @ cells.mT).to(sums.vectors.dtype)
    slope = seen.segment.slope(to_rows.dtype)
    if slope is not None:
        to_rows = to_rows * slope
    sums.vectors[:, seen.span].index_add_(2, seen.segment.inputs, to_rows)
