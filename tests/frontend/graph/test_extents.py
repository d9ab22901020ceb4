"""Shapes that counts are for: what ONNX Runtime makes, wherever shapes alone decide.

Each model is a way in which exporters write sizes that a model computes. The judge is a run of ONNX
Runtime on data of the same shape: every matrix layer's input has the shape that was counted with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.frontend.onnx_models import model_file, normal
from xbarc.frontend import read_network
from xbarc.ir.network import DigitalFragment, Network
from xbarc.numerics.types import AnyArray
from xbarc.runtime import OnnxSession

HEADER = '<ir_version: 8, opset_import: ["": 17, "com.microsoft": 1, "ai.onnx.ml": 3, "own": 1]>'


@dataclass(frozen=True)
class Idiom:
    """A graph that ends in `y = MatMul(f, w)` for some `f` made of `x`, and the shape of `x`."""

    graph: str
    shape: tuple[int, ...]
    rows: int
    constants: dict[str, Any] = field(default_factory=dict)
    more: str = ""


def _int(*values: int) -> AnyArray:
    return np.array(values, dtype=np.int64)


def _one(value: int) -> AnyArray:
    return np.array(value, dtype=np.int64)


_IDIOMS = {
    "torch view(size(0), -1)": Idiom(
        """s = Shape(x) b = Gather(s, i0) u = Unsqueeze(b, a0) t = Concat<axis = 0>(u, minus)
        f = Reshape(x, t)""",
        (3, 2, 8),
        16,
        {"i0": _one(0), "a0": _int(0), "minus": _int(-1)},
    ),
    "torch view of a product of sizes": Idiom(
        """s = Shape(x) c = Gather(s, i1) h = Gather(s, i2) n = Mul(c, h) u = Unsqueeze(n, a0)
        t = Concat<axis = 0>(minus, u) f = Reshape(x, t)""",
        (3, 2, 8),
        16,
        {"i1": _one(1), "i2": _one(2), "a0": _int(0), "minus": _int(-1)},
    ),
    "keras flatten": Idiom(
        """s = Shape(x) d = Slice(s, a0, a1, a0) t = Concat<axis = 0>(d, sixteen)
        f = Reshape(x, t)""",
        (3, 2, 8),
        16,
        {"a0": _int(0), "a1": _int(1), "sixteen": _int(16)},
    ),
    "tf flatten with casts": Idiom(
        """s = Shape(x) c = Cast<to = 6>(s) d = Slice(c, a0, a1, a0) e = Cast<to = 7>(d)
        t = Concat<axis = 0>(e, minus) f = Reshape(x, t)""",
        (3, 2, 8),
        16,
        {"a0": _int(0), "a1": _int(1), "minus": _int(-1)},
    ),
    "reduced product of sizes": Idiom(
        """s = Shape<start = 1>(x) p = ReduceProd<keepdims = 1>(s) t = Concat<axis = 0>(minus, p)
        f = Reshape(x, t)""",
        (3, 2, 8),
        16,
        {"minus": _int(-1)},
    ),
    "resize to computed sizes": Idiom(
        """s = Shape(x) n = Slice(s, a0, a2, a0) h = Slice(s, a2, a4, a0) d = Mul(h, a2)
        t = Concat<axis = 0>(n, d) f = Resize(x, , , t)""",
        (1, 2, 4, 8),
        16,
        {"a0": _int(0), "a2": _int(2), "a4": _int(4)},
    ),
    "resize by scales from sizes": Idiom(
        """s = Shape(x) h = Slice(s, a2, a4, a0) d = Mul(h, a2) n = Cast<to = 1>(d)
        o = Cast<to = 1>(h) q = Div(n, o) t = Concat<axis = 0>(ones, q) f = Resize(x, , t)""",
        (1, 2, 4, 8),
        16,
        {"a0": _int(0), "a2": _int(2), "a4": _int(4), "ones": np.ones(2, np.float32)},
    ),
    "pad to a multiple": Idiom(
        """s = Shape(x) w = Gather(s, i2) m = Mod(w, k) d = Sub(k, m) e = Mod(d, k)
        u = Unsqueeze(e, a0) t = Concat<axis = 0>(zeros, u) f = Pad(x, t)""",
        (3, 2, 13),
        16,
        {"i2": _one(2), "k": _one(16), "a0": _int(0), "zeros": _int(0, 0, 0, 0, 0)},
    ),
    "torch pads by reshape and transpose": Idiom(
        """v = ConstantOfShape<value = int64[1] {0}>(four) p = Concat<axis = 0>(pads, v)
        r = Reshape(p, two) z = Slice(r, minus, least, a0, minus) q = Transpose<perm = [1, 0]>(z)
        t0 = Reshape(q, minus) t = Cast<to = 7>(t0) g = Add(x, x) f = Pad(g, t)""",
        (3, 2, 13),
        16,
        {
            "four": _int(4),
            "pads": _int(1, 2),
            "two": _int(-1, 2),
            "minus": _int(-1),
            "least": _int(-(2**63) + 1),
            "a0": _int(0),
        },
    ),
    "slice with computed ends": Idiom(
        """s = Shape(x) w = Gather(s, i2) h = Div(w, k) u = Unsqueeze(h, a0)
        f = Slice(x, a0, u, a2)""",
        (3, 2, 32),
        16,
        {"i2": _one(2), "k": _one(2), "a0": _int(0), "a2": _int(2)},
    ),
    "split by computed sizes": Idiom(
        """s = Shape(x) w = Gather(s, i2) h = Div(w, k) u = Unsqueeze(h, a0) r = Sub(w, h)
        v = Unsqueeze(r, a0) t = Concat<axis = 0>(u, v) f, g = Split<axis = 2>(x, t)""",
        (3, 2, 32),
        16,
        {"i2": _one(2), "k": _one(2), "a0": _int(0)},
    ),
    "torch expand with minus ones": Idiom(
        """s = Shape(x) b = Gather(s, i0) u = Unsqueeze(b, a0) t = Concat<axis = 0>(u, five, minus)
        z = Shape(t) o = ConstantOfShape<value = int64[1] {1}>(z) m = Mul(o, minus)
        e = Equal(t, m) r = Where(e, o, t) c = Expand(token, r) f = Add(c, x)""",
        (3, 1, 16),
        16,
        {
            "i0": _one(0),
            "a0": _int(0),
            "five": _int(5),
            "minus": _int(-1),
            "token": normal(1, 1, 16),
        },
    ),
    "class token before a sequence": Idiom(
        """s = Shape(x) b = Slice(s, a0, a1, a0) t = Concat<axis = 0>(b, a1, a1)
        c = Tile(token, t) f = Concat<axis = 1>(c, x)""",
        (3, 5, 16),
        16,
        {"a0": _int(0), "a1": _int(1), "token": normal(1, 1, 16)},
    ),
    "range of positions": Idiom(
        """s = Shape(x) l = Gather(s, i1) r = Range(i0, l, i1) p = Gather(table, r)
        f = Add(x, p)""",
        (3, 5, 16),
        16,
        {"i0": _one(0), "i1": _one(1), "table": normal(9, 16)},
    ),
    "causal mask": Idiom(
        """s = Shape(x) l = Slice(s, a1, a2, a0) t = Concat<axis = 0>(l, l)
        o = ConstantOfShape<value = float[1] {1.0}>(t) m = Trilu<upper = 0>(o)
        f = MatMul(m, x)""",
        (3, 5, 16),
        16,
        {"a0": _int(0), "a1": _int(1), "a2": _int(2)},
    ),
    "squeeze where an axis is one": Idiom(
        """s = Shape(x) d = Gather(s, i1) c = Equal(d, i1)
        f = If (c) <then_branch = g1 () => (a) { a = Squeeze(x, a1) },
        else_branch = g2 () => (b) { b = Identity(x) }>""",
        (3, 1, 16),
        16,
        {"i1": _one(1), "a1": _int(1)},
    ),
    "branches that agree": Idiom(
        """m = ReduceMean<keepdims = 0>(x) c = Greater(m, zero)
        f = If (c) <then_branch = g1 () => (a) { a = Relu(x) },
        else_branch = g2 () => (b) { b = Neg(x) }>""",
        (3, 5, 16),
        16,
        {"zero": np.float32(0)},
    ),
    "scaler of skl2onnx": Idiom(
        "f = ai.onnx.ml.Scaler<offset = [0.0], scale = [1.0]>(x)", (3, 16), 16
    ),
    "normalizer of skl2onnx": Idiom('f = ai.onnx.ml.Normalizer<norm = "L2">(x)', (3, 16), 16),
    "operators of com.microsoft": Idiom(
        "g = com.microsoft.Gelu(x) f = com.microsoft.QuickGelu(g)", (3, 16), 16
    ),
    "a function that stays": Idiom(
        "f = own.twice(x)",
        (3, 16),
        16,
        more='<domain: "own", opset_import: ["": 17]> twice (a) => (b) { b = Add(a, a) }',
    ),
    "sequences and back": Idiom(
        """q = SplitToSequence<axis = 1>(x, one) e = SequenceAt(q, i2)
        r = SequenceInsert(q, e) f = ConcatFromSequence<axis = 1>(r)""",
        (3, 5, 16),
        16,
        {"one": _one(1), "i2": _one(2)},
    ),
    "a sequence of parts by data, all of one shape": Idiom(
        """q = SplitToSequence<axis = 1>(x, one) z = ReduceMax<keepdims = 0>(x) n = Cast<to = 7>(z)
        k = Mod(n, i2) f = SequenceAt(q, k)""",
        (3, 6, 16),
        16,
        {"one": _one(2), "i2": _one(2)},
    ),
    "length of a sequence": Idiom(
        """q = SplitToSequence<axis = 1>(x, one) l = SequenceLength(q) u = Unsqueeze(l, a0)
        t = Concat<axis = 0>(u, minus) r = Reshape(x, t) f = Slice(r, a0, b, a1)""",
        (5, 5, 16),
        16,
        {"one": _one(1), "a0": _int(0), "a1": _int(1), "b": _int(16), "minus": _int(-1)},
    ),
    "a recurrent layer between": Idiom(
        """t = Transpose<perm = [1, 0, 2]>(x) g, h = GRU<hidden_size = 16>(t, wi, wr)
        f = Squeeze(g, a1)""",
        (3, 5, 4),
        16,
        {"wi": normal(1, 48, 4), "wr": normal(1, 48, 16), "a1": _int(1)},
    ),
    "one hot of a fixed depth": Idiom(
        """i = Cast<to = 7>(x) f = OneHot(i, depth, ends)""",
        (3, 5),
        16,
        {"depth": _one(16), "ends": np.array([0, 1], np.float32)},
    ),
    "best of a computed count": Idiom(
        """s = Shape(x) w = Gather(s, i1) h = Div(w, k) u = Unsqueeze(h, a0) f, g = TopK(x, u)""",
        (3, 32),
        16,
        {"i1": _one(1), "k": _one(2), "a0": _int(0)},
    ),
    "size of everything": Idiom(
        """n = Size(x) d = Div(n, k) u = Unsqueeze(d, a0) t = Concat<axis = 0>(u, sixteen)
        f = Reshape(x, t)""",
        (3, 2, 8),
        16,
        {"k": _one(16), "a0": _int(0), "sixteen": _int(16)},
    ),
    "an embedding by data": Idiom(
        "i = Cast<to = 7>(x) f = Gather(table, i)", (3, 5), 16, {"table": normal(4, 16)}
    ),
    "rows that a counted loop stacks": Idiom(
        """s = Shape(x) n = Gather(s, i0) e, f = Loop (n, yes, x) <body = g
        (int64 i, bool c, float[a, b] v) => (bool o, float[a, b] r, float[b] t)
        { o = Identity(c) r = Neg(v) t = Gather(x, i) }>""",
        (3, 16),
        16,
        {"i0": _one(0), "yes": np.array(True)},
    ),
    "a loop until data ends it, of one shape": Idiom(
        """f = Loop (n, yes, x) <body = g
        (int64 i, bool c, float[a, b] v) => (bool o, float[a, b] r)
        { r = Neg(v) m = ReduceMax<keepdims = 0>(r) o = Less(m, zero) }>""",
        (3, 16),
        16,
        {"n": _one(4), "yes": np.array(True), "zero": np.float32(0)},
    ),
    "a scan over steps": Idiom(
        """d, f = Scan<num_scan_inputs = 1, body = g
        (float[b] h, float[b] v) => (float[b] o, float[b] r) { o = Add(h, v) r = Identity(o) }>
        (state, x)""",
        (3, 16),
        16,
        {"state": np.zeros(16, np.float32)},
    ),
    "a loop that a shape counts": Idiom(
        """s = Shape(x) n = Gather(s, i1)
        f = Loop (n, yes, x) <body = g (int64 i, bool c, float[a, b, d] v) =>
        (bool o, float[a, b, d] r)
        { o = Identity(c) r = Add(v, v) }>""",
        (3, 5, 16),
        16,
        {"i1": _one(1), "yes": np.array(True)},
    ),
}


def _model(folder: Path, idiom: Idiom, axes: str) -> Path:
    graph = f"""g (float[{axes}] x) => (float[] y) {{
        {idiom.graph} y = MatMul(f, weights) }} {idiom.more}"""
    return model_file(folder, graph, HEADER, weights=normal(idiom.rows, 4), **idiom.constants)


def _real_shapes(path: Path, names: list[str], data: AnyArray) -> dict[str, tuple[int, ...]]:
    """What ONNX Runtime gives on data."""
    model = onnx.load(path)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name != "x")
    session = OnnxSession(model.SerializeToString(), where=path.name)
    found = session.run({"x": data}, [name for name in names if name != "x"])
    return {name: np.shape(array) for name, array in zip(names, found, strict=True)}


def _counted(network: Network) -> dict[str, tuple[int, ...] | None]:
    return {layer.input: layer.input_shape for layer in network.matrix_layers}


@pytest.mark.parametrize("how", ["declared", "by name", "by shape alone"])
@pytest.mark.parametrize("name", _IDIOMS)
def test_what_is_counted_is_what_runs(tmp_path: Path, name: str, how: str) -> None:
    """Whether the sizes are the model's or given beside it."""
    idiom = _IDIOMS[name]
    fixed = how == "declared"
    axes = ",".join(str(size) if fixed else f"n{at}" for at, size in enumerate(idiom.shape))
    path = _model(tmp_path, idiom, axes)
    network = read_network(path, shapes=None if fixed else {"x": idiom.shape})
    found = _counted(network)
    data = np.random.default_rng(0).integers(0, 3, idiom.shape).astype(np.float32)
    assert found == _real_shapes(path, list(found), data)
    digital = [layer for layer in network.layers if isinstance(layer, DigitalFragment)]
    assert not [line for fragment in digital for line in fragment.uncounted if "Loop" not in line]


