"""Digital fragments of a program: ONNX Runtime in `eval`, torch's operators while training.

A fragment means what ONNX Runtime gives (sums of an average pool or a softmax depend on their
order), so `eval` asks it. Training needs gradients: `operators.py` has torch's functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from xbarc.errors import UnsupportedError
from xbarc.ir import DigitalFragment
from xbarc.runtime import OnnxSession
from xbarc.train.operators import ABSENT, OPERATORS, read_tensor

# Attributes that an operator does not heed, and the largest value that changes nothing.
_NOT_HEEDED = {
    "AveragePool": ("dilations", 1),
    "BatchNormalization": ("training_mode", 0),
    "DequantizeLinear": ("block_size", 0),
    "QuantizeLinear": ("block_size", 0),
}


class TrainedFragment(nn.Module):
    """One digital step.

    Args:
        step: the step.

    Raises:
        UnsupportedError: an operator has no gradient here; it is named.
    """

    def __init__(self, step: DigitalFragment) -> None:
        super().__init__()
        self.step = step
        model = onnx.load_from_string(step.model)
        graph = model.graph
        self._nodes = list(graph.node)
        self._opset = next((e.version for e in model.opset_import if not e.domain), 1)
        read = {name for node in self._nodes for name in node.input}.union(step.outputs)
        unknown = sorted(filter(None, (_unknown(node, read) for node in self._nodes)))
        if unknown:
            raise UnsupportedError(
                f"training has no gradient of {', '.join(unknown)}",
                where=step.name,
                hint=f"it knows {', '.join(sorted(OPERATORS))}",
            )
        self._constants = {item.name: read_tensor(item, step.name) for item in graph.initializer}
        self._session = OnnxSession(step.model, where=step.name)

    def forward(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The step's outputs by name."""
        if self.training:
            return self._differentiable(values)
        here = next(iter(values.values())).device if values else torch.device("cpu")
        feeds = {}
        for value in self._session.inputs:
            array = values[value.name].detach().cpu().numpy()
            feeds[value.name] = array.astype(value.dtype, copy=False)
        results = self._session.run(feeds, self.step.outputs)
        named = zip(self.step.outputs, results, strict=True)
        return {name: torch.from_numpy(np.asarray(array)).to(here) for name, array in named}

    def _differentiable(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        here = next(iter(values.values())).device if values else torch.device("cpu")
        known: dict[str, Any] = {name: t.to(here) for name, t in self._constants.items()}
        known.update(values)
        for node in self._nodes:
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            # what some operators know beside their attributes
            attributes |= {"opset": self._opset, "outputs": len(node.output)}
            inputs = [known[name] if name else ABSENT for name in node.input]
            made = OPERATORS[node.op_type](inputs, attributes)
            made = made if isinstance(made, tuple) else (made,)
            known.update(zip(node.output, made, strict=False))
        return {name: known[name] for name in self.step.outputs}


def _unknown(node: onnx.NodeProto, read: set[str]) -> str:
    """What of a node has no gradient here; empty where all has."""
    if node.op_type not in OPERATORS:
        return str(node.op_type)
    if node.op_type != "Split" and not read.isdisjoint(filter(None, node.output[1:])):
        return f"the second output of {node.op_type}"
    name, harmless = _NOT_HEEDED.get(node.op_type, ("", 0))
    for attribute in node.attribute:
        if attribute.name == name and np.max(onnx.helper.get_attribute_value(attribute)) > harmless:
            return f"{node.op_type} with {name}"
    return ""
