"""A browser shows what the program holds: weights, colours, places, and keeps them in the URL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.chromium import needs_chromium, run_script
from tests.report.programs import digital_step, program_of, small_program, small_target
from tests.viewer.programs import conv_program, with_factors
from xbarc.circuit import bitlines, random_faults
from xbarc.instruments import count_sums
from xbarc.ir import CrossbarStep, Program, effective_weights
from xbarc.report import level_colours
from xbarc.viewer import Measured, ProgramPage

pytestmark = needs_chromium

WEIGHTS = """
const weights = () => [...card.querySelectorAll("[data-weight]")]
  .map((one) => [Number(one.dataset.output), Number(one.dataset.weight)]);
"""
HOVER = """
const point = async (row, bitline) => {
  const box = $("cells").getBoundingClientRect(), z = cellZoom;
  const clientX = box.left + z.left + z.x + (bitline + 0.5) * z.scale;
  const clientY = box.top + z.top + z.y + (row + 0.5) * z.scale;
  $("cells").dispatchEvent(new PointerEvent("pointermove", { clientX, clientY }));
  for (let n = 0; n < 50 && card.dataset.cell !== `${row},${bitline}`; n++) await wait(5);
  return weights();
};
"""


def write(program: Program, folder: Path, **facts: Any) -> Path:
    path = folder / "page.html"
    path.write_text(ProgramPage(program, "net.xbar", **facts).render(), encoding="utf-8")
    return path


def places(step: CrossbarStep, count: int) -> list[tuple[int, int, int, int, int, int]]:
    """Some cells: array, wordline, bitline, and group, row and column in the layer."""
    rng, found = np.random.default_rng(1), []
    for _ in range(count):
        g, i, j = (int(rng.integers(size)) for size in step.tiling.array.shape)
        top, end = (int(b) for b in step.tiling.row_bounds[i : i + 2])
        left, last = (int(b) for b in step.tiling.column_bounds[j : j + 2])
        row, column = int(rng.integers(top, end)), int(rng.integers(left, last))
        wordline = int(step.tiling.row_offset[g, i, j]) + row - top
        line = int(step.tiling.column_offset[g, i, j] + bitlines(step, (g, i, j))[column - left])
        found.append((int(step.tiling.array[g, i, j]), wordline, line, g, row, column))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"encoding": "differential"},
        {"encoding": "offset"},
        {"encoding": "acm", "weight_bits": 4, "pack": "network"},
        {"encoding": "differential-analog", "adc_savings": "all"},
    ],
    ids=lambda case: case["encoding"],
)
def test_hovering_tells_the_weight(options: dict[str, Any], tmp_path: Path) -> None:
    check_hovering(conv_program(tmp_path, **options), tmp_path)


@pytest.mark.slow
def test_hovering_tells_the_weight_with_factors_of_columns(tmp_path: Path) -> None:
    check_hovering(with_factors(conv_program(tmp_path)), tmp_path)


def check_hovering(program: Program, tmp_path: Path) -> None:
    """Cells of every layer: weights, levels and names that the page tells are the program's."""
    steps = program.crossbar_steps
    asked = [(step, place) for step in steps for place in places(step, 12)]
    script = f"""{WEIGHTS}{HOVER}
    const found = [];
    for (const [array, row, bitline] of {[list(place[:3]) for _, place in asked]}) {{
      await showArray(array);
      found.push([await point(row, bitline), card.textContent]);
    }}
    return found;"""
    answers = run_script(write(program, tmp_path), tmp_path, script)
    told = 0
    for (step, place), (weights, text) in zip(asked, answers, strict=True):
        _, _, _, group, row, column = place
        wanted = effective_weights(step)[group, int(step.tiling.row_input[row])]
        for output, weight in weights:
            assert weight == wanted[output], (step.name, place)
        told += len(weights)
        level = step.cells.unpack()[group, row, column]
        assert f"Level {level} of" in text
        assert step.name in text
    assert told > len(asked) // 2