_BY_DATA = {
    "NonZero": "n = NonZero(x) t = Transpose<perm = [1, 0]>(n) f = Cast<to = 1>(t)",
    "Unique": "u = Unique<axis = 0>(x) f = Relu(u)",
    "Compress": """m = ReduceMax<axes = [1], keepdims = 0>(x) k = Cast<to = 9>(m)
        f = Compress<axis = 0>(x, k)""",
    "Range": """m = ReduceMax<keepdims = 0>(x) l = Cast<to = 7>(m) r = Range(i0, l, i1)
        f = Gather(table, r)""",
    "Slice": """m = ReduceMax<keepdims = 0>(x) l = Cast<to = 7>(m) u = Unsqueeze(l, a0)
        f = Slice(x, a0, u, a0)""",
    "If": """m = ReduceMean<keepdims = 0>(x) c = Greater(m, zero)
        f = If (c) <then_branch = g1 () => (a) { a = Relu(x) },
        else_branch = g2 () => (b) { b = Concat<axis = 0>(x, x) }>""",
    "Loop": """m = ReduceMax<keepdims = 0>(x) l = Cast<to = 7>(m)
        e, f = Loop (l, yes, x) <body = g (int64 i, bool c, float[a, b] v) =>
        (bool o, float[a, b] r, float[d] t) { o = Identity(c) r = Neg(v) t = Gather(x, i0) }>""",
    "SplitToSequence": """m = ReduceMax<keepdims = 0>(x) l = Cast<to = 7>(m)
        q = SplitToSequence<axis = 0>(x, l) f = SequenceAt(q, i0)""",
}
_CONSTANTS = {
    "i0": _one(0),
    "i1": _one(1),
    "a0": _int(0),
    "yes": np.array(True),
    "zero": np.float32(0),
    "table": normal(9, 2),
}


