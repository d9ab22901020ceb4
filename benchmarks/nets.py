"""Networks with random weights that the speed benchmarks run: shapes of published nets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Builder:
    """Adds layers to a graph; every method takes and gives the name of a value."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def conv(
        self, x: str, inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1
    ) -> str:
        """A convolution with bias and same padding."""
        name = f"conv{len(self.nodes)}"
        fan_in = inputs // groups * kernel * kernel
        shape = (outputs, inputs // groups, kernel, kernel)
        weights = self.rng.standard_normal(shape, dtype=np.float32) * np.sqrt(2 / fan_in)
        bias = self.rng.standard_normal(outputs, dtype=np.float32) * 0.1
        self._constant(f"{name}.w", weights)
        self._constant(f"{name}.b", bias)
        pads = [kernel // 2] * 4
        rest = {"strides": [stride] * 2, "pads": pads, "group": groups}
        self._node("Conv", [x, f"{name}.w", f"{name}.b"], name, **rest)
        return name

    def simple(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Any operator without weights."""
        name = f"{operator.lower()}{len(self.nodes)}"
        self._node(operator, list(inputs), name, **attributes)
        return name

    def dense(self, x: str, inputs: int, outputs: int, name: str) -> str:
        """A matrix product."""
        weights = self.rng.standard_normal((inputs, outputs), dtype=np.float32) * 0.1
        self._constant(f"{name}.w", weights)
        self._node("MatMul", [x, f"{name}.w"], name)
        return name

    def save(self, path: Path, shape: list[Any], classes: int) -> None:
        """Write the model; its input is `x`, its output the last node's."""
        source = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
        last = self.nodes[-1].output[0]
        result = helper.make_tensor_value_info(last, TensorProto.FLOAT, [shape[0], classes])
        graph = helper.make_graph(self.nodes, path.stem, [source], [result], self.constants)
        opset = [helper.make_opsetid("", 17)]
        onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))

    def _node(self, operator: str, inputs: list[str], name: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))

    def _constant(self, name: str, values: np.typing.NDArray[Any]) -> None:
        self.constants.append(numpy_helper.from_array(values.astype(np.float32), name))


