"""Conversions as torch computes them, forward exactly and backward with the gradient of a clamp.

    S = u table,   q = clamp(floor((S - lo) / step + 1/2), 0, 2**bits - 1),   acc += 2**(d s) R f S'

All numbers are integers held in floats: a float32 product is exact while no sum reaches 2**24, a
float64 product while none reaches 2**53, and the layer picks the type by that bound. Products of
bytes are exact in 32 bits, and taken where the CPU has instructions for them.

The sums of a convolution are many times larger than its result, so none of them is kept. Backward
needs only which slices of a conversion passed: the bits of an input code that they drive, one or
two bytes per conversion. The factor `f` of a column needs what it was read as too, where there is
one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

import xbarc.train.crossbar_loop as loops
from xbarc.numerics import AnyArray

# Sums in flight: 2**18 of four bytes are 1 MiB, which a core's own cache of 2 MiB holds between the
# product that makes them and the pass that reads them, with what is read back beside them.
SUMS_AT_ONCE = 1 << 18

# What `_int_mm` of torch needs to be faster than a product of floats: four times on a CPU with
# AVX-512 VNNI. Without such instructions oneDNN may fall back to plain loops.
_HAS_BYTE_PRODUCTS = any(
    llvm.get_host_cpu_features().get(name, False) for name in ("avx512vnni", "avxvnni")
)
_LARGEST_BYTE = 127  # of a signed byte, which `_int_mm` takes


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
class ActiveRows:
    """Rows that are active together.

    Attributes:
        rows: which of the layer's rows.
        inputs: input of each row; axis: row.
        output: `R`, axes: group or 1, conversion, output.
        read: how sums become codes.
        first: input of the first row where the rows read neighbouring inputs, else None.
    """

    rows: slice
    inputs: Tensor
    output: Tensor
    read: ColumnConverters
    first: int | None = None

    def take(self, plane: Tensor) -> Tensor:
        """What the rows are driven with; a view where they read neighbouring inputs."""
        if self.first is None:
            return plane[:, :, self.inputs]
        return plane[:, :, self.first : self.first + self.inputs.numel()]


@dataclass(frozen=True, eq=False)
class LayerCut:
    """What the function needs beside its tensors.

    Attributes:
        segments: all segments of the layer.
        dac_bits, slices: how codes are cut into planes.
        joined: float type in which accumulators are summed.
        largest: the largest magnitude of a whole number in the table; None where cells deviate.
        reading: type that holds what any conversion is read as, joined over input slices.
    """

    segments: tuple[ActiveRows, ...]
    dac_bits: int
    slices: int
    joined: torch.dtype
    largest: int | None
    reading: torch.dtype = torch.int32

    @property
    def all_bits(self) -> int:
        """Every bit of an input code."""
        return (1 << (self.dac_bits * self.slices)) - 1

    def bits_of(self, number: int) -> int:
        """Bits of an input code that one slice drives."""
        return ((1 << self.dac_bits) - 1) << (self.dac_bits * number)

    @property
    def code_type(self) -> torch.dtype:
        """Integers that hold an input code."""
        return torch.uint8 if self.all_bits < 1 << 8 else torch.int32

    @property
    def fits_bytes(self) -> bool:
        """Whether planes and table are whole numbers of a signed byte."""
        wires = (1 << self.dac_bits) - 1
        return self.largest is not None and max(self.largest, wires) <= _LARGEST_BYTE


class _Convert(torch.autograd.Function):
    """The function of `convert` and its gradient."""

    @staticmethod
    def forward(
        ctx: Any, vectors: Tensor, table: Tensor, scales: Tensor | None, cut: LayerCut
    ) -> Tensor:
        """Every conversion of every vector; float64 sums where `table` is float64."""
        ctx.save_for_backward(vectors, table, scales)
        ctx.cut, ctx.passed, ctx.readings = cut, [], []
        tables = [_SegmentTable.make(table, segment, cut) for segment in cut.segments]
        parts = []
        for piece in _pieces(vectors, table, cut):
            total = torch.zeros((), dtype=cut.joined, device=table.device)
            for number, segment in enumerate(cut.segments):
                codes, passed = _convert_slices(piece, tables[number], segment, cut)
                if any(ctx.needs_input_grad):
                    ctx.passed.append(passed)
                codes = codes.to(cut.joined)
                if scales is not None:
                    if ctx.needs_input_grad[2]:
                        ctx.readings.append(codes.to(cut.reading))
                    codes = codes * scales[number].to(cut.joined)
                total = total + codes @ segment.output.to(cut.joined)
            parts.append(total)
        return torch.cat(parts, dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor | None, None]:
        """Straight through where a converter is in its range, nothing where it saturates."""
        vectors, table, scales = ctx.saved_tensors
        sums = _Gradients(
            torch.zeros_like(vectors),
            torch.zeros_like(table),
            None if scales is None else torch.zeros_like(scales),
        )
        with torch.autocast(grad.device.type, enabled=False):
            _sum_gradients(grad, ctx, (vectors, table, scales), sums)
        return sums.vectors, sums.table, sums.scales, None


def convert(vectors: Tensor, table: Tensor, scales: Tensor | None, cut: LayerCut) -> Tensor:
    """Codes of input vectors to accumulators, through every conversion.

    Args:
        vectors: axes: group, vector, input.
        table: `A` applied to the cells; axes: group, row, conversion.
        scales: trained factors; axes: segment, group or 1, vector (1), conversion. None where
            there are none.
        cut: segments, slices and types.

    Returns:
        Axes: group, vector, output.
    """
    acc: Tensor = _Convert.apply(vectors, table, scales, cut)  # type: ignore[no-untyped-call]
    return acc


@dataclass(frozen=True, eq=False)
class _Gradients:
    vectors: Tensor
    table: Tensor
    scales: Tensor | None


@dataclass(frozen=True, eq=False)
class _VectorPiece:
    """Some input vectors, as integer codes too."""

    vectors: Tensor
    codes: Tensor
    span: slice


@dataclass(frozen=True, eq=False)
class _SegmentTable:
    """The table of one segment's rows, and as signed bytes where these do.

    Attributes:
        settings: `lo`, `step` and largest code of each input slice; axes: which, group, conversion.
    """

    cells: Tensor
    bytes: Tensor | None
    settings: tuple[Tensor, ...]

    @classmethod
    def make(cls, table: Tensor, segment: ActiveRows, cut: LayerCut) -> _SegmentTable:
        cells = table[:, segment.rows].contiguous()
        in_bytes = cells.is_cpu and _HAS_BYTE_PRODUCTS and cut.fits_bytes
        settings = tuple(_settings(segment.read, n, cells) for n in range(cut.slices))
        return cls(cells, cells.to(torch.int8) if in_bytes else None, settings)


@dataclass(frozen=True, eq=False)
class _Seen:
    """One segment of one piece, and the gradient of its conversions."""

    piece: _VectorPiece
    table: Tensor
    segment: ActiveRows
    back: Tensor


def _sum_gradients(
    grad: Tensor, ctx: Any, given: tuple[Tensor, Tensor, Tensor | None], sums: _Gradients
) -> None:
    """Add what reaches each input; `given` is taken from `ctx` once, as checkpoints ask."""
    vectors, table, scales = given
    cut: LayerCut = ctx.cut
    passed, readings = iter(ctx.passed), iter(ctx.readings)
    for piece in _pieces(vectors, table, cut):
        part = grad[:, piece.span].to(table.dtype)
        for number, segment in enumerate(cut.segments):
            back = part @ segment.output.mT.to(table.dtype)
            if scales is not None:
                if sums.scales is not None and ctx.needs_input_grad[2]:
                    _add_to_scale(sums.scales[number], next(readings), back)
                back = back * scales[number].to(back.dtype)
            _convert_back(_Seen(piece, table, segment, back), next(passed), cut, sums)


def _add_to_scale(place: Tensor, reading: Tensor, back: Tensor) -> None:
    """Add the gradient of factors; axes of both arguments: group, vector, conversion."""
    moved = (reading.to(back.dtype) * back).sum(1, keepdim=True)
    # one factor for all groups takes what all of them say
    place += moved if place.shape[0] > 1 else moved.sum(0, keepdim=True)


def _pieces(vectors: Tensor, table: Tensor, cut: LayerCut) -> Iterator[_VectorPiece]:
    groups, count, _ = vectors.shape
    size = max(1, SUMS_AT_ONCE // max(1, groups * table.shape[2]))
    for start in range(0, max(count, 1), size):
        piece = vectors[:, start : start + size].to(table.dtype)
        span = slice(start, start + piece.shape[1])
        yield _VectorPiece(piece, piece.to(cut.code_type), span)


def _convert_slices(
    piece: _VectorPiece, table: _SegmentTable, segment: ActiveRows, cut: LayerCut
) -> tuple[Tensor, Tensor]:
    """Codes read back and joined over input slices, and the bits of inputs that passed.

    Both have the axes group, vector, conversion.
    """
    codes = segment.take(piece.codes)
    shape = (*codes.shape[:2], table.cells.shape[2])
    total, passed = table.cells.new_zeros(shape), codes.new_zeros(shape)
    for number, settings in enumerate(table.settings):
        sums = _slice_sums(codes, table, number, cut)
        weight, bits = 1 << (cut.dac_bits * number), cut.bits_of(number)
        if sums.is_cpu:
            loops.read_sums(*_arrays(sums, settings), weight, bits, total.numpy(), passed.numpy())
        else:
            value, inside = _read_on_device(sums, settings)
            total += value * weight
            passed |= torch.where(inside, bits, 0).to(passed.dtype)
    return total, passed


def _slice_sums(codes: Tensor, table: _SegmentTable, number: int, cut: LayerCut) -> Tensor:
    """Sums of one input slice; axes: group, vector, conversion."""
    if table.bytes is None:
        return _plane(codes, number, table.cells.dtype, cut) @ table.cells
    plane = _plane(codes, number, torch.int8, cut)
    products = [torch._int_mm(*pair) for pair in zip(plane, table.bytes, strict=True)]
    return products[0][None] if len(products) == 1 else torch.stack(products)


def _plane(codes: Tensor, number: int, dtype: torch.dtype, cut: LayerCut) -> Tensor:
    """One input slice of the codes, the least significant first; axes as `codes`."""
    below, size = cut.dac_bits * number, 1 << cut.dac_bits
    if not codes.is_cpu:
        return ((codes >> below) & (size - 1)).to(dtype)
    plane = torch.empty(codes.shape, dtype=dtype)
    # Of one layout: the loop is compiled for each.
    loops.take_plane(codes.contiguous().numpy(), below, size, plane.numpy())
    return plane


def _read_on_device(sums: Tensor, settings: Tensor) -> tuple[Tensor, Tensor]:
    """As `read_sums` of `crossbar_loop`, in torch's operations; values, and which are in range."""
    low, step, top = settings[:, :, None]
    codes = torch.floor((sums - low) / step + 0.5)
    near = codes.clamp(min=0.0).minimum(top)
    return near * step + low, near == codes


