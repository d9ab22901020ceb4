"""Comparisons: forward and backward what wordlines, sums and clamps give when written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from xbarc.ir import ABSENT, DOWN, UP
from xbarc.train import comparisons
from xbarc.train.comparisons import ComparedRows, compare

INPUTS, CONVERSIONS, OUTPUTS, GROUPS = 6, 5, 3, 2
WIDTHS = (3.0, 4.0)


def _segments(drive: Tensor, row_input: Tensor) -> tuple[ComparedRows, ...]:
    output = torch.randint(-1, 2, (1, CONVERSIONS, OUTPUTS)).float()
    rows = (slice(0, 7), slice(7, 16))
    return tuple(
        ComparedRows.of(part, row_input, drive, output * (n + 1), width)
        for n, (part, width) in enumerate(zip(rows, WIDTHS, strict=True))
    )


class _Near(torch.autograd.Function):
    """`[sum >= level]`, with the gradient of a clamp."""

    @staticmethod
    def forward(ctx: object, apart: Tensor, width: float) -> Tensor:
        ctx.save_for_backward(apart)  # type: ignore[attr-defined]
        ctx.width = width  # type: ignore[attr-defined]
        return (apart >= 0).to(apart.dtype)

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> tuple[Tensor, None]:
        (apart,) = ctx.saved_tensors  # type: ignore[attr-defined]
        width = ctx.width  # type: ignore[attr-defined]
        return (apart.abs() < width / 2) * grad / width, None


def _wires(signs: Tensor, drive: Tensor) -> Tensor:
    """Which wordlines are driven, with the slope of a line between -1 and +1."""
    up, down, absent = ((drive & bit).ne(0).to(signs.dtype) for bit in (UP, DOWN, ABSENT))
    exact = torch.where(signs > 0, up, torch.where(signs < 0, down, absent))
    return exact + (signs - signs.detach()) * (up - down) / 2


@pytest.mark.parametrize("absent", [False, True])
@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_votes_and_gradients_are_those_of_wordlines(
    kind: torch.dtype, levels: int, absent: bool
) -> None:
    torch.manual_seed(levels)
    drive = torch.randint(0, 8, (16,))
    row_input = torch.randint(0, INPUTS, (16,))
    segments = _segments(drive, row_input)
    signs = torch.randint(0, 2, (GROUPS, 40, INPUTS)) * 2 - 1
    if absent:
        signs = signs * (torch.rand(signs.shape) > 0.2)
    table = torch.randint(0, 4, (GROUPS, 16, CONVERSIONS)).to(kind)
    shape = (2, levels, GROUPS, 1, CONVERSIONS)
    thresholds = torch.sort(torch.randint(0, 12, shape), dim=1).values.to(kind)
    slopes = torch.linspace(-1, 1, GROUPS * 40 * OUTPUTS).reshape(GROUPS, 40, OUTPUTS)

    def plain(signs: Tensor, table: Tensor, thresholds: Tensor) -> Tensor:
        total = torch.zeros(())
        for number, segment in enumerate(segments):
            part = segment.rows
            sums = _wires(signs[:, :, row_input[part]], drive[part]) @ table[:, part]
            apart = sums - thresholds[number]
            codes = _Near.apply(apart, segment.width).sum(0)  # type: ignore[no-untyped-call]
            total = total + codes @ segment.output.to(kind)
        return total

    def fast(signs: Tensor, table: Tensor, thresholds: Tensor) -> Tensor:
        return compare(signs, table, thresholds, segments, kind)

    found, wanted = (
        _run(function, slopes.to(kind), signs.to(kind), table, thresholds)
        for function in (fast, plain)
    )
    assert torch.equal(found[0], wanted[0])
    for gradient, expected in zip(found[1:], wanted[1:], strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-5)
        assert gradient.abs().max() > 0


def _run(function: object, slopes: Tensor, *tensors: Tensor) -> list[Tensor]:
    leaves = [tensor.clone().requires_grad_() for tensor in tensors]
    result = function(*leaves)  # type: ignore[operator]
    (result * slopes).sum().backward()
    return [result.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


@pytest.mark.parametrize("levels", [1, 3])
def test_compiled_passes_do_what_torch_does(levels: int) -> None:
    torch.manual_seed(levels)
    sums = torch.randint(0, 20, (GROUPS, 30, CONVERSIONS)).float()
    limits = torch.sort(torch.randint(0, 20, (levels, GROUPS, CONVERSIONS)), dim=0).values.float()
    found = comparisons._reach(sums, limits, 2.5)
    wanted = comparisons._reach_on_device(sums, limits, 2.5)
    assert all(map(torch.equal, found, wanted))
    back, lost, other = (
        torch.randn(sums.shape),
        torch.zeros(limits.shape),
        torch.zeros(limits.shape),
    )
    passed = comparisons._pass(found[1], back, 5.0, lost)
    torch.testing.assert_close(passed, comparisons._pass_on_device(found[1], back, 5.0, other))
    torch.testing.assert_close(lost, other)
