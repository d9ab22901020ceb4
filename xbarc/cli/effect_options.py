"""Options that say what a chip suffers from, shared by several commands."""

from __future__ import annotations

import typer

DAY_S = 86400.0
EFFECTS = typer.Option(
    metavar="LIST",
    help="some of levels, lines, variation, faults, noise, drift, offset; commas between",
)
SEED = typer.Option(metavar="N", min=0, help="of everything random")
SAMPLES = typer.Option(metavar="K", min=1, max=100_000, help="chips to draw")
TIME = typer.Option(metavar="SECONDS", help="since programming, for drift")
FAULT_MAP = typer.Option(
    metavar="FAULTS.npz",
    help="stuck cells as array, row, column, level, instead of the target's rates",
)
GATED = typer.Option(
    metavar="SHARE",
    help="lines of 1T1R rows that are cut off while they read 0: the share of rows that read 1",
)
