"""Write the trained networks as ONNX, node by node, so that the same weights give the same bytes.

    python models/export.py [NAME ...] [--states DIR] [--out DIR]

Training calls this itself; run alone it exports saved torch state dicts again.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from nets import DEPTHWISE_BLOCKS, NETS, RESIDUAL_BLOCKS
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET: Final = 17
IR_VERSION: Final = 8
STATES: Final = Path(__file__).resolve().parent.parent / ".cache" / "trained"
BN_EPSILON: Final = 1e-5

FloatArray = NDArray[np.float32]
State = Mapping[str, FloatArray]


class Graph:
    """Nodes and initialisers in the order they were added, over the weights of one network."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}

    def node(self, op: str, name: str, inputs: list[str], **attributes: Any) -> str:
        """Add a node and return the name of its output, which is the node's own name."""
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, array: FloatArray) -> str:
        """Add an initialiser, once, and return its name."""
        self.initializers[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def conv(self, name: str, source: str, key: str, stride: int = 1) -> str:
        """Add a convolution without bias; `key` names it in the state dict."""
        weight = self.state[f"{key}.weight"]
        inputs = [source, self.constant(f"{name}.weight", weight)]
        return self.node("Conv", name, inputs, **conv_attributes(weight, stride))

    def folded_conv(self, name: str, source: str, bn: str, stride: int = 1, group: int = 1) -> str:
        """Add a convolution that takes in the batch normalisation `bn` behind it."""
        weight, bias = fold(self.state, name, bn)
        inputs = [self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)]
        attributes = conv_attributes(weight, stride, group)
        return self.node("Conv", name, [source, *inputs], **attributes)

    def batch_norm(self, name: str, source: str, key: str) -> str:
        """Add a batch normalisation in inference form."""
        inputs = [
            self.constant(f"{name}.{part}", self.state[f"{key}.{part}"])
            for part in ("weight", "bias", "running_mean", "running_var")
        ]
        return self.node("BatchNormalization", name, [source, *inputs], epsilon=BN_EPSILON)

    def gemm(self, name: str, source: str) -> str:
        """Add a fully connected layer; weight axes: output, input."""
        inputs = [
            self.constant(f"{name}.{part}", self.state[f"{name}.{part}"])
            for part in ("weight", "bias")
        ]
        return self.node("Gemm", name, [source, *inputs], transB=1)

    def relu6(self, name: str, source: str) -> str:
        """Add a ReLU6, in ONNX a Clip to 0..6."""
        limits = [
            self.constant("relu6_min", np.array(0, np.float32)),
            self.constant("relu6_max", np.array(6, np.float32)),
        ]
        return self.node("Clip", name, [source, *limits])


