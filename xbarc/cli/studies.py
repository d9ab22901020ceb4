"""`xbarc study`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xbarc.cli.help import XbarcGroup
from xbarc.cli.messages import tell
from xbarc.cli.options import TargetChoice, add_command, takes
from xbarc.errors import EXIT_DONE, InputError
from xbarc.options import Cells, Jobs, Options, PrecisionOptions, option, read_path, reads

if TYPE_CHECKING:
    from xbarc.executor import Data
    from xbarc.experiments import LineStudy, Sweep

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, cls=XbarcGroup)


class Cases(Options):
    """What to vary."""

    scales: str = option("0.5,1,2,4", "factors on the target's wires", metavar="LIST")
    placements: str = option("none,rows", "as --placement of compile", metavar="LIST")
    compensations: str = option(
        "none,gain,outputs",
        "as --compensate of compile; + joins several",
        metavar="LIST",
        formerly=("corrections",),
    )
    converters: bool = option(
        True,
        "with the rounding of converters, as xbarc check counts it, or without, in an eighth of "
        "the time; wires then seem to take less than they do",
        flags=("--converters/--quick",),
        unset="converters",
    )


class StudyOutput(Options):
    """What comes of a study."""

    picture: Annotated[Path | None, reads(read_path)] = option(
        None, "top-1 over r T^2 / R_on", metavar="FILE.svg"
    )
    as_json: bool = option(False, "print JSON", flags=("--json",), unset=" ")


@app.callback()
def _studies() -> None:
    pass


@takes(
    chip=TargetChoice,
    shared=Jobs,
    cases=Cases,
    shown=StudyOutput,
    given=(PrecisionOptions, Cells),
    only=("weight_bits", "encoding", "jobs"),
)
def lines_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="the trained network")],
    data: Annotated[Path, typer.Option(metavar="DATA.npz", help="inputs and labels to judge by")],
    calibrate: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA.npz",
            help="samples for ranges, placement and compensation  [default: the first quarter of "
            "--data, at most 256 samples, which then do not judge]",
        ),
    ] = None,
    *,
    chip: TargetChoice,
    shown: StudyOutput,
    cases: Cases,
    shared: Jobs,
    given: dict[str, Any],
) -> int:
    """Sweep the resistance of wires: top-1 as mapped, placed and compensated."""
    from json import dumps

    from xbarc.cli.files import write_text
    from xbarc.cli.progress import progress_bar
    from xbarc.compiler import CompileOptions, compile_model
    from xbarc.experiments import picture as drawn
    from xbarc.experiments import study_lines
    from xbarc.ir import check_writable

    sweep = _sweep(cases)
    picture = shown.picture
    if picture is not None:
        check_writable(picture)
    known, judged = _samples(data, calibrate)
    program = compile_model(model, chip.load(), options=CompileOptions(**given), calibration=known)
    with progress_bar("study") as advance:
        found = study_lines(program, known, judged, sweep, advance, shared.jobs)
    if picture is not None:
        write_text(picture, drawn(found))
        tell(f"wrote {picture}")
    if shown.as_json:
        print(dumps(found.as_json(), indent=1, allow_nan=False))
    else:
        _print(found)
    return EXIT_DONE


add_command(app, "lines", lines_command)


def _samples(data: Path, calibrate: Path | None) -> tuple[Data, Data]:
    """What may be seen, and what judges."""
    from xbarc.experiments import held_back
    from xbarc.ir import labels_in, read_npz

    if calibrate is not None:
        return read_npz(calibrate), read_npz(data)
    known, judged = held_back(read_npz(data))
    seen, rest = len(next(iter(known.values()))), len(judged[labels_in(judged)])
    text = f"the first {seen} samples calibrate, without their labels; the other {rest:,} judge"
    # Told, since it changes what the figures mean: samples that were seen must not judge.
    tell(f"{text} (--calibrate DATA.npz: all judge)")
    return known, judged


def _sweep(cases: Cases) -> Sweep:
    from xbarc.experiments import Sweep
    from xbarc.mapping import load_placement
    from xbarc.options import parse_compensations

    try:
        factors = tuple(float(part) for part in cases.scales.split(","))
    except ValueError as error:
        raise InputError(f"'{cases.scales}' is not a list of numbers", where="--scales") from error
    chosen = tuple(
        frozenset[str](parse_compensations(part.replace("+", ",")))
        for part in cases.compensations.split(",")
    )
    names = tuple(load_placement(part.strip()) for part in cases.placements.split(","))
    return Sweep(factors, names, chosen, cases.converters)


def _print(found: LineStudy) -> None:
    from xbarc.cli.reporting import emit_tables
    from xbarc.experiments import StudyPoint
    from xbarc.rows import table_of

    title = f"{found.samples:,} samples; without wires {100 * found.ideal:.2f} %"
    if not found.converters:
        title += "; points without the rounding of converters"
    emit_tables(table_of(StudyPoint, found.points, title=title))
