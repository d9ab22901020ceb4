"""Digital fragments: what they hold, where they are cut, and that any graph survives the cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.frontend.network_meaning import evaluate
from tests.frontend.onnx_models import (
    check,
    fragments,
    matrix_layer,
    model_file,
    normal,
    notes,
    operators,
    parse,
    write,
)
from xbarc.errors import InputError, ModelError, UnsupportedError
from xbarc.frontend import read_network, runnable_model
from xbarc.frontend.graph import emit
from xbarc.ir.network import DigitalFragment, MatrixLayer
from xbarc.ir.quantizers import FloatInput

RESIDUAL = """g (float[N,2,6,6] x) => (float[] y) {
    s = Relu(x)
    a = Conv(s, w)
    b = Relu(a)
    c = Conv(b, w)
    d = Add(c, s)
    e = Sigmoid(a)
    f = Add(d, e)
    p = GlobalAveragePool(f)
    q = Flatten(p)
    y = MatMul(q, m)
}"""


def test_order_and_depth(tmp_path: Path) -> None:
    path = model_file(tmp_path, RESIDUAL, w=normal(2, 2, 1, 1), m=normal(2, 3))
    network = check(path, x=normal(2, 2, 6, 6))
    kinds = ["D" if isinstance(layer, DigitalFragment) else "M" for layer in network.layers]
    assert kinds == ["D", "M", "D", "M", "D", "M"]
    first, second, third = fragments(network)
    assert dict(first.operators) == {"Relu": 1}
    assert dict(second.operators) == {"Relu": 1, "Sigmoid": 1}
    assert third.inputs == ("c", "s", "e")
    assert network.name == "model"
    assert len(network.source.sha256) == 64


def test_same_file_same_bytes(tmp_path: Path) -> None:
    path = model_file(tmp_path, RESIDUAL, w=normal(2, 2, 1, 1), m=normal(2, 3))
    before = path.read_bytes()
    first, second = read_network(path), read_network(path)
    assert [f.model for f in fragments(first)] == [f.model for f in fragments(second)]
    assert first.source == second.source
    assert path.read_bytes() == before
    assert runnable_model(path) == path


def test_shapes_of_inputs(tmp_path: Path) -> None:
    path = model_file(tmp_path, RESIDUAL, w=normal(2, 2, 1, 1), m=normal(2, 3))
    layers = read_network(path).matrix_layers
    assert [layer.input_shape for layer in layers] == [(1, 2, 6, 6), (1, 2, 6, 6), (1, 2)]
    assert [layer.quantizer for layer in layers] == [FloatInput()] * 3


def test_shapes_given_by_the_user(tmp_path: Path) -> None:
    path = model_file(
        tmp_path, "g (float[N,2,H,W] x) => (float[] y) { y = Conv(x, w) }", w=normal(2, 2, 3, 3)
    )
    layer = matrix_layer(read_network(path, shapes={"x": (1, 2, 30, 40)}))
    assert layer.input_shape == (1, 2, 30, 40)
    assert read_network(path).inputs[0].shape == ("N", 2, "H", "W")
    with pytest.raises(InputError, match="no input z"):
        read_network(path, shapes={"z": (1,)})
    with pytest.raises(InputError, match="4 axes"):
        read_network(path, shapes={"x": (1,)})


def test_fragments_carry_only_what_they_need(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        """g (float[N,4] x) => (float[] y) {
            a = Add(x, k)
            b = MatMul(a, w)
            t = Relu(b)
            y = Mul(t, k2)
            dead = com.unknown.Foo(x)
        }""",
        w=normal(4, 4),
        k=normal(4),
        k2=normal(4),
        unused=normal(4),
    )
    first, second = fragments(read_network(path))
    model = onnx.load_model_from_string(second.model)
    assert [tensor.name for tensor in model.graph.initializer] == ["k2"]
    assert [entry.domain for entry in model.opset_import] == [""]
    assert model.ir_version <= 10
    assert not model.graph.input[0].type.tensor_type.HasField("shape")
    assert model.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert dict(first.operators) == {"Add": 1}


def test_constants_are_computed_where_they_are_used(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        """g (float[N,4] x) => (float[] y) {
            s = Constant<value_ints = [4, 4]>()
            c = ConstantOfShape<value = float[1] {0.5}>(s)
            w1 = Transpose<perm = [1, 0]>(w)
            w2 = Mul(w1, c)
            w3 = Identity(w2)
            i = Cast<to = 1>(w3)
            a = MatMul(x, i)
            r = Relu(a)
            b = MatMul(r, w2)
            z = Relu(b)
            y = MatMul(z, c)
        }""",
        w=normal(4, 4),
    )
    network = check(path, x=normal(3, 4))
    assert len(network.matrix_layers) == 3
    assert operators(network) == {"Relu": 2}


def test_outputs_of_every_kind(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        """g (float[N,4] x, float[2] u)
            => (float[] y, float[4,4] w, float[N,4] x, float[] k, float[] z) {
            y = MatMul(x, w)
            k = Exp(b)
            z = Relu(y)
        }""",
        w=normal(4, 4),
        b=normal(4),
    )
    network = check(path, x=normal(3, 4), u=normal(2))
    assert [value.name for value in network.outputs] == ["y", "w", "x", "k", "z"]


def test_a_pass_through_needs_no_layer(tmp_path: Path) -> None:
    path = model_file(tmp_path, "g (float[N] x) => (float[N] x) { d = Relu(x) }")
    assert check(path, x=normal(3)).layers == ()


def test_no_matrix_layer_at_all(tmp_path: Path) -> None:
    path = model_file(tmp_path, "g (float[N] x) => (float[] y) { a = Relu(x) y = Exp(a) }")
    (fragment,) = check(path, x=normal(3)).layers
    assert isinstance(fragment, DigitalFragment)
    assert fragment.macs == 0


def test_initialisers_that_are_listed_as_inputs(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        "g (float[N,4] x, float[4,3] w) => (float[] y) { y = MatMul(x, w) }",
        '<ir_version: 3, opset_import: ["": 8]>',
        w=normal(4, 3),
    )
    network = read_network(path)
    assert [value.name for value in network.inputs] == ["x"]
    assert matrix_layer(network).output == "y"


def test_nodes_out_of_order(tmp_path: Path) -> None:
    model = parse(
        "g (float[N,4] x) => (float[] y) { a = Relu(x) y = MatMul(a, w) }", w=normal(4, 3)
    )
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    assert len(read_network(write(tmp_path, model)).matrix_layers) == 1


def test_functions_are_inlined(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        """g (float[N,4] x) => (float[] y) { a = local.dense(x, w) y = local.dense(a, w) }
        <domain: "local", opset_import: ["": 17]>
        dense (v, m) => (r) { p = MatMul(v, m) r = Relu(p) }""",
        '<ir_version: 8, opset_import: ["": 17, "local": 1]>',
        w=normal(4, 4),
    )
    network = check(path, x=normal(3, 4))
    assert len(network.matrix_layers) == 2


def test_functions_of_another_opset_stay_functions(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        """g (float[N,4] x) => (float[] y) { a = local.twice(x) y = MatMul(a, w) }
        <domain: "local", opset_import: ["": 15]>
        twice (v) => (r) { r = Add(v, v) }""",
        '<ir_version: 8, opset_import: ["": 17, "local": 1]>',
        w=normal(4, 4),
    )
    assert operators(check(path, x=normal(3, 4))) == {"local.twice": 1}


CONTROL = """g (float[N,4] x, bool c) => (float[] y) {
    a = MatMul(x, w)
    b = If(c) <
        then_branch = t () => (float[] p) { p = MatMul(a, w) },
        else_branch = e () => (float[] q) { q = Add(a, x) }
    >
    y = MatMul(b, w)
}"""


@pytest.mark.parametrize("flag", [True, False])
def test_bodies_capture_outer_values(tmp_path: Path, flag: bool) -> None:
    path = model_file(tmp_path, CONTROL, w=normal(4, 4))
    network = check(path, x=normal(3, 4), c=np.asarray(flag))
    assert len(network.matrix_layers) == 2
    assert set(fragments(network)[0].inputs) == {"c", "a", "x"}
    assert "body of If" in notes(network)


def test_sequences_cross_borders(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        """g (float[N,4] x) => (float[] y, seq(float[]) s) {
            r = Relu(x)
            s = SequenceConstruct(r, x)
            a = MatMul(r, w)
            i = Constant<value_int = 1>()
            l = SequenceInsert(s, a)
            y = SequenceAt(l, i)
        }""",
        w=normal(4, 4),
    )
    network = read_network(path)
    assert [value.dtype for value in network.outputs] == ["float32", "other"]
    assert "s" in fragments(network)[-1].inputs


def test_recurrent_layers_say_why(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        "g (float[S,N,2] x) => (float[] y) { y = GRU<hidden_size = 3>(x, w, r) }",
        w=normal(1, 9, 2),
        r=normal(1, 9, 3),
    )
    network = check(path, x=normal(4, 1, 2))
    assert "GRU has no crossbar form" in notes(network)
    assert fragments(network)[0].macs == 9 * 2 + 9 * 3  # one step of one sequence: axes are open


def test_operators_that_nobody_runs(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        "g (float[N] x) => (float[] y) { y = my.domain.Magic(x) }",
        '<ir_version: 8, opset_import: ["": 17, "my.domain": 1]>',
    )
    with pytest.raises(UnsupportedError, match=r"Magic.*my\.domain"):
        read_network(path)


def test_bfloat16_crosses_borders_as_float32(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        """g (float[2,4] x) => (bfloat16[] y) {
            a = MatMul(x, w)
            y = Cast<to = 16>(a)
        }""",
        w=normal(4, 3),
    )
    network = read_network(path)
    assert network.outputs[0].dtype == "float32"
    found = evaluate(network, {"x": np.ones((2, 4), np.float32)})["y"]
    assert found.dtype == np.float32
    assert not np.any(found.view(np.uint32) & 0xFFFF)
    model = parse("g (bfloat16[2,4] x) => (bfloat16[] y) { y = MatMul(x, w) }")
    values = [1.0] * 12
    model.graph.initializer.append(onnx.helper.make_tensor("w", 16, [4, 3], values))
    with pytest.raises(UnsupportedError, match="MatMul"):
        read_network(write(tmp_path, model))


def test_newest_ir_versions(tmp_path: Path) -> None:
    model = parse("g (float[N,4] x) => (float[] y) { y = MatMul(x, w) }", w=normal(4, 3))
    model.ir_version = 14
    path = write(tmp_path, model)
    assert len(check(path, x=normal(2, 4)).matrix_layers) == 1
    assert isinstance(runnable_model(path), bytes)


def test_huge_digital_tables_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emit, "LARGEST_FRAGMENT", 100)
    path = model_file(
        tmp_path, "g (int64[N] x) => (float[] y) { y = Gather(w, x) }", w=normal(40, 3)
    )
    with pytest.raises(UnsupportedError, match="split the model"):
        read_network(path)


def test_dynamic_batch(tmp_path: Path) -> None:
    path = model_file(tmp_path, RESIDUAL, w=normal(2, 2, 1, 1), m=normal(2, 3))
    for batch in (0, 1, 7):
        check(path, x=normal(batch, 2, 6, 6))


def test_layers_know_their_operators(tmp_path: Path) -> None:
    path = model_file(tmp_path, RESIDUAL, w=normal(2, 2, 1, 1), m=normal(2, 3))
    found = [
        layer.operator for layer in read_network(path).layers if isinstance(layer, MatrixLayer)
    ]
    assert found == ["Conv", "Conv", "MatMul"]


def test_guessed_dimensions_never_refuse_a_model(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        """g (float[N,C,H,W] x) => (float[] y) {
            a = Conv(x, w)
            f = Flatten(a)
            y = MatMul(f, m)
        }""",
        w=normal(2, 3, 1, 1),
        m=normal(50, 4),
    )
    network = check(path, x=normal(2, 3, 5, 5))
    assert [layer.input_shape for layer in network.matrix_layers] == [None, None]
    found = read_network(path, shapes={"x": (1, 3, 5, 5)})
    assert [layer.input_shape for layer in found.matrix_layers] == [(1, 3, 5, 5), (1, 50)]


@pytest.mark.parametrize(
    ("graph", "found"),
    [
        ("(float[N,4] x) => (float[] y) { fc = MatMul(x, m) y = Relu(fc) }", r"\[\?, 4\]"),
        ("(float[N,4] x) => (float[] y) { h = Relu(x) y = MatMul(h, m) }", r"\[\?, 4\]"),
        ("(float[4,N] x) => (float[] y) { y = Gemm<transA = 1>(x, m) }", r"\[4, \?\]"),
        ("(float[N,2,H,W] x) => (float[] y) { y = Conv(x, c) }", r"\[\?, 2, \?, \?\]"),
        ("(float[N,3,H,W] x) => (float[] y) { h = Conv(x, c) y = Conv(h, c) }", r"\[\?, 2,"),
        ("(float[N,2,H,W] x) => (float[] y) { y = ConvTranspose(x, c3) }", r"\[\?, 2, \?"),
        ("(float[N,5,H] x) => (float[] y) { y = Conv(x, c) }", r"\[\?, 5, \?\]"),
    ],
)
def test_declared_axes_that_do_not_fit(tmp_path: Path, graph: str, found: str) -> None:
    """Other axes may be open; only the one that is summed decides."""
    path = model_file(
        tmp_path, f"g {graph}", m=normal(5, 3), c=normal(2, 3, 1, 1), c3=normal(3, 2, 1, 1)
    )
    with pytest.raises(ModelError, match=f"its input has the shape {found}.*expected"):
        read_network(path)
