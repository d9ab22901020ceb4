"""`xbarc compile`, `xbarc options` and `xbarc passes`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from xbarc.cli.messages import is_quiet, is_verbose, tell
from xbarc.cli.options import TargetChoice, takes
from xbarc.errors import EXIT_DONE, InputError, XbarcError
from xbarc.options import PANELS, Goal, Options, nearest, option, preset_flags, preset_options

if TYPE_CHECKING:
    from xbarc.api import CompiledProgram
    from xbarc.compiler import Compilation
    from xbarc.evaluate import Evaluation
    from xbarc.executor import Data
    from xbarc.pipeline import Stage
    from xbarc.target import Target


# Calibration samples that a finished program is compared on: enough to see that something is
# wrong. `xbarc check` is for a measurement.
_JUDGED = 32
# Of all of them: a fraction of a second of the fast engine, which does 1 to 2 G a CPU second, so
# that large networks are judged on fewer samples, or not at all.
_JUDGED_CONVERSIONS = 2e8


class Preset(Options):
    """Several options at once."""

    panel: ClassVar[str] = "Model and data"

    goal: Goal | None = option(
        None,
        "set the options that serve this goal, and print which; options that are given win",
        flags=("--for",),
        metavar="accuracy|energy|area",
        brief="set the options that serve a goal",
    )


class Shown(Options):
    """What the command prints."""

    panel: ClassVar[str] = "Output"

    as_json: bool = option(False, "print the report as JSON", flags=("--json",), unset=" ")
    timings: bool = option(
        False,
        "print the time of each stage to stderr",
        flags=("--timings",),
        unset=" ",
        advanced=True,
    )
    print_after: str | None = option(
        None,
        "print the network or the program as it is after this stage, in place of the report; see "
        "xbarc passes",
        metavar="STAGE",
        advanced=True,
    )

    @property
    def is_summary(self) -> bool:
        """Whether the summary is printed."""
        return not self.as_json and self.print_after is None and not is_quiet()


_INPUTS, _OUTPUTS = "Model and data", "Output"
_MODEL = typer.Argument(metavar="MODEL.onnx", help="the trained network", rich_help_panel=_INPUTS)
_OUTPUT = typer.Option(
    *("-o", "--output"),
    metavar="OUT.xbar",
    help="the program  [default: MODEL.xbar in this folder]",
    rich_help_panel=_OUTPUTS,
)
_CALIBRATE = typer.Option(
    metavar="DATA.npz",
    help="sample inputs, for static ranges of activations",
    rich_help_panel=_INPUTS,
)
_FILE = typer.Option(
    "--options",
    metavar="FILE.toml",
    help="options from a file, as xbarc options prints it",
    rich_help_panel=_INPUTS,
)


@takes(chip=TargetChoice, preset=Preset, shown=Shown, given=PANELS)
def compile_command(
    model: Annotated[Path, _MODEL],
    output: Annotated[Path | None, _OUTPUT] = None,
    calibrate: Annotated[Path | None, _CALIBRATE] = None,
    file: Annotated[Path | None, _FILE] = None,
    *,
    chip: TargetChoice,
    preset: Preset,
    shown: Shown,
    given: dict[str, Any],
) -> int:
    """Compile a trained ONNX network into a crossbar program.

    Writes the folder OUT.xbar, whole or not at all, and prints accuracy, energy and area.
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
    target = chip.load()
    served = _served(preset.goal, target, {**base, **given}, calibrated=calibrate is not None)
    # The command line wins over the file, and both over a preset; only what was given is in
    # `given`, so a default never wins.
    options = CompileOptions(**{**served, **base, **given})
    data = None if calibrate is None else read_npz(calibrate)
    with progress_bar("compile") as advance:
        made = run_compiler(
            model, target, options=options, calibration=data, progress=advance, observe=observer
        )
    compiled = CompiledProgram(made.program, made.files, made.plan.options.cost_law)
    compiled.save(place)
    judged = None if data is None or not shown.is_summary else _judge(compiled, model, data)
    _show(compiled, shown, observer, judged)
    # To stderr, so that `--json` alone is what a pipe gets.
    tell(f"wrote {place}")
    return EXIT_DONE


