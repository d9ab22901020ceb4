"""`InferenceSession`: a compiled program in the habit of ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xbarc.errors import visible
from xbarc.executor import Engine, Executor
from xbarc.ir import Program, Trace, Value, load_program
from xbarc.rows import TableData, render_card


@dataclass(frozen=True)
class NodeArg:
    """An input or output: name, element type as ONNX Runtime writes it, shape."""

    name: str
    type: str
    shape: list[int | str | None] | None


class InferenceSession:
    """Runs a compiled program.

    Args:
        program: the path of an `.xbar` directory, or a program.
        engine: `fast` or `reference`; both give the same bits.

    Raises:
        ProgramError: the directory is missing or damaged.
    """

    def __init__(self, program: str | Path | Program, engine: Engine = "fast") -> None:
        self._program = program if isinstance(program, Program) else load_program(Path(program))
        self._executor = Executor(self._program, engine)
        self._engine = engine

    def __repr__(self) -> str:
        sides = (self.get_inputs(), self.get_outputs())
        inside, outside = (", ".join(visible(value.name) for value in side) for side in sides)
        program = f"{visible(self._program.name)} on {visible(self._program.target.name)}"
        return f"<InferenceSession of {program}, {self._engine}: {inside} -> {outside}>"

    def _repr_html_(self) -> str:
        sides = (("input", self.get_inputs()), ("output", self.get_outputs()))
        rows = tuple(
            (side, value.name, value.type, "unknown" if value.shape is None else str(value.shape))
            for side, values in sides
            for value in values
        )
        title = f"Session: {self._program.name} on {self._program.target.name}"
        line = f"{self._engine} engine; session.run(None, {{name: array}})"
        return render_card(title, (line,), (TableData("", ("", "name", "type", "shape"), rows),))

    def run(
        self,
        output_names: Sequence[str] | None,
        input_feed: Mapping[str, Any],
        *,
        trace: Trace | None = None,
    ) -> list[Any]:
        """Outputs in the order asked for; None asks for all.

        Raises:
            InputError: inputs with wrong names, shapes or types.
        """
        return self._executor.run(input_feed, output_names, trace=trace)

    def get_inputs(self) -> list[NodeArg]:
        """Inputs of the model."""
        return [_argument(value) for value in self._program.inputs]

    def get_outputs(self) -> list[NodeArg]:
        """Outputs of the model."""
        return [_argument(value) for value in self._program.outputs]


def _argument(value: Value) -> NodeArg:
    # ONNX Runtime's names; of all other types they are numpy's.
    names = {"float32": "float", "float64": "double"}
    shape = None if value.shape is None else list(value.shape)
    return NodeArg(value.name, f"tensor({names.get(value.dtype, value.dtype)})", shape)
