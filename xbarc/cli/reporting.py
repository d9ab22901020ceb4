"""`xbarc report`, `xbarc inspect` and `xbarc print`."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xbarc.cli.files import find_source, write_bytes, write_text
from xbarc.cli.messages import tell
from xbarc.cli.options import takes
from xbarc.errors import EXIT_DONE, InputError
from xbarc.ir import check_writable
from xbarc.options import ScheduleOptions

if TYPE_CHECKING:
    from rich.console import RenderableType

    from xbarc.ir import CrossbarStep, OperandStatistics, Program
    from xbarc.report import DigitalRow, LayerRow, ProgramComparison, Report, TileMap
    from xbarc.rows import TableData

_PROGRAM = typer.Argument(metavar="PROGRAM.xbar", help="what xbarc compile wrote")
_FOR_VIEWERS = {
    "onnx": ".notes.onnx",
    "parquet": ".parquet",
    "perfetto": ".trace.json",
    "model-explorer": ".nodes.json",
}
"""Formats that other programs show, and how names of their files end."""
_PICTURES = (".html", ".png", ".svg")
_PIPE_WIDTH = 10_000  # a row stays on its line


@takes(given=(ScheduleOptions,), unset={"duplicate": "as compiled"})
def report_command(
    programs: Annotated[
        list[Path],
        typer.Argument(
            metavar="PROGRAM.xbar...", help="what xbarc compile wrote; several are compared"
        ),
    ],
    format: Annotated[  # noqa: A002
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="text, json, html, csv or parquet (a row per layer); perfetto: a trace of the "
            "schedule; onnx: the model with figures at its nodes, for Netron; model-explorer or "
            "model-explorer:COLUMN: node data  [default: text]",
            show_default=False,
        ),
    ] = "text",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="[default: stdout]")
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="energy and area of one layer or digital fragment by component, with the source "
            "of every figure; as text or json",
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(metavar="MODEL.onnx", help="for onnx  [default: where it was when compiled]"),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DATA.npz", help="inputs to compute the energy of arrays from"),
    ] = None,
    *,
    given: dict[str, str],
) -> int:
    """Area, energy, latency, schedule and counts, with sources.

    In total and of every layer, with the component, count and cited figure behind every number.
    Several programs are put side by side.
    """
    _check_read(format, programs, model, data)
    if layer is not None:
        _check_layer(format, programs, data)
        return _report_layer(programs[0], layer, format, output, given)
    if len(programs) > 1:
        return _compare(programs, format, output, given)
    if format.partition(":")[0] in _FOR_VIEWERS:
        return _save(programs[0], format, output, model, given)
    render = _renderer(format)
    if output is not None:
        check_writable(output)
    emit(render(_report(programs[0], given, data)), output)
    return EXIT_DONE


def _check_read(name: str, programs: Sequence[Path], model: Path | None, data: Path | None) -> None:
    """Refuse files that nobody would read: their figures would be missed in silence.

    Raises:
        InputError: the format, or a comparison, takes no such file.
    """
    if model is not None and (name != "onnx" or len(programs) > 1):
        raise InputError("is for one program and --format onnx", where="--model")
    if data is None:
        return
    if len(programs) > 1:
        raise InputError("takes one program", where="--data", hint="report them one by one")
    if name.partition(":")[0] in _FOR_VIEWERS:
        hint = "--format json, html or csv have the energy of arrays"
        raise InputError(f"is not part of --format {name}", where="--data", hint=hint)


def _check_layer(name: str, programs: Sequence[Path], data: Path | None) -> None:
    """Refuse what a single layer is not shown with.

    Raises:
        InputError: several programs, data, or another format.
    """
    if len(programs) > 1:
        raise InputError("takes one program", where="--layer", hint="report them one by one")
    if data is not None:
        hint = "leave --layer out: the whole report has the energy from data of every layer"
        raise InputError("does not show energy from --data", where="--layer", hint=hint)
    if name not in ("text", "json"):
        hint = "text or json; --format html shows the parts of every layer below Layers"
        raise InputError(f"is not part of --format {name}", where="--layer", hint=hint)


def _report_layer(
    path: Path, layer: str, name: str, output: Path | None, given: dict[str, str]
) -> int:
    """Costs of one layer by component."""
    from xbarc.report import layer_costs, render_layer_costs_json, render_layer_costs_text

    if output is not None:
        check_writable(output)
    report = _report(path, given)
    rows: list[LayerRow | DigitalRow] = [*report.layers, *report.digital]
    if any(row.components is None for row in rows):
        report = _count(path, given, None)  # an earlier build kept this one, without such parts
    render = render_layer_costs_json if name == "json" else render_layer_costs_text
    emit(render(layer_costs(report, layer)), output)
    return EXIT_DONE


def _save(
    path: Path, name: str, output: Path | None, model: Path | None, given: dict[str, str]
) -> int:
    """A file for a viewer, which is no text to read on a terminal."""
    from xbarc.api import CompiledProgram
    from xbarc.ir import load_program

    if output is None:
        hint = f"for example -o {path.stem}{_FOR_VIEWERS[name.partition(':')[0]]}"
        raise InputError(f"'{name}' needs a file", where="-o", hint=hint)
    check_writable(output)
    program = load_program(path)
    source = find_source(program, path) if name == "onnx" and model is None else model
    asked: Any = given  # the options' own model reads them
    CompiledProgram(program).save_report(output, name, model=source, **asked)
    return EXIT_DONE


def _report(path: Path, given: dict[str, str], data: Path | None = None) -> Report:
    from xbarc.ir import read_kept_report
    from xbarc.report import Report
    from xbarc.version import VERSION

    kept = None if given or data is not None else read_kept_report(path, VERSION)
    return _count(path, given, data) if kept is None else Report.model_validate_json(kept)


def _count(path: Path, given: dict[str, str], data: Path | None) -> Report:
    from xbarc.cost import parse_policy, price_program
    from xbarc.ir import load_program
    from xbarc.mapping import full_load
    from xbarc.report import collect

    program = price_program(load_program(path), given.get("cost_law"))
    asked = given.get("duplicate")
    policy = None if asked is None else parse_policy(asked, program.target)
    seen = None if data is None else _operands(program, data)
    return collect(program, policy, seen, full_load(program.target))


def has_true_report(path: Path, program: Program) -> bool:
    """Whether the report that `xbarc report` prints for a loaded program is one of it."""
    from xbarc.ir import read_kept_report
    from xbarc.mapping import full_load
    from xbarc.report import collect, render_json
    from xbarc.version import VERSION

    kept = read_kept_report(path, VERSION)
    if kept is None:
        return True  # it is counted anew whenever it is asked for
    counted = render_json(collect(program, load=full_load(program.target)))
    return bool(counted.encode() == kept)


def _operands(program: Program, data: Path) -> dict[str, OperandStatistics]:
    """Run a program on data and watch its wordlines."""
    from xbarc.executor import calibration_batches
    from xbarc.instruments import operand_statistics
    from xbarc.ir import read_npz

    return operand_statistics(program, calibration_batches(program.inputs, read_npz(data)))


def _compare(programs: list[Path], name: str, output: Path | None, given: dict[str, str]) -> int:
    from xbarc.report import (
        compare,
        render_comparison_csv,
        render_comparison_html,
        render_comparison_json,
        render_comparison_text,
    )

    reports: list[Report] = []
    found: dict[str, Callable[[ProgramComparison], RenderableType]] = {
        "csv": render_comparison_csv,
        "html": lambda made: render_comparison_html(made, reports),
        "json": render_comparison_json,
        "text": render_comparison_text,
    }
    if name not in found:
        hint = f"one of {', '.join(found)}, or one program"
        raise InputError(f"no format '{name}' for several programs", where="--format", hint=hint)
    if output is not None:
        check_writable(output)
    reports += [_report(path, given) for path in programs]
    emit(found[name](compare(reports, [path.name for path in programs])), output)
    return EXIT_DONE


def _renderer(name: str) -> Callable[[Report], RenderableType]:
    from xbarc.report import render_csv, render_html, render_json, render_text

    found: dict[str, Callable[[Report], RenderableType]] = {
        "csv": render_csv,
        "html": render_html,
        "json": render_json,
        "text": render_text,
    }
    if name not in found:
        known = ", ".join((*found, *_FOR_VIEWERS))
        raise InputError(f"no format '{name}'", where="--format", hint=f"one of {known}")
    return found[name]


def inspect_command(
    program: Annotated[Path, _PROGRAM],
    layer: Annotated[
        str | None, typer.Option(metavar="NAME", help="one layer  [default: all, in brief]")
    ] = None,
    block: Annotated[
        str | None,
        typer.Option(
            metavar="[G,]I,J", help="row block I, column block J (of group G); needs --layer"
        ),
    ] = None,
    weight: Annotated[
        str | None,
        typer.Option(
            metavar="OUT,IN",
            help="one weight: its integer, and array, wordline, bitline, slice, sign and level of "
            "each cell; of a convolution also OUT,CHANNEL,ROW,COLUMN; needs --layer",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write a page with a tile map")
    ] = None,
    png: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write a tile map as a picture")
    ] = None,
    svg: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write a tile map as a drawing")
    ] = None,
) -> int:
    """Look into tiles: cells, maps, `A`, `R`, ADC settings.

    All layers, one layer's blocks, of one block every cell level and the input of each row, or the
    cells of one weight.
    """
    place = None if block is None else _block(block)
    files = {kind: path for kind, path in zip(_PICTURES, (html, png, svg), strict=True) if path}
    for path in files.values():
        check_writable(path)
    if weight is not None:
        return _inspect_weight(_find_step(program, layer), weight, place, [*files], json)
    if layer is None and place is None and not files:
        _inspect_program(program, json)
        return EXIT_DONE
    from xbarc.report import tile_map

    drawn = tile_map(_find_step(program, layer), place)
    for kind, path in files.items():
        write_bytes(path, drawn.encode(kind))
        tell(f"wrote {path}")
    # A picture stands in for the text, unless --json asks for both.
    if json:
        emit(drawn.json())
    elif not files:
        _inspect(drawn)
    return EXIT_DONE


def _find_step(path: Path, layer: str | None) -> CrossbarStep:
    from xbarc.ir import load_program
    from xbarc.report import find_layer

    program = load_program(path)
    if layer is None:
        names = ", ".join(step.name for step in program.crossbar_steps)
        hint = f"one of {names}" if names else "no layer of this program is on crossbars"
        raise InputError("name the layer", where="--layer", hint=hint)
    return find_layer(program, layer)


def _inspect_weight(
    step: CrossbarStep,
    weight: str,
    block: tuple[int, int, int] | None,
    files: Sequence[str],
    json: bool,
) -> int:
    from xbarc.report import inspect_weight, render_weight_json, render_weight_text

    if block is not None or files:
        hint = "leave --block, --html, --png and --svg out"
        raise InputError("shows one weight and no block", where="--weight", hint=hint)
    try:
        index = [int(part) for part in weight.split(",")]
    except ValueError as error:
        hint = "such as 12,7"
        raise InputError(f"'{weight}' is not OUT,IN", where="--weight", hint=hint) from error
    view = inspect_weight(step, index, where="--weight")
    emit(render_weight_json(view) if json else render_weight_text(view))
    return EXIT_DONE


def _inspect_program(path: Path, json: bool) -> None:
    from xbarc.report import layers_table, placement_table, render_json

    report = _report(path, {})
    if json:
        emit(render_json(report))
        return
    emit_tables(layers_table(report.layers), placement_table(report.layers))


def _inspect(drawn: TileMap) -> None:
    from xbarc.report import inspect_layer, render_block_text, render_layer_text

    if drawn.block is None:
        emit(render_layer_text(inspect_layer(drawn.step)))
        return
    width, terminal = shutil.get_terminal_size().columns, sys.stdout.isatty()
    emit(render_block_text(drawn.block, width=width, terminal=terminal))


def _block(text: str) -> tuple[int, int, int]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (2, 3):
        raise InputError(f"'{text}' is not I,J or G,I,J", where="--block", hint="such as 0,0")
    group, row, column = numbers if len(numbers) == 3 else (0, *numbers)
    return group, row, column


def print_command(
    program: Annotated[
        Path, typer.Argument(metavar="MODEL.onnx|PROGRAM.xbar", help="what to print")
    ],
) -> int:
    """Print a model as the compiler reads it, or a program."""
    from xbarc.ir import is_program, load_program, network_text, program_text

    if is_program(program):
        emit(program_text(load_program(program)))
        return EXIT_DONE
    from xbarc.frontend import read_network

    emit(network_text(read_network(program)))
    return EXIT_DONE


def emit(result: RenderableType, output: Path | None = None) -> None:
    """Text, or a rich renderable, to a file or to stdout."""
    if not isinstance(result, str):
        # A file gets what a pipe gets, so `-o FILE` and `> FILE` are the same bytes.
        result = to_text(result) if output is not None or not sys.stdout.isatty() else result
    if output is not None:
        write_text(output, str(result))
    elif isinstance(result, str):
        sys.stdout.write(result if result.endswith("\n") else result + "\n")
    else:
        from rich.console import Console

        Console().print(result)


def emit_tables(*tables: TableData) -> None:
    """Tables in the style of the report; those without rows are left out."""
    from xbarc.report import rich_table

    for table in tables:
        if table.rows:
            emit(rich_table(table))


def to_text(result: RenderableType) -> str:
    """What a pipe or a file gets: no colours, no wrapping to a terminal's width."""
    if isinstance(result, str):
        return result
    from rich.console import Console

    console = Console(file=io.StringIO(), width=_PIPE_WIDTH, color_system=None)
    console.print(result)
    text = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO above
    # rich pads cells to the width of their column; golden files and diffs need lines without a tail
    # of spaces.
    return "\n".join(line.rstrip() for line in str(text).splitlines()) + "\n"
