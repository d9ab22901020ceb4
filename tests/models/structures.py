"""Every shape of matrix layer, with random weights."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from tests.models.graphs import normal
from xbarc.numerics.types import AnyArray


@dataclass(frozen=True)
class Structure:
    """One layer.

    Attributes:
        attributes: of the operator, as ONNX text.
        weights: shape of the constant.
        sample: shape of the input without its batch, or the whole of it where `batched` is false.
        summed: axes of the constant that are no outputs.
        left: the constant stands on the left.
    """

    name: str
    operator: str
    weights: tuple[int, ...]
    sample: tuple[int, ...]
    summed: tuple[int, ...]
    attributes: str = ""
    batched: bool = True
    left: bool = False

    def text(self, kind: str = "float") -> str:
        """The model, its batch open."""
        dims = ("N", *map(str, self.sample)) if self.batched else tuple(map(str, self.sample))
        sides = "w, x" if self.left else "x, w"
        shape = f"[{', '.join(dims)}]"
        settings = f"<{self.attributes}>" if self.attributes else ""
        return f"({kind}{shape} x) => (float[] y) {{ y = {self.operator}{settings}({sides}) }}"

    def constant(self) -> AnyArray:
        """Weights."""
        return normal(*self.weights, seed=1)

    def input(self, batch: int) -> AnyArray:
        """An input with this batch."""
        return normal(*((batch, *self.sample) if self.batched else self.sample), seed=2)

    def matrix(self, constant: AnyArray) -> AnyArray:
        """The constant as `[input, output]`, outputs of all groups and matrices side by side."""
        moved = np.moveaxis(constant, self.summed, range(len(self.summed)))
        return moved.reshape(prod(constant.shape[axis] for axis in self.summed), -1)


def _conv(
    name: str, weights: tuple[int, ...], sample: tuple[int, ...], attributes: str = ""
) -> Structure:
    return Structure(name, "Conv", weights, sample, tuple(range(1, len(weights))), attributes)


def _turned(
    name: str, weights: tuple[int, ...], sample: tuple[int, ...], attributes: str = ""
) -> Structure:
    summed = (0, *range(2, len(weights)))
    return Structure(name, "ConvTranspose", weights, sample, summed, attributes)


WINDOWS = (
    _conv("stem-7x7/2/3", (8, 3, 7, 7), (3, 30, 30), "strides=[2,2], pads=[3,3,3,3]"),
    _conv("stem-3x3/2/1", (8, 3, 3, 3), (3, 15, 14), "strides=[2,2], pads=[1,1,1,1]"),
    _conv("stem-8x8/8/0", (16, 3, 8, 8), (3, 32, 32), "strides=[8,8]"),
    _conv("uneven-pads", (4, 2, 3, 2), (2, 7, 9), "strides=[1,2], pads=[0,1,2,3]"),
    _conv("dilated", (4, 2, 3, 3), (2, 11, 12), "dilations=[2,3], pads=[1,2,1,2]"),
    _conv("grouped", (6, 2, 3, 3), (6, 8, 8), "group=3, pads=[1,1,1,1]"),
    _conv("depthwise", (12, 1, 3, 3), (12, 8, 8), "group=12, pads=[1,1,1,1]"),
    _conv("depthwise-twice", (8, 1, 3, 3), (4, 8, 8), "group=4"),
    _conv("same-upper", (4, 3, 4, 4), (3, 9, 9), 'auto_pad="SAME_UPPER", strides=[2,2]'),
    _conv("same-lower", (4, 3, 4, 4), (3, 9, 9), 'auto_pad="SAME_LOWER", strides=[2,2]'),
    _conv("valid", (4, 3, 3, 3), (3, 9, 9), 'auto_pad="VALID"'),
    _conv("one-axis", (5, 4, 5), (4, 21), "strides=[2], pads=[2,1], dilations=[2]"),
    _conv("one-axis-grouped", (6, 1, 3), (3, 10), "group=3"),
    _conv("three-axes", (4, 2, 3, 2, 3), (2, 6, 5, 7), "strides=[1,2,2], pads=[1,0,1,1,0,1]"),
    _conv("three-axes-grouped", (4, 1, 2, 2, 2), (2, 4, 4, 4), "group=2"),
    _conv("pointwise", (7, 5, 1, 1), (5, 6, 6)),
    _conv("one-element", (1, 1, 1, 1), (1, 1, 1)),
    _conv("tall", (3, 40, 3, 3), (40, 4, 4)),
    _conv("wide", (150, 2, 1, 1), (2, 3, 3)),
)
SCATTERS = (
    _turned("transposed", (3, 4, 3, 3), (3, 5, 6)),
    _turned("transposed-strides", (3, 4, 3, 3), (3, 5, 6), "strides=[2,3], pads=[1,0,1,2]"),
    _turned(
        "transposed-padded-output",
        (3, 2, 3, 3),
        (3, 5, 5),
        "strides=[2,2], pads=[1,1,1,1], output_padding=[1,1]",
    ),
    _turned("transposed-grouped", (6, 2, 3, 3), (6, 4, 4), "group=3, strides=[2,2]"),
    _turned("transposed-depthwise", (5, 1, 2, 2), (5, 4, 4), "group=5, strides=[2,2]"),
    _turned("transposed-dilated", (2, 3, 3, 2), (2, 5, 5), "dilations=[2,3], strides=[2,1]"),
    _turned("transposed-shape", (2, 3, 3, 3), (2, 5, 5), "output_shape=[10,11], strides=[2,2]"),
    _turned("transposed-same", (2, 3, 3, 3), (2, 5, 5), 'auto_pad="SAME_UPPER", strides=[2,2]'),
    _turned("transposed-one-axis", (3, 2, 4), (3, 7), "strides=[3], output_padding=[2]"),
    _turned("transposed-three-axes", (2, 2, 2, 3, 2), (2, 3, 3, 4), "strides=[2,1,2]"),
    _turned("transposed-one-element", (1, 1, 1, 1), (1, 1, 1)),
)
PRODUCTS = (
    Structure("matmul", "MatMul", (20, 7), (20,), (0,)),
    Structure("matmul-three-axes", "MatMul", (6, 5), (4, 6), (0,)),
    Structure("matmul-one-element", "MatMul", (1, 1), (1,), (0,)),
    Structure("matmul-tall", "MatMul", (300, 3), (300,), (0,)),
    Structure("matmul-wide", "MatMul", (3, 300), (3,), (0,)),
    Structure("stack", "MatMul", (3, 6, 5), (3, 4, 6), (1,)),
    Structure("stack-for-all", "MatMul", (3, 1, 6, 5), (3, 2, 4, 6), (2,)),
    Structure("stack-of-one-input", "MatMul", (2, 3, 6, 5), (1, 1, 4, 6), (2,)),
    Structure("stack-of-vectors", "MatMul", (3, 6, 5), (6,), (1,), batched=False),
    Structure("left", "MatMul", (5, 6), (6, 4), (1,), left=True),
    Structure("left-plain", "MatMul", (5, 6), (6, 4), (1,), left=True, batched=False),
    Structure("left-stack", "MatMul", (3, 5, 6), (3, 6, 4), (2,), left=True),
    Structure("vector-right", "MatMul", (6,), (4, 6), (0,)),
    Structure("vector-left", "MatMul", (6,), (6, 4), (0,), left=True),
    Structure("vector-vector", "MatMul", (6,), (6,), (0,), batched=False),
    Structure("matrix-of-a-vector", "MatMul", (6, 5), (6,), (0,), batched=False),
    Structure("gemm", "Gemm", (6, 5), (6,), (0,)),
    Structure("gemm-turned", "Gemm", (5, 6), (6,), (1,), "transB=1"),
    Structure("gemm-both", "Gemm", (5, 6), (6, 4), (1,), "transA=1, transB=1", batched=False),
    Structure("gemm-left", "Gemm", (5, 6), (6, 4), (1,), batched=False, left=True),
)
ALL = (*WINDOWS, *SCATTERS, *PRODUCTS)
