"""Values of few levels hold no other number, whatever their type is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from tests.builders import small_target
from tests.frontend.onnx_models import model_file
from tests.intervals.growing import FLOAT, Graph, typed
from xbarc.compiler import compile_model
from xbarc.executor.run import Executor
from xbarc.frontend.binary.levels import FewLevels, LevelMap
from xbarc.frontend.graph.constants import Constants
from xbarc.intervals import Bounds
from xbarc.numerics.types import AnyArray
from xbarc.runtime import OnnxSession

_TYPES = (np.float32, np.float64, np.float16, np.int8, np.uint8, np.int32, np.int64, np.bool_)
_ONE = ("Neg", "Abs", "Relu", "Sign", "Floor", "Ceil", "Round", "Identity", "GlobalMaxPool")
_TWO = ("Add", "Sub", "Mul", "Div", "Max", "Min")
_NUMBERS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, -1.0, -2.5, 100.0)


def _grown(seed: int) -> Graph:
    """A comparison, and up to seven operators on what it gives."""
    rng = np.random.default_rng(seed)
    graph = Graph(rng, int(rng.choice([13, 18, 21])))
    x = rng.normal(size=(1, 2, 3)).astype(FLOAT)
    graph.input(x, Bounds(np.array(-np.inf), np.array(np.inf)))
    value = graph.add("Greater", ["x0", np.array(0.0, FLOAT)])
    value = _cast(graph, value, graph.pick(*_TYPES))
    for _ in range(int(rng.integers(1, 8))):
        value = _step(graph, value or "x0") or value
    return graph


def _cast(graph: Graph, x: str | None, dtype: Any) -> str | None:
    return graph.add("Cast", [x], to=onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def _step(graph: Graph, x: str) -> str | None:
    kind = graph.pick("one", "two", "two", "cast", "where", "concat", "scatter")
    dtype = graph.values[x].dtype
    number = typed(np.array(graph.pick(*_NUMBERS)), dtype)
    shape = graph.values[x].shape
    match kind:
        case "one":
            return graph.add(graph.pick(*_ONE), [x])
        case "two":
            reads: list[str | AnyArray] = [x, number] if graph.chance(0.7) else [number, x]
            return graph.add(graph.pick(*_TWO), reads[: graph.pick(1, 2, 2, 2)])
        case "cast":
            return _cast(graph, x, graph.pick(*_TYPES))
        case "where":
            return graph.add("Where", [graph.rng.random(shape) < 0.5, x, number])
        case "concat":
            return graph.add("Concat", [x, np.full(shape, number)], axis=1)
        case _:
            options = {"reduction": "add"} if graph.opset >= 18 and graph.chance() else {}
            places = np.zeros((1, 1, 1), np.int64)
            return graph.add(
                "ScatterElements", [x, places, np.full((1, 1, 1), number)], axis=2, **options
            )


def _outside(levels: FewLevels | None, array: AnyArray) -> set[float]:
    met = {float(FLOAT(number)) for number in np.unique(array)}
    return set() if levels is None else met - set(levels.values)


@pytest.mark.parametrize("start", range(0, 200, 100))
def test_no_other_number_occurs(start: int) -> None:
    for seed in range(start, start + 100):
        graph = _grown(seed)
        model = ir.serde.deserialize_model(onnx.load_from_string(graph.model()))
        constants = Constants(model)
        constants.note(list(model.graph))
        levels = LevelMap(constants)
        levels.learn(list(model.graph))
        for value, found in levels.found.items():
            if value.name in graph.values:
                assert not _outside(found, graph.values[value.name]), f"seed {seed}: {graph.nodes}"


@pytest.mark.parametrize(
    "chain",
    [
        "f = Cast<to = 1>(b) g = Mul(f, half) i = Cast<to = 7>(g) v = Cast<to = 1>(i)",
        "i = Cast<to = 7>(b) j = Mul(i, three) k = Div(j, two) v = Cast<to = 1>(k)",
    ],
)
def test_integers_between_binary_layers(chain: str, tmp_path: Path) -> None:
    """What becomes an integer loses its fraction, and the layer behind it reads what is left."""
    rng = np.random.default_rng(0)
    weights = np.sign(rng.normal(size=(8, 4))).astype(FLOAT)
    numbers = {"zero": FLOAT(0), "half": FLOAT(1.5), "two": np.int64(2), "three": np.int64(3)}
    arrays: dict[str, Any] = {name: np.array(number) for name, number in numbers.items()}
    text = f"""net (float[2,8] x) => (float[2,4] y) {{
        b = Greater(x, zero) {chain} y = MatMul(v, w)
    }}"""
    path = model_file(tmp_path, text, w=weights, **arrays)
    x = rng.normal(size=(2, 8)).astype(FLOAT)
    want = OnnxSession(path, where="model", threads=1).run({"x": x})[0]
    program = compile_model(path, small_target())
    assert np.array_equal(Executor(program).run({"x": x})[0], want)
