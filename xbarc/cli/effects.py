"""From options to effects, and from a Monte Carlo run to a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xbarc.circuit import Effects, load_device, names_of, program_faults
from xbarc.errors import InputError, say_count
from xbarc.ir import Program, read_npz
from xbarc.options import ChipEffects
from xbarc.rows import TableData

if TYPE_CHECKING:
    from xbarc.experiments import MonteCarlo, Spread


def read_effects(program: Program, asked: ChipEffects) -> Effects:
    """What the options ask for.

    Raises:
        InputError: an unknown effect, or a map of faults that is not one.
    """
    known = asked.fault_map
    if known is not None and "faults" not in asked.effects:
        raise InputError("needs --effects faults", where="--fault-map")
    # Refused and not ignored: a result would look like one with that effect.
    if asked.gated != 1.0 and "lines" not in asked.effects:
        raise InputError("needs --effects lines", where="--gated")
    converters = not asked.ideal_converters
    if not converters and not asked.effects:
        raise InputError("needs --effects", where="--ideal-converters")
    cells = None if known is None else program_faults(read_npz(known), program, str(known))
    device = None if asked.device is None else load_device(asked.device)
    return Effects(
        asked.effects,
        asked.seed,
        seconds=asked.time,
        fault_map=cells,
        active=asked.gated,
        converters=converters,
        device=device,
    )


def spread_table(result: MonteCarlo) -> TableData:
    """Mean, spread and worst over the chips."""
    kinds = ", ".join(names_of(result.effects.kinds))
    rows = tuple(
        (name, *_shares(spread))
        for name, spread in (("top-1", result.top1), ("agreement", result.agreement))
        if spread is not None
    )
    kinds += "" if result.effects.converters else ", converters ideal"
    chips = say_count(len(result.runs), "chip")
    title = f"{kinds}; seed {result.effects.seed}, {chips}; layers: first chip"
    return TableData(title, ("", "mean>", "spread>", "worst>"), rows)


def _shares(spread: Spread) -> tuple[str, str, str]:
    return (
        f"{100 * spread.mean:.2f} %",
        f"{100 * spread.deviation:.2f} %",
        f"{100 * spread.worst:.2f} %",
    )
