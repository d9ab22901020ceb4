"""Nets of `models/` in the notations of onnxruntime.quantization, and exact answers for them."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from tests.models.places import CALIBRATION, MODELS
from xbarc.numerics.types import AnyArray

Form = Literal["qdq", "qoperator", "dynamic"]


@dataclass(frozen=True)
class Notation:
    """How a net is quantised: 8 bits everywhere."""

    net: str
    form: Form
    per_channel: bool
    signed: bool

    def __str__(self) -> str:
        channels = "channel" if self.per_channel else "tensor"
        return f"{self.net}-{self.form}-{channels}-{'int8' if self.signed else 'uint8'}"


@contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser warns about nets that are not preprocessed, through two channels."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def quantise(notation: Notation, folder: Path) -> Path:
    """Write the quantised net."""
    return quantise_with(
        notation.net,
        notation.form,
        folder,
        per_channel=notation.per_channel,
        signed=notation.signed,
        name=str(notation),
    )


def quantise_with(
    net: str,
    form: Form,
    folder: Path,
    *,
    bits: int = 8,
    per_channel: bool,
    signed: bool = False,
    symmetric: bool | None = None,
    name: str = "quantised",
) -> Path:
    """Write a net as ONNX Runtime's tool quantises it.

    Args:
        net: of `models/`.
        form: notation.
        folder: where it is written.
        bits: of activations and weights, 8 or 16; 16 in the operators of com.microsoft.
        per_channel: whether each output channel has a scale of its own.
        signed: whether activations are.
        symmetric: whether zero points are zero; None leaves it to the tool.
        name: of the file.
    """
    with _quiet():
        # Importing them may warn.
        from onnxruntime import quantization as q  # noqa: PLC0415
        from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

        source = folder / f"{net}-ready.onnx"
        if not source.exists():
            quant_pre_process(MODELS / f"fashion-{net}.onnx", source)
        path = folder / f"{name}.onnx"
        kinds = q.QuantType
        weight = kinds.QInt8 if bits == 8 else kinds.QInt16
        extra: dict[str, Any] = {"UseQDQContribOps": bits == 16}
        if symmetric is not None:
            extra |= {"ActivationSymmetric": symmetric, "WeightSymmetric": symmetric}
        if form == "dynamic":
            q.quantize_dynamic(
                source, path, per_channel=per_channel, weight_type=weight, extra_options=extra
            )
            return path
        unsigned = kinds.QUInt8 if bits == 8 else kinds.QUInt16
        q.quantize_static(
            source,
            path,
            _Images(),
            quant_format=q.QuantFormat.QDQ if form == "qdq" else q.QuantFormat.QOperator,
            per_channel=per_channel,
            activation_type=weight if signed or symmetric else unsigned,
            weight_type=weight,
            extra_options=extra,
        )
    return path


class _Images:
    """Calibration images, as the quantiser asks for them."""

    def __init__(self) -> None:
        images = np.load(CALIBRATION)["image"]
        self._batches = iter([{"image": images[at : at + 64]} for at in range(0, len(images), 64)])

    def get_next(self) -> dict[str, AnyArray] | None:
        """One batch, or None at the end."""
        return next(self._batches, None)


_WEIGHT_PLACES = {
    "ConvInteger": (1, 3, 0),
    "MatMulInteger": (1, 3, 0),
    "QLinearConv": (3, 5, 0),
    "QLinearMatMul": (3, 5, 0),
    "QGemm": (3, 5, 0),
}
"""Where an operator takes weights, their zero point, and activations."""


def exact_form(path: Path) -> bytes:
    """The model with int8 weights as uint8 with a zero point of 128: the same numbers, exactly.

    ONNX Runtime multiplies uint8 by int8 with saturating 16-bit sums on x86 without VNNI, whatever
    `session.x64quantprecision` says when optimisations are off; uint8 by uint8 it does exactly.
    int8 by int8 is exact as it is.
    """
    model = onnx.load(path)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    shifted: set[str] = set()
    for node in model.graph.node:
        if node.op_type not in _WEIGHT_PLACES or _activation_is_signed(node, tensors):
            continue
        weight, zero, _ = _WEIGHT_PLACES[node.op_type]
        for place in (weight, zero):
            name = node.input[place]
            if tensors[name].data_type == TensorProto.INT8 and name not in shifted:
                _shift(tensors[name])
                shifted.add(name)
    data: bytes = model.SerializeToString()
    return data


def _activation_is_signed(node: onnx.NodeProto, tensors: dict[str, onnx.TensorProto]) -> bool:
    if node.op_type in ("ConvInteger", "MatMulInteger"):
        return False  # DynamicQuantizeLinear gives uint8
    return tensors[node.input[2]].data_type == TensorProto.INT8


def _shift(tensor: onnx.TensorProto) -> None:
    values = numpy_helper.to_array(tensor).astype(np.int16) + 128
    tensor.CopyFrom(numpy_helper.from_array(values.astype(np.uint8), tensor.name))


def integer_names(path: Path) -> list[str]:
    """Values inside the model that hold quantised activations."""
    graph = onnx.load(path).graph
    return [
        node.output[0]
        for node in graph.node
        if node.op_type in ("QuantizeLinear", "DynamicQuantizeLinear")
        or node.op_type[:7] == "QLinear"
    ]


def allowed_steps(fragment: bytes, name: str) -> int:
    """How far a code of a fragment may move when each rounding in it may go the other way.

    One step for its own rounding, and what a step of each rounding before it is worth in steps of
    its own: an Add of two quantised branches has two of them.
    """
    graph = onnx.load_from_string(fragment).graph
    scales = {t.name: float(numpy_helper.to_array(t).max()) for t in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    last = makers[name]
    if last.op_type != "QuantizeLinear":
        return 0
    earlier: list[float] = []
    stack, seen = [last.input[0]], set[str]()
    while stack:
        value = stack.pop()
        if value in seen or value not in makers:
            continue
        seen.add(value)
        if makers[value].op_type == "QuantizeLinear":
            earlier.append(scales[makers[value].input[1]])
        else:
            stack.extend(makers[value].input)
    return 1 + int(sum(earlier) / scales[last.input[1]])


def as_float(array: Any) -> AnyArray:
    """Numbers of any type, for subtraction."""
    return np.asarray(array).astype(np.float64)