@pytest.mark.parametrize("operator", _BY_DATA)
def test_what_depends_on_values_is_named_and_nothing_else_is_lost(
    tmp_path: Path, operator: str
) -> None:
    """The layer in front is counted, the layer behind says which node decides."""
    graph = f"""g (float[3,2] x0) => (float[] y) {{ x = MatMul(x0, front) {_BY_DATA[operator]}
        y = MatMul(f, weights) }}"""
    path = model_file(
        tmp_path, graph, HEADER, front=normal(2, 2), weights=normal(2, 4), **_CONSTANTS
    )
    first, second = read_network(path).matrix_layers
    assert first.input_shape == (3, 2)
    assert not first.uncounted
    assert second.input_shape is None
    assert second.uncounted.split("'")[0].split()[-1] == operator


def test_an_input_that_is_an_output_too(tmp_path: Path) -> None:
    """And a value that a layer reads and the model gives."""
    graph = """g (float[n,2,8] x) => (float[n,2,8] x, float[] f, float[] y) {
        s = Shape(x) b = Gather(s, i0) u = Unsqueeze(b, a0) t = Concat<axis = 0>(u, minus)
        f = Reshape(x, t) y = MatMul(f, weights) }"""
    constants = {"i0": _one(0), "a0": _int(0), "minus": _int(-1)}
    path = model_file(tmp_path, graph, HEADER, weights=normal(16, 4), **constants)
    assert _counted(read_network(path)) == {"f": (1, 16)}
    assert _counted(read_network(path, shapes={"x": (5, 2, 8)})) == {"f": (5, 16)}


