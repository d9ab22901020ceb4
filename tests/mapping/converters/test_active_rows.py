"""Fewer rows at a time: the same results, bits against cycles, and what narrow converters need."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xbarc
from tests.builders import int_layer, mapped, small_target
from xbarc.errors import MappingError
from xbarc.executor import FastLayer, ReferenceLayer
from xbarc.ir.effective import is_lossless
from xbarc.ir.program import CrossbarStep
from xbarc.mapping.converters import choose_rows
from xbarc.mapping.converters.active_rows import RowOption, row_options
from xbarc.options import parse_adc_savings
from xbarc.report.sections.active_rows import rows_notes
from xbarc.target import Target, load_target

MLP = Path(__file__).resolve().parents[3] / "models" / "fashion-mlp.onnx"


def _steps(seed: int, target: Target, count: int = 3, **options: Any) -> list[CrossbarStep]:
    """Layers of random sizes, some sparse, with converters as wide as they have to be."""
    rng = np.random.default_rng(seed)
    steps = []
    for number in range(count):
        rows, columns = (int(rng.integers(1, top)) for top in (150, 9))
        weights = rng.integers(-127, 128, (1, rows, columns))
        weights[rng.random(weights.shape) < rng.choice([0.0, 0.9])] = 0
        step = mapped(
            int_layer(weights, name=f"l{number}"), target, adc_savings=("rows",), **options
        )
        steps.append(replace(step, input_shape=(int(rng.integers(1, 5)), rows)))
    return steps


@settings(max_examples=10)
@given(st.integers(0, 1000), st.sampled_from([4, 16]), st.sampled_from(["lossless", "worst-case"]))
def test_every_option_gives_the_same_products(seed: int, rows: int, adc: str) -> None:
    target = small_target(array__rows=16, array__columns=16, array__active_rows=rows)
    step = _steps(seed, target, 1, adc=adc)[0]
    vectors = np.random.default_rng(seed).integers(0, 256, (5, 1, step.inputs))
    wanted = ReferenceLayer(step).accumulate(vectors)
    for option in row_options(step, target):
        assert is_lossless(option.step)
        assert np.diff(option.step.tiling.segment_bounds).max() <= option.active
        assert np.array_equal(ReferenceLayer(option.step).accumulate(vectors), wanted)
        assert np.array_equal(FastLayer(option.step, threads=1).accumulate(vectors), wanted)


@settings(max_examples=10)
@given(st.integers(0, 1000), st.sampled_from([1.0, 1.5, 2.5, 7.0]), st.integers(4, 9))
def test_choice_is_the_least_of_all_within_the_limit(seed: int, limit: float, bits: int) -> None:
    """The knapsack against every combination."""
    target = small_target(
        array__rows=16, array__columns=16, array__active_rows=16, adc__max_bits=bits
    )
    steps = _steps(seed, target)
    options = [row_options(step, target) for step in steps]
    _, points = choose_rows(steps, target, limit)
    chosen = next(point for point in points if point.chosen)
    base = sum(row[0].time_ns for row in options)
    every = [pick for pick in product(*options) if all(option.buildable for option in pick)]
    inside = [pick for pick in every if _time(pick) <= limit * base * (1 + 1e-9)]
    assert chosen.buildable
    if inside:
        least = min(sum(option.energy_pj for option in pick) for pick in inside)
        assert chosen.time_ns <= limit * base * (1 + 1e-9)
        assert least * (1 - 1e-9) <= chosen.energy_pj <= least * 1.001
    else:
        assert chosen.time_ns == pytest.approx(min(_time(pick) for pick in every))
        assert chosen.bound_pj is None


def _time(pick: tuple[RowOption, ...]) -> float:
    return sum(option.time_ns for option in pick)


def test_energy_is_that_of_the_report() -> None:
    """All but what waits, priced by conversions that stop where they are wide enough."""
    program = xbarc.compile(MLP, adc_savings="rows")
    report, points = program.report(), {point.kind: point for point in program.program.rows}
    chosen = points["all rows at once"]
    rows = {row.rule: row for row in report.converters if row.layer == "all layers"}
    assert chosen.adc_pj / 1e6 == pytest.approx(rows["as set"].energy_uj)
    parts = {part.name: part.total or 0.0 for part in report.components.energy}
    own = ("array read", "wordline driver", "sample and hold", "shift-add", "register, bytes")
    expected = sum(parts[name] for name in (*own, "buffer, bytes"))
    others = chosen.energy_pj - chosen.adc_pj
    assert expected < others < 1.1 * expected  # routes are placed later


def test_least_by_each_law_is_least() -> None:
    target = small_target(array__rows=16, array__columns=16, array__active_rows=16)
    steps = _steps(5, target)
    options = [row_options(step, target) for step in steps]
    points = {point.kind: point for point in choose_rows(steps, target, 2.0)[1]}
    for kind, name in (("least b", "bits"), ("least 2^b", "levels"), ("least energy", "energy_pj")):
        best = sum(min(getattr(option, name) for option in row) for row in options)
        assert getattr(points[kind], name) == pytest.approx(best)
    assert len(points) >= 4
    assert points["all rows at once"].time_ns < points["8 rows at a time"].time_ns


def test_a_target_that_refuses_compiles_with_fewer_rows(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="the ADC of rram128 has 6") as caught:
        xbarc.compile(MLP, target=load_target("rram128", ["adc.max_bits=6"]))
    assert "--adc-savings rows" in caught.value.hint
    narrow = load_target("rram128", ["adc.max_bits=6"])
    made = xbarc.compile(MLP, target=narrow, adc_savings="rows", rows_latency=8)
    steps = made.program.crossbar_steps
    assert max(int(step.adc.bits.max()) for step in steps) <= 6
    assert {int(np.diff(step.tiling.segment_bounds).max()) for step in steps} == {32}
    made.save(tmp_path / "narrow.xbar")
    again = xbarc.load(tmp_path / "narrow.xbar")
    assert again.program.rows == made.program.rows
    image = np.random.default_rng(0).random((4, 1, 28, 28)).astype(np.float32)
    results = [
        program.session().run(None, {"image": image})[0]
        for program in (again, xbarc.compile(MLP, target="rram128"))
    ]
    assert np.array_equal(*results)


def test_notes_say_when_fewer_rows_never_win() -> None:
    program = xbarc.compile(MLP, adc_savings="rows").program
    notes = rows_notes(program)
    assert notes[0] == "by b fewer rows at a time never win: all rows at once is cheapest"
    assert len(notes) == 3
    assert {int(np.diff(s.tiling.segment_bounds).max()) for s in program.crossbar_steps} == {128}
    hopeless = load_target("rram128", ["adc.max_bits=6"])
    tight = xbarc.compile(MLP, target=hopeless, adc_savings="rows", rows_latency=1)
    assert "keep --rows-latency" in rows_notes(tight.program)[-1]


def test_no_rows_are_few_enough() -> None:
    with pytest.raises(MappingError, match="conversions of 1 rows at a time need 2 bits"):
        xbarc.compile(MLP, target=load_target("rram128", ["adc.max_bits=1"]), adc_savings="rows")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"adc": 4}, "rows are not chosen for --adc 4"),
        ({"rows_latency": 0.5}, "0.5 times as long, expected 1 or more"),
    ],
)
def test_misuse_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(MappingError, match=words):
        xbarc.compile(MLP, adc_savings="rows", **options)


def test_rows_are_asked_for_by_name() -> None:
    assert "rows" not in parse_adc_savings("all")
    assert parse_adc_savings("all,rows") == (*parse_adc_savings("all"), "rows")
    assert parse_adc_savings("rows") == ("rows",)
