"""The four Fashion-MNIST networks as torch modules; layer names are the node names in ONNX."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from torch import Tensor, nn

CLASSES: Final = 10

# Depthwise blocks of `depthwise`: input channels, output channels, stride of the 3x3 part.
DEPTHWISE_BLOCKS: Final = ((32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 128, 1))

# Residual blocks of `resnet`: input channels, output channels, stride of the first convolution.
RESIDUAL_BLOCKS: Final = ((16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1))


def vgg() -> nn.Module:
    """Six 3x3 convolutions in three pooled stages, then two fully connected layers."""
    return _chain(
        _convolution(1, 1, 16)
        | _convolution(2, 16, 16)
        | {"pool1": nn.MaxPool2d(2)}
        | _convolution(3, 16, 32)
        | _convolution(4, 32, 32)
        | {"pool2": nn.MaxPool2d(2)}
        | _convolution(5, 32, 64)
        | _convolution(6, 64, 64)
        | {
            "pool3": nn.MaxPool2d(2),
            "flatten": nn.Flatten(),
            "fc1": nn.Linear(64 * 3 * 3, 128),
            "relu7": nn.ReLU(),
            "dropout": nn.Dropout(0.3),
            "fc2": nn.Linear(128, CLASSES),
        }
    )


def mlp() -> nn.Module:
    """784-256-128-10 with ReLU."""
    return _chain(
        {
            "flatten": nn.Flatten(),
            "fc1": nn.Linear(784, 256),
            "relu1": nn.ReLU(),
            "dropout1": nn.Dropout(0.2),
            "fc2": nn.Linear(256, 128),
            "relu2": nn.ReLU(),
            "dropout2": nn.Dropout(0.2),
            "fc3": nn.Linear(128, CLASSES),
        }
    )


def depthwise() -> nn.Module:
    """MobileNet-like: a strided 3x3 stem, then depthwise 3x3 and pointwise 1x1 pairs, ReLU6."""
    layers = _relu6_convolution("stem", nn.Conv2d(1, 32, 3, 2, 1, bias=False))
    for number, (inputs, outputs, stride) in enumerate(DEPTHWISE_BLOCKS, start=1):
        spatial = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
        pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
        layers |= _relu6_convolution(f"block{number}_depthwise", spatial)
        layers |= _relu6_convolution(f"block{number}_pointwise", pointwise)
    layers |= {
        "pool": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
        "fc": nn.Linear(DEPTHWISE_BLOCKS[-1][1], CLASSES),
    }
    return _chain(layers)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, 1x1 where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        layers = _convolution(1, inputs, outputs, stride) | _convolution(2, outputs, outputs)
        del layers["relu2"]  # the second ReLU comes after the sum
        self.body = _chain(layers)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = _chain(
                {
                    "conv": nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                    "bn": nn.BatchNorm2d(outputs),
                }
            )
        self.relu2 = nn.ReLU()

    def forward(self, image: Tensor) -> Tensor:
        """Return the rectified sum of body and shortcut."""
        result: Tensor = self.relu2(self.body(image) + self.shortcut(image))
        return result


def resnet() -> nn.Module:
    """A 3x3 stem of 16 channels and four residual blocks of 32, 32, 64 and 64 channels."""
    layers = _convolution(1, 1, RESIDUAL_BLOCKS[0][0])
    for number, shape in enumerate(RESIDUAL_BLOCKS, start=1):
        layers[f"block{number}"] = ResidualBlock(*shape)
    layers |= {
        "pool": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
        "fc": nn.Linear(RESIDUAL_BLOCKS[-1][1], CLASSES),
    }
    return _chain(layers)


NETS: Final[dict[str, Callable[[], nn.Module]]] = {
    "fashion-vgg": vgg,
    "fashion-resnet": resnet,
    "fashion-mlp": mlp,
    "fashion-depthwise": depthwise,
}


def _chain(layers: dict[str, nn.Module]) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))


def _convolution(number: int, inputs: int, outputs: int, stride: int = 1) -> dict[str, nn.Module]:
    return {
        f"conv{number}": nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        f"bn{number}": nn.BatchNorm2d(outputs),
        f"relu{number}": nn.ReLU(),
    }


def _relu6_convolution(name: str, convolution: nn.Conv2d) -> dict[str, nn.Module]:
    return {
        name: convolution,
        f"{name}_bn": nn.BatchNorm2d(convolution.out_channels),
        f"{name}_relu6": nn.ReLU6(),
    }