def _served(
    goal: Goal | None, target: Target, given: dict[str, Any], *, calibrated: bool
) -> dict[str, Any]:
    """Options of a preset that nobody gave otherwise, which are told."""
    if goal is None:
        return {}
    served = preset_options(
        goal,
        calibrated=calibrated,
        widest=None if _reads_every_sum(target) else target.adc.max_bits,
        uniform=bool(given.get("uniform", target.precision.uniform)),
        compares=target.adc.kind == "sense-amplifier",
    )
    # A budget chooses the bits itself, and does not go with another choice of them.
    taken = {*given, *(["adc"] if "adc_budget" in given else [])}
    served = {name: value for name, value in served.items() if name not in taken}
    tell(f"--for {goal} sets {preset_flags(served) or 'nothing here'}")
    return served


def _reads_every_sum(target: Target) -> bool:
    """Whether a converter can tell all sums of a column apart, whatever its cells hold."""
    rows = target.array.active_rows
    most = rows * ((1 << target.cell.bits) - 1) * ((1 << target.input.dac_bits) - 1)
    return most.bit_length() <= target.adc.max_bits


def _judge(compiled: CompiledProgram, model: Path, data: Data) -> Evaluation | None:
    """How near a program is to its float model on some calibration samples.

    None where it is too large for that, or cannot be run on part of the data.
    """
    from xbarc.evaluate import evaluate

    each = compiled.report().totals.conversions or 0
    count = min(_JUDGED, int(_JUDGED_CONVERSIONS / max(each, 1)))
    if count < 1:
        return None
    first = {name: array[:count] if array.ndim else array for name, array in data.items()}
    try:
        return evaluate(compiled.program, first, model)
    # A fixed batch, or samples that are not on the first axis. The program is written and right.
    except XbarcError:
        return None


class _Observer:
    """Keeps the time of each stage, and the text after one of them."""

    def __init__(self, name: str | None) -> None:
        self._name = name
        self.text = ""
        self.seconds: dict[str, float] = {}

    def __call__(self, stage: Stage[Compilation], made: Compilation, seconds: float | None) -> None:
        if seconds is not None:
            self.seconds[stage.name] = seconds
            if is_verbose():
                tell(f"{stage.name:16} {seconds:9.3f} s")
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


def _show(
    compiled: CompiledProgram, shown: Shown, observer: _Observer, judged: Evaluation | None
) -> None:
    from xbarc.cli.reporting import emit
    from xbarc.report import render_json, render_summary, render_text

    report = compiled.report()
    if shown.timings:
        for name, seconds in observer.seconds.items():
            print(f"{name:16} {seconds:9.3f} s", file=sys.stderr)
    if shown.print_after is not None:
        emit(observer.text)
    elif shown.as_json:
        emit(render_json(report))
    else:
        if is_verbose():
            emit(render_text(report, full=False))
        emit(render_summary(report, _accuracy(judged)))


def _accuracy(judged: Evaluation | None) -> tuple[str, str]:
    """Accuracy for the summary: the figure, and what it was measured on."""
    if judged is None:
        return "not measured", "xbarc check measures it on data"
    from xbarc.rows import decibels

    found = f"{decibels(judged.output_sqnr_db, judged.identical)} output SQNR"
    if judged.top1_crossbar is None:
        return found, f"on {judged.samples} calibration samples"
    right = (judged.top1_crossbar, judged.top1_float or 0.0)
    of_program, of_model = (f"{round(share * judged.samples)}" for share in right)
    return found, f"top-1 {of_program} of {judged.samples} right, float model {of_model}"


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
