"""What a page holds, read as a browser reads it, is the program."""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load

import xbarc
from tests.report.programs import small_program
from tests.viewer.programs import conv_program, with_factors
from xbarc.circuit import Chip, Effects, bitlines, random_faults
from xbarc.errors import InputError
from xbarc.ir import CrossbarStep, Program, effective_weights, slice_ranges
from xbarc.numerics.types import AnyArray
from xbarc.report import inspect_block
from xbarc.viewer import MOST_BYTES, ArrayBytes, ProgramPage
from xbarc.viewer import page as page_room
from xbarc.viewer.arrays import LOSS_UNIT

MODELS = Path(__file__).parents[2] / "models"
CASES: list[dict[str, Any]] = [
    {"encoding": "differential"},
    {"encoding": "differential-analog"},
    {"encoding": "offset"},
    {"encoding": "acm", "weight_bits": 4},
    {"encoding": "bias-column"},
    {"encoding": "unipolar"},
    {"encoding": "differential", "pack": "network"},
    {"encoding": "differential", "adc_savings": "all", "column_order": "3"},
]


def held(page: str, name: str) -> Any:
    found = re.search(rf'id="{name}">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def read(data: bytes) -> tuple[dict[str, AnyArray], dict[str, str]]:
    """A safetensors file and its facts."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    return load(data), header.get("__metadata__", {})


def unpack(data: AnyArray, size: AnyArray) -> AnyArray:
    """Bits of a row follow each other, the least significant first."""
    rows, columns, bits = size.tolist()
    planes = np.unpackbits(data, axis=1, count=columns * bits, bitorder="little")
    return np.asarray(planes.reshape(rows, columns, bits) @ (1 << np.arange(bits)))


def blocks_of(data: bytes) -> list[tuple[list[int], dict[str, AnyArray]]]:
    """Place and arrays of each block of an array."""
    arrays, facts = read(data)
    places = json.loads(facts["blocks"])
    return [
        (place, {n.partition(".")[2]: a for n, a in arrays.items() if n.startswith(f"{at}.")})
        for at, place in enumerate(places)
    ]


def weights_of(own: dict[str, AnyArray], cells: AnyArray, outputs: int) -> AnyArray:
    """What the cells of a block add to each output; axes: row, output."""
    entries = own["a"].astype(int) if "a" in own else None
    if entries is None:
        entries = np.array([[c, c, 1] for c in range(cells.shape[1])])
    sums = np.zeros((len(cells), int(entries[:, 0].max()) + 1), dtype=np.int64)
    for conversion, column, sign in entries:
        sums[:, conversion] += sign * cells[:, column]
    found = np.zeros((len(cells), outputs), dtype=np.int64)
    for output, conversion, value in own["r"].astype(int):
        found[:, output] += value * sums[:, conversion]
    return found


@pytest.mark.parametrize("options", CASES, ids=lambda case: "-".join(map(str, case.values())))
def test_the_page_holds_the_program(options: dict[str, Any], tmp_path: Path) -> None:
    holds(conv_program(tmp_path, **options))


def test_factors_of_columns_are_in_the_weights(tmp_path: Path) -> None:
    holds(with_factors(conv_program(tmp_path)))


def holds(program: Program) -> None:
    """The page of a program holds its cells, weights and converters."""
    page = ProgramPage(program, "net.xbar").render()
    packed = held(page, "held")
    assert len(packed["array"]) == program.arrays
    steps = {at: step for at, step in enumerate(program.steps) if isinstance(step, CrossbarStep)}
    cells = {at: np.full(step.cells.shape, -1) for at, step in steps.items()}
    weights = {
        at: np.zeros((*step.cells.shape[:2], step.outputs), dtype=np.int64)
        for at, step in steps.items()
    }
    for number, text in enumerate(packed["array"]):
        for place, own in blocks_of(zlib.decompress(base64.b64decode(text))):
            step = steps[place[0]]
            index, group, i, j, *corner = place
            tiling = step.tiling
            assert tiling.array[group, i, j] == number
            assert corner == [tiling.row_offset[group, i, j], tiling.column_offset[group, i, j]]
            rows, columns = (
                slice(*tiling.row_bounds[i : i + 2]),
                slice(*tiling.column_bounds[j : j + 2]),
            )
            found = unpack(own["cells"], own["size"])
            cells[index][group, rows, columns] = found
            weights[index][group, rows] += weights_of(own, found, step.outputs)
            same_settings(step, (group, i, j), own)
    for index, whole in cells.items():
        step = steps[index]
        assert np.array_equal(whole, step.cells.unpack())
        beta = step.periphery.input_sum.reshape(step.groups, 1, step.outputs)
        by_input = np.zeros((step.groups, step.inputs, step.outputs), dtype=np.int64)
        by_input[:, step.tiling.row_input] = weights[index]
        assert np.array_equal(by_input + beta, effective_weights(step))


def same_settings(
    step: CrossbarStep, place: tuple[int, int, int], own: dict[str, AnyArray]
) -> None:
    """Converters, order and inputs of a block are those of the program."""
    group, i, j = place
    view = inspect_block(step, *place)
    for name, wanted in (("lo", view.lo), ("step", view.step), ("bits", view.bits)):
        assert np.array_equal(np.broadcast_to(own[name], wanted.shape), wanted)
    segments = np.flatnonzero(step.tiling.segment_block == i)
    first, last = step.tiling.conversion_bounds[j : j + 2]
    for name, wanted in zip(("least", "most"), slice_ranges(step), strict=True):
        part = wanted[group, segments, first:last]
        assert np.array_equal(np.broadcast_to(own[name], part.shape), part)
    order = own.get("order", np.arange(view.cells.shape[1]))
    assert np.array_equal(order, bitlines(step, place))
    assert np.array_equal(own["row_input"], view.row_input)
    assert np.array_equal(own["outputs"], view.outputs)
    assert np.array_equal(own["segments"], view.segments)
    assert np.array_equal(np.broadcast_to(own["input_sum"], view.outputs.shape), view.input_sum)
    assert np.array_equal(own["constant"], view.constant)


@pytest.mark.slow
def test_sense_amplifiers_and_what_drives_their_rows() -> None:
    program = xbarc.compile(MODELS / "fashion-bnn-cnn.onnx", "bnn128").program
    source = ArrayBytes(program)
    step = program.crossbar_steps[-1]
    assert step.sense is not None
    for group, i, j in np.ndindex(step.tiling.array.shape):
        number = int(step.tiling.array[group, i, j])
        (_, own), *others = blocks_of(source.array(number))
        rows = slice(*step.tiling.row_bounds[i : i + 2])
        first, last = step.tiling.conversion_bounds[j : j + 2]
        segments = np.flatnonzero(step.tiling.segment_block == i)
        wanted = step.sense.thresholds[group][segments][:, first:last]
        assert not others
        assert np.array_equal(own["drive"], step.sense.drive[rows])
        assert np.array_equal(np.broadcast_to(own["thresholds"], wanted.shape), wanted)


def test_layers_say_where_their_outputs_are_made(tmp_path: Path) -> None:
    program = conv_program(tmp_path, encoding="offset")
    source = ArrayBytes(program)
    for index, step in enumerate(program.steps):
        arrays, _ = read(source.layer(index))
        if not isinstance(step, CrossbarStep):
            assert not arrays
            continue
        assert np.array_equal(arrays["array"], step.tiling.array)
        for j in range(step.tiling.array.shape[2]):
            made = set(inspect_block(step, 0, 0, j).r[:, 0].tolist())
            low, high = arrays["reach"].astype(int)
            assert made <= {o for o in range(step.outputs) if low[o] <= j <= high[o]}


def test_losses_are_those_of_the_executed_chip() -> None:
    program = small_program("wires.wordline=200.0", "wires.bitline=100.0")
    source, chip = ArrayBytes(program), Chip(program, Effects(frozenset({"lines"})))
    step = program.crossbar_steps[0]
    wanted = chip.levels(step)[0, :4, :4]
    arrays, _ = read(source.wires(0))
    floor = chip.model.floor
    level = step.cells.unpack()[0, :4, :4]
    found = (level + floor) * (1 - arrays["loss"] * LOSS_UNIT) - floor
    assert np.abs(found - wanted).max() <= LOSS_UNIT * (level.max() + floor)
    assert arrays["loss"].max() > 100


def test_stuck_cells_are_those_of_the_map() -> None:
    program = small_program()
    faults = random_faults(program.target, program.arrays, rates=(0.2, 0.1))
    for number in range(program.arrays):
        arrays, _ = read(ArrayBytes(program, faults).array(number))
        assert np.array_equal(arrays["stuck"].T, np.stack(faults.of(number)))
    assert "stuck" not in read(ArrayBytes(program).array(0))[0]


def test_a_large_program_asks_for_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    program = small_program()
    assert MOST_BYTES >= 1 << 20
    monkeypatch.setattr(page_room, "MOST_BYTES", 1 << 10)
    with pytest.raises(InputError, match=r"too many for one page, .*--serve"):
        ProgramPage(program, "net.xbar").render()


def test_the_same_program_gives_the_same_page() -> None:
    first, second = (ProgramPage(small_program(), "net.xbar").render() for _ in range(2))
    assert first == second


def program_overview(program: Program) -> Any:
    return held(ProgramPage(program, "net.xbar").render(), "overview")


def test_the_overview_has_every_step_and_edge() -> None:
    found = program_overview(small_program())
    assert [step["name"] for step in found["steps"]] == ["dense", "rest", "grouped <b>&"]
    assert [step["kind"] for step in found["steps"]] == ["crossbar", "digital", "crossbar"]
    assert found["edges"] == [[-1, 0], [0, 1], [1, 2], [2, 3]]
    assert found["steps"][0]["spans"] == [[0, 3]]
    energies = [step["figures"][0] for step in found["steps"] if step["kind"] == "crossbar"]
    assert 0 < sum(energies) <= found["energy"] * (1 + 1e-9)


def test_every_array_has_a_slot_on_the_floor(tmp_path: Path) -> None:
    program = conv_program(tmp_path, pack="network", duplicate="budget=40")
    found = program_overview(program)
    slots, _ = read(zlib.decompress(base64.b64decode(found["floor"]["slots"])))
    assert set(slots["array"].tolist()) - {-1} == set(range(program.arrays))
    rows, columns = found["floor"]["grid"]
    assert slots["place"].max() < rows * columns
    _, counts = np.unique(slots["place"], return_counts=True)
    assert counts.max() <= found["floor"]["capacity"]
    # Copies of an array take slots of their own.
    copies = {step["name"]: step["copies"] for step in found["steps"] if step["kind"] == "crossbar"}
    assert max(copies.values()) > 1
    assert len(slots["array"]) > program.arrays
