"""Options of running a program: the engine, and what its chips suffer from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, get_args

from xbarc.options.base import Options, option, read_path, reads
from xbarc.options.values import Method, parse_names

Engine = Literal["fast", "reference"]
Effect = Literal["levels", "lines", "variation", "faults", "noise", "drift", "offset"]
# Seconds in a day, the default time since programming.
DAY_S = 86400.0


class Jobs(Options):
    """How many processes share the work; results do not depend on it."""

    table: ClassVar[str] = "execution"
    panel: ClassVar[str] = "Execution"

    jobs: int = option(
        1,
        "processes that share the work, and the cores; 0 takes one per core",
        metavar="N",
        brief="processes that share the work; 0: one per core",
        bounds=(0, 1024),
    )


class Execution(Jobs):
    """How a program is executed; results do not depend on it."""

    table: ClassVar[str] = "execution"

    # No third one that chooses: whoever doubts the fast engine runs the other and compares.
    engine: Engine = option("fast", "reference is the plain definition; both give the same bits")
    threads: int = option(0, "0 takes all cores", metavar="N", bounds=(0, None))
    budget: int = option(
        1 << 24,
        "input codes that a layer gathers at a time; bounds memory",
        metavar="N",
        bounds=(1, None),
    )


class ChipEffects(Options):
    """What a chip suffers from."""

    table: ClassVar[str] = "effects"
    panel: ClassVar[str] = "Deviating chips"

    effects: Annotated[frozenset[str], reads(parse_names)] = option(
        frozenset(),
        f"some of {', '.join(get_args(Effect))}; commas between",
        metavar="LIST",
        unset="none",
        brief="variation, faults, noise, drift, lines, ...",
    )
    device: str | Method | None = option(
        None,
        "with --effects variation: a plug-in that says how programmed cells deviate, in place of "
        "the target's figures; by name or as package:Name",
        metavar="NAME|package:Name",
        unset="the target's",
        imports=True,
    )
    seed: int = option(
        0, "seed of everything random", metavar="N", bounds=(0, None), brief="seed of the draws"
    )
    samples: int = option(
        1, "chips to draw", metavar="K", bounds=(1, 100_000), brief="chips to draw"
    )
    time: float = option(DAY_S, "time since programming, for drift", metavar="SECONDS")
    fault_map: Annotated[Path | None, reads(read_path)] = option(
        None,
        "stuck cells as arrays array, row, column and level, instead of the target's rates",
        metavar="FAULTS.npz",
    )
    gated: float = option(
        1.0,
        "with --effects lines: the share of rows that are driven, where the transistors of the "
        "others cut their cells off",
        metavar="SHARE",
    )
    ideal_converters: bool = option(
        False,
        "with --effects: converters neither round nor clamp, so that the cells alone are judged; "
        "one product a layer, which is much quicker",
    )
