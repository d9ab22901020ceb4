"""The float model in ONNX Runtime, optimisations off: what a program is measured against.

Its integer products are exact on every CPU as far as `frontend.runnable_model` prepared the model;
a file taken as it is may hold uint8 x int8 products, which saturate on x86 without VNNI. Sums of
real numbers are rounded by ONNX Runtime, in its own order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xbarc.runtime import OnnxSession


class Oracle:
    """The source model, with intermediate values on request.

    Args:
        model: path or serialised model, as `frontend.runnable_model` gives it.
        expose: names of values inside the graph that shall be outputs too.
    """

    def __init__(self, model: bytes | Path, expose: Sequence[str] = ()) -> None:
        import onnx  # noqa: PLC0415  # only exposing values needs it

        source: bytes | Path = model
        if expose:
            source = _exposed(onnx, model, expose)
        self.session = OnnxSession(source, where="float model")
        self.outputs = tuple(value.name for value in self.session.outputs)

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """All outputs by name."""
        return dict(zip(self.outputs, self.session.run(feeds, self.outputs), strict=True))


def _exposed(onnx: Any, model: bytes | Path, expose: Sequence[str]) -> bytes:
    """The model with more outputs; external data is read in."""
    proto = onnx.load(str(model)) if isinstance(model, Path) else onnx.load_from_string(model)
    written = {name for node in proto.graph.node for name in node.output}
    present = {value.name for value in proto.graph.output}
    for name in expose:
        if name in written and name not in present:
            proto.graph.output.append(onnx.ValueInfoProto(name=name))
    data: bytes = proto.SerializeToString()
    return data