@pytest.mark.slow
def test_colours_are_those_of_the_levels(tmp_path: Path) -> None:
    program = conv_program(tmp_path)
    script = """
    const found = [], canvas = $("cells"), z = cellZoom, ratio = window.devicePixelRatio;
    const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    for (let row = 0; row < view.rows; row++)
      for (let bitline = 0; bitline < view.columns; bitline++) {
        const x = Math.floor((z.left + z.x + (bitline + 0.5) * z.scale) * ratio);
        const y = Math.floor((z.top + z.y + (row + 0.5) * z.scale) * ratio);
        const at = 4 * (y * canvas.width + x);
        found.push([...all.subarray(at, at + 3)]);
      }
    return found;"""
    step = program.crossbar_steps[0]
    shown = np.array(run_script(write(program, tmp_path), tmp_path, script, "#array=0"))
    grid = shown.reshape(program.target.array.rows, -1, 3)
    colours = [[int(text[at : at + 2], 16) for at in (1, 3, 5)] for text in level_colours(4)]
    rows, columns = (
        int(bounds[1]) for bounds in (step.tiling.row_bounds, step.tiling.column_bounds)
    )
    cells = step.cells.unpack()[0, :rows, :columns]
    assert np.array_equal(grid[:rows, :columns], np.array(colours)[cells])
    # What no cell is used for has a colour of its own.
    assert not (grid[rows:, :, None] == np.array(colours)).all(axis=-1).any()


def test_a_selection_is_in_the_url(tmp_path: Path) -> None:
    program = conv_program(tmp_path)
    step = program.crossbar_steps[2]
    first = int(step.tiling.array.min())
    fragment = f"#layer={step.name}&array={first}&row=3&bitline=5&show=slice&colour=arrays"
    script = """
    const press = (key) => $("cells").dispatchEvent(new KeyboardEvent("keydown", { key }));
    const asked = [view.steps[state.layer].name, state.array, state.cell, state.overlay,
      view.metrics[state.metric][0], card.querySelector("h3").textContent];
    press("ArrowDown"); press("o");
    await wait(50);
    const moved = location.hash, said = $("said").textContent;
    press("]");
    await wait(100);
    return [asked, moved, said, location.hash];"""
    asked, moved, said, after = run_script(write(program, tmp_path), tmp_path, script, fragment)
    level = step.cells.unpack()[0, 3, 5]
    assert asked[:5] == [step.name, first, {"row": 3, "bitline": 5}, "slice", "arrays"]
    assert asked[5] == f"Level {level} of 3"
    assert "row=4&bitline=5" in moved
    assert "show=bits" in moved
    assert said.startswith("wordline 4, bitline 5, level")
    assert f"array={first + 1}" in after


@pytest.mark.slow
@pytest.mark.parametrize("fragment", ["#array=999&row=7", "#layer=none&show=none&colour=x", "#%%%"])
def test_a_wrong_url_shows_the_program(fragment: str, tmp_path: Path) -> None:
    page = write(conv_program(tmp_path), tmp_path)
    assert run_script(page, tmp_path, "return state.array", fragment) == 0


@pytest.mark.slow
def test_panes_follow_each_other(tmp_path: Path) -> None:
    """A click on a layer, on an array of the floor plan and on a cell."""
    program = conv_program(tmp_path)
    step = program.crossbar_steps[2]
    last = int(step.tiling.array.max())
    script = f"""
    const told = () => [view.steps[state.layer].name, state.array, state.cell,
      graphPane.querySelector(".picked text").textContent,
      location.hash.includes("array=" + state.array)];
    const found = [], number = view.steps.findIndex((one) => one.name === "{step.name}");
    graphPane.querySelector(`[data-step="${{number}}"]`).dispatchEvent(new MouseEvent("click"));
    await wait(100);
    found.push(told());
    const press = (zoom, [x, y]) => {{
      const box = zoom.canvas.getBoundingClientRect();
      const at = {{ pointerId: 1, clientX: box.left + zoom.left + zoom.x + x * zoom.scale,
        clientY: box.top + zoom.top + zoom.y + y * zoom.scale }};
      zoom.canvas.setPointerCapture = () => undefined;
      for (const kind of ["pointerdown", "pointerup"])
        zoom.canvas.dispatchEvent(new PointerEvent(kind, at));
    }};
    const [x, y] = slotCorner(plan.slots.find((slot) => slot.array === {last}));
    press(floorZoom, [x + 0.5, y + 0.5]);
    await wait(100);
    found.push(told());
    press(cellZoom, [4.5, 2.5]);
    await wait(100);
    found.push(told());
    return found;"""
    layer, array, cell = run_script(write(program, tmp_path), tmp_path, script)
    assert layer == [step.name, int(step.tiling.array.min()), None, step.name, True]
    assert array == [step.name, last, None, step.name, True]
    assert cell == [step.name, last, {"row": 2, "bitline": 4}, step.name, True]


