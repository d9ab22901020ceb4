"""`xbarc compile`, `xbarc options` and `xbarc passes`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xbarc.cli.options import TargetChoice, takes
from xbarc.errors import EXIT_DONE, InputError
from xbarc.options import PANELS, Options, nearest, option

if TYPE_CHECKING:
    from xbarc.api import CompiledProgram
    from xbarc.compiler import Compilation
    from xbarc.pipeline import Stage


class Shown(Options):
    """What the command prints."""

    as_json: bool = option(False, "print the report as JSON", flags=("--json",), unset=" ")
    timings: bool = option(
        False, "print the time of each stage to stderr", flags=("--timings",), unset=" "
    )
    print_after: str | None = option(
        None,
        "print the network or the program as it is after this stage, in place of the report; see "
        "xbarc passes",
        metavar="STAGE",
    )


@takes(chip=TargetChoice, shown=Shown, given=PANELS)
def compile_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="the trained network")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="OUT.xbar", help="[default: MODEL.xbar in this folder]"
        ),
    ] = None,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA.npz",
            help="inputs that choose static activation ranges  [default: ranges at run time]",
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--options",
            metavar="FILE.toml",
            help="a file of options, as xbarc options prints it; options given here win over it",
        ),
    ] = None,
    *,
    chip: TargetChoice,
    shown: Shown,
    given: dict[str, Any],
) -> int:
    """Compile a trained ONNX network into a crossbar program.

    Writes the folder OUT.xbar, whole or not at all, and prints a short report.
    """
    from xbarc.api import CompiledProgram
    from xbarc.cli.progress import progress_bar
    from xbarc.compiler import run_compiler
    from xbarc.ir import check_replaceable, read_npz
    from xbarc.options import CompileOptions, read_options

    place = output or Path(f"{model.stem}.xbar")
    # First of all: hours of compiling must not end at a folder that may not be replaced.
    check_replaceable(place)
    observer = _Observer(_stage_name(shown.print_after))
    base = {} if file is None else read_options(file)
    # The command line wins over the file; only what was given is in `given`, so a default never
    # does.
    options = CompileOptions(**{**base, **given})
    target = chip.load()
    data = None if calibrate is None else read_npz(calibrate)
    with progress_bar("compile") as advance:
        made = run_compiler(
            model, target, options=options, calibration=data, progress=advance, observe=observer
        )
    compiled = CompiledProgram(made.program, made.files, made.plan.options.cost_law)
    compiled.save(place)
    _show(compiled, shown, observer)
    # To stderr, so that `--json` alone is what a pipe gets.
    print(f"wrote {place}", file=sys.stderr)
    return EXIT_DONE


class _Observer:
    """Keeps the time of each stage, and the text after one of them."""

    def __init__(self, name: str | None) -> None:
        self._name = name
        self.text = ""
        self.seconds: dict[str, float] = {}

    def __call__(self, stage: Stage[Compilation], made: Compilation, seconds: float | None) -> None:
        if seconds is not None:
            self.seconds[stage.name] = seconds
        if stage.name == self._name:
            self.text = made.text()


def _stage_name(name: str | None) -> str | None:
    """A stage that there is.

    Raises:
        InputError: there is none of this name.
    """
    from xbarc.compiler import STAGES

    names = [stage.name for stage in STAGES]
    if name is not None and name not in names:
        hint = nearest(name, names) or f"one of {', '.join(names)}"
        raise InputError(f"no stage '{name[:40]}'", where="--print-after", hint=hint)
    return name


def _show(compiled: CompiledProgram, shown: Shown, observer: _Observer) -> None:
    from xbarc.cli.reporting import emit
    from xbarc.report import render_json, render_text

    if shown.print_after is not None:
        emit(observer.text)
    else:
        report = compiled.report()
        emit(render_json(report) if shown.as_json else render_text(report, full=False))
    if shown.timings:
        for name, seconds in observer.seconds.items():
            print(f"{name:16} {seconds:9.3f} s", file=sys.stderr)


def options_command() -> int:
    """Print the options of compile, with help and defaults, as TOML."""
    from xbarc.options import options_text

    print(options_text(), end="")
    return EXIT_DONE


def passes_command() -> int:
    """Print the stages of the compiler, and what each makes."""
    from xbarc.compiler import STAGES

    for number, stage in enumerate(STAGES, 1):
        print(f"{number}  {stage.name:16} reads  {stage.reads}")
        print(f"{'':19} makes  {stage.makes}")
        print(f"{'':19} time   {stage.time}")
    return EXIT_DONE