def test_sizes_reach_later_fragments(tmp_path: Path) -> None:
    """A size computed in front of a layer shapes what comes behind it, and the layer after that."""
    graph = """g (float[n,3,4] x) => (float[] y) {
        s = Shape(x) b = Gather(s, i0) u = Unsqueeze(b, a0) t = Concat<axis = 0>(u, minus)
        h = MatMul(x, front) r = Reshape(h, t) q = Transpose(r)
        p = MatMul(r, q) y = MatMul(p, weights) }"""
    constants = {"i0": _one(0), "a0": _int(0), "minus": _int(-1)}
    weights = {"front": normal(4, 2), "weights": normal(5, 4)}
    path = model_file(tmp_path, graph, HEADER, **weights, **constants)
    network = read_network(path, shapes={"x": (5, 3, 4)})
    assert _counted(network) == {"x": (5, 3, 4), "p": (5, 5)}
    (macs,) = (
        layer.macs for layer in network.layers if isinstance(layer, DigitalFragment) if layer.macs
    )
    assert macs == 5 * 6 * 5


@pytest.mark.parametrize("operator", ["MatMul(x, w)", "LSTM<hidden_size = 7>(x, wi, wr)"])
def test_matrices_in_bodies_are_named(tmp_path: Path, operator: str) -> None:
    """Those that have no crossbar form too: their multiply-accumulates are left out."""
    graph = f"""g (float[5,3,4] x, bool c) => (float[] y) {{
        y = If (c) <then_branch = t () => (float[] a) {{ a = {operator} }},
                    else_branch = e () => (float[] b) {{ b = Identity(x) }}> }}"""
    weights = {"wi": normal(1, 28, 4), "wr": normal(1, 28, 7), "w": normal(4, 4)}
    used = {
        name: array
        for name, array in weights.items()
        if f"{name})" in operator or f"{name}," in operator
    }
    (fragment,) = read_network(model_file(tmp_path, graph, HEADER, **used)).layers
    assert isinstance(fragment, DigitalFragment)
    assert fragment.macs is None
    assert fragment.uncounted[0].startswith("If 'y': how often its body multiplies")
    said = "body of If, whose condition depends on input 'c': --fix-input c=VALUE takes one branch"
    assert fragment.notes[0].endswith(said)


