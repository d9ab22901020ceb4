"""What fragments and schedules take is known before they take it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.frontend.onnx_models import model_file, normal, parse
from xbarc.api import compile as compile_program
from xbarc.errors import InputError
from xbarc.report import collect
from xbarc.runtime.fragment_memory import most_held

BIG = """g (float[N,4] x) => (float[] y) {
    h = MatMul(x, w)  e = Expand(h, far)  r = ReduceSum <keepdims = 0> (e, axis)  y = Relu(r) }"""


@pytest.mark.parametrize(
    ("body", "held"),
    [
        ("y = Relu(x)", 2 * 24),
        ("h = Relu(x)  y = Neg(h)", 2 * 24),
        ("h = Relu(x)  k = Neg(h)  y = Add(h, k)", 3 * 24),
        ("h = Expand(x, far)  y = Relu(h)", 2 * 240),
        ("h = NonZero(x)  k = Cast <to = 1> (h)  y = Relu(k)", 24),
        ("s = Shape(x)  k = ConstantOfShape(s)  y = Relu(k)", 2 * 24),
    ],
)
def test_values_that_are_alive_at_once(body: str, held: int) -> None:
    model = parse(f"g (float[N,M] x) => (float[] y) {{ {body} }}", far=np.array([10, 2, 3]))
    assert held <= most_held(model.SerializeToString(), {"x": (2, 3)}) <= held + 40


def test_a_fragment_is_refused_before_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two samples fit where 200 do not; a larger limit admits them."""
    far = np.array([1000, 1, 3])
    path = model_file(tmp_path, BIG, w=normal(4, 3), far=far, axis=np.array([0]))
    session = compile_program(path).session()
    monkeypatch.setenv("XBARC_MEMORY", "1M")
    assert session.run(None, {"x": normal(2, 4)})[0].shape == (2, 3)
    with pytest.raises(InputError, match=r"it holds 2.3 MiB at once.*--memory SIZE"):
        session.run(None, {"x": normal(200, 4)})
    monkeypatch.setenv("XBARC_MEMORY", "10M")
    assert session.run(None, {"x": normal(200, 4)})[0].shape == (200, 3)


def test_a_schedule_larger_than_memory_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = """g (float[1,2,300,300] x) => (float[] y) {
        h = Conv <pads = [1,1,1,1]> (x, w)  r = Relu(h)  y = Conv <pads = [1,1,1,1]> (r, w) }"""
    made = compile_program(model_file(tmp_path, graph, w=normal(2, 2, 3, 3)))
    assert made.report().totals.latency_us is not None
    monkeypatch.setenv("XBARC_MEMORY", "10M")
    report = collect(made.program)  # a compiled program keeps the report that it made
    assert report.totals.latency_us is None
    assert report.totals.energy_uj is not None
    assert (
        "takes 16.5 MiB, the limit of --memory (XBARC_MEMORY) is 10.0 MiB; another limit"
        in report.totals.unknown["latency_us"]
    )
