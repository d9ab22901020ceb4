"""Comparisons of sense amplifiers as torch computes them, and their gradient.

    S = sum over rows of drive[row](x[input of row]) table[row]
    q = sum over levels of [S >= theta]

A wordline is driven by some of the three cases of a sign: up, down and absent. Of -1, 0 and +1 that
is a polynomial, `(up - down) / 2 x + ((up + down) / 2 - absent) x^2 + absent`, so that the sums of
all rows of an input are products with `x` and with `x^2`, and no wordline is made. Halves are exact
in float32 while sums stay below 2**23.

A comparison has the gradient of a clamp that is `width` wide around its threshold. Backward needs
only which comparisons are within, a bit each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

import xbarc.train.comparison_loop as loops
from xbarc.ir import ABSENT, DOWN, UP
from xbarc.train.crossbar import SUMS_AT_ONCE


@dataclass(frozen=True, eq=False)
class ComparedRows:
    """Rows that are active together.

    Attributes:
        rows: which of the layer's rows.
        inputs: the inputs that the rows read, each once.
        place: of each row's input in `inputs`; axis: row.
        odd, even, absent: how each row's drive depends on `x`, on `x^2`, and what is left; axis:
            row.
        output: `R`, axes: group or 1, conversion, output.
        width: over how many steps of the sum the gradient of a comparison is spread.
    """

    rows: slice
    inputs: Tensor
    place: Tensor
    odd: Tensor
    even: Tensor
    absent: Tensor
    output: Tensor
    width: float

    @classmethod
    def of(
        cls, rows: slice, row_input: Tensor, drive: Tensor, output: Tensor, width: float
    ) -> ComparedRows:
        """Those that read `row_input` when signs drive them as `drive` says; axis: row."""
        inputs, place = torch.unique(row_input[rows], return_inverse=True)
        up, down, absent = ((drive[rows] & bit).ne(0).float() for bit in (UP, DOWN, ABSENT))
        odd, even = (up - down) / 2, (up + down) / 2 - absent
        return cls(rows, inputs, place, odd, even, absent, output, width)

    def join(self, table: Tensor) -> _JoinedTable:
        """The rows of an input joined into what `x` and `x^2` are multiplied with."""
        cells = table[:, self.rows]
        shape = (cells.shape[0], self.inputs.numel(), cells.shape[2])
        odd, even = (
            cells.new_zeros(shape).index_add_(1, self.place, cells * _by_row(part, cells))
            for part in (self.odd, self.even)
        )
        return _JoinedTable(odd, even, (cells * _by_row(self.absent, cells)).sum(1, keepdim=True))

    def split(self, back: _JoinedTable) -> Tensor:
        """The transpose of `join`: gradient of the rows."""
        return (
            back.odd[:, self.place] * _by_row(self.odd, back.odd)
            + back.even[:, self.place] * _by_row(self.even, back.even)
            + back.rest * _by_row(self.absent, back.rest)
        )


@dataclass(frozen=True, eq=False)
class _JoinedTable:
    """What `x` and `x^2` are multiplied with, and what is added.

    Attributes:
        odd, even: axes: group, input, conversion.
        rest: axes: group, vector (1), conversion.
    """

    odd: Tensor
    even: Tensor
    rest: Tensor


def compare(
    vectors: Tensor,
    table: Tensor,
    thresholds: Tensor,
    segments: tuple[ComparedRows, ...],
    joined: torch.dtype,
) -> Tensor:
    """Signs of input vectors to votes, through every comparison.

    Args:
        vectors: -1, 0 and 1; axes: group, vector, input.
        table: `A` applied to the cells; axes: group, row, conversion.
        thresholds: axes: segment, level, group, vector (1), conversion.
        segments: all segments of the layer.
        joined: float type in which votes are summed.

    Returns:
        Axes: group, vector, output.
    """
    votes: Tensor = _Compare.apply(  # type: ignore[no-untyped-call]
        vectors, table, thresholds, segments, joined
    )
    return votes


@dataclass(frozen=True, eq=False)
class _SignPiece:
    """Some input vectors, those of all segments side by side; axes: group, vector, input.

    Attributes:
        span: which vectors.
        signs: their numbers.
        squares: of them; None where all are 1.
    """

    span: slice
    signs: Tensor
    squares: Tensor | None

    def sums(self, part: slice, table: _JoinedTable) -> Tensor:
        """What the columns of a segment carry; axes: group, vector, conversion."""
        rest = table.rest
        if self.squares is None:
            rest = rest + table.even.sum(1, keepdim=True)
        sums = torch.baddbmm(rest, self.signs[:, :, part], table.odd)
        if self.squares is not None:
            sums = sums.baddbmm_(self.squares[:, :, part], table.even)
        return sums


class _Compare(torch.autograd.Function):
    """The function of `compare` and its gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        vectors: Tensor,
        table: Tensor,
        thresholds: Tensor,
        segments: tuple[ComparedRows, ...],
        joined: torch.dtype,
    ) -> Tensor:
        """Every comparison of every vector; float64 sums where `table` is float64."""
        ctx.save_for_backward(vectors, table, thresholds)
        ctx.segments, ctx.near = segments, []
        tables = [segment.join(table) for segment in segments]
        parts = []
        for piece in _pieces(vectors, table, segments):
            total = torch.zeros((), dtype=joined, device=table.device)
            for number, (segment, part) in enumerate(_parts(segments)):
                sums = piece.sums(part, tables[number])
                codes, near = _reach(sums, thresholds[number, :, :, 0], segment.width / 2)
                if any(ctx.needs_input_grad):
                    ctx.near.append(near)
                total = total + codes.to(joined) @ segment.output.to(joined)
            parts.append(total)
        return torch.cat(parts, dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """Spread over the width around each threshold."""
        vectors, table, thresholds = ctx.saved_tensors
        segments: tuple[ComparedRows, ...] = ctx.segments
        near, tables = iter(ctx.near), [segment.join(table) for segment in segments]
        backs = [_JoinedTable(*map(torch.zeros_like, (t.odd, t.even, t.rest))) for t in tables]
        to_vectors, lost = torch.zeros_like(vectors), torch.zeros_like(thresholds)
        order = torch.cat([segment.inputs for segment in segments])
        with torch.autocast(grad.device.type, enabled=False):
            for piece in _pieces(vectors, table, segments):
                shares = grad[:, piece.span].to(table.dtype)
                to_signs = torch.empty_like(piece.signs)
                for number, (segment, part) in enumerate(_parts(segments)):
                    back = shares @ segment.output.mT.to(table.dtype)
                    passed = _pass(next(near), back, segment.width, lost[number, :, :, 0])
                    _add_to_table(piece, part, passed, backs[number])
                    to_signs[:, :, part] = passed @ tables[number].odd.mT
                to_vectors[:, piece.span].index_add_(2, order, to_signs.to(vectors.dtype))
        to_table = torch.cat([s.split(back) for s, back in zip(segments, backs, strict=True)], 1)
        return to_vectors, to_table, lost, None, None


def _add_to_table(piece: _SignPiece, part: slice, passed: Tensor, back: _JoinedTable) -> None:
    total = passed.sum(1, keepdim=True)
    back.odd.baddbmm_(piece.signs[:, :, part].mT, passed)
    back.rest.add_(total)
    if piece.squares is None:
        back.even.add_(total)
    else:
        back.even.baddbmm_(piece.squares[:, :, part].mT, passed)


def _pieces(
    vectors: Tensor, table: Tensor, segments: tuple[ComparedRows, ...]
) -> Iterator[_SignPiece]:
    groups, count, _ = vectors.shape
    order = torch.cat([segment.inputs for segment in segments])
    size = max(1, SUMS_AT_ONCE // max(1, groups * table.shape[2]))
    for start in range(0, max(count, 1), size):
        part = vectors[:, start : start + size].to(table.dtype)
        signs, whole = _take_inputs(part, order)
        span = slice(start, start + part.shape[1])
        yield _SignPiece(span, signs, None if whole else signs * signs)


def _take_inputs(vectors: Tensor, order: Tensor) -> tuple[Tensor, bool]:
    """Inputs in the order of the segments, and whether none of them is 0."""
    if not vectors.is_cpu:
        signs = vectors.index_select(2, order)
        return signs, bool((signs != 0).all())
    # torch's own gather along the last axis is some ten times slower
    signs = vectors.new_empty((*vectors.shape[:2], order.numel()))
    given = (vectors.detach().contiguous().numpy(), order.numpy())
    return signs, bool(loops.take_inputs(*given, signs.numpy()))


def _parts(segments: tuple[ComparedRows, ...]) -> Iterator[tuple[ComparedRows, slice]]:
    """Each segment, and where its inputs lie in a piece."""
    start = 0
    for segment in segments:
        end = start + segment.inputs.numel()
        yield segment, slice(start, end)
        start = end


def _reach(sums: Tensor, levels: Tensor, half: float) -> tuple[Tensor, Tensor]:
    """How many levels each sum reaches, and a bit for each that it is near to.

    Args:
        sums: axes: group, vector, conversion.
        levels: axes: level, group, conversion.
        half: how near.
    """
    if not sums.is_cpu:
        return _reach_on_device(sums, levels, half)
    codes, near = torch.empty_like(sums), torch.empty(sums.shape, dtype=torch.uint8)
    given = (sums.numpy(), levels.detach().contiguous().numpy())
    loops.reach_levels(*given, half, codes.numpy(), near.numpy())
    return codes, near


def _reach_on_device(sums: Tensor, levels: Tensor, half: float) -> tuple[Tensor, Tensor]:
    """As `reach_levels` of `comparison_loop`, in torch's operations."""
    apart = sums - levels[:, :, None]
    bits = torch.tensor([1 << n for n in range(len(levels))], device=sums.device)
    near = ((apart.abs() < half) * bits.reshape(-1, 1, 1, 1)).sum(0)
    return (apart >= 0).sum(0).to(sums.dtype), near.to(torch.uint8)


def _pass(near: Tensor, back: Tensor, width: float, lost: Tensor) -> Tensor:
    """What of the gradient `back` reaches the sums; thresholds lose it: `lost` is in and out.

    Args:
        near: a bit for each level; axes: group, vector, conversion.
        back: of the codes; axes as `near`.
        width: over how many steps of the sum it is spread.
        lost: axes: level, group, conversion.
    """
    if not back.is_cpu:
        return _pass_on_device(near, back, width, lost)
    passed = torch.empty_like(back)
    into = torch.zeros(lost.shape, dtype=back.dtype)
    given = (near.numpy(), back.contiguous().numpy())
    loops.pass_near(*given, width, passed.numpy(), into.numpy())
    lost.sub_(into)
    return passed


def _pass_on_device(near: Tensor, back: Tensor, width: float, lost: Tensor) -> Tensor:
    """As `pass_near` of `comparison_loop`, in torch's operations."""
    each = [((near >> level) & 1) * back / width for level in range(len(lost))]
    for level, part in enumerate(each):
        lost[level].sub_(part.sum(1))
    return torch.stack(each).sum(0)


def _by_row(values: Tensor, like: Tensor) -> Tensor:
    return values.to(like)[None, :, None]
