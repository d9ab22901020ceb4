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

import xbarc.train.crossbar_loop as loops
from xbarc.numerics import AnyArray

# Sums in flight: 2**19 float32 are 2 MiB, which a core's own cache about holds between the product
# that makes them and the pass that reads them.
_SUMS_AT_ONCE = 1 << 19


@dataclass(frozen=True, eq=False)
class ColumnConverters:
    """`lo`, `step` and the largest code of one segment's conversions.

    Attributes:
        low, step, top: axes: input slice, group or 1, vector (1), conversion or 1.
    """

    low: Tensor
    step: Tensor
    top: Tensor

    @property
    def settings(self) -> tuple[Tensor, Tensor, Tensor]:
        """All three."""
        return self.low, self.step, self.top


@dataclass(frozen=True, eq=False)
class ColumnThresholds:
    """Thresholds of one segment's sense amplifiers.

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
        first: input of the first row where the rows read neighbouring inputs, else None.
    """

    rows: slice
    inputs: Tensor
    output: Tensor
    read: ColumnConverters | ColumnThresholds
    drive: Tensor | None = None
    first: int | None = None

    def take(self, plane: Tensor) -> Tensor:
        """What the rows are driven with; a view where they read neighbouring inputs."""
        if self.first is None:
            return plane[:, :, self.inputs]
        return plane[:, :, self.first : self.first + self.inputs.numel()]

    def wires(self, vectors: Tensor) -> Tensor:
        """Which rows are driven by signs."""
        if self.drive is None:
            raise ValueError("codes drive these rows, a slice at a time")
        values = vectors[:, :, self.inputs]
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
        for piece in _pieces(vectors, table, cut):
            total = torch.zeros((), dtype=cut.joined, device=table.device)
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
        sums = _Gradients(
            torch.zeros_like(vectors),
            torch.zeros_like(table),
            None if thresholds is None else torch.zeros_like(thresholds),
        )
        with torch.autocast(grad.device.type, enabled=False):
            _sum_gradients(grad, ctx, sums)
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
class _VectorPiece:
    """Some input vectors, and their input slices where converters read them."""

    vectors: Tensor
    planes: list[Tensor]
    span: slice


@dataclass(frozen=True, eq=False)
class _Seen:
    """One segment of one piece, and the gradient of its conversions."""

    piece: _VectorPiece
    table: Tensor
    segment: ActiveRows
    back: Tensor
    number: int


def _sum_gradients(grad: Tensor, ctx: Any, sums: _Gradients) -> None:
    vectors, table, thresholds = ctx.saved_tensors
    cut: LayerCut = ctx.cut
    for piece in _pieces(vectors, table, cut):
        part = grad[:, piece.span].to(table.dtype)
        for number, segment in enumerate(cut.segments):
            read = _with_trained(segment.read, thresholds, number)
            back = part @ segment.output.mT.to(table.dtype)
            seen = _Seen(piece, table, segment, back, number)
            if isinstance(read, ColumnThresholds):
                _compare_back(seen, read, sums)
            else:
                _convert_back(seen, read, cut, sums)


