"""`xbarc compare`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xbarc.cli.options import TargetChoice, takes
from xbarc.errors import EXIT_DONE, InputError
from xbarc.options import (
    Cells,
    Converters,
    Jobs,
    Method,
    Options,
    PrecisionOptions,
    ScheduleOptions,
    option,
)

if TYPE_CHECKING:
    from xbarc.encoding_comparison import Comparison, NoiseSettings

_SHARED = (
    # Options that mean the same for every encoding; one that only some of them know would make rows
    # unlike.
    *("weight_bits", "activation_bits", "weight_slices"),
    *("feedback", "encoding_budget", "adc", "cost_law", "jobs"),
)
_USUAL = "differential,segmented:4,acm,bias-column,unipolar"


class DeviatingChips(Options):
    """Chips whose cells deviate."""

    noise: str | None = option(
        None,
        "also on chips whose cells deviate: 0.05 is 5 % of a cell's conductance, 0.05:range 5 % of "
        "the range between the lowest and the highest level",
        metavar="SIGMA[:range]",
    )
    device: str | Method | None = option(
        None,
        "in place of --noise: a device model, by name or as package:Name",
        metavar="NAME|package:Name",
        imports=True,
    )
    seeds: int = option(3, "chips to draw", metavar="K", bounds=(1, 10_000))
    seed: int = option(0, "seed of the chips", bounds=(0, None))


class Compared(Options):
    """What is compared, and how it is printed."""

    encodings: str = option(
        _USUAL, "commas between; as for --encoding of xbarc compile", metavar="NAMES"
    )
    as_json: bool = option(False, "print JSON", flags=("--json",), unset=" ")


@takes(
    chip=TargetChoice,
    compared=Compared,
    shared=Jobs,
    chips=DeviatingChips,
    given=(PrecisionOptions, Cells, Converters, ScheduleOptions),
    only=_SHARED,
)
def compare_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="the trained network")],
    data: Annotated[
        Path, typer.Option(metavar="DATA.npz", help="arrays by input name, and labels if any")
    ],
    calibrate: Annotated[
        Path | None,
        typer.Option(metavar="DATA.npz", help="inputs for static ranges and error feedback"),
    ] = None,
    *,
    chip: TargetChoice,
    compared: Compared,
    chips: DeviatingChips,
    shared: Jobs,
    given: dict[str, Any],
) -> int:
    """Encodings side by side: cost, accuracy, deviating cells.

    Compiles, reports and checks the model with one encoding after another: a row each. With
    --noise the cells deviate from what was programmed, on K chips: blind; with gain and offset of
    each output fitted again after programming; and with every row read back before the next one is
    chosen. The last two need --calibrate.
    """
    from json import dumps

    from xbarc.cli.progress import progress_bar
    from xbarc.compiler import CompileOptions
    from xbarc.encoding_comparison import Sharing, compare
    from xbarc.ir import read_npz

    names = _names(compared)
    suffered = _noise(chips)
    options = CompileOptions(**given)
    with progress_bar("compare") as advance:
        found = compare(
            model,
            chip.load(),
            names,
            read_npz(data),
            options=options,
            calibration=None if calibrate is None else read_npz(calibrate),
            noise=suffered,
            work=Sharing(shared.jobs, advance),
        )
    if compared.as_json:
        print(dumps(found.as_json(), indent=1, allow_nan=False))
    else:
        _print(found)
    return EXIT_DONE


def _names(compared: Compared) -> list[str]:
    """Encodings that there are, checked before long work.

    Raises:
        InputError: none is named.
        MappingError: there is none of this name.
    """
    from xbarc.mapping import load_encoding
    from xbarc.options import AUTO

    names = [name.strip() for name in compared.encodings.split(",") if name.strip()]
    if not names:
        raise InputError("names no encoding", where="--encodings", hint=f"for example {_USUAL}")
    for name in names:
        if name != AUTO:
            load_encoding(name)
    return names


def _noise(chips: DeviatingChips) -> NoiseSettings | None:
    from xbarc.encoding_comparison import NoiseSettings

    if chips.device is not None:
        from xbarc.circuit import load_device

        if chips.noise is not None:
            text = "also says how cells deviate"
            raise InputError(text, where="--noise", hint="leave --noise or --device out")
        device = load_device(chips.device)
        return NoiseSettings(seeds=chips.seeds, seed=chips.seed, device=device)
    if chips.noise is None:
        return None
    number, colon, kind = chips.noise.partition(":")
    try:
        sigma = float(number)
    except ValueError:
        sigma = -1.0
    # isfinite first: float() reads "nan", which no comparison refuses.
    if not (math.isfinite(sigma) and 0 <= sigma <= 1) or (colon and kind != "range"):
        raise InputError(
            f"'{chips.noise}' is not SIGMA or SIGMA:range", where="--noise", hint="for example 0.05"
        )
    return NoiseSettings(sigma, bool(colon), chips.seeds, chips.seed)


def _print(found: Comparison) -> None:
    from xbarc.cli.reporting import emit_tables

    emit_tables(*found.tables())
