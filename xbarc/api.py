"""The Python face: compile a model, keep, save, load and report a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from xbarc.calibration.budget import parse_budget
from xbarc.compiler import CompileOptions, Progress, compile_model
from xbarc.ir.files import load_program, save_program
from xbarc.ir.program import Program
from xbarc.ir.text import program_text
from xbarc.mapping import ROWS_LATENCY, MapOptions, parse_levers
from xbarc.mapping.full_load import full_load
from xbarc.numerics.types import AnyArray
from xbarc.passes import RangeMethod, parse_pruning
from xbarc.report import Report, collect, render_json
from xbarc.session import InferenceSession
from xbarc.target import Target, load_target

if TYPE_CHECKING:
    from xbarc.executor.run import Engine


@dataclass(frozen=True, eq=False)
class CompiledProgram:
    """A tile program, with what a user does with one.

    Attributes:
        program: the data structure itself.
        extra: further files of its folder, by name.
    """

    program: Program
    extra: Mapping[str, bytes] = field(default_factory=dict)

    def save(self, path: str | Path) -> None:
        """Write the `.xbar` directory, whole or not at all.

        Raises:
            ProgramError: the path is taken by something else, or cannot be written.
        """
        report = render_json(self.report()).encode()
        save_program(self.program, Path(path), {"report.json": report, **self.extra})

    def report(self) -> Report:
        """Counts and costs; renders itself in a notebook."""
        return collect(self.program, load=full_load(self.program.target))

    def session(self, engine: Engine = "fast") -> InferenceSession:
        """A session that runs this program."""
        return InferenceSession(self.program, engine)

    def __str__(self) -> str:
        return program_text(self.program)


def compile(  # noqa: A001  # the name users expect: xbarc.compile
    model: str | Path,
    target: str | Path | Target = "rram128",
    *,
    calibration: Mapping[str, AnyArray] | None = None,
    weight_bits: int | None = None,
    activation_bits: int | None = None,
    encoding: str | None = None,
    adc: str | int = "lossless",
    ranges: RangeMethod = "mse",
    weight_slices: int | None = None,
    feedback: str = "auto",
    encoding_budget: float = 0.01,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    levers: str = "none",
    rows_latency: float = ROWS_LATENCY,
    lever_law: str = "both",
    adc_budget: str | None = None,
    prune: str | None = None,
    input_facts: str = "all",
    exact_weights: bool = False,
    progress: Progress | None = None,
) -> CompiledProgram:
    """Compile an ONNX model for a target.

    Args:
        model: path of the ONNX file, which is only read.
        target: a shipped name, the path of a TOML file, or a `Target`.
        calibration: arrays by input name; activation ranges become static.
        weight_bits: 2 to 16; None takes the target's.
        activation_bits: 1 to 16; None takes the target's.
        encoding: how signed weights sit on cells; None takes the target's.
        adc: `lossless`, `worst-case`, `calibrated`, `calibrated:BITS`, or a number of bits that
            caps the lossless setting.
        ranges: how calibrated ranges are chosen: `mse`, `percentile` or `minmax`.
        weight_slices: cells of one sign that hold a weight; None takes as many as it needs.
        feedback: error feedback where there is calibration data: `auto`, `on` or `off`.
        encoding_budget: squared error over variance that `encoding="auto"` may cost a layer.
        shapes: input shapes by name, to count with where the model leaves axes open.
        levers: what makes converters narrow at the same results: `none`, `all`, or some of
            `recode,centre,deal,group`; `rows` costs cycles and is not among `all`.
        rows_latency: with the lever `rows`, how much longer arrays may work, as a factor.
        lever_law: what a conversion costs for the levers: `both`, `bits`, `levels`, `target` (the
            energy of its converter), or how many levels a bit counts.
        adc_budget: bits of every converter from calibration data: points of top-1 that may be lost,
            such as `0.5` (needs `labels`), or an SQNR of the output, such as `30dB`.
        prune: share of the weights that become zero, `0.5` or `0.5:free`.
        input_facts: what is known of the inputs of layers makes converters narrow: `all`,
            `structure` (nothing that hangs on weights) or `none`.
        exact_weights: refuse a model whose declared integers are not all kept; otherwise the
            report notes each layer, why, and how large the error is.
        progress: called with a layer's name, its number and the count of layers.

    Raises:
        XbarcError: the model, the target or the data is at fault; the message says how.
    """
    loaded = target if isinstance(target, Target) else load_target(target)
    mapping = MapOptions(
        encoding=encoding or loaded.precision.encoding,
        adc=str(adc),
        slices=weight_slices,
        feedback=feedback,
        encoding_budget=encoding_budget,
        levers=parse_levers(levers),
        rows_latency=rows_latency,
        lever_law=lever_law,
    )
    options = CompileOptions(
        weight_bits,
        activation_bits,
        ranges,
        mapping,
        dict(shapes or {}),
        None if adc_budget is None else parse_budget(adc_budget),
        pruning=None if prune is None else parse_pruning(prune),
        input_facts=input_facts,
        exact_weights=exact_weights,
    )
    program = compile_model(
        model, loaded, options=options, calibration=calibration, progress=progress
    )
    return CompiledProgram(program)


def load(path: str | Path) -> CompiledProgram:
    """Read an `.xbar` directory.

    Raises:
        ProgramError: it is missing, damaged or of another format.
    """
    return CompiledProgram(load_program(Path(path)))
