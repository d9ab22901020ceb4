"""Compiled passes over memory: forward and backward what torch's own operations give."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.builders import int_layer, mapped, small_target
from xbarc.errors import InputError
from xbarc.ir import DynamicInput, StaticInput, Window
from xbarc.train import inputs
from xbarc.train.geometry import window_vectors
from xbarc.train.inputs import read_codes
from xbarc.train.results import real_values
from xbarc.train.weights import WeightEntries, round_levels


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape)).float()


def _run(function: Callable[..., Tensor], *tensors: Tensor) -> list[Tensor]:
    """The result, and gradients of a weighted sum of it."""
    leaves = [tensor.clone().requires_grad_() for tensor in tensors]
    result = function(*leaves)
    weighted = (result * torch.linspace(-1, 1, result.numel()).reshape(result.shape)).sum()
    weighted.backward()  # type: ignore[no-untyped-call]
    return [result.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


@pytest.mark.parametrize("places", [(), (5,), (3, 4)])
@pytest.mark.parametrize("one", [False, True])
def test_real_values_are_one_product_rounded_once(places: tuple[int, ...], one: bool) -> None:
    acc = torch.round(100 * _random(6, 4, *places))
    offset = torch.round(9 * _random(1 if one else 6, 4, seed=1)).double()
    factor = _random(1 if one else 6, 1, seed=2).double()
    scale, bias = _random(4, seed=3), _random(4, seed=4)

    def by_torch(acc: Tensor, offset: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        rest = (1,) * len(places)
        by = (factor * scale.double()).reshape(-1, 4, *rest)
        more = offset.reshape(-1, 4, *rest)
        return ((acc.double() + more) * by + bias.double().reshape(1, -1, *rest)).float()

    def compiled(acc: Tensor, offset: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        return real_values(acc, offset, factor, scale, bias, torch.float32)

    given = (acc, offset, scale, bias)
    found, wanted = _run(compiled, *given), _run(by_torch, *given)
    assert torch.equal(found[0], wanted[0])
    for gradient, expected in zip(found[1:], wanted[1:], strict=True):
        torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("shape", [(5, 7), (5, 2, 3), (0, 4)])
def test_codes_are_divisions_half_to_even(
    dynamic: bool, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    quantizer = DynamicInput(4) if dynamic else StaticInput(bits=4, scale=0.25, zero_point=5)
    tensor = torch.round(16 * _random(*shape)) / 16  # many halves, some out of range

    def codes(tensor: Tensor) -> Tensor:
        return read_codes(tensor, quantizer, {}, "here").values

    found = _run(codes, tensor)
    monkeypatch.setattr(inputs, "_compiled", lambda *_: False)
    for seen, wanted in zip(found, _run(codes, tensor), strict=True):
        assert torch.equal(seen, wanted)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_codes_of_what_is_no_number_are_refused(value: float) -> None:
    tensor = _random(3, 40)
    tensor[1, 17] = value
    with pytest.raises(InputError, match="NaN or infinity"):
        read_codes(tensor, StaticInput(bits=4, scale=0.25, zero_point=5), {}, "here")


def test_levels_are_rounded_and_pass_the_gradient_in_their_range() -> None:
    cells = torch.tensor([[-0.6, 0.0, 0.5, 1.5, 2.4, 3.0, 3.2]])
    found, gradient = _run(lambda cells: round_levels(cells, 3), cells)
    assert found.tolist() == [[0, 0, 0, 2, 2, 3, 3]]
    inside = torch.tensor([[0, 1, 1, 1, 1, 1, 0]])
    torch.testing.assert_close(gradient, torch.linspace(-1, 1, 7)[None] * inside)


@pytest.mark.parametrize("encoding", ["differential", "differential-analog", "acm", "bias-column"])
def test_weights_are_levels_times_the_entries_of_a_and_r(encoding: str) -> None:
    weights = np.random.default_rng(1).integers(-7, 8, (2, 20, 6)).astype(np.int8)
    quantizer = StaticInput(bits=4, scale=0.125, zero_point=3)
    layer = int_layer(weights, weight_bits=4, quantizer=quantizer)
    target = small_target(array__rows=8, array__active_rows=8)
    step = mapped(layer, target, encoding=encoding)
    entries = WeightEntries.of(step)
    levels = torch.from_numpy(step.cells.unpack().astype(np.float32))
    found, gradient = _run(entries.matrix, levels)
    beta = step.periphery.input_sum.reshape(2, 1, 6)
    assert np.array_equal(found.numpy() + beta, weights)
    # a linear map: its gradient is the transpose of what it makes of single levels
    slopes = torch.linspace(-1, 1, found.numel()).reshape(found.shape)
    for place in [(0, 0, 0), (1, 3, 2), (0, 19, 5)]:
        one = torch.zeros_like(levels)
        one[place] = 1
        torch.testing.assert_close(gradient[place], (entries.matrix(one) * slopes).sum())


@pytest.mark.parametrize(
    ("geometry", "space", "groups"),
    [
        (Window((3,), (2,), (1,), (0, 0)), (9,), 1),
        (Window((2, 3), (1, 2), (2, 1), (0, 0, 0, 0)), (6, 8), 2),
        (Window((2, 1, 2), (1, 1, 1), (1, 1, 3), (0, 0, 0, 0, 0, 0)), (3, 4, 5), 1),
    ],
)
def test_windows_are_what_unfold_gives(
    geometry: Window, space: tuple[int, ...], groups: int
) -> None:
    border = _random(2, 2 * groups, *space)
    extents = []

    def compiled(border: Tensor) -> Tensor:
        vectors, extent = window_vectors(border, geometry, groups)
        extents.append(extent)
        return vectors

    def by_torch(border: Tensor) -> Tensor:
        view = border
        for axis, kernel in enumerate(geometry.kernel):
            dilation = geometry.dilations[axis]
            view = view.unfold(2 + axis, dilation * (kernel - 1) + 1, geometry.strides[axis])
            view = view[..., ::dilation]
        rank = len(space)
        extents.append(list(view.shape[2 : 2 + rank]))
        view = view.reshape(2, groups, 2, -1, int(np.prod(geometry.kernel)))
        return view.permute(1, 0, 3, 2, 4).flatten(3).flatten(1, 2)

    for seen, wanted in zip(_run(compiled, border), _run(by_torch, border), strict=True):
        torch.testing.assert_close(seen, wanted)
    assert extents[0] == extents[1]