def residual(path: Path, widths: tuple[int, ...], depth: int, stem: int, size: int) -> None:
    """A residual net of basic blocks, BatchNormalization already folded.

    Args:
        path: where to write it.
        widths: channels of each stage; every stage but the first halves the picture.
        depth: blocks of a stage.
        stem: kernel of the first convolution; 7 brings stride 2 and a pool, as for ImageNet.
        size: extent of the picture.
    """
    net = Builder(seed=0)
    stride = 2 if stem == 7 else 1
    x = net.simple("Relu", net.conv("x", 3, widths[0], stem, stride))
    if stem == 7:
        x = net.simple("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    inputs = widths[0]
    for stage, outputs in enumerate(widths):
        for block in range(depth):
            step = 2 if stage and not block else 1
            y = net.simple("Relu", net.conv(x, inputs, outputs, 3, step))
            y = net.conv(y, outputs, outputs, 3, 1)
            same = step == 1 and inputs == outputs
            short = x if same else net.conv(x, inputs, outputs, 1, step)
            x = net.simple("Relu", net.simple("Add", y, short))
            inputs = outputs
    x = net.simple("Flatten", net.simple("GlobalAveragePool", x))
    classes = 1000 if stem == 7 else 10
    net.dense(x, inputs, classes, "fc")
    net.save(path, ["batch", 3, size, size], classes)


def resnet20(path: Path) -> None:
    """ResNet-20 for 32x32 pictures, 0.27 M weights."""
    residual(path, (16, 32, 64), 3, 3, 32)


def resnet18(path: Path) -> None:
    """ResNet-18 for 224x224 pictures, 11.7 M weights."""
    residual(path, (64, 128, 256, 512), 2, 7, 224)


def plain(
    path: Path, stages: tuple[tuple[int, ...], ...], dense: tuple[int, ...], size: int
) -> None:
    """A VGG-like net: stages of 3x3 convolutions, a pool after each, dense layers at the end.

    Args:
        path: where to write it.
        stages: channels of the convolutions of each stage.
        dense: outputs of the dense layers.
        size: extent of the picture.
    """
    net = Builder(seed=0)
    x, inputs, extent = "x", 3, size
    for stage in stages:
        for outputs in stage:
            x = net.simple("Relu", net.conv(x, inputs, outputs, 3, 1))
            inputs = outputs
        x = net.simple("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
        extent //= 2
    x = net.simple("Flatten", x)
    inputs *= extent * extent
    for index, outputs in enumerate(dense):
        x = net.dense(x, inputs, outputs, f"fc{index}")
        if index < len(dense) - 1:
            x = net.simple("Relu", x)
        inputs = outputs
    net.save(path, [1, 3, size, size], dense[-1])


def vgg16(path: Path) -> None:
    """VGG-16 for 224x224 pictures, 138 M weights."""
    stages = ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3)
    plain(path, stages, (4096, 4096, 1000), 224)


def vgg8(path: Path) -> None:
    """NeuroSim's VGG-8 for 32x32 pictures, 13 M weights."""
    plain(path, ((128,) * 2, (256,) * 2, (512,) * 2), (1024, 10), 32)


def squeezenet(path: Path) -> None:
    """SqueezeNet 1.1 for 224x224 pictures, 1.2 M weights."""
    net = Builder(seed=0)
    pool = {"kernel_shape": [3, 3], "strides": [2, 2]}
    x = net.simple("Relu", net.conv("x", 3, 64, 3, 2))
    x, inputs = net.simple("MaxPool", x, **pool), 64
    for index, (squeeze, expand) in enumerate(
        ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
    ):
        y = net.simple("Relu", net.conv(x, inputs, squeeze, 1, 1))
        left = net.simple("Relu", net.conv(y, squeeze, expand, 1, 1))
        right = net.simple("Relu", net.conv(y, squeeze, expand, 3, 1))
        x, inputs = net.simple("Concat", left, right, axis=1), 2 * expand
        if index in (1, 3):
            x = net.simple("MaxPool", x, **pool)
    x = net.simple("Relu", net.conv(x, inputs, 1000, 1, 1))
    x = net.simple("Flatten", net.simple("GlobalAveragePool", x))
    net.save(path, [1, 3, 224, 224], 1000)


def resnet50(path: Path) -> None:
    """ResNet-50 for 224x224 pictures, 25.5 M weights."""
    net = Builder(seed=0)
    x = net.simple("Relu", net.conv("x", 3, 64, 7, 2))
    x = net.simple("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    inputs = 64
    for stage, (inner, depth) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for block in range(depth):
            step = 2 if stage and not block else 1
            y = net.simple("Relu", net.conv(x, inputs, inner, 1, 1))
            y = net.simple("Relu", net.conv(y, inner, inner, 3, step))
            y = net.conv(y, inner, 4 * inner, 1, 1)
            short = x if block else net.conv(x, inputs, 4 * inner, 1, step)
            x, inputs = net.simple("Relu", net.simple("Add", y, short)), 4 * inner
    x = net.simple("Flatten", net.simple("GlobalAveragePool", x))
    net.dense(x, inputs, 1000, "fc")
    net.save(path, [1, 3, 224, 224], 1000)


def mobilenet(path: Path) -> None:
    """MobileNet v1 for 224x224 pictures, 4.2 M weights."""
    net = Builder(seed=0)
    x, inputs = net.simple("Relu", net.conv("x", 3, 32, 3, 2)), 32
    stages = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5)
    for outputs, step in (*stages, (1024, 2), (1024, 1)):
        y = net.simple("Relu", net.conv(x, inputs, inputs, 3, step, groups=inputs))
        x, inputs = net.simple("Relu", net.conv(y, inputs, outputs, 1, 1)), outputs
    x = net.simple("Flatten", net.simple("GlobalAveragePool", x))
    net.dense(x, inputs, 1000, "fc")
    net.save(path, [1, 3, 224, 224], 1000)
