"""One layer in torch: the program's bits in `eval`, and gradients that are what they should be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import int_layer, mapped, program_of, small_target
from tests.executor.test_engines import draw_adc, mapped_or_none
from tests.strategies import Case, cases
from xbarc.executor import Executor
from xbarc.ir import CrossbarStep, StaticInput
from xbarc.numerics import AnyArray, pack_cells
from xbarc.train import ProgramLayer, crossbar, crossbar_loop
from xbarc.train.crossbar import ActiveRows, ColumnConverters, LayerCut


def _program(step: CrossbarStep, case: Case) -> AnyArray:
    values = {"x": case.tensor}
    Executor(program_of([step], case.target, [None] * case.tensor.ndim)).runner.run(step, values)
    return values["y"]


def _torch(layer: ProgramLayer, tensor: AnyArray) -> AnyArray:
    layer.eval()
    with torch.no_grad():
        made: AnyArray = layer(torch.from_numpy(tensor.copy())).numpy()
    return made


@given(cases(), st.booleans())
def test_eval_gives_the_bits_of_a_lossless_program(case: Case, converters: bool) -> None:
    step = mapped_or_none(case)
    if step is None:
        return
    found = _torch(ProgramLayer(step, converters=converters), case.tensor)
    wanted = _program(step, case)
    assert found.shape == wanted.shape
    assert np.array_equal(found, wanted)


@given(cases(), st.data())
def test_eval_gives_the_bits_whatever_the_converters_and_cells(
    case: Case, data: st.DataObject
) -> None:
    step = mapped_or_none(case)
    if step is None:
        return
    step = draw_adc(step, data)
    rng = np.random.default_rng(data.draw(st.integers(0, 99), label="cells"))
    cells = rng.integers(0, 1 << step.cells.bits, step.cells.shape).astype(np.uint8)
    step = replace(step, cells=pack_cells(cells, step.cells.bits))
    assert np.array_equal(
        _torch(ProgramLayer(step, converters=True), case.tensor), _program(step, case)
    )


def _layer(**options: Any) -> ProgramLayer:
    rng = np.random.default_rng(3)
    weights = rng.integers(-7, 8, (1, 20, 6)).astype(np.int8)
    quantizer = StaticInput(bits=4, scale=0.125, zero_point=3)
    layer = int_layer(weights, weight_bits=4, quantizer=quantizer)
    target = small_target(array__rows=8, array__active_rows=8)
    step = mapped(layer, target, **options)
    return ProgramLayer(step, converters=True)


def _gradients(layer: ProgramLayer, tensor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    layer.train()
    tensor = tensor.clone().requires_grad_()
    layer.cells.grad = None
    result = layer(tensor)
    (result * torch.linspace(-1, 1, result.numel()).reshape(result.shape)).sum().backward()
    assert layer.cells.grad is not None
    assert tensor.grad is not None
    return layer.cells.grad.clone(), tensor.grad.clone()


@pytest.mark.parametrize("encoding", ["differential", "acm", "offset", "unipolar", "bias-column"])
def test_converters_that_lose_nothing_have_the_gradient_of_the_product(encoding: str) -> None:
    layer = _layer(encoding=encoding)
    tensor = torch.linspace(-0.3, 1.4, 60).reshape(3, 20)
    through = _gradients(layer, tensor)
    layer.converters = False
    plain = _gradients(layer, tensor)
    for found, wanted in zip(through, plain, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-4)
    assert plain[0].abs().max() > 0


def test_a_saturated_converter_passes_nothing() -> None:
    layer = _layer()
    low = np.full_like(layer.step.adc.lo, -(1 << 20))  # every sum is far above the range
    layer.step = replace(layer.step, adc=replace(layer.step.adc, lo=low))
    cells, inputs = _gradients(layer, torch.full((2, 20), 0.5))
    zero = layer.step.quantizer.zero_point  # type: ignore[union-attr]
    assert zero == 3  # only the zero point's share, which no converter reads, is left
    assert inputs.abs().max() == 0
    layer.step = replace(layer.step, quantizer=StaticInput(bits=4, scale=0.125, zero_point=0))
    cells, _ = _gradients(layer, torch.full((2, 20), 0.5))
    assert cells.abs().max() == 0


def test_inputs_out_of_range_pass_nothing() -> None:
    layer = _layer()
    tensor = torch.full((1, 20), 0.5)
    tensor[0, :10] = 99.0
    _, inputs = _gradients(layer, tensor)
    assert inputs[0, :10].abs().max() == 0
    assert inputs[0, 10:].abs().max() > 0


def test_cells_move_between_their_levels_only() -> None:
    layer = _layer()
    with torch.no_grad():
        layer.cells.add_(100)
    layer.project()
    assert bool((layer.latent_levels() == layer.top).all())
    assert set(torch.unique(layer.current_levels().detach()).tolist()) <= set(range(layer.top + 1))
    layer.train()
    layer.noise = 0.1
    assert not torch.equal(layer.current_levels(), layer.current_levels())
    layer.eval()
    assert torch.equal(layer.current_levels(), layer.current_levels())


def test_pulled_cells_go_back_to_the_level_they_are_at() -> None:
    layer = _layer()
    levels = layer.current_levels().detach().clone()
    inner = levels.clamp(1, layer.top - 1)
    with torch.no_grad():
        layer.cells.copy_((inner + 0.4) * layer.significance)
    apart = layer.latent_levels().detach().clone()
    layer.project(0.25)
    moved = (apart - layer.latent_levels().detach()) * layer.significance
    # every cell as far, in units of the least significant one: the pull meets steps of Adam
    assert torch.allclose(moved, torch.full_like(moved, 0.1), atol=1e-5)
    assert torch.equal(torch.round(layer.latent_levels()), inner)
    layer.project(5.0)  # never past the level
    apart = (layer.latent_levels() - inner)[(layer.significance == 1).expand_as(inner)]
    assert apart.abs().max() < 1e-5


def test_the_compiled_loops_are_the_operations_of_torch() -> None:
    rng = np.random.default_rng(5)
    sums = torch.from_numpy(rng.integers(-40, 200, (2, 9, 7)).astype(np.int32))
    settings = torch.stack(
        [
            torch.from_numpy(rng.integers(*ends, (2, 7)).astype(np.float32))
            for ends in ((-9, 9), (1, 12), (0, 16))
        ]
    )
    total, passed = torch.zeros(sums.shape), torch.zeros(sums.shape, dtype=torch.uint8)
    crossbar_loop.read_sums(sums.numpy(), settings.numpy(), 4, 12, total.numpy(), passed.numpy())
    value, inside = crossbar._read_on_device(sums, settings)
    assert torch.equal(total, 4 * value)
    assert torch.equal(passed, 12 * inside)
    assert 0 < int(inside.sum()) < inside.numel()


@pytest.mark.parametrize("dac_bits", [1, 2])
def test_the_gradient_of_cut_codes_is_that_of_their_planes(dac_bits: int) -> None:
    rng = np.random.default_rng(2)
    cut = LayerCut((), dac_bits, 4 // dac_bits, torch.float32, 3)
    codes = torch.from_numpy(rng.integers(0, 16, (2, 9, 5)).astype(np.uint8))
    table, back = torch.zeros(2, 5, 7), torch.from_numpy(rng.normal(size=(2, 9, 7))).float()
    slices = rng.integers(0, 2, (cut.slices, 2, 9, 7))
    slices[:, :, 4:] = 1  # most conversions are in their range
    passed = torch.from_numpy(
        np.sum([s * cut.bits_of(n) for n, s in enumerate(slices)], axis=0).astype(np.uint8)
    )
    segment = ActiveRows(slice(0, 5), torch.arange(5), table[0], _NOT_READ, first=0)
    piece = crossbar._VectorPiece(codes.float(), codes, slice(0, 9))
    seen = crossbar._Seen(piece, table, segment, back)
    found = torch.zeros(2, 5, 7)
    shared = crossbar._add_to_cells(seen, codes, passed, cut, found)
    torch.testing.assert_close(shared, back * passed / 15)
    wanted = torch.zeros(2, 5, 7)
    for number, inside in enumerate(slices):
        plane = (codes >> (dac_bits * number)) & ((1 << dac_bits) - 1)
        assert torch.equal(crossbar._plane(codes, number, torch.int8, cut).int(), plane.int())
        wanted += 2 ** (dac_bits * number) * plane.float().mT @ (back * torch.from_numpy(inside))
    torch.testing.assert_close(found, wanted)


_NOT_READ = ColumnConverters(torch.zeros(1), torch.zeros(1), torch.zeros(1))


def test_products_of_bytes_are_the_products_of_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = _layer(encoding="acm", adc="3")
    tensor = torch.linspace(-0.3, 1.4, 60).reshape(3, 20)
    results = []
    for fast in (True, False):
        monkeypatch.setattr(crossbar, "_HAS_BYTE_PRODUCTS", fast)
        results.append((layer.eval()(tensor), *_gradients(layer, tensor)))
    for in_bytes, in_floats in zip(*results, strict=True):
        assert torch.equal(in_bytes, in_floats)


@pytest.mark.parametrize("encoding", ["differential", "acm", "offset", "unipolar", "bias-column"])
def test_a_step_changes_weights_as_much_in_every_slice(encoding: str) -> None:
    layer = _layer(encoding=encoding)
    written = layer.current_levels().detach()
    assert np.array_equal(written.numpy(), layer.step.cells.unpack())
    assert np.unique(layer.significance.numpy()).tolist()[:2] == [1, 4]  # cells of two bits
    before, changes = layer.weight(layer.latent_levels()), set()
    for column in range(layer.significance.shape[2]):
        with torch.no_grad():
            layer.cells[0, 5, column] += 1
            change = layer.weight(layer.latent_levels()) - before
            layer.cells[0, 5, column] -= 1
        changes.add(float(change.abs().max()))
    assert changes <= {0.0, 1.0}  # 0: a column that nobody reads
    assert 1.0 in changes
