"""A mapping that the model carries: whether it is what was asked for, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from xbarc.cost import parse_policy
from xbarc.errors import ModelError, ProgramError, XbarcError
from xbarc.frontend import CARRIED_SETTING, read_carried
from xbarc.ir import CARRIED_KEY, Program
from xbarc.options import (
    AUTO,
    BY_BUDGET,
    CompileOptions,
    about,
    fixed_of,
    flag_of,
    parse_shapes,
)
from xbarc.target import Target

Settings = Mapping[str, str]

# Settings under another name than the option that they tell of.
_KEYS = {"ranges": "activation_ranges", "conversion_cost": "adc_savings", "prune": "pruning"}
# Work on the mapping itself, which is done anew whatever was done before.
_ANEW = ("placement", "compensate", "fault_map", "fix_input", "split")
# What changes no cell.
_HARMLESS = ("carried_mapping", "exact_weights")
# How programs are counted: the same mapping with another number in its report. A law of costs is
# one of these unless the mapping was chosen by what it costs.
_COUNTED = ("duplicate", "cost_law")


def choose_carried(
    path: Path, target: Target, given: CompileOptions, asked: Sequence[Settings]
) -> tuple[Program | None, str]:
    """The program whose mapping a model carries, where it is taken.

    Args:
        path: a model that was read without an error.
        target: what is compiled for.
        given: the options as the user gave them.
        asked: what the settings of a program mapped anew would say of them; one each for what may
            be meant.

    Returns:
        The program, or None where layers are mapped anew, and why; empty where none is carried.

    Raises:
        ModelError: it is required, and cannot be taken.
    """
    try:
        program = read_carried(path, target)
        if program is not None:
            _check_settings(program)
        reason = "the model carries none" if program is None else _refusal(program, given, asked)
    except ProgramError as error:
        program, reason = None, f"it {error.message}"
        carries = True
    else:
        carries = program is not None
    if given.carried_mapping == "require" and reason:
        raise ModelError(
            f"its mapping cannot be taken: {reason}",
            where=str(path),
            hint="--carried-mapping use maps the layers anew",
        )
    if not carries:
        return None, ""
    return (None, reason) if reason else (program, "")


def said_of_carried(program: Program | None, reason: str) -> dict[str, str]:
    """What the settings say of it; nothing where the model carries none."""
    if program is not None:
        return {CARRIED_SETTING: "taken"}
    return {CARRIED_SETTING: f"not taken: {reason}"} if reason else {}


def count_as_asked(carried: Settings, given: CompileOptions, asked: Settings) -> dict[str, str]:
    """Settings of a carried program, with how it is counted as the user asks for it now."""
    wanted = [name for name in _COUNTED if name in given.model_fields_set]
    kept = {name: text for name, text in carried.items() if name not in wanted}
    return kept | {name: asked[name] for name in wanted if name in asked}


def _is_chosen_by_cost(held: Settings) -> bool:
    """Whether figures of cost decided on cells, places or converters."""
    savings, _, law = held.get("adc_savings", "none").partition("; conversion cost ")
    by_savings = "rows" in savings.split(", ") or law.partition(";")[0] == "target"
    by_bits = held.get("adc", "").startswith(BY_BUDGET)
    return by_savings or by_bits or held.get("encoding", "").startswith(AUTO)


def _check_settings(program: Program) -> None:
    """Refuse settings that reports and checks could not read as the options that they stand for."""
    held = dict(program.settings)
    try:
        fixed_of(held)
        parse_shapes(part for part in held.get("shapes", "").split("; ") if part)
        parse_policy(held.get("duplicate", "none"), program.target)
    except XbarcError as error:
        raise ProgramError(f"holds a setting that is none: {error}", where=CARRIED_KEY) from error


def _refusal(program: Program, given: CompileOptions, asked: Sequence[Settings]) -> str:
    """Which option asks for another mapping; empty where none does."""
    fields, held = CompileOptions.model_fields, dict(program.settings)
    free = {*_HARMLESS, *_COUNTED} - ({"cost_law"} if _is_chosen_by_cost(held) else set())
    for name in sorted(given.model_fields_set):
        if name in free:
            continue
        key = _KEYS.get(name, about(fields[name]).setting or name)
        carried = held.get(key, "").partition("; built: ")[0]
        # A default that is typed out is a wish too: `--adc lossless` on a program of few bits.
        anew = name in _ANEW and getattr(given, name) != fields[name].default
        if anew or all(carried != settings.get(key, "") for settings in asked):
            return f"{flag_of(name, fields[name])} asks for another one"
    return ""