def test_nothing_large_is_tried(tmp_path: Path) -> None:
    """A shape that somebody declares costs no memory: an operator without a rule stays unknown."""
    graph = """g (float[n,16] x) => (float[] y) {
        f = ai.onnx.ml.Scaler<offset = [0.0], scale = [1.0]>(x) y = MatMul(f, weights) }"""
    path = model_file(tmp_path, graph, HEADER, weights=normal(16, 4))
    layer = read_network(path, shapes={"x": (1 << 40, 16)}).matrix_layers[0]
    assert layer.input_shape is None
    assert layer.uncounted.startswith("Scaler")


def test_recurrent_layers_are_counted(tmp_path: Path) -> None:
    """5 steps of 3 sequences, each by all weights of inputs and state, in both directions."""
    graph = """g (float[5,3,4] x) => (float[] y) {
        y, h, c = LSTM<hidden_size = 7, direction = "bidirectional">(x, wi, wr) }"""
    path = model_file(tmp_path, graph, HEADER, wi=normal(2, 28, 4), wr=normal(2, 28, 7))
    (fragment,) = read_network(path).layers
    assert isinstance(fragment, DigitalFragment)
    assert fragment.macs == 5 * 3 * 2 * 28 * (4 + 7)
    assert not fragment.uncounted


def test_what_can_be_counted_of_a_fragment_is(tmp_path: Path) -> None:
    graph = """g (float[3,4] x, float[4,5] z) => (float[] y, float[] v) {
        y = MatMul(x, z) v = Einsum<equation = "ij,jk->ik">(x, z) }"""
    (fragment,) = read_network(model_file(tmp_path, graph, HEADER)).layers
    assert isinstance(fragment, DigitalFragment)
    assert fragment.macs == 3 * 4 * 5
    assert fragment.uncounted == ("Einsum 'v': its multiply-accumulates are not modelled",)