@pytest.mark.slow
def test_finding_a_weight(tmp_path: Path) -> None:
    """Which cells hold the weight from input 7 to output 4 of the second product's matrix?"""
    program = conv_program(tmp_path)
    script = f"""{WEIGHTS}
    $("find-layer").value = crossbars[3];
    $("find-input").value = "7"; $("find-output").value = "4";
    $("find").requestSubmit();
    await wait(200);
    const told = [$("find-answer").textContent, weights(), card.textContent];
    $("find-output").value = "5"; $("find").requestSubmit();
    await wait(50);
    return [...told, $("find-answer").textContent];"""
    told, weights, shown, refused = run_script(write(program, tmp_path), tmp_path, script)
    step = program.crossbar_steps[3]
    # Four outputs of eight columns fill the 32 bitlines of the array before.
    assert told == f"array {int(step.tiling.array[0, 0, 1])}, wordline 7, bitline 0"
    assert weights == [[4, int(effective_weights(step)[0, 7, 4])]]
    assert f"--layer {step.name} --weight 4,7" in shown
    assert refused.endswith("has inputs 0 to 11 and outputs 0 to 4")


@pytest.mark.slow
def test_every_overlay_and_table(tmp_path: Path) -> None:
    program = conv_program(tmp_path)
    faults = random_faults(program.target, program.arrays, rates=(0.05, 0.05))
    feeds = {"x": np.random.default_rng(0).normal(size=(2, 4, 5, 5)).astype(np.float32)}
    sums = count_sums(program, [feeds])
    measured = {
        step.name: Measured(31.5, 3, 1000, sums[step.name]) for step in program.crossbar_steps
    }
    page = write(program, tmp_path, faults=faults, measured=measured, wires=True)
    script = """
    const shown = {};
    for (const name of Object.keys(overlays)) {
      await selectOverlay(name);
      shown[name] = $("legend").textContent;
    }
    $("wordline-box").open = $("layers-box").open = true;
    await wait(50);
    selectCell({ row: 2, bitline: 1 });
    await wait(100);
    const layer = layerCard(view.steps[0]).map((part) => part.textContent).join(" ");
    return [shown, $("wordline").textContent, $("layers").textContent, card.textContent, layer];"""
    shown, wordline, layers, card, layer = run_script(page, tmp_path, script)
    assert set(shown) == {"level", "sign", "output", "slice", "bits", "stuck", "loss"}
    assert shown["slice"].split("unused")[0].endswith(" 64")
    assert f"{len(faults.of(0)[0])} in this array" in shown["stuck"]
    step = program.crossbar_steps[0]
    for output, weight in enumerate(effective_weights(step)[0, 2, :4].tolist()):
        assert f"output channel {output}{weight}" in wordline
    assert all(step.name in layers for step in program.steps)
    assert "0.3 %" in card
    assert "31.5 dB" in card
    assert "lost to wires" in card
    assert "Energy by component" in layer
    assert "array read" in layer
    # Two pictures of 25 positions, in eight cycles; lossless converters clip none of them.
    assert "On data 0 % of 400 sums clipped." in card


@pytest.mark.slow
def test_names_of_other_people_and_shared_arrays(tmp_path: Path) -> None:
    """A layer whose name is markup, and a program without a layer."""
    script = """return [document.querySelectorAll("main b").length, document.title,
      $("find-layer").textContent, $("graph").textContent, $("array-name").textContent];"""
    told = run_script(write(small_program(), tmp_path), tmp_path, script, "#array=4")
    assert told[0] == 0
    assert "grouped <b>&" in told[2]
    assert told[4] == "Array 4 of 5: grouped <b>&"
    alone = program_of(digital_step(), target=small_target(), arrays=0)
    told = run_script(write(alone, tmp_path), tmp_path, script)
    assert "MatMul" in told[3]


@pytest.mark.slow
@pytest.mark.parametrize("size", ["1400,900", "700,900"])
def test_nothing_is_wider_than_the_window(size: str, tmp_path: Path) -> None:
    script = """
    const wide = [...document.querySelectorAll("main, section, p, header, footer")]
      .filter((one) => one.scrollWidth > one.clientWidth + 1);
    const named = wide.map((one) => one.outerHTML.slice(0, 80));
    return [document.documentElement.scrollWidth, innerWidth, named];"""
    page = write(conv_program(tmp_path), tmp_path)
    wide, room, which = run_script(page, tmp_path, script, size=size)
    assert wide <= room, which
