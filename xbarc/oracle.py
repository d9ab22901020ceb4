"""The float model in ONNX Runtime, optimisations off: what a program is measured against.

Its integer products are exact on every CPU as far as `frontend.runnable_model` prepared the model;
a file taken as it is may hold uint8 x int8 products, which saturate on x86 without VNNI. Sums of
real numbers are rounded by ONNX Runtime, in its own order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xbarc.onnx_graph import with_outputs
from xbarc.runtime import OnnxSession


class Oracle:
    """The source model, with intermediate values on request.

    Args:
        model: path or serialised model, as `frontend.runnable_model` gives it.
        expose: names of values inside the graph that shall be outputs too.
    """

    def __init__(self, model: bytes | Path, expose: Sequence[str] = ()) -> None:
        # A path is handed on where nothing is added: ONNX Runtime maps its weights, and a copy
        # would hold them twice.
        source = with_outputs(model, expose) if expose else model
        self.session = OnnxSession(source, where="float model")
        self.outputs = tuple(value.name for value in self.session.outputs)

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """All outputs by name."""
        return dict(zip(self.outputs, self.session.run(feeds, self.outputs), strict=True))
