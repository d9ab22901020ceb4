"""Placement and corrections as options of `xbarc compile`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from json import dumps
from pathlib import Path

from xbarc.circuit import Effects, parse_effects
from xbarc.circuit.faults import fault_map
from xbarc.cli.npz import read_npz
from xbarc.errors import InputError
from xbarc.ir.program import Program
from xbarc.numerics.types import AnyArray
from xbarc.placing import FitOptions, fit_program

FILE = "placement.json"


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
        InputError: unknown names, or no calibration data.
    """
    placement, correct, known = asked
    corrections = parse_effects(correct)
    if placement == "none" and not corrections:
        return program, {}
    kinds = {"lines"} if known is None else {"lines", "faults"}
    cells = None if known is None else fault_map(read_npz(known), program.target)
    options = FitOptions(placement, corrections, Effects(frozenset(kinds), fault_map=cells))
    if data is None:
        option = "--correct" if placement == "none" else f"--placement {placement}"
        raise InputError(
            "needs data", where=option, hint="--calibrate DATA.npz; labels in it are used"
        )
    result = fit_program(program, data, options, progress)
    text = dumps(result.as_json(), indent=1, allow_nan=False) + "\n"
    return result.program, {FILE: text.encode()}
