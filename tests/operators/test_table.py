"""What rows of the table say is what ONNX Runtime does."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.intervals.examples import EXAMPLES
from tests.intervals.growing import FLOAT, Graph, typed
from xbarc.frontend.scales.scale_equivariant import rule_of as scale_rule
from xbarc.intervals import Bounds, fragment_bounds
from xbarc.intervals.rules import rule_of as range_rule
from xbarc.numerics.types import AnyArray
from xbarc.operators import OPERATORS, Form, Operator, ScaleRule, find
from xbarc.operators.table import ROWS
from xbarc.runtime import OnnxSession

PACKAGE = Path(__file__).parents[2] / "xbarc"
SEEDS = range(4)
ANYTHING = Operator("").within
_SHAPES = ((2, 3, 4, 4), (2, 4), (1, 3, 4))


def _node(kind: str, seed: int, dtype: Any = FLOAT, opset: int = 20) -> tuple[Graph, Any] | None:
    """One example of an operator on an input of plain numbers."""
    rng = np.random.default_rng(seed)
    graph = Graph(rng, opset)
    shape = graph.pick(*_SHAPES)
    array = typed(rng.integers(-6, 7, shape) * 0.75, dtype)
    graph.input(array, Bounds(np.array(-np.inf), np.array(np.inf)))
    if EXAMPLES[kind](graph, "x0") is None:
        return None
    node = graph.nodes[-1]
    reads = node.input[1:] if kind == "Where" else node.input[:1]
    return (graph, node) if node.op_type == kind and "x0" in reads else None


def _cases(kind: str) -> list[tuple[Graph, Any]]:
    dtype = np.uint8 if kind.startswith("QLinear") else FLOAT
    return [case for seed in SEEDS if (case := _node(kind, seed, dtype)) is not None]


def _input(graph: Graph, node: Any, place: int) -> AnyArray:
    name = node.input[place]
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.held}
    made = {
        item.output[0]: onnx.numpy_helper.to_array(item.attribute[0].t)
        for item in graph.nodes
        if item.op_type == "Constant"
    }
    return {**held, **made, **graph.values}[name]


def _attribute(node: Any, name: str, default: Any) -> Any:
    found = [onnx.helper.get_attribute_value(item) for item in node.attribute if item.name == name]
    return found[0] if found else default


def _again(graph: Graph, node: Any, x: AnyArray) -> AnyArray:
    names = [value for value in graph.values if value not in graph.inputs]
    session = OnnxSession(graph.model(), where="again", threads=1)
    return np.asarray(session.run({"x0": x})[names.index(node.output[0])])


def _only_moves(node: Any) -> bool:
    mode, reduction = _attribute(node, "mode", b"nearest"), _attribute(node, "reduction", b"none")
    return bool(mode == b"nearest" and reduction == b"none")


KNOWN = sorted(EXAMPLES)


@pytest.mark.parametrize("kind", KNOWN)
def test_type_and_rank(kind: str) -> None:
    row = OPERATORS[kind]
    for graph, node in _cases(kind):
        result = graph.values[node.output[0]]
        if row.has_rank_of_first:
            assert result.ndim == graph.values["x0"].ndim
        if row.dtype != "":
            known = isinstance(row.dtype, int)
            want = _input(graph, node, int(row.dtype)).dtype if known else np.dtype(str(row.dtype))
            assert result.dtype == want


@pytest.mark.parametrize("kind", [name for name in KNOWN if OPERATORS[name].moves])
def test_entries_are_moved(kind: str) -> None:
    row = OPERATORS[kind]
    cases = [(graph, node) for graph, node in _cases(kind) if _only_moves(node)]
    for graph, node in cases:
        sources = [_input(graph, node, place) for place in row.places(len(node.input))]
        entries = np.concatenate([source.reshape(-1) for source in sources])
        result = graph.values[node.output[0]]
        assert np.isin(result, np.append(entries, 0) if row.zeros else entries).all()
        if row.bijective:
            assert np.array_equal(np.sort(result, axis=None), np.sort(entries))


@pytest.mark.parametrize("kind", [name for name in KNOWN if OPERATORS[name].exact])
def test_exact_functions(kind: str) -> None:
    function = OPERATORS[kind].exact
    assert function is not None
    for graph, node in _cases(kind):
        if len(node.input) != getattr(function, "nin", 1):
            continue
        reads = [_input(graph, node, place) for place in range(len(node.input))]
        with np.errstate(all="ignore"):
            want = function(*reads)
        assert want.dtype == FLOAT
        assert np.array_equal(graph.values[node.output[0]], want, equal_nan=True)


def _changed(kind: str) -> list[tuple[Graph, Any, AnyArray, AnyArray]]:
    """Examples with one entry changed: where the input and where the result differ."""
    found = []
    for graph, node in _cases(kind):
        x = graph.values["x0"].copy()
        place = tuple(graph.rng.integers(size) for size in x.shape)
        x[place] = 7.125
        before, after = graph.values[node.output[0]], _again(graph, node, x)
        if before.ndim == x.ndim and before.shape == after.shape:
            differs = ~((before == after) | (np.isnan(before) & np.isnan(after)))
            found.append((graph, node, x != graph.values["x0"], differs))
    return found


@pytest.mark.parametrize(
    "kind", [name for name in KNOWN if OPERATORS[name].form is Form.ENTRY and name != "Bernoulli"]
)
def test_entries_depend_on_their_own_place(kind: str) -> None:
    for graph, node, entry, differs in _changed(kind):
        x, result = graph.values["x0"], graph.values[node.output[0]]
        if x.shape == result.shape:
            assert not differs[~entry].any()


@pytest.mark.parametrize(
    "kind", [name for name in KNOWN if OPERATORS[name].form in (Form.WINDOW, Form.CHANNEL)]
)
def test_channels_stay_apart(kind: str) -> None:
    for graph, node, entry, differs in _changed(kind):
        same = graph.values["x0"].shape[:2] == graph.values[node.output[0]].shape[:2]
        rank = entry.ndim
        if same and rank > 2:
            others = ~entry.any(axis=tuple(range(2, rank)))
            assert not differs[others].any()


_SCALED = [
    name
    for name in KNOWN
    if OPERATORS[name].scaling is ScaleRule.ONE and name not in ("Cast", "Clip", "Pad", "CumSum")
]


@pytest.mark.parametrize("kind", _SCALED)
def test_scales_pass(kind: str) -> None:
    for graph, node in _cases(kind):
        doubled = _again(graph, node, graph.values["x0"] * FLOAT(2))
        assert np.allclose(doubled, graph.values[node.output[0]] * FLOAT(2), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", [name for name in KNOWN if OPERATORS[name].kernels.bytes])
@pytest.mark.parametrize("words", [False, True])
def test_integers_have_kernels(kind: str, words: bool) -> None:
    kernels = OPERATORS[kind].kernels
    since = kernels.words if words else kernels.bytes
    dtypes = (np.int16, np.uint16) if words else (np.int8, np.uint8)
    for dtype in () if since is None else dtypes:
        cases = (_node(kind, seed, dtype, max(since or 0, 13)) for seed in range(30))
        assert any(case is not None for case in cases), dtype


@pytest.mark.parametrize("kind", [name for name in KNOWN if OPERATORS[name].within != ANYTHING])
def test_ranges_keep_what_rows_say(kind: str) -> None:
    """An operator with a rule of its own gives no other answer than its row."""
    low, high = OPERATORS[kind].within
    for graph, node in _cases(kind):
        found = fragment_bounds(graph.model(), {})[node.output[0]]
        assert found.low.min() >= low - 2.0**-7 * (1 + abs(low))
        assert found.high.max() <= high + 2.0**-7 * (1 + abs(high))


def test_names_are_those_of_onnx() -> None:
    """Of the standard domain, but for what ONNX Runtime keeps or adds there."""
    names = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    added = {"Upsample", "SimplifiedLayerNormalization"}
    standard = {row.name for row in ROWS if "" in row.domains}
    assert standard <= names | added
    assert len(OPERATORS) == len(ROWS)


def test_domains_are_kept_apart() -> None:
    assert find("", "Relu") is find("ai.onnx", "Relu") is OPERATORS["Relu"]
    assert find("example", "Relu") == Operator("Relu")
    assert find("com.microsoft", "QuickGelu").form is Form.ENTRY


def test_a_row_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new operator takes its row: positions, scales and ranges follow."""
    row = Operator("Softstep", Form.ENTRY, within=(0.0, 1.0), scaling=ScaleRule.ONE, dtype=0)
    monkeypatch.setitem(OPERATORS, row.name, row)
    found = find("", "Softstep")
    assert found.is_pointwise
    assert found.has_rank_of_first
    assert scale_rule(found) is scale_rule(OPERATORS["Relu"])
    assert range_rule(found) is not range_rule(Operator("Unheard"))


def _listed(path: Path) -> list[tuple[int, set[str]]]:
    """Operators in the tuples, lists and sets of a file, by line."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            names = {str(item.value) for item in node.elts if isinstance(item, ast.Constant)}
            found.append((node.lineno, names & set(OPERATORS)))
    return found


def test_no_other_lists_of_operators() -> None:
    """What a set of operators has in common is a question to the table."""
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} {sorted(names)}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for line, names in _listed(path)
        if len(names) > 5
    ]
    assert not wrong