def conv_attributes(weight: FloatArray, stride: int, group: int = 1) -> dict[str, Any]:
    """Return the attributes of a square convolution that keeps the size, before its stride."""
    kernel = weight.shape[2]
    return {
        "group": group,
        "kernel_shape": [kernel] * 2,
        "pads": [kernel // 2] * 4,
        "strides": [stride] * 2,
    }


def fold(state: State, conv: str, bn: str) -> tuple[FloatArray, FloatArray]:
    """Return weight and bias of a bias-free convolution with the normalisation behind it."""
    variance = state[f"{bn}.running_var"].astype(np.float64)
    scale = state[f"{bn}.weight"] / np.sqrt(variance + BN_EPSILON)
    weight = state[f"{conv}.weight"] * scale[:, None, None, None]
    bias = state[f"{bn}.bias"] - state[f"{bn}.running_mean"] * scale
    return weight.astype(np.float32), bias.astype(np.float32)


def emit_vgg(graph: Graph) -> str:
    """Add the nodes of `nets.vgg`; return the last value."""
    value = "image"
    for number in range(1, 7):
        value = graph.folded_conv(f"conv{number}", value, f"bn{number}")
        value = graph.node("Relu", f"relu{number}", [value])
        if number % 2 == 0:
            pool = f"pool{number // 2}"
            value = graph.node("MaxPool", pool, [value], kernel_shape=[2, 2], strides=[2, 2])
    value = graph.node("Flatten", "flatten", [value])
    value = graph.node("Relu", "relu7", [graph.gemm("fc1", value)])
    return graph.gemm("fc2", value)


def emit_mlp(graph: Graph) -> str:
    """Add the nodes of `nets.mlp`; return the last value."""
    value = graph.node("Flatten", "flatten", ["image"])
    value = graph.node("Relu", "relu1", [graph.gemm("fc1", value)])
    value = graph.node("Relu", "relu2", [graph.gemm("fc2", value)])
    return graph.gemm("fc3", value)


def emit_depthwise(graph: Graph) -> str:
    """Add the nodes of `nets.depthwise`; return the last value."""
    value = graph.folded_conv("stem", "image", "stem_bn", stride=2)
    value = graph.relu6("stem_relu6", value)
    for number, (inputs, _, stride) in enumerate(DEPTHWISE_BLOCKS, start=1):
        name = f"block{number}_depthwise"
        value = graph.folded_conv(name, value, f"{name}_bn", stride, group=inputs)
        value = graph.relu6(f"{name}_relu6", value)
        name = f"block{number}_pointwise"
        value = graph.folded_conv(name, value, f"{name}_bn")
        value = graph.relu6(f"{name}_relu6", value)
    return _classify(graph, value)


def emit_resnet(graph: Graph) -> str:
    """Add the nodes of `nets.resnet`, normalisations unfolded; return the last value."""
    value = graph.batch_norm("bn1", graph.conv("conv1", "image", "conv1"), "bn1")
    value = graph.node("Relu", "relu1", [value])
    for number, (inputs, outputs, stride) in enumerate(RESIDUAL_BLOCKS, start=1):
        projected = stride != 1 or inputs != outputs
        value = _emit_residual(graph, f"block{number}", value, stride, projected)
    return _classify(graph, value)


def _emit_residual(graph: Graph, block: str, source: str, stride: int, projected: bool) -> str:
    value = graph.conv(f"{block}_conv1", source, f"{block}.body.conv1", stride)
    value = graph.batch_norm(f"{block}_bn1", value, f"{block}.body.bn1")
    value = graph.node("Relu", f"{block}_relu1", [value])
    value = graph.conv(f"{block}_conv2", value, f"{block}.body.conv2")
    value = graph.batch_norm(f"{block}_bn2", value, f"{block}.body.bn2")
    shortcut = source
    if projected:
        name = f"{block}_shortcut"
        shortcut = graph.conv(f"{name}_conv", source, f"{block}.shortcut.conv", stride)
        shortcut = graph.batch_norm(f"{name}_bn", shortcut, f"{block}.shortcut.bn")
    value = graph.node("Add", f"{block}_add", [value, shortcut])
    return graph.node("Relu", f"{block}_relu2", [value])


def _classify(graph: Graph, value: str) -> str:
    value = graph.node("GlobalAveragePool", "pool", [value])
    return graph.gemm("fc", graph.node("Flatten", "flatten", [value]))


EMITTERS: Final[dict[str, Callable[[Graph], str]]] = {
    "fashion-vgg": emit_vgg,
    "fashion-resnet": emit_resnet,
    "fashion-mlp": emit_mlp,
    "fashion-depthwise": emit_depthwise,
}


def build_model(name: str, state: State) -> onnx.ModelProto:
    """Return the checked ONNX model of one network with the weights of a state dict."""
    graph = Graph(state)
    last = EMITTERS[name](graph)
    if graph.nodes[-1].output[0] != last:
        raise ValueError(f"{name}: the last node must give the logits")
    graph.nodes[-1].output[0] = "logits"
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 28, 28])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])
    image.doc_string = "Grey Fashion-MNIST images, pixels 0..1."
    logits.doc_string = "One score per class, before softmax."
    proto = helper.make_graph(
        graph.nodes, name, [image], [logits], list(graph.initializers.values())
    )
    model = helper.make_model(
        proto,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="xbarc models/export.py",
        doc_string=f"{name}: trained on Fashion-MNIST, see models/README.md.",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def export(name: str, state: Mapping[str, torch.Tensor], out: Path) -> Path:
    """Write `OUT/NAME.onnx` from a torch state dict and return its path."""
    arrays = {key: value.contiguous().numpy() for key, value in state.items()}
    path = out / f"{name}.onnx"
    path.write_bytes(build_model(name, arrays).SerializeToString(deterministic=True))
    return path


def main(arguments: list[str] | None = None) -> int:
    """Export saved state dicts again."""
    parser = argparse.ArgumentParser(description="Export trained networks as ONNX.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NETS))
    parser.add_argument("--states", type=Path, default=STATES, help="default: .cache/trained")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent)
    options = parser.parse_args(arguments)
    for name in options.names or NETS:
        state = torch.load(options.states / f"{name}.pt", weights_only=True)
        print(export(name, state, options.out), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
