"""`xbarc study`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xbarc.errors import EXIT_DONE, InputError

if TYPE_CHECKING:
    from xbarc.experiments.study import Data, LineStudy, Sweep

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _studies() -> None:
    pass


@app.command("lines")
def lines_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="the trained network")],
    data: Annotated[Path, typer.Option(metavar="DATA.npz", help="inputs and labels to judge by")],
    calibrate: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA.npz",
            help="what ranges, placement and corrections may see  [default: the first quarter of "
            "--data, at most 256 samples, which then do not judge]",
        ),
    ] = None,
    target: Annotated[str, typer.Option(metavar="NAME|FILE.toml")] = "rram128",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="key.path=value", help="change a field of the target"),
    ] = None,
    weight_bits: Annotated[int | None, typer.Option(metavar="N", help="of float weights")] = None,
    encoding: Annotated[
        str | None, typer.Option(metavar="NAME", help="[default: the target's]")
    ] = None,
    scales: Annotated[
        str, typer.Option(metavar="LIST", help="factors on the target's wires")
    ] = "0.5,1,2,4",
    placements: Annotated[
        str, typer.Option(metavar="LIST", help="as --placement of compile")
    ] = "none,rows",
    corrections: Annotated[
        str, typer.Option(metavar="LIST", help="as --correct of compile; + joins several")
    ] = "none,gain,outputs",
    converters: Annotated[
        bool,
        typer.Option(
            "--converters/--quick",
            help="with the rounding of converters, as xbarc check counts it, or without, in an "
            "eighth of the time; wires then seem to take less than they do",
        ),
    ] = True,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="top-1 over r T^2 / R_on")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> int:
    """Sweep the resistance of wires: top-1 as mapped, placed and corrected."""
    from json import dumps

    from xbarc.cli.files import check_writable, write_text
    from xbarc.cli.progress import progress_bar
    from xbarc.compiler import CompileOptions, compile_model
    from xbarc.experiments.study import picture as drawn
    from xbarc.experiments.study import study_lines
    from xbarc.mapping import MapOptions
    from xbarc.target import load_target

    sweep = _sweep(scales, placements, corrections, converters)
    if picture is not None:
        check_writable(picture)
    chosen = load_target(target, settings or ())
    options = CompileOptions(
        weight_bits, mapping=MapOptions(encoding=encoding or chosen.precision.encoding)
    )
    known, judged = _samples(data, calibrate)
    program = compile_model(model, chosen, options=options, calibration=known)
    with progress_bar("study") as advance:
        found = study_lines(program, known, judged, sweep, advance)
    if picture is not None:
        write_text(picture, drawn(found))
        print(f"wrote {picture}", file=sys.stderr)
    if json:
        print(dumps(found.as_json(), indent=1, allow_nan=False))
    else:
        _print(found)
    return EXIT_DONE


def _samples(data: Path, calibrate: Path | None) -> tuple[Data, Data]:
    """What may be seen, and what judges."""
    from xbarc.cli.npz import read_npz
    from xbarc.experiments.study import held_back
    from xbarc.ir.labels import labels_in

    if calibrate is not None:
        return read_npz(calibrate), read_npz(data)
    known, judged = held_back(read_npz(data))
    seen, rest = len(next(iter(known.values()))), len(judged[labels_in(judged)])
    text = f"the first {seen} samples calibrate, without their labels; the other {rest:,} judge"
    print(f"{text} (--calibrate DATA.npz: all judge)", file=sys.stderr)
    return known, judged


def _sweep(scales: str, placements: str, corrections: str, converters: bool) -> Sweep:
    from xbarc.circuit import parse_effects
    from xbarc.experiments.study import Sweep

    try:
        factors = tuple(float(part) for part in scales.split(","))
    except ValueError as error:
        raise InputError(f"'{scales}' is no list of numbers", where="--scales") from error
    chosen = tuple(parse_effects(part.replace("+", ",")) for part in corrections.split(","))
    names = tuple(part.strip() for part in placements.split(","))
    return Sweep(factors, names, chosen, converters)


def _print(found: LineStudy) -> None:
    from xbarc.cli.reporting import emit_tables
    from xbarc.report import TableData

    rows = tuple(
        (f"{p.ratio:.3g}", p.placement, p.corrections, f"{100 * p.top1:.2f} %")
        for p in found.points
    )
    title = f"{found.samples:,} samples; without wires {100 * found.ideal:.2f} %"
    if not found.converters:
        title += "; points without the rounding of converters"
    emit_tables(TableData(title, ("r T^2/R_on>", "placement", "corrections", "top-1>"), rows))
