"""`xbarc view`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xbarc.cli.files import find_source, write_text
from xbarc.errors import EXIT_DONE, InputError
from xbarc.ir import check_writable

if TYPE_CHECKING:
    from xbarc.circuit import FaultMap
    from xbarc.ir import Program
    from xbarc.viewer import Measured, ProgramPage

# Above the ports of servers that are known by a number, and below those that systems give out.
_PORT = 8017


def view_command(
    program: Annotated[
        Path, typer.Argument(metavar="PROGRAM.xbar", help="what xbarc compile wrote")
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE.html", help="[default: PROGRAM.html]"),
    ] = None,
    serve: Annotated[
        bool,
        typer.Option("--serve", help="serve the page on this machine, for programs of any size"),
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, max=65535, help=f"with --serve; 0: any free one  [default: {_PORT}]"
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA.npz", help="run it, and show SQNR and clipped conversions of each layer"
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL.onnx",
            help="with --data: the float model  [default: where it was when compiled]",
        ),
    ] = None,
    stuck: Annotated[
        Path | None,
        typer.Option("--fault-map", metavar="MAP.npz", help="stuck cells of the chip, to be shown"),
    ] = None,
    wires: Annotated[
        bool, typer.Option("--wires", help="with -o: add the loss along wires of every cell")
    ] = False,
) -> int:
    """Show a program in a page: network, chip, every cell.

    Writes one page that needs no network. With --serve, a server on this machine alone gives cells
    when they are looked at; Ctrl-C ends it.
    """
    if serve and output is not None:
        raise InputError("cannot be given together", where="--serve and --output")
    if port is not None and not serve:
        raise InputError("needs --serve", where="--port")
    if serve and wires:
        raise InputError("is for a page in a file", where="--wires", hint="--serve has them anyway")
    place = output or Path(f"{program.resolve().stem}.html")
    if not serve:
        check_writable(place)
    page = _page(program, data, model, stuck, wires)
    if serve:
        return _serve(page, _PORT if port is None else port)
    return _write(page, place)


def _write(page: ProgramPage, place: Path) -> int:
    from xbarc.cli.progress import progress_bar

    with progress_bar("view") as advance:
        text = page.render(lambda done, total: advance("arrays", done, total))
    write_text(place, text)
    print(f"wrote {place} ({len(text) / 1e6:.2g} MB)", file=sys.stderr)
    return EXIT_DONE


def _page(
    path: Path, data: Path | None, model: Path | None, stuck: Path | None, wires: bool
) -> ProgramPage:
    from xbarc.ir import load_program
    from xbarc.viewer import ProgramPage

    if model is not None and data is None:
        raise InputError("needs --data", where="--model")
    loaded = load_program(path)
    faults = None if stuck is None else _read_faults(stuck, loaded)
    measured = None if data is None else _measure(loaded, path, data, model)
    return ProgramPage(loaded, str(path), faults=faults, measured=measured, wires=wires)


def _read_faults(path: Path, program: Program) -> FaultMap:
    from xbarc.circuit import program_faults
    from xbarc.ir import read_npz

    return program_faults(read_npz(path), program, str(path))


def _measure(program: Program, path: Path, data: Path, model: Path | None) -> dict[str, Measured]:
    """Run the program beside its float model."""
    from xbarc.cli.progress import progress_bar
    from xbarc.evaluate import evaluate
    from xbarc.executor import calibration_batches
    from xbarc.instruments import count_sums
    from xbarc.ir import read_npz
    from xbarc.viewer import Measured

    source, arrays = model or find_source(program, path), read_npz(data)
    with progress_bar("view") as advance:
        found = evaluate(
            program,
            arrays,
            source,
            progress=lambda done, total: advance("samples", done, total),
        )
    # One batch gives each conversion hundreds of sums.
    sums = count_sums(program, calibration_batches(program.inputs, arrays)[:1])
    return {
        one.name: Measured(
            "identical" if one.identical else one.sqnr_db,
            one.saturated,
            one.conversions,
            sums.get(one.name),
        )
        for one in found.layers
    }


def _serve(page: ProgramPage, port: int) -> int:
    from xbarc.viewer import page_server

    with page_server(page, port) as server:
        print(f"http://127.0.0.1:{server.server_port}/ shows the program; Ctrl-C ends", flush=True)
        server.serve_forever()
    return EXIT_DONE
