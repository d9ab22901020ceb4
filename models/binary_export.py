"""Write the trained binary networks as ONNX with Sign, and as QONNX with BipolarQuant."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from export import BN_EPSILON, IR_VERSION, OPSET, Graph, conv_attributes
from onnx import TensorProto, helper

QONNX_DOMAIN: Final = "qonnx.custom_op.general"


class BinaryGraph(Graph):
    """A graph whose hidden weights are +-1.

    Plain ONNX holds the signs as int8 behind a Cast and activations as Sign; the convolutions also
    multiply by a scale a channel, the mean magnitude of the trained weights, as XNOR-Net does.
    QONNX holds the trained signs as floats behind BipolarQuant, and activations in BipolarQuant.
    """

    def __init__(self, state: Mapping[str, Any], *, qonnx: bool) -> None:
        super().__init__(state)
        self.qonnx = qonnx

    def signs(self, name: str) -> Any:
        """Return the signs of trained weights."""
        return np.where(self.state[f"{name}.weight"] >= 0, 1, -1)

    def binary_weight(self, name: str, signs: Any) -> str:
        """Add +-1 weights in the form of the file and return the value's name."""
        key = f"{name}.weight"
        if self.qonnx:
            source = self.constant(key, signs.astype(np.int8))
            wide = self.node("Cast", f"{key}_float", [source], to=TensorProto.FLOAT)
            return self.bipolar(f"{key}_binary", wide)
        source = self.constant(key, signs.astype(np.int8))
        return self.node("Cast", f"{key}_float", [source], to=TensorProto.FLOAT)

    def bipolar(self, name: str, source: str) -> str:
        """Add a BipolarQuant of scale 1."""
        scale = self.constant("bipolar_scale", np.array(1, np.float32))
        node = helper.make_node("BipolarQuant", [source, scale], [name], name, domain=QONNX_DOMAIN)
        self.nodes.append(node)
        return name

    def activation(self, name: str, source: str) -> str:
        """Add a binary activation."""
        return self.bipolar(name, source) if self.qonnx else self.node("Sign", name, [source])

    def half(self, name: str, array: Any) -> str:
        """Add real weights stored in 16 bits."""
        source = self.constant(name, array.astype(np.float16))
        return self.node("Cast", f"{name}_float", [source], to=TensorProto.FLOAT)

    def binary_conv(self, name: str, source: str) -> str:
        """Add a binary convolution and, in plain ONNX, its scale a channel."""
        signs = self.signs(name)
        attributes = conv_attributes(signs, 1)
        value = self.node("Conv", name, [source, self.binary_weight(name, signs)], **attributes)
        if self.qonnx:
            return value
        alpha = np.abs(self.state[f"{name}.weight"]).mean(axis=(1, 2, 3)).astype(np.float32)
        scale = self.constant(f"{name}.alpha", alpha.reshape(1, -1, 1, 1))
        return self.node("Mul", f"{name}_scaled", [value, scale])

    def scaled_norm(self, name: str, source: str, layer: str) -> str:
        """Add the normalisation of values that were multiplied by the layer's scale."""
        if self.qonnx:
            return self.batch_norm(name, source, name)
        alpha = np.abs(self.state[f"{layer}.weight"]).mean(axis=(1, 2, 3)).astype(np.float64)
        variance = self.state[f"{name}.running_var"].astype(np.float64)
        scaled = dict(self.state)
        scaled[f"{name}.running_mean"] = (self.state[f"{name}.running_mean"] * alpha).astype("f4")
        # the epsilon is scaled as well, so that signs do not change
        wide = (variance + BN_EPSILON) * alpha**2 - BN_EPSILON
        scaled[f"{name}.running_var"] = wide.astype("f4")
        plain, self.state = self.state, scaled
        value = self.batch_norm(name, source, name)
        self.state = plain
        return value


def emit_cnn(graph: BinaryGraph) -> str:
    """Add the nodes of `binary.cnn`; return the last value."""
    value = graph.conv("conv1", "image", "conv1")
    value = _pool(graph, 1, value)
    value = graph.activation("sign1", graph.batch_norm("bn1", value, "bn1"))
    for number in (2, 3):
        value = _pool(graph, number, graph.binary_conv(f"conv{number}", value))
        value = graph.scaled_norm(f"bn{number}", value, f"conv{number}")
        value = graph.activation(f"sign{number}", value)
    value = graph.node("Flatten", "flatten", [value])
    value = graph.node(
        "MatMul", "fc1", [value, graph.binary_weight("fc1", graph.signs("fc1").T.copy())]
    )
    value = graph.activation("sign4", graph.batch_norm("bn4", value, "bn4"))
    return graph.gemm("fc2", value)


def emit_mlp(graph: BinaryGraph) -> str:
    """Add the nodes of `binary.mlp`; return the last value."""
    value = graph.node("Flatten", "flatten", ["image"])
    weight = graph.half("fc1.weight", graph.state["fc1.weight"].T)
    value = graph.node("MatMul", "fc1", [value, weight])
    value = graph.activation("sign1", graph.batch_norm("bn1", value, "bn1"))
    value = graph.node("MatMul", "fc2", [value, graph.binary_weight("fc2", graph.signs("fc2").T)])
    value = graph.activation("sign2", graph.batch_norm("bn2", value, "bn2"))
    value = graph.node("MatMul", "fc3", [value, graph.binary_weight("fc3", graph.signs("fc3").T)])
    value = graph.batch_norm("bn3", value, "bn3")
    limits = [graph.constant(f"clip_{at}", np.array(at, np.float32)) for at in (-1, 1)]
    value = graph.node("Clip", "clip3", [value, *limits])
    return graph.gemm("fc4", value)


def _pool(graph: BinaryGraph, number: int, value: str) -> str:
    return graph.node("MaxPool", f"pool{number}", [value], kernel_shape=[2, 2], strides=[2, 2])


EMITTERS: Final = {"fashion-bnn-cnn": emit_cnn, "fashion-bnn-mlp": emit_mlp}


def build_binary(name: str, state: Mapping[str, Any], *, qonnx: bool) -> onnx.ModelProto:
    """Return the ONNX (checked) or QONNX model of one network."""
    graph = BinaryGraph(state, qonnx=qonnx)
    EMITTERS[name](graph)
    graph.nodes[-1].output[0] = "logits"
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 28, 28])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])
    constants = list(graph.initializers.values())
    proto = helper.make_graph(graph.nodes, name, [image], [logits], constants)
    domains = [helper.make_opsetid("", OPSET)]
    domains += [helper.make_opsetid(QONNX_DOMAIN, 1)] if qonnx else []
    model = helper.make_model(
        proto,
        opset_imports=domains,
        ir_version=IR_VERSION,
        producer_name="xbarc models/binary.py",
        doc_string=f"{name}: trained on Fashion-MNIST, see models/README.md.",
    )
    if not qonnx:
        onnx.checker.check_model(model, full_check=True)
    return model


def export_binary(name: str, state: Mapping[str, Any], out: Path, stem: str) -> tuple[Path, Path]:
    """Write `OUT/STEM.onnx` and `OUT/STEM.qonnx.onnx`; return their paths."""
    out.mkdir(parents=True, exist_ok=True)
    paths = (out / f"{stem}.onnx", out / f"{stem}.qonnx.onnx")
    for path, qonnx in zip(paths, (False, True), strict=True):
        model = build_binary(name, state, qonnx=qonnx)
        path.write_bytes(model.SerializeToString(deterministic=True))
    return paths


__all__ = ["build_binary", "export_binary"]
