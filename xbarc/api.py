"""The Python face: compile a model, keep, save, load and report a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from xbarc.compiler import run_compiler
from xbarc.cost import parse_policy, price_program
from xbarc.errors import InputError, XbarcError
from xbarc.frontend import program_model, source_digest
from xbarc.ir import Program, load_program, program_text, save_program, whole_file
from xbarc.mapping import full_load
from xbarc.numerics import AnyArray
from xbarc.options import CompileKeywords, CompileOptions, Method, ReportKeywords, ScheduleOptions
from xbarc.pipeline import Progress
from xbarc.report import Report, collect, render_json
from xbarc.session import InferenceSession
from xbarc.target import Target
from xbarc.version import VERSION

if TYPE_CHECKING:
    from xbarc.executor import Engine


@dataclass(frozen=True, eq=False)
class CompiledProgram:
    """A tile program, with what a user does with one.

    Attributes:
        program: the data structure itself.
        extra: further files of its folder, by name.
        cost_law: what its reports count with; None: the target's figures. It is not saved.
    """

    program: Program
    extra: Mapping[str, bytes] = field(default_factory=dict)
    cost_law: str | Method | None = None

    def save(self, path: str | Path) -> None:
        """Write the `.xbar` directory, whole or not at all.

        Raises:
            ProgramError: the path is taken by something else, or cannot be written.
        """
        report = render_json(self.report()).encode()
        files = {"report.json": report, **self.extra}
        by = VERSION if self.cost_law is None else ""
        save_program(self.program, Path(path), files, counted_by=by)

    def export(self, path: str | Path) -> None:
        """Write the program as an ONNX model that compiles to the same cells.

        ONNX Runtime gives what lossless converters give, up to the rounding of float32 sums.

        Raises:
            UnsupportedError: a layer has a form that is not written, or all of it is too large for
                one file.
            InputError: the path cannot be written, or holds the model that was compiled.
        """
        place, model = Path(path), program_model(self.program)
        if self._is_source(place) and place.read_bytes() != model:
            raise InputError(
                "is the model that the program was compiled from, and would be lost",
                where=str(place),
                hint="choose another path",
            )
        with whole_file(place) as file:
            file.write(model)

    def _is_source(self, path: Path) -> bool:
        """Whether a file is the model that was compiled, under whatever name."""
        if not path.is_file():
            return False
        try:
            return source_digest(path) == self.program.source.sha256
        except (XbarcError, OSError):  # some other file, which may be replaced
            return False

    def report(self, **options: Unpack[ReportKeywords]) -> Report:
        """Counts and costs; renders itself in a notebook.

        Args:
            options: as `xbarc report` takes them. `duplicate` is by default what the program was
                compiled with; so is `cost_law`, in the process that compiled it.

        Raises:
            MappingError: copies cannot be made as asked, there is no such law, or it fails.
        """
        # Without options the report is that of the program, gathered once; `save` and `report()`
        # then agree byte for byte.
        return self._report_with(dict(options)) if options else self._own_report

    @cached_property
    def _own_report(self) -> Report:
        """Kept: saving writes it, and the command prints it afterwards."""
        return self._report_with({})

    def _report_with(self, options: dict[str, object]) -> Report:
        asked = ScheduleOptions.model_validate(options)
        # A law is code, so that it lives as long as the process that was given it, and no program
        # stores it.
        law = self.cost_law if asked.cost_law is None else asked.cost_law
        program = price_program(self.program, law)
        policy = parse_policy(asked.duplicate, program.target) if "duplicate" in options else None
        return collect(program, policy, load=full_load(program.target))

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
    progress: Progress | None = None,
    **options: Unpack[CompileKeywords],
) -> CompiledProgram:
    """Compile an ONNX model for a target.

    Args:
        model: path of the ONNX file, which is only read.
        target: a shipped name, the path of a TOML file, or a `Target`.
        calibration: arrays by input name, and `labels` if any; activation ranges become static.
        progress: called with the stage and the layer at work, its number and the count of layers.
        options: as `xbarc compile` takes them, under the same names with underscores;
            `xbarc options` prints them with their meaning, and `CompileKeywords` has their types.

    Raises:
        XbarcError: the model, the target, an option or the data is at fault; the message says how.
    """
    made = run_compiler(
        model,
        target,
        options=CompileOptions.model_validate(dict(options)),
        calibration=calibration,
        progress=progress,
    )
    return CompiledProgram(made.program, made.files, made.plan.options.cost_law)


def load(path: str | Path) -> CompiledProgram:
    """Read an `.xbar` directory.

    Raises:
        ProgramError: it is missing, damaged or of another format.
    """
    return CompiledProgram(load_program(Path(path)))
