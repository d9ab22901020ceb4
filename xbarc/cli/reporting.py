"""`xbarc report`, `xbarc inspect` and `xbarc print`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from xbarc.errors import InputError

_PROGRAM = typer.Argument(metavar="PROGRAM.xbar", help="what xbarc compile wrote")


def report_command(
    program: Annotated[Path, _PROGRAM],
    format: Annotated[str, typer.Option("--format", metavar="text|json|csv|html")] = "text",  # noqa: A002
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="default: stdout")
    ] = None,
) -> int:
    """Area, energy, latency and counts, in total and per layer, with the source of every figure."""
    from xbarc.ir.files import load_program
    from xbarc.report import collect, render_csv, render_html, render_json, render_text

    renderers = {"json": render_json, "csv": render_csv, "html": render_html, "text": render_text}
    if format not in renderers:
        known = ", ".join(sorted(renderers))
        raise InputError(f"no format '{format}'", where="--format", hint=f"one of {known}")
    _emit(renderers[format](collect(load_program(program))), output)
    return 0


def inspect_command(
    program: Annotated[Path, _PROGRAM],
    layer: Annotated[str | None, typer.Option(metavar="NAME", help="one layer")] = None,
    block: Annotated[
        str | None,
        typer.Option(metavar="[G,]I,J", help="row block I, column block J (of group G)"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="write a page")] = None,
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="write a tile map")] = None,
) -> int:
    """Look into tiles: layers, blocks, and every cell level of one block."""
    from xbarc.cli.files import whole_file, write_text
    from xbarc.ir.files import load_program
    from xbarc.report import inspect as views

    loaded = load_program(program)
    view = views.inspect(loaded, layer, _block(block))
    if html is not None:
        write_text(html, views.view_html(view))
    if png is not None:
        with whole_file(png, "wb") as file:
            file.write(views.view_png(view))
    if html is None and png is None:
        _emit(views.view_json(view) if json else views.view_text(view), None)
    return 0


def _block(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (2, 3):
        raise InputError(f"'{text}' is not I,J or G,I,J", where="--block")
    return numbers if len(numbers) == 3 else (0, *numbers)


def print_command(
    program: Annotated[Path, typer.Argument(metavar="MODEL.onnx|PROGRAM.xbar")],
) -> int:
    """Print a network as the compiler reads it, or a program, as text."""
    from xbarc.ir.files import is_program, load_program
    from xbarc.ir.text import network_text, program_text

    if is_program(program):
        _emit(program_text(load_program(program)), None)
        return 0
    from xbarc.frontend import read_network

    _emit(network_text(read_network(program)), None)
    return 0


def _emit(result: Any, output: Path | None) -> None:
    """Text or a rich renderable to a file or to stdout."""
    from rich.console import Console

    from xbarc.cli.files import write_text

    if output is not None and isinstance(result, str):
        write_text(output, result)
    elif isinstance(result, str):
        sys.stdout.write(result if result.endswith("\n") else result + "\n")
    elif output is not None:
        console = Console(record=True, file=open("/dev/null", "w"), width=140)  # noqa: PTH123, SIM115
        console.print(result)
        write_text(output, console.export_text())
    else:
        Console().print(result)
