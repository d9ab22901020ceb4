"""Programs of one digest give equal bits; a changed program has another digest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.graphs import draw_net
from tests.fuzz.reference import Reference, draw_feeds
from xbarc.compiler import compile_model
from xbarc.errors import XbarcError
from xbarc.executor import Executor
from xbarc.explore import meaning_of, same_meaning
from xbarc.ir import FloatResult, Program, read_npz
from xbarc.options import CompileOptions
from xbarc.target import load_target

OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "encoding": st.sampled_from(["differential", "offset", "bias-column", "acm"]),
        "adc": st.sampled_from(["lossless", "worst-case", 8, 6, 4, "calibrated:4"]),
        "tile": st.sampled_from(["fill", "even"]),
        "pack": st.sampled_from(["layer", "network"]),
        "weight_bits": st.sampled_from([8, 4]),
        "adc_savings": st.sampled_from(["none", "recode,centre"]),
        "range_analysis": st.sampled_from(["all", "none"]),
    },
)
ROWS = st.sampled_from([16, 32, 128])


def program_of(net: Path, options: dict[str, Any], rows: int) -> Program:
    target = load_target("rram128", [f"array.rows={rows}", f"array.active_rows={rows}"])
    calibration = read_npz(net.with_name("cal.npz"))
    return compile_model(net, target, options=CompileOptions(**options), calibration=calibration)


def answers_of(program: Program, net: Path) -> bytes:
    found = Executor(program).run({"x": read_npz(net.with_name("test.npz"))["x"]})[0]
    return np.asarray(found).tobytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12)
@given(one=OPTIONS, other=OPTIONS, rows=ROWS, more=ROWS)
def test_equal_digests_are_equal_answers(
    net: Path, one: dict[str, Any], other: dict[str, Any], rows: int, more: int
) -> None:
    # Other cells and converters, the same quantised network: pairs that often are equal.
    shared = {name: one[name] for name in ("weight_bits",) if name in one}
    first = program_of(net, one, rows)
    second = program_of(net, {**other, **shared}, more)
    if same_meaning(first, second):
        assert answers_of(first, net) == answers_of(second, net)


def test_lossless_designs_are_one_class(net: Path) -> None:
    digests = {
        meaning_of(program_of(net, options, rows)).digest
        for rows in (16, 128)
        for options in ({}, {"encoding": "offset"}, {"tile": "even"}, {"adc": "worst-case"})
    }
    assert len(digests) == 1
    narrow = meaning_of(program_of(net, {"adc": 3}, 128))
    assert narrow.lossy == ("first", "second")
    assert narrow.digest not in digests


def test_every_part_that_counts_is_in_the_digest(net: Path) -> None:
    """A cell, a threshold of a converter, a scale: each changes the class."""
    for options in ({}, {"adc": 3}):
        program = program_of(net, options, 128)
        step = program.crossbar_steps[0]
        data = step.cells.data.copy()
        data[0, 0, 0] ^= 1
        assert isinstance(step.result, FloatResult)
        scale = step.result.scale.copy()
        scale[0] = np.nextafter(scale[0], np.float32(9))
        changed = [
            replace(step, cells=replace(step.cells, data=data)),
            replace(step, result=replace(step.result, scale=scale)),
        ]
        if options:
            changed.append(replace(step, adc=replace(step.adc, lo=step.adc.lo + 1)))
        digests = {meaning_of(program).digest}
        for other in changed:
            steps = tuple(other if old is step else old for old in program.steps)
            digests.add(meaning_of(replace(program, steps=steps)).digest)
        assert len(digests) == 1 + len(changed)


# What changes how a network is computed, or what; together they fall into few classes.
WAYS: dict[str, list[Any]] = {
    "encoding": ["differential", "offset", "bias-column", "acm", "unipolar", "segmented:4"],
    "adc": ["lossless", "worst-case", 5, 3],
    "tile": ["fill", "even"],
    "pack": ["layer", "network", "none"],
    "range_analysis": ["all", "structure", "none"],
    "adc_savings": ["none", "recode,centre", "group"],
}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(24))
def test_programs_of_random_networks_in_one_class_give_equal_bits(
    tmp_path: Path, seed: int
) -> None:
    """Every matrix operator in every notation, far outside what calibration saw too."""
    rng = np.random.default_rng(seed)
    path = tmp_path / "net.onnx"
    onnx.save(draw_net(rng), path)
    feeds = draw_feeds(Reference(path), rng)
    if feeds is None:
        pytest.skip("ONNX Runtime runs no input")
    calibration = feeds.arrays if seed % 2 else None
    inputs = [
        {name: array * np.asarray(scale, array.dtype) for name, array in feeds.arrays.items()}
        for scale in (1, 0, -1000, 37)
    ]
    classes: dict[str, list[bytes]] = {}
    for _ in range(6):
        chosen = {name: values[rng.integers(len(values))] for name, values in WAYS.items()}
        rows, columns = rng.choice([16, 64]), rng.choice([16, 64])
        fields = (f"array.rows={rows}", f"array.active_rows={rows}", f"array.columns={columns}")
        target = load_target("rram128", fields)
        options = CompileOptions(weight_bits=4, activation_bits=4, **chosen)
        try:
            program = compile_model(path, target, options=options, calibration=calibration)
        except XbarcError:
            continue
        digest = meaning_of(program).digest
        answers = [_bits_of(program, one) for one in inputs]
        assert classes.setdefault(digest, answers) == answers, chosen


def _bits_of(program: Program, feeds: dict[str, Any]) -> bytes:
    """All outputs, or the error of a network that divides by nothing."""
    try:
        found = Executor(program).run(feeds)
    except XbarcError as error:
        return str(error).encode()
    return b"".join(np.asarray(one).tobytes() for one in found)
