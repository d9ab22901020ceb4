from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import xbarc
from xbarc import evaluate
from xbarc.circuit import Effects
from xbarc.experiments import monte_carlo, robustness
from xbarc.options import Execution

MODEL = """
<ir_version: 8, opset_import: ["": 17]>
net (float[n, 5] x) => (float[n, 3] y)
<float[5, 4] w = {1, -2, 3, -4, 5, -6, 7, -8, 9, -10, 11, -12, 13, -14, 15, -16, 17, -18, 19, -20},
 float[4, 3] v = {3, -2, 1, 2, 1, -3, -1, 3, 2, 1, -2, 3}>
{
    a = MatMul(x, w)
    h = Relu(a)
    y = MatMul(h, v)
}
"""


class _Counting:
    """The float model, counted."""

    runs = 0

    def __init__(self, *arguments: Any) -> None:
        self._model = _REAL(*arguments)

    def run(self, feeds: Any) -> Any:
        """As the float model."""
        _Counting.runs += 1
        return self._model.run(feeds)


_REAL = evaluate._FloatModel


@pytest.mark.parametrize("kinds", ["variation", "variation,noise"])
def test_the_float_model_runs_once_for_all_chips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kinds: str
) -> None:
    """And what a chip gives does not depend on those beside it."""
    path = tmp_path / "net.onnx"
    onnx.save(onnx.parser.parse_model(MODEL), path)
    program = xbarc.compile(path, target="rram128").program
    data = {"x": np.random.default_rng(0).normal(size=(130, 5)).astype(np.float32)}
    effects = Effects(frozenset(kinds.split(",")))
    monkeypatch.setattr(evaluate, "_FloatModel", _Counting)
    found = {}
    for room, runs in ((robustness._ROOM, 3), (0, 9)):
        monkeypatch.setattr(robustness, "_ROOM", room)
        _Counting.runs = 0
        found[room] = monte_carlo(program, data, path, effects, 3, Execution(jobs=1)).as_json()
        assert _Counting.runs == runs  # 130 samples are three batches
    assert found[0] == found[max(found)]
    assert len({run["output_sqnr_db"] for run in found[0]["effects"]["runs"]}) == 3
