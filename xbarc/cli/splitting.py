"""`xbarc export` and `xbarc import`: programs out as ONNX, split binary networks back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xbarc.cli.messages import tell
from xbarc.errors import EXIT_DONE, InputError


def export_command(
    program: Annotated[Path, typer.Argument(metavar="OUT.xbar", help="a compiled network")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="NET.onnx")],
) -> int:
    """Write a program as ONNX that compiles to the same cells.

    Layers become integers with scales; where sense amplifiers read them, comparisons that any
    trainer can tune. The metadata carry the mapping.
    """
    from xbarc.api import load
    from xbarc.ir import check_writable

    check_writable(output)
    load(program).export(output)
    tell(f"wrote {output}")
    return EXIT_DONE


def import_command(
    program: Annotated[Path, typer.Argument(metavar="OUT.xbar", help="the program to change")],
    tuned: Annotated[Path, typer.Argument(metavar="SPLIT.onnx", help="from export, then tuned")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="NEW.xbar")],
) -> int:
    """Take thresholds and votes of a tuned split network."""
    from xbarc.api import CompiledProgram
    from xbarc.frontend import read_split
    from xbarc.ir import check_program, check_replaceable, load_program
    from xbarc.mapping import retune_program

    check_replaceable(output)
    try:
        found = read_split(tuned)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(tuned)) from error
    changed = retune_program(load_program(program), found)
    # A trainer may give any numbers: what came back is verified as a file from outside is.
    check_program(changed, str(tuned))
    CompiledProgram(changed).save(output)
    tell(f"wrote {output}")
    return EXIT_DONE
