"""`xbarc compile` and `xbarc passes`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xbarc.cli.choices import with_copies, with_groups, with_levers
from xbarc.cli.effect_options import FAULT_MAP
from xbarc.errors import EXIT_DONE, InputError

if TYPE_CHECKING:
    from xbarc.compiler import CompileOptions
    from xbarc.mapping import SenseOptions
    from xbarc.target import Target


# Longer than our functions may be: typer makes the options from this signature, one each.
def compile_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="the trained network")],
    target: Annotated[
        str,
        typer.Option(metavar="NAME|FILE.toml", help="what to compile for; see xbarc targets list"),
    ] = "rram128",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="OUT.xbar", help="[default: MODEL.xbar in this folder]"
        ),
    ] = None,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA.npz",
            help="inputs that choose static activation ranges  [default: ranges at run time]",
        ),
    ] = None,
    ranges: Annotated[
        str, typer.Option(metavar="mse|percentile|minmax", help="how calibrated ranges are chosen")
    ] = "mse",
    weight_bits: Annotated[
        int | None,
        typer.Option(metavar="N", help="2 to 16, of float weights  [default: the target's]"),
    ] = None,
    activation_bits: Annotated[
        int | None,
        typer.Option(metavar="N", help="1 to 16, of float activations  [default: the target's]"),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="how signed weights sit on cells: differential, differential-analog, offset, "
            "offset-unflipped, bias-column, bias-column-analog, bias-column-mid, acm, acm-analog, "
            "segmented:4, segmented:4-analog (or any count), one-signed, unipolar, "
            "twos-complement, centre or centre-analog; auto for the cheapest of each layer  "
            "[default: the target's]",
        ),
    ] = None,
    encoding_budget: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="with --encoding auto: squared error of a layer's products over their variance "
            "that a cheaper encoding may cost",
        ),
    ] = 0.01,
    weight_slices: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="cells of one sign that hold a weight; fewer than it needs fit the nearest"
            "  [default: as many as it needs]",
        ),
    ] = None,
    feedback: Annotated[
        str,
        typer.Option(
            metavar="auto|on|off",
            help="with --calibrate, let later rows make good the rounding of earlier ones",
        ),
    ] = "auto",
    adc: Annotated[
        str,
        typer.Option(
            metavar="lossless|worst-case|calibrated[:BITS]|BITS",
            help="width of the converters: what the cells need, what any cells could need, range "
            "and step from calibration data, or at most BITS (saturating)",
        ),
    ] = "lossless",
    prune: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE[:balanced|free]",
            help="set this share of the weights to zero, as many in every column of an array or "
            "wherever they are small; with calibration data the others make it good",
        ),
    ] = None,
    adc_budget: Annotated[
        str | None,
        typer.Option(
            metavar="POINTS|NNdB",
            help="bits of every converter from calibration data, within this loss of top-1 (needs "
            "labels) or at this SQNR of the output",
        ),
    ] = None,
    equalise: Annotated[
        str | None,
        typer.Option(
            metavar="none|layer|channel",
            help="scale layers or channels so that few bits serve all of them  "
            "[default: channel with --uniform, else none]",
        ),
    ] = None,
    uniform: Annotated[
        bool | None,
        typer.Option(
            "--uniform/--own-ranges",
            help="one range of weights, inputs and converters for all layers; needs --calibrate  "
            "[default: the target's]",
        ),
    ] = None,
    placement: Annotated[
        str,
        typer.Option(
            metavar="none|heaviest|srs|drs|rows|optimal|faults",
            help="order of rows and columns in an array; all but none need --calibrate",
        ),
    ] = "none",
    levers: Annotated[
        str,
        typer.Option(
            metavar="none|all|NAMES",
            help="what makes converters narrow at the same results: of recode,centre,deal,group, "
            "which all are, and rows, which costs cycles",
        ),
    ] = "none",
    rows_latency: Annotated[
        float,
        typer.Option(
            metavar="FACTOR",
            help="lever rows: how much longer arrays may work when fewer rows are driven at a time",
        ),
    ] = 2.0,
    lever_law: Annotated[
        str,
        typer.Option(
            metavar="both|bits|levels|target|LEVELS",
            help="what the levers make small: bits, levels, both (or a bit counted as so many "
            "LEVELS), or the energy of the target's converter",
        ),
    ] = "both",
    column_order: Annotated[
        str,
        typer.Option(
            metavar="array|layer|REACH",
            help="lever group: an order for each array, one for all of a layer, or none further "
            "than REACH bitlines",
        ),
    ] = "array",
    input_facts: Annotated[
        str,
        typer.Option(
            metavar="all|structure|none",
            help="what inputs of layers provably are saves input bits and converter bits: all that "
            "follows, nothing that hangs on weights, or nothing",
        ),
    ] = "all",
    exact_weights: Annotated[
        bool,
        typer.Option(
            "--exact-weights",
            help="refuse a model whose declared integers are not all kept; otherwise the report "
            "notes each layer, why, and how large the error is",
        ),
    ] = False,
    correct: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="make up for wires and known faults: some of gain, outputs, predistort, feedback, "
            "partner; needs --calibrate",
        ),
    ] = "",
    fault_map: Annotated[Path | None, FAULT_MAP] = None,
    tile: Annotated[
        str, typer.Option(metavar="fill|even", help="fill arrays first, or cut evenly")
    ] = "fill",
    pack: Annotated[
        str, typer.Option(metavar="layer|network|none", help="which small blocks share arrays")
    ] = "layer",
    duplicate: Annotated[
        str,
        typer.Option(
            metavar="none|balance|throughput=N|budget=N",
            help="copies of weights that reports count with; see xbarc report",
        ),
    ] = "none",
    split: Annotated[
        str,
        typer.Option(
            metavar="strided|partition|consecutive|FILE.npz",
            help="binary layers: how inputs are dealt over groups that fit an array; a file holds "
            "a group number an input, by the layer's name",
        ),
    ] = "strided",
    extra_groups: Annotated[
        float,
        typer.Option(metavar="SHARE", help="binary layers: groups beyond the fewest that fit"),
    ] = 0.0,
    spare_columns: Annotated[
        bool,
        typer.Option(
            help="binary layers: compare as often as the array has columns for each output, up to 3"
        ),
    ] = False,
    refit: Annotated[
        bool,
        typer.Option(help="fit the classifier behind a split network to the unsplit one's scores"),
    ] = True,
    thresholds: Annotated[
        str,
        typer.Option(
            metavar="calibrated|mean|even",
            help="binary layers: thresholds of groups; without --calibrate always even",
        ),
    ] = "calibrated",
    sense_bits: Annotated[
        int, typer.Option(metavar="N", help="binary layers: 1, 2 or 3 bits a sense amplifier reads")
    ] = 1,
    sense_rows: Annotated[
        str,
        typer.Option(
            metavar="complementary|zero-one",
            help="binary layers: two wordlines an input, or one and two columns an output",
        ),
    ] = "complementary",
    sign_of_zero: Annotated[
        str,
        typer.Option(
            metavar="onnx|plus|minus", help="what Sign(0) means; in ONNX it is 0, neither sign"
        ),
    ] = "onnx",
    allow_ternary: Annotated[
        bool, typer.Option("--allow-ternary", help="binary layers may have weights of 0")
    ] = False,
    shape: Annotated[
        list[str] | None,
        typer.Option(
            metavar="INPUT=1,3,224,224",
            help="shape to count with, where the model leaves axes open; may be repeated",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="key.path=value", help="change a field of the target; may be repeated"
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print the report as JSON")] = False,
) -> int:
    """Compile a trained ONNX network into a crossbar program.

    Writes the folder OUT.xbar, whole or not at all, and prints a short report.
    """
    from xbarc.cli.fitting import check_asked, fitted
    from xbarc.cli.npz import read_npz
    from xbarc.cli.progress import progress_bar
    from xbarc.compiler import compile_model
    from xbarc.ir.folder import check_replaceable
    from xbarc.target import load_target

    place = output or Path(f"{model.stem}.xbar")
    check_replaceable(place)
    asked = (placement, correct, fault_map)
    check_asked(asked, has_data=calibrate is not None)
    chosen = load_target(target, settings or ())
    options = _options(
        chosen,
        (weight_bits, activation_bits),
        ranges,
        encoding,
        (adc, "none", tile, pack),
        (weight_slices, feedback, encoding_budget),
        shape,
        (levers, column_order, adc_budget, prune),
        _sense(split, (thresholds, sense_rows, sign_of_zero), sense_bits, allow_ternary),
    )
    options = with_copies(options, duplicate, chosen)
    options = with_groups(options, extra_groups, spare_columns, refit)
    options = replace(options, exact_weights=exact_weights)
    options = replace(options, equalise=equalise, uniform=uniform)  # type: ignore[arg-type]  # checked there
    options = with_levers(replace(options, input_facts=input_facts), lever_law, rows_latency)
    data = None if calibrate is None else read_npz(calibrate)
    with progress_bar("compile") as advance:
        program = compile_model(model, chosen, options=options, calibration=data, progress=advance)
        program, extra = fitted(program, data, asked, advance)
    from xbarc.api import CompiledProgram
    from xbarc.cli.reporting import emit
    from xbarc.report import render_json, render_text

    compiled = CompiledProgram(program, extra)
    compiled.save(place)
    report = compiled.report()
    emit(render_json(report) if json else render_text(report, full=False))
    print(f"wrote {place}", file=sys.stderr)
    return EXIT_DONE


def _options(
    target: Target,
    bits: tuple[int | None, int | None],
    ranges: str,
    encoding: str | None,
    mapping: tuple[str, str, str, str],
    fitting: tuple[int | None, str, float],
    shapes: list[str] | None,
    converters: tuple[str, str, str | None, str | None],
    sense: SenseOptions,
) -> CompileOptions:
    from typing import get_args

    from xbarc.calibration.budget import parse_budget
    from xbarc.compiler import CompileOptions
    from xbarc.mapping import MapOptions, column_rule, parse_levers
    from xbarc.passes import RangeMethod, parse_pruning

    if ranges not in get_args(RangeMethod):
        known = ", ".join(get_args(RangeMethod))
        raise InputError(f"'{ranges}' is not available", where="--ranges", hint=f"one of {known}")
    adc, placement, tile, pack = mapping
    chosen = MapOptions(
        encoding=encoding or target.precision.encoding,
        adc=adc,
        placement=placement,
        tile=tile,  # type: ignore[arg-type]  # checked by MapOptions, which names what exists
        pack=pack,  # type: ignore[arg-type]
        slices=fitting[0],
        feedback=fitting[1],
        encoding_budget=fitting[2],
        levers=parse_levers(converters[0]),
        columns=column_rule(converters[1]),
        sense=sense,
    )
    method: RangeMethod = ranges  # type: ignore[assignment]  # checked above
    budget = None if converters[2] is None else parse_budget(converters[2])
    pruning = None if converters[3] is None else parse_pruning(converters[3])
    shown = dict(map(_shape, shapes or ()))
    return CompileOptions(*bits, method, chosen, shown, budget, pruning=pruning)


def _sense(split: str, names: tuple[str, str, str], bits: int, allow_ternary: bool) -> SenseOptions:
    from xbarc.cli.npz import read_npz
    from xbarc.mapping import SenseOptions, read_groups

    groups = read_groups(read_npz(Path(split))) if split.endswith(".npz") else {}
    thresholds, rows, zero = names
    return SenseOptions(
        split="given" if groups else split,  # type: ignore[arg-type]  # checked by SenseOptions
        thresholds=thresholds,  # type: ignore[arg-type]
        bits=bits,
        rows=rows,  # type: ignore[arg-type]
        sign_of_zero=zero,  # type: ignore[arg-type]
        allow_ternary=allow_ternary,
        groups=groups,
    )


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, equals, numbers = text.rpartition("=")
    try:
        shape = tuple(int(part) for part in numbers.split(","))
    except ValueError:
        shape = ()
    if not equals or not name or not shape or min(shape) < 1:
        raise InputError(f"'{text}' is not INPUT=1,3,224,224", where="--shape")
    return name, shape


def passes_command() -> int:
    """Print the passes over the network, in their order."""
    from xbarc.compiler import PASSES

    for number, item in enumerate(PASSES, 1):
        print(f"{number}  {item.name:24} {(type(item).__doc__ or '').splitlines()[0]}")
    return EXIT_DONE
