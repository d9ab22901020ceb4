"""The cells of one weight: they add up to it, and stand where the chip has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xbarc
from tests.binary_models import bnn_target, compiled, dense_net, senses
from tests.frontend.onnx_models import model_file
from tests.report.programs import dense_step, grouped_step
from tests.viewer.programs import conv_program, with_factors
from xbarc.errors import InputError
from xbarc.ir import DOWN, UP, CrossbarStep, Program, effective_weights
from xbarc.report import inspect_weight

CASES: tuple[dict[str, Any], ...] = (
    {"encoding": "differential"},
    {"encoding": "offset"},
    {"encoding": "bias-column"},
    {"encoding": "acm", "weight_bits": 4, "pack": "network"},
    {"encoding": "differential-analog", "adc_savings": "all"},
)


def chip_levels(program: Program) -> dict[tuple[int, int, int], int]:
    """Level by array, wordline and bitline, from the maps of the program."""
    found: dict[tuple[int, int, int], int] = {}
    for step in program.crossbar_steps:
        tiling, cells = step.tiling, step.cells.unpack()
        for g, i, j in np.ndindex(tiling.array.shape):
            top, left = int(tiling.row_bounds[i]), int(tiling.column_bounds[j])
            for row in range(top, int(tiling.row_bounds[i + 1])):
                for column in range(left, int(tiling.column_bounds[j + 1])):
                    order = tiling.column_order
                    line = column - left
                    if order is not None:
                        line = int(order[g % order.shape[0], i % order.shape[1], column])
                    wordline = int(tiling.row_offset[g, i, j]) + row - top
                    place = int(tiling.array[g, i, j]), wordline
                    bitline = int(tiling.column_offset[g, i, j]) + line
                    found[*place, bitline] = int(cells[g, row, column])
    return found


def drawn(step: CrossbarStep, count: int) -> list[tuple[int, int]]:
    """Some weights of a layer: output over all groups, input."""
    rng = np.random.default_rng(3)
    outputs = rng.integers(0, step.groups * step.outputs, count)
    return list(zip(outputs.tolist(), rng.integers(0, step.inputs, count).tolist(), strict=True))


@pytest.mark.parametrize("options", CASES, ids=lambda case: case["encoding"])
def test_cells_add_up_to_the_weight_and_stand_on_the_chip(
    options: dict[str, Any], tmp_path: Path
) -> None:
    program = conv_program(tmp_path, **options)
    for made in (program, with_factors(program)):
        levels = chip_levels(made)
        for step in made.crossbar_steps:
            weights = effective_weights(step)
            for output, at in drawn(step, 12):
                view = inspect_weight(step, (output, at))
                group, own = divmod(output, step.outputs)
                assert (view.group, view.input, view.output) == (group, at, own)
                assert view.value == weights[group, at, own]
                assert view.value == view.beta + sum(cell.adds for cell in view.cells)
                for cell in view.cells:
                    assert cell.level == levels[cell.array, cell.wordline, cell.bitline]
                    assert cell.adds == cell.level * cell.factor
                    assert cell.factor == sum(one.a * one.r for one in cell.reads)
                    assert cell.sign * cell.factor > 0


def test_slices_are_places_of_the_weight(tmp_path: Path) -> None:
    step = conv_program(tmp_path, encoding="differential").crossbar_steps[0]
    view = inspect_weight(step, (1, 5))
    for cell in view.cells:
        assert cell.factor == cell.sign * (1 << step.cells.bits * cell.slice)
    assert {cell.slice for cell in view.cells} == set(range(step.weight_slices))
    scaled = with_factors(conv_program(tmp_path, encoding="differential")).crossbar_steps[0]
    assert [cell.slice for cell in inspect_weight(scaled, (1, 5)).cells] == [
        cell.slice for cell in view.cells
    ]


def test_a_convolution_counts_as_its_weight_tensor(tmp_path: Path) -> None:
    first, depthwise, *_ = conv_program(tmp_path).crossbar_steps
    for step, shape in ((first, (6, 4, 3, 3)), (depthwise, (6, 1, 3, 3))):
        weights = effective_weights(step).transpose(0, 2, 1).reshape(shape)
        rng = np.random.default_rng(0)
        for _ in range(12):
            index = tuple(int(rng.integers(size)) for size in shape)
            assert inspect_weight(step, index).value == weights[index]


def test_a_transposed_convolution_counts_as_its_weight_tensor(tmp_path: Path) -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 2, 2, 3)).astype(np.float32)
    graph = "g (float[1,3,4,4] x) => (float[N,M,H,W] y) { y = ConvTranspose(x, k) }"
    path = model_file(tmp_path, graph, k=kernel)
    (step,) = xbarc.compile(path).program.crossbar_steps
    for channel, output, row, column in np.ndindex(3, 2, 2, 3):
        view = inspect_weight(step, (output, channel, row, column))
        wanted = float(kernel[channel, output, row, column])
        assert view.scale is not None
        assert view.real == pytest.approx(wanted, abs=0.51 * view.scale)
    flat = inspect_weight(step, (1 * 6 + 1 * 3 + 2, 1))
    assert flat.cells == inspect_weight(step, (1, 1, 1, 2)).cells
    assert flat.output_name == "out 1 1,2"


def test_lines_of_an_input_of_two_values_are_told_apart(tmp_path: Path) -> None:
    program = compiled(dense_net(tmp_path), bnn_target(16, 16))
    step = senses(program)[0]
    assert step.sense is not None
    for output, at in drawn(step, 8):
        view = inspect_weight(step, (output, at))
        assert view.value is None
        rows = np.flatnonzero(np.asarray(step.tiling.row_input) == at)
        assert len({(cell.block, cell.wordline) for cell in view.cells}) == len(rows)
        for name, code in (("high", UP), ("low", DOWN)):
            wanted = sum(bool(int(step.sense.drive[row]) & code) for row in rows)
            assert sum(name in cell.driven for cell in view.cells) == wanted
        ups, downs = (
            sum(cell.adds for cell in view.cells if name in cell.driven) for name in ("high", "low")
        )
        assert ups != downs  # no weight is 0


@pytest.mark.parametrize(
    ("index", "parts"),
    [
        ((3, 0), ("no output 3 of 3", "output 0 to 2, input 0 to 4")),
        ((0, 5), ("no input 5 of 5",)),
        ((-1, 9), ("no output -1 of 3, no input 9 of 5",)),
        ((1,), ("'1' names no weight of dense", "OUT,IN")),
        ((1, 2, 3), ("'1,2,3' names no weight of dense", "OUT,IN")),
    ],
)
def test_what_is_no_weight_is_refused(index: tuple[int, ...], parts: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        inspect_weight(dense_step(), index)
    assert all(part in str(caught.value) for part in parts)


def test_places_of_a_convolution_are_named(tmp_path: Path) -> None:
    step = conv_program(tmp_path).crossbar_steps[0]
    with pytest.raises(InputError, match="no row 3 of 3; hint: output channel 0 to 5, channel"):
        inspect_weight(step, (0, 0, 3, 0))
    with pytest.raises(InputError, match="OUT,CHANNEL,ROW,COLUMN"):
        inspect_weight(step, (0, 0, 0))
    with pytest.raises(InputError, match="OUT,CHANNEL,PLACE"):
        inspect_weight(grouped_step(), (0,))
