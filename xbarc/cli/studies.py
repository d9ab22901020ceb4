"""`xbarc study`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xbarc.errors import EXIT_DONE, InputError

if TYPE_CHECKING:
    from xbarc.chips.study import LineStudy, Sweep

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _studies() -> None:
    pass


@app.command("lines")
def lines_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="the trained network")],
    data: Annotated[Path, typer.Option(metavar="DATA.npz", help="inputs and labels to judge by")],
    calibrate: Annotated[
        Path,
        typer.Option(metavar="DATA.npz", help="what ranges, placement and corrections may see"),
    ],
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
    ] = "none,gain,predistort+gain",
    converters: Annotated[
        bool,
        typer.Option("--converters/--quick", help="with the rounding of converters: much slower"),
    ] = False,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="top-1 over r T^2 / R_on")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> int:
    """Sweep the resistance of wires: top-1 as mapped, placed and corrected."""
    from json import dumps

    from xbarc.chips.study import picture as drawn
    from xbarc.chips.study import study_lines
    from xbarc.cli.npz import read_npz
    from xbarc.cli.progress import progress_bar
    from xbarc.compiler import CompileOptions, compile_model
    from xbarc.mapping import MapOptions
    from xbarc.target import load_target

    sweep = _sweep(scales, placements, corrections, converters)
    if picture is not None and not picture.parent.is_dir():
        raise InputError(f"{picture.parent}: no such folder", where="--picture")
    chosen = load_target(target, settings or ())
    options = CompileOptions(
        weight_bits, mapping=MapOptions(encoding=encoding or chosen.precision.encoding)
    )
    known = read_npz(calibrate)
    program = compile_model(model, chosen, options=options, calibration=known)
    with progress_bar("study") as advance:
        found = study_lines(program, known, read_npz(data), sweep, advance)
    if picture is not None:
        picture.write_text(drawn(found), encoding="utf-8")
        print(f"wrote {picture}", file=sys.stderr)
    if json:
        print(dumps(found.as_json(), indent=1, allow_nan=False))
    else:
        _print(found)
    return EXIT_DONE


def _sweep(scales: str, placements: str, corrections: str, converters: bool) -> Sweep:
    from xbarc.chips.study import Sweep
    from xbarc.circuit import parse_effects

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
    emit_tables(TableData(title, ("r T^2/R_on>", "placement", "corrections", "top-1>"), rows))
