"""The real classifier at the end of a fragment: read, and written again with other weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from xbarc.numerics import AnyArray, Float64Array


@dataclass(frozen=True, eq=False)
class Classifier:
    """A Gemm, or a MatMul with or without an Add, whose real weights make the scores.

    Attributes:
        features: the tensor that it reads.
        weight: axes: feature, class.
        bias: axis: class; zeros where there is none.
        weight_name, bias_name: initialisers; `bias_name` is empty where there is none.
        turned: whether the initialiser holds the weights the other way round.
    """

    features: str
    weight: Float64Array
    bias: Float64Array
    weight_name: str
    bias_name: str
    turned: bool = False


def read_classifier(model: bytes, output: str) -> Classifier | None:
    """The classifier that makes an output; None where a fragment ends in something else.

    Args:
        model: a serialised fragment.
        output: one of its outputs.
    """
    graph = onnx.ModelProto.FromString(model).graph
    held = {tensor.name: tensor for tensor in graph.initializer}
    found = _last(graph, held, output)
    if found is None:
        return None
    features, weight_name, bias_name, turned = found
    names = [name for name in (weight_name, bias_name) if name]
    uses = [name for node in graph.node for name in node.input if name in names]
    # Weights that somebody else reads too must not be replaced.
    if features in held or len(uses) != len(names) or not set(names) <= set(held):
        return None
    arrays = [numpy_helper.to_array(held[name]) for name in names]
    # Refitted weights are written as float32: another type would round them again.
    if any(array.dtype != np.float32 for array in arrays) or arrays[0].ndim != 2:
        return None
    weight = arrays[0].T if turned else arrays[0]
    bias = arrays[1].reshape(-1) if bias_name else np.zeros(weight.shape[1])
    if bias.size != weight.shape[1]:
        return None
    weights = weight.astype(np.float64), bias.astype(np.float64)
    return Classifier(features, *weights, weight_name, bias_name, turned)


def with_classifier(
    model: bytes, found: Classifier, weight: Float64Array, bias: Float64Array
) -> bytes:
    """The fragment with other weights; a bias that it does not have is left out."""
    proto = onnx.ModelProto.FromString(model)
    fresh = {found.weight_name: weight.T if found.turned else weight, found.bias_name: bias}
    for tensor in proto.graph.initializer:
        if tensor.name in fresh:
            shaped = fresh[tensor.name].astype(np.float32).reshape(tuple(tensor.dims))
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(shaped), tensor.name))
    return bytes(proto.SerializeToString(deterministic=True))


def with_features(model: bytes, found: Classifier) -> bytes:
    """The fragment with the classifier's features as one more output, unless they come in."""
    proto = onnx.ModelProto.FromString(model)
    names = {value.name for value in [*proto.graph.input, *proto.graph.output]}
    if found.features not in names:
        kind = onnx.TensorProto.FLOAT
        proto.graph.output.append(helper.make_tensor_value_info(found.features, kind, None))
    return bytes(proto.SerializeToString(deterministic=True))


_Names = tuple[str, str, str, bool]


def _last(
    graph: onnx.GraphProto, held: Mapping[str, onnx.TensorProto], output: str
) -> _Names | None:
    """Features, weight, bias and whether the weight is turned, of the operators at the end."""
    made = {name: node for node in graph.node for name in node.output}
    node = made.get(output)
    if node is None:
        return None
    if node.op_type == "Gemm":
        return _gemm(node)
    bias = ""
    if node.op_type == "Add":
        fixed = [name for name in node.input if name in held]
        moving = [name for name in node.input if name not in held]
        node = made.get(moving[0]) if len(fixed) == len(moving) == 1 else None
        bias = fixed[0] if fixed else ""
    if node is None or node.op_type != "MatMul" or _readers(graph, node.output[0]) > 1:
        return None
    return node.input[0], node.input[1], bias, False


def _gemm(node: onnx.NodeProto) -> _Names | None:
    options: dict[str, AnyArray | float | int] = {
        a.name: helper.get_attribute_value(a) for a in node.attribute
    }
    # A factor would have to be divided out of the refitted weights, which rounds them again.
    plain = options.get("alpha", 1.0) == options.get("beta", 1.0) == 1.0
    if not plain or options.get("transA", 0):
        return None
    bias = node.input[2] if len(node.input) > 2 else ""
    return node.input[0], node.input[1], bias, bool(options.get("transB", 0))


def _readers(graph: onnx.GraphProto, name: str) -> int:
    read = [source for node in graph.node for source in node.input]
    return [*read, *(value.name for value in graph.output)].count(name)
