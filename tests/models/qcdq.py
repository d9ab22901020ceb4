"""QONNX Quant nodes written as QuantizeLinear, Clip, DequantizeLinear: the QCDQ form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from xbarc.numerics.types import AnyArray

OPSET = 13
"""The first with scales along an axis; the operators of these models mean the same in it."""


def qcdq_form(path: Path) -> bytes:
    """The model in standard ONNX, with the same names of values between the nodes."""
    model = onnx.load(path)
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type != "Quant":
            nodes.append(node)
            continue
        nodes.extend(_chain(node, constants, graph))
    del graph.node[:]
    graph.node.extend(nodes)
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", OPSET))
    data: bytes = model.SerializeToString()
    return data


def _chain(
    node: onnx.NodeProto, constants: dict[str, AnyArray], graph: onnx.GraphProto
) -> list[onnx.NodeProto]:
    """Three nodes; without a zero point and with at most 8 bits, as in the ESPCN models."""
    scale, zero, width = (constants[name] for name in node.input[1:4])
    attributes: dict[str, Any] = {a.name: a for a in node.attribute}
    signed, narrow = (_flag(attributes[name]) for name in ("signed", "narrow"))
    bits = int(width)
    assert not zero.any()
    assert 1 < bits <= 8
    assert attributes["rounding_mode"].s == b"ROUND"
    kind = np.int8 if signed else np.uint8
    low = -(2 ** (bits - 1)) + narrow if signed else 0
    high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow
    name = node.output[0]
    flat = scale.reshape(-1) if scale.size > 1 else scale.reshape(())
    added = {
        "scale": flat,
        "zero": np.zeros(flat.shape, kind),
        "low": np.asarray(low, kind),
        "high": np.asarray(high, kind),
    }
    for suffix, array in added.items():
        graph.initializer.append(numpy_helper.from_array(array, f"{name}/{suffix}"))
    parameters = [f"{name}/scale", f"{name}/zero"]
    codes, clipped = f"{name}/codes", f"{name}/clipped"
    return [
        helper.make_node("QuantizeLinear", [node.input[0], *parameters], [codes], axis=0),
        helper.make_node("Clip", [codes, f"{name}/low", f"{name}/high"], [clipped]),
        helper.make_node("DequantizeLinear", [clipped, *parameters], [name], axis=0),
    ]


def _flag(attribute: onnx.AttributeProto) -> int:
    """Brevitas writes 0 as an attribute without a value."""
    return int(attribute.i)
