"""ONNX Runtime on a model file, and inputs that it runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from xbarc.errors import XbarcError
from xbarc.frontend import runnable_model
from xbarc.numerics.types import AnyArray
from xbarc.runtime import OnnxSession, RuntimeValue

UNREADABLE = (DecodeError, ValueError, OSError, onnx.checker.ValidationError)
"""What onnx raises on files that it cannot read, external data included."""
LARGEST = 1 << 20
"""Elements of an input that are still drawn."""


@dataclass(frozen=True, eq=False)
class Feeds:
    """Inputs, and what ONNX Runtime answers.

    Attributes:
        answers: outputs in order, one list for each way of running: the file as it is, and with
            its saturating integer products widened.
    """

    arrays: dict[str, Any]
    names: tuple[str, ...]
    answers: tuple[list[Any], ...]


class Reference:
    """Sessions of a model: of the file itself, and of its widened form where there is one.

    Attributes:
        sessions: none where ONNX Runtime loads neither.
        reason: why not.
        ranks: number of axes of inputs that declare a shape; ONNX Runtime does not tell scalars
            from inputs of unknown shape.
        runnable: ONNX Runtime loads the model.
    """

    def __init__(self, path: Path) -> None:
        self.sessions: list[OnnxSession] = []
        self.ranks = _ranks(path)
        self.reason = ""
        for source in (lambda: path, lambda: living(path)):
            try:
                self.sessions.append(OnnxSession(source(), where="model", threads=1))
                break
            except (XbarcError, *UNREADABLE) as error:
                self.reason = self.reason or str(error)
        try:
            normal = runnable_model(path)
            if isinstance(normal, bytes):
                self.sessions.append(OnnxSession(normal, where="model", threads=1))
        except XbarcError:
            pass

    @property
    def runnable(self) -> bool:
        return bool(self.sessions)

    def answers(self, arrays: dict[str, Any]) -> tuple[list[Any], ...]:
        """Outputs of every session that runs these inputs."""
        found = []
        for session in self.sessions:
            try:
                found.append(session.run(arrays))
            except XbarcError as error:
                self.reason = error.message
        return tuple(found)


def living(path: Path) -> bytes:
    """The model without nodes that no output needs: xbarc does not look at them."""
    model = onnx.load(path)
    needed = {value.name for value in model.graph.output}
    kept: list[onnx.NodeProto] = []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    del model.graph.node[:]
    model.graph.node.extend(reversed(kept))
    return bytes(model.SerializeToString())


def _ranks(path: Path) -> dict[str, int]:
    try:
        inputs = onnx.load(path, load_external_data=False).graph.input
    except UNREADABLE:
        return {}
    shaped = [v for v in inputs if v.type.tensor_type.HasField("shape")]
    return {value.name: len(value.type.tensor_type.shape.dim) for value in shaped}


def draw_feeds(reference: Reference, rng: np.random.Generator) -> Feeds | None:
    """Inputs that ONNX Runtime runs; None where none was found."""
    if not reference.sessions:
        return None
    session = reference.sessions[0]
    names = tuple(value.name for value in session.outputs)
    for size, rank in ((2, 2), (1, 4), (3, 3)):
        arrays = dict(_drawn(session.inputs, reference.ranks, size, rank, rng))
        if len(arrays) < len(session.inputs):
            continue
        answers = reference.answers(arrays)
        if answers:
            return Feeds(arrays, names, answers)
    return None


def _drawn(
    inputs: tuple[RuntimeValue, ...],
    ranks: dict[str, int],
    size: int,
    rank: int,
    rng: np.random.Generator,
) -> Iterator[tuple[str, AnyArray]]:
    for value in inputs:
        dims = value.shape or [None] * ranks.get(value.name, rank)
        shape = tuple(d if isinstance(d, int) and d >= 0 else size for d in dims)
        if np.prod(shape, dtype=object) <= LARGEST and value.dtype not in ("other", "bfloat16"):
            yield value.name, _array(value.dtype, shape, rng)


def _array(dtype: str, shape: tuple[int, ...], rng: np.random.Generator) -> AnyArray:
    if dtype == "string":
        return np.full(shape, "a", dtype=object)
    if dtype.startswith("float"):
        return rng.normal(size=shape).astype(dtype)
    return rng.integers(0, 2, shape).astype(dtype)