def _settings(read: ColumnConverters, number: int, cells: Tensor) -> Tensor:
    """`lo`, `step` and largest code of one input slice; axes: which, group, conversion."""
    shape = (cells.shape[0], cells.shape[2])
    parts = (values[number if values.shape[0] > 1 else 0][:, 0] for values in read.settings)
    return torch.stack([part.expand(shape) for part in parts])


def _arrays(*tensors: Tensor) -> tuple[AnyArray, ...]:
    """The same memory as numpy sees it."""
    return tuple(tensor.detach().contiguous().numpy() for tensor in tensors)


def _convert_back(seen: _Seen, passed: Tensor, cut: LayerCut, sums: _Gradients) -> None:
    cells, codes = seen.table[:, seen.segment.rows], seen.segment.take(seen.piece.codes)
    place = sums.table[:, seen.segment.rows]
    if seen.back.is_cpu:
        shared = _add_to_cells(seen, codes, passed, cut, place)
    else:
        # an input moves all its planes; each counts by its weight, so that an unsaturated layer
        # gets exactly the gradient of the plain product
        shared = seen.back * (passed / cut.all_bits)
        for number in range(cut.slices):
            near = ((passed & cut.bits_of(number)) != 0) * seen.back
            weight = 1 << (cut.dac_bits * number)
            place += _plane(codes, number, cells.dtype, cut).mT @ near * weight
    _add_to_inputs(seen, shared, cells, sums)


