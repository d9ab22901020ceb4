"""The classifier at the end of a fragment."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from xbarc.frontend import read_classifier, with_classifier, with_features
from xbarc.numerics.types import AnyArray
from xbarc.runtime import OnnxSession

WEIGHT = np.arange(12, dtype=np.float32).reshape(4, 3) / 7
BIAS = np.array([1, -2, 3], np.float32)
FORMS = {
    "y = Gemm (r, w, b)": (WEIGHT, BIAS),
    "y = Gemm <transB = 1> (r, w, b)": (WEIGHT.T, BIAS),
    "y = Gemm (r, w)": (WEIGHT, None),
    "y = MatMul (r, w)": (WEIGHT, None),
    "m = MatMul (r, w) y = Add (m, b)": (WEIGHT, BIAS),
    "m = MatMul (r, w) y = Add (b, m)": (WEIGHT, BIAS.reshape(1, 3)),
}
OTHERS = {
    "y = Gemm <alpha = 2.0> (r, w, b)": "a factor",
    "y = Softmax (x)": "no product",
    "m = MatMul (r, w) k = Mul (m, m) y = Add (k, b)": "no product before the sum",
    "y = MatMul (r, r)": "weights that are no constants",
    "v = Transpose (w) k = MatMul (r, w) y = Add (k, b)": "weights that others read",
}


def _model(body: str, weight: AnyArray = WEIGHT, bias: AnyArray | None = BIAS) -> bytes:
    text = f"""<ir_version: 8, opset_import: ["" : 17]>
        f (float[N, 4] x) => (float[N, 3] y) {{ r = Relu (x) {body} }}"""
    model = onnx.parser.parse_model(text)
    held = {"w": weight} if bias is None else {"w": weight, "b": bias}
    model.graph.initializer.extend(numpy_helper.from_array(a, n) for n, a in held.items())
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("body", FORMS)
def test_a_classifier_is_read_and_written(body: str) -> None:
    weight, bias = FORMS[body]
    model = _model(body, np.ascontiguousarray(weight), bias)
    found = read_classifier(model, "y")
    assert found is not None
    assert found.features == "r"
    assert np.array_equal(found.weight, WEIGHT)
    assert np.array_equal(found.bias, BIAS if bias is not None else np.zeros(3))
    data = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    changed = with_classifier(model, found, found.weight * 2, found.bias + 1)
    shown = OnnxSession(with_features(changed, found), where="test")
    scores, features = shown.run({"x": data}, ("y", "r"))
    shift = BIAS + 1 if bias is not None else np.zeros(3)
    assert np.array_equal(features, np.maximum(data, 0))
    assert np.allclose(scores, features @ (WEIGHT * 2) + shift, atol=1e-5)


@pytest.mark.parametrize("body", OTHERS)
def test_other_endings_are_left_alone(body: str) -> None:
    assert read_classifier(_model(body), "y") is None


def test_features_that_come_in_are_not_put_out() -> None:
    model = _model("y = Gemm (x, w, b)")
    found = read_classifier(model, "y")
    assert found is not None
    assert with_features(model, found) == model
    assert read_classifier(model, "r") is None
