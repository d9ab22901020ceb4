"""A model with notes on its nodes, for viewers: nothing that it computes is touched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from xbarc.frontend.loading import load_model

# The first version of the format whose nodes hold metadata (ONNX 1.16).
_NODE_METADATA_IR = 10


def annotated_model(
    path: Path, notes: Mapping[str, Mapping[str, str]], about: Mapping[str, str]
) -> bytes:
    """The model with metadata on its nodes.

    External data stay where they are: the file that is written finds them in its own folder.

    Args:
        path: the model, which is only read.
        notes: key and value by the name of an output of the node.
        about: key and value of the whole model.

    Raises:
        ModelError: the file is not a sound ONNX model.
    """
    load_model(path)  # checked as every model is: what follows reads it without a check
    proto = onnx.load(str(path), load_external_data=False)
    proto.ir_version = max(proto.ir_version, _NODE_METADATA_IR)
    _put(proto, about)
    for node in proto.graph.node:
        for output in node.output:
            _put(node, notes.get(output, {}))
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def _put(message: Any, notes: Mapping[str, str]) -> None:
    """Set entries of a message's metadata; others that it has stay."""
    held = {entry.key: entry for entry in message.metadata_props}
    for key, value in notes.items():
        entry = held.get(key) or message.metadata_props.add(key=key)
        entry.value = value