def _add_to_cells(
    seen: _Seen, codes: Tensor, passed: Tensor, cut: LayerCut, place: Tensor
) -> Tensor:
    """Add the cells' gradient to `place`; gives the gradient that goes on to the inputs.

    A conversion of which every slice passes counts in one product with whole codes: these are
    most, and there are as many planes as slices. The others are added one by one.
    """
    back = seen.back.contiguous()
    shared, whole = torch.empty_like(back), torch.empty_like(back)
    given = _arrays(back, passed)
    loops.split_gradient(*given, cut.all_bits, shared.numpy(), whole.numpy())
    place += seen.segment.take(seen.piece.vectors).mT @ whole
    rest = torch.zeros(place.mT.shape, dtype=place.dtype)
    loops.add_cut_inputs(*_arrays(codes, passed), cut.all_bits, *given[:1], rest.numpy())
    place += rest.mT
    return shared


def _add_to_inputs(seen: _Seen, passed: Tensor, cells: Tensor, sums: _Gradients) -> None:
    to_rows = (passed @ cells.mT).to(sums.vectors.dtype)
    place, segment = sums.vectors[:, seen.piece.span], seen.segment
    if segment.first is None:
        place.index_add_(2, segment.inputs, to_rows)
    else:
        segment.take(place).add_(to_rows)
