"""`xbarc targets list`, `show`, `cost`, `validate` and `new`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xbarc.cli.help import XbarcGroup
from xbarc.cli.options import TargetChanges, add_command, takes
from xbarc.errors import EXIT_DONE, visible

if TYPE_CHECKING:
    from xbarc.target import Target

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, cls=XbarcGroup)


def list_command(
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> int:
    """The targets that come with xbarc."""
    from json import dumps

    from xbarc.target import describe, load_target, target_names

    found = [load_target(name) for name in target_names()]
    if json:
        rows = [{"name": t.name, "kind": t.kind, "description": describe(t)} for t in found]
        print(dumps(rows, indent=1))
        return EXIT_DONE
    from xbarc.cli.reporting import emit_tables
    from xbarc.rows import TableData

    cells = tuple(
        (
            target.name,
            target.kind,
            f"{target.array.rows} x {target.array.columns}",
            f"{target.cell.bits}",
            describe(target),
        )
        for target in found
    )
    headings = ("target", "kind", "array>", "cell bits>", "description")
    emit_tables(TableData("Targets", headings, cells))
    return EXIT_DONE


@takes(changes=TargetChanges)
def show_command(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE.toml", help="which target")],
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    *,
    changes: TargetChanges,
) -> int:
    """Every field of a target, with unit and source of every figure."""
    from xbarc.cli.reporting import emit
    from xbarc.report import render_target_json, render_target_text
    from xbarc.target import load_target

    target = load_target(name, changes.settings)
    emit(render_target_json(target) if json else render_target_text(target))
    return EXIT_DONE


@takes(changes=TargetChanges)
def cost_command(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE.toml", help="which target")],
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    *,
    changes: TargetChanges,
) -> int:
    """Power, area and throughput of the chip itself, every array at work."""
    from xbarc.cli.reporting import emit
    from xbarc.mapping import full_load
    from xbarc.report import chip_report, render_chip_json, render_chip_text, source_rows
    from xbarc.target import load_target

    target = load_target(name, changes.settings)
    report = chip_report(target, source_rows(target), full_load(target))
    emit(render_chip_json(report) if json else render_chip_text(report))
    return EXIT_DONE


def validate_command(
    path: Annotated[Path, typer.Argument(metavar="FILE.toml", help="the file to check")],
) -> int:
    """Check a target file; every wrong field is named at once."""
    from xbarc.target import figures, load_target

    target = load_target(path)
    print(f"{path}: valid target '{target.name}', {len(figures(target))} figures with sources")
    if target.base:
        differs = f"{len(target.changed)} fields differ: {_list(target)}"
        print(visible(f"based on {target.base}, {differs}"))
    return EXIT_DONE


def _list(target: Target) -> str:
    return ", ".join(target.changed) or "none"


@takes(changes=TargetChanges)
def new_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="name of the new target")],
    base: Annotated[
        str,
        typer.Option("--from", metavar="NAME|FILE.toml", help="target that it differs from"),
    ] = "rram128",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE.toml", help="the file; NAME.toml by default"),
    ] = None,
    *,
    changes: TargetChanges,
) -> int:
    """Start a target file that holds only its differences from another target."""
    from xbarc.cli.files import write_new_text
    from xbarc.target import new_target

    path = out or Path(f"{name}.toml")
    write_new_text(path, new_target(name, base, path, changes.settings))
    print(visible(f"{path}: target '{name}', based on {base}"))
    return EXIT_DONE


add_command(app, "list", list_command)
add_command(app, "show", show_command)
add_command(app, "cost", cost_command)
add_command(app, "validate", validate_command)
add_command(app, "new", new_command)
