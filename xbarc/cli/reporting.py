"""`xbarc report`, `xbarc inspect` and `xbarc print`."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xbarc.cli.files import write_bytes, write_text
from xbarc.errors import InputError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from xbarc.ir.program import CrossbarStep, Program
    from xbarc.report import Report

_PROGRAM = typer.Argument(metavar="PROGRAM.xbar", help="what xbarc compile wrote")
_PIPE_WIDTH = 160


def report_command(
    program: Annotated[Path, _PROGRAM],
    format: Annotated[str, typer.Option("--format", metavar="text|json|csv|html")] = "text",  # noqa: A002
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="default: stdout")
    ] = None,
) -> int:
    """Area, energy, latency and counts, in total and per layer, with the source of every figure."""
    from xbarc.ir.files import load_program
    from xbarc.report import collect

    render = _renderer(format)
    emit(render(collect(load_program(program))), output)
    return 0


def _renderer(name: str) -> Callable[[Report], RenderableType]:
    from xbarc.report import render_csv, render_html, render_json, render_text

    found: dict[str, Callable[[Report], RenderableType]] = {
        "csv": render_csv,
        "html": render_html,
        "json": render_json,
        "text": render_text,
    }
    if name not in found:
        known = ", ".join(found)
        raise InputError(f"no format '{name}'", where="--format", hint=f"one of {known}")
    return found[name]


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
    """Look into tiles: all layers, one layer's blocks, or every cell level of one block."""
    from xbarc.ir.files import load_program
    from xbarc.report import find_layer

    loaded = load_program(program)
    if layer is None:
        if block is not None or html is not None or png is not None:
            names = ", ".join(step.name for step in loaded.crossbar_steps)
            raise InputError("name the layer", where="--layer", hint=f"one of {names}")
        _inspect_program(loaded, json)
        return 0
    step = find_layer(loaded, layer)
    if block is None:
        _inspect_layer(step, json, html, png)
    else:
        _inspect_block(step, _block(block), json, html, png)
    return 0


def _inspect_program(program: Program, json: bool) -> None:
    from xbarc.report import collect, render_json
    from xbarc.report.tables import layers_table, placement_table
    from xbarc.report.text import rich_table

    report = collect(program)
    if json:
        emit(render_json(report))
        return
    for table in (layers_table(report.layers), placement_table(report.layers)):
        emit(rich_table(table))


def _inspect_layer(step: CrossbarStep, json: bool, html: Path | None, png: Path | None) -> None:
    from xbarc import report

    view = report.inspect_layer(step)
    if html is not None:
        write_text(html, report.render_layer_html(view))
    if png is not None:
        write_bytes(png, report.png_bytes(report.layer_picture(step)))
    if html is None and png is None:
        emit(report.render_layer_json(view) if json else report.render_layer_text(view))


def _inspect_block(
    step: CrossbarStep,
    place: tuple[int, int, int],
    json: bool,
    html: Path | None,
    png: Path | None,
) -> None:
    from xbarc import report

    view = report.inspect_block(step, *place)
    if html is not None:
        write_text(html, report.render_block_html(view))
    if png is not None:
        write_bytes(png, report.png_bytes(report.block_picture(view)))
    if html is not None or png is not None:
        return
    if json:
        emit(report.render_block_json(view))
        return
    width, terminal = shutil.get_terminal_size().columns, sys.stdout.isatty()
    emit(report.render_block_text(view, width=width, terminal=terminal))


def _block(text: str) -> tuple[int, int, int]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (2, 3):
        raise InputError(f"'{text}' is not I,J or G,I,J", where="--block")
    group, row, column = numbers if len(numbers) == 3 else (0, *numbers)
    return group, row, column


def print_command(
    program: Annotated[Path, typer.Argument(metavar="MODEL.onnx|PROGRAM.xbar")],
) -> int:
    """Print a network as the compiler reads it, or a program, as text."""
    from xbarc.ir.files import is_program, load_program
    from xbarc.ir.text import network_text, program_text

    if is_program(program):
        emit(program_text(load_program(program)))
        return 0
    from xbarc.frontend import read_network

    emit(network_text(read_network(program)))
    return 0


def emit(result: RenderableType, output: Path | None = None) -> None:
    """Text, or a rich renderable, to a file or to stdout."""
    if not isinstance(result, str):
        result = _plain(result) if output is not None or not sys.stdout.isatty() else result
    if output is not None:
        write_text(output, str(result))
    elif isinstance(result, str):
        sys.stdout.write(result if result.endswith("\n") else result + "\n")
    else:
        from rich.console import Console

        Console().print(result)


def _plain(result: RenderableType) -> str:
    """What a pipe or a file gets: no colours, no wrapping to a terminal's width."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=_PIPE_WIDTH, color_system=None)
    console.print(result)
    text = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO above
    return "\n".join(line.rstrip() for line in str(text).splitlines()) + "\n"