def _pieces(vectors: Tensor, table: Tensor, cut: LayerCut) -> Iterator[_VectorPiece]:
    groups, count, _ = vectors.shape
    size = max(1, _SUMS_AT_ONCE // max(1, groups * table.shape[2]))
    sliced = any(isinstance(segment.read, ColumnConverters) for segment in cut.segments)
    for start in range(0, max(count, 1), size):
        piece = vectors[:, start : start + size].to(table.dtype)
        span = slice(start, start + piece.shape[1])
        yield _VectorPiece(piece, _planes(piece, cut) if sliced else [], span)


def _with_trained(
    read: ColumnConverters | ColumnThresholds, trained: Tensor | None, number: int
) -> ColumnConverters | ColumnThresholds:
    if trained is None or isinstance(read, ColumnConverters):
        return read
    return ColumnThresholds(trained[number], read.width)


def _read_segment(
    piece: _VectorPiece,
    table: Tensor,
    segment: ActiveRows,
    read: ColumnConverters | ColumnThresholds,
    cut: LayerCut,
) -> Tensor:
    """Codes read back and joined over input slices; axes: group, vector, conversion."""
    cells = table[:, segment.rows]
    if isinstance(read, ColumnThresholds):
        sums = segment.wires(piece.vectors) @ cells
        return torch.stack([sums >= level for level in read.level]).sum(0).to(sums.dtype)
    total = cells.new_zeros((*piece.vectors.shape[:2], cells.shape[2]))
    for number, plane in enumerate(piece.planes):
        settings = _settings(read, number, cells)
        sums = segment.take(plane) @ cells
        weight = 1 << (cut.dac_bits * number)
        if sums.is_cpu:
            loops.read_sums(*_arrays(sums, *settings), weight, total.numpy())
        else:
            total += _read_on_device(sums, settings, weight)
    return total


def _read_on_device(sums: Tensor, settings: tuple[Tensor, ...], weight: int) -> Tensor:
    """As `read_sums` of `crossbar_loop`, in torch's operations; `sums` is overwritten."""
    low, step, top = (values[:, None] for values in settings)
    # one division and one floor, both exact: |S - lo| is far below 2**22, so the rounding of the
    # quotient never crosses the next multiple of 1/2
    codes = sums.sub_(low).div_(step).add_(0.5).floor_().clamp_(min=0.0).minimum(top)
    return codes.mul_(step).add_(low).mul_(weight)


def _planes(piece: Tensor, cut: LayerCut) -> list[Tensor]:
    """All input slices of the codes, least significant first; axes of each: as `piece`."""
    size, planes = float(1 << cut.dac_bits), []
    for number in range(cut.slices):
        if piece.is_cpu:
            plane = torch.empty_like(piece, memory_format=torch.contiguous_format)
            loops.take_plane(*_arrays(piece), size, number, plane.numpy())
        else:
            above = torch.floor(piece / size**number)
            plane = above - torch.floor(above / size) * size
        planes.append(plane)
    return planes


def _settings(read: ColumnConverters, number: int, cells: Tensor) -> tuple[Tensor, ...]:
    """`lo`, `step` and largest code of one input slice; axes: group, conversion."""
    shape = (cells.shape[0], cells.shape[2])
    parts = (values[number if values.shape[0] > 1 else 0][:, 0] for values in read.settings)
    return tuple(part.expand(shape).contiguous() for part in parts)


def _arrays(*tensors: Tensor) -> tuple[AnyArray, ...]:
    """The same memory as numpy sees it."""
    return tuple(tensor.detach().contiguous().numpy() for tensor in tensors)


def _convert_back(seen: _Seen, read: ColumnConverters, cut: LayerCut, sums: _Gradients) -> None:
    cells = seen.table[:, seen.segment.rows]
    largest = (1 << (cut.dac_bits * cut.slices)) - 1
    shared, passed = torch.zeros_like(seen.back), torch.empty_like(seen.back)
    for number, whole in enumerate(seen.piece.planes):
        settings = _settings(read, number, cells)
        plane = seen.segment.take(whole)
        columns, weight = plane @ cells, 1 << (cut.dac_bits * number)
        # an input moves all its planes; each counts by its weight, so that an unsaturated layer
        # gets exactly the gradient of the plain product
        share = weight * ((1 << cut.dac_bits) - 1) / largest
        if columns.is_cpu:
            given = _arrays(columns, *settings, seen.back)
            loops.pass_gradient(*given, share, passed.numpy(), shared.numpy())
        else:
            passed = _pass_on_device(columns, settings, seen.back)
            shared += share * passed
        sums.table[:, seen.segment.rows] += plane.mT @ passed * weight
    _add_to_inputs(seen, shared, cells, sums)


def _pass_on_device(columns: Tensor, settings: tuple[Tensor, ...], back: Tensor) -> Tensor:
    """As `pass_gradient` of `crossbar_loop`, in torch's operations; `columns` is overwritten."""
    low, step, top = (values[:, None] for values in settings)
    scaled = columns.sub_(low).div_(step)
    return ((scaled > -0.5) & (scaled < top + 0.5)) * back


def _compare_back(seen: _Seen, read: ColumnThresholds, sums: _Gradients) -> None:
    cells = seen.table[:, seen.segment.rows]
    wires = seen.segment.wires(seen.piece.vectors)
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
    place, segment = sums.vectors[:, seen.piece.span], seen.segment
    if segment.first is None:
        place.index_add_(2, segment.inputs, to_rows)
    else:
        segment.take(place).add_(to_rows)
