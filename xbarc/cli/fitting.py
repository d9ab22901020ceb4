"""Placement and corrections as options of `xbarc compile`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from json import dumps
from pathlib import Path

from xbarc.chips.placing import FitOptions, fit_program
from xbarc.circuit import Effects, parse_effects
from xbarc.cli.effects import read_map
from xbarc.errors import InputError
from xbarc.ir.program import Program
from xbarc.numerics.types import AnyArray

FILE = "placement.json"


def is_asked(asked: tuple[str, str, Path | None]) -> bool:
    """Whether there is anything to do."""
    return asked[0] != "none" or bool(parse_effects(asked[1]))


def check_asked(asked: tuple[str, str, Path | None], *, has_data: bool) -> None:
    """Refuse what cannot be done before anything is compiled.

    Args:
        asked: `--placement`, `--correct` and `--fault-map`.
        has_data: whether there is calibration data.

    Raises:
        InputError: unknown names, no calibration data, or a map of faults that nothing uses.
    """
    placement, correct, known = asked
    corrections = parse_effects(correct)
    if placement == "faults" and known is None:
        raise InputError("needs --fault-map", where="--placement faults")
    FitOptions("none" if placement == "faults" else placement, corrections)
    if "partner" in corrections and known is None:
        raise InputError("needs --fault-map", where="--correct partner")
    if known is not None and not is_asked(asked):
        hint = "--placement faults, --correct partner or both"
        raise InputError("nothing was asked that uses it", where="--fault-map", hint=hint)
    if is_asked(asked) and not has_data:
        option = "--correct" if placement == "none" else f"--placement {placement}"
        raise InputError(
            "needs data", where=option, hint="--calibrate DATA.npz; labels in it are used"
        )


def fitted(
    program: Program,
    data: Mapping[str, AnyArray] | None,
    asked: tuple[str, str, Path | None],
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[Program, dict[str, bytes]]:
    """The program as placement and corrections leave it, and the file that says what they did.

    Args:
        program: as it was compiled.
        data: calibration data, with labels if any.
        asked: `--placement`, `--correct` and `--fault-map`.
        progress: as for `fit_program`.

    Raises:
        InputError: a map of faults of another chip.
    """
    placement, correct, known = asked
    if data is None or not is_asked(asked):
        return program, {}
    kinds = {"lines"} if known is None else {"lines", "faults"}
    cells = None if known is None else read_map(known, program)
    effects = Effects(frozenset(kinds), fault_map=cells)
    options = FitOptions(placement, parse_effects(correct), effects)
    result = fit_program(program, data, options, progress)
    text = dumps(result.as_json(), indent=1, allow_nan=False) + "\n"
    return result.program, {FILE: text.encode()}
