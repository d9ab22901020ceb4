"""`xbarc run`, `xbarc check` and `xbarc verify`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xbarc.cli.files import find_source
from xbarc.cli.messages import tell
from xbarc.cli.options import takes
from xbarc.errors import EXIT_BUG, EXIT_DONE, EXIT_NO, InputError, ProgramError, say_count, visible
from xbarc.options import ChipEffects, Execution

if TYPE_CHECKING:
    from xbarc.evaluate import Evaluation
    from xbarc.ir import Program, Trace, Value

_ENGINES = ("fast == reference", "lossless == product")  # whatever the file holds, a bug of ours
_EXPLAINED_DB = 35.0
"""An output below this is told what rounds it: trained nets with 8 bits lie at 30 to 50 dB."""
_TRACE = typer.Option(
    metavar="TRACE.npz",
    help="write LAYER/inputs (codes of the wordlines; axes: vector, group, input), LAYER/codes "
    "(axes: vector, group, segment, input slice, conversion), LAYER/conversions and "
    "LAYER/saturated; a / in a layer's name becomes a dot",
)
_BATCH = typer.Option(
    metavar="N",
    min=0,
    help="samples at a time, which bounds memory; 0 runs all at once  [default: 64, or all where "
    "samples depend on each other]",
)
_BATCHED = 64  # as check and calibration take samples
_PROGRAM = typer.Argument(metavar="PROGRAM.xbar", help="what xbarc compile wrote")


@takes(execution=Execution, suffered=ChipEffects)
def run_command(
    program: Annotated[Path, _PROGRAM],
    inputs: Annotated[
        Path, typer.Option(metavar="IN.npz", help="one array per model input, by its name")
    ],
    outputs: Annotated[
        Path, typer.Option(metavar="OUT.npz", help="file for the outputs, one array each")
    ],
    trace: Annotated[Path | None, _TRACE] = None,
    batch: Annotated[int | None, _BATCH] = None,
    *,
    execution: Execution,
    suffered: ChipEffects,
) -> int:
    """Run a program on inputs; every ADC code on request.

    With effects and more than one sample, outputs have the chip as their first axis.

    A model with a fixed batch runs as often as the samples in IN.npz need. `labels` in IN.npz are
    left out where the model has no such input. OUT may end in .npy where the model has one output.
    """
    from xbarc.cli.npz import write_outputs
    from xbarc.cli.progress import progress_bar
    from xbarc.cli.spool import spools
    from xbarc.experiments import Chips, run_chips
    from xbarc.ir import Trace, check_writable, load_program

    for path in (outputs, *([] if trace is None else [trace])):
        check_writable(path)
    loaded = load_program(program)
    chips = Chips()
    if suffered != ChipEffects():
        from xbarc.cli.effects import read_effects

        effects = read_effects(loaded, suffered)
        chips = Chips(effects, suffered.samples if effects.is_random else 1)
    # Codes of all conversions are large, and most runs want none.
    observer = None if trace is None else Trace(keep_codes=True)
    names = [value.name for value in loaded.outputs]
    feeds = _feeds(loaded, inputs)
    most = _samples_at_a_time(loaded, feeds, execution, batch)
    with progress_bar("run") as advance, spools(names, outputs) as parts:
        found = run_chips(loaded, feeds, chips, execution, most, observer)
        for number, values in enumerate(found):
            for name, value in zip(names, values, strict=True):
                parts[name].add(value)
            advance("batches", number + 1, 0)
        joined = {name: parts[name].joined(chips.samples) for name in names}
        write_outputs(outputs, joined)
    if trace is not None and observer is not None:
        from xbarc.cli.npz import write_npz

        write_npz(trace, _trace_arrays(observer))
    return EXIT_DONE


def _samples_at_a_time(
    program: Program, feeds: dict[str, Any], how: Execution, asked: int | None
) -> int:
    """All at once where an output may depend on how samples are cut, unless the user says how."""
    from xbarc.executor import split_batches
    from xbarc.experiments import samples_meet

    if asked == 0 or any(not _counts_samples(program, value) for value in program.outputs):
        return sys.maxsize
    if asked is not None or len(split_batches(program.inputs, feeds, _BATCHED)) == 1:
        return asked or _BATCHED
    if not samples_meet(program, feeds, how):
        return _BATCHED
    text = "a sample alone gives other bits than among others, so all run at once"
    tell(f"note: {text}; --batch {_BATCHED} takes less memory")
    return sys.maxsize


def _counts_samples(program: Program, output: Value) -> bool:
    """Whether the model names the first axis of an output as that of an input.

    Where it does not, all samples run at once: an output may sum over them.
    """
    axes = {value.shape[0] for value in program.inputs if value.shape}
    first = output.shape[0] if output.shape else None
    return isinstance(first, str) and first in axes


def _feeds(program: Program, path: Path) -> dict[str, Any]:
    """Arrays of a file; labels, which `check` reads, are no input unless the model says so."""
    from xbarc.executor import check_data
    from xbarc.ir import read_npz, split_labels

    feeds = split_labels(program.inputs, read_npz(path))[0]
    check_data(program.inputs, feeds, str(path))
    return feeds


def _trace_arrays(trace: Trace) -> dict[str, Any]:
    """Inputs and codes of each layer with the axes of `LayerTrace`; and counts."""
    import numpy as np

    arrays: dict[str, Any] = {}
    for name, layer in trace.layers.items():
        key = name.strip("/").replace("/", ".")
        if f"{key}/conversions" in arrays:  # "/a/b" and "a.b" in one model
            key = f"{key}.{len(arrays)}"
        if layer.codes:
            inputs, codes = np.concatenate(layer.inputs), np.concatenate(layer.codes)
            narrow = np.uint8 if inputs.max(initial=0) < 1 << 8 else np.uint16
            arrays[f"{key}/inputs"] = inputs.astype(narrow)
            # Converters have 16 bits at most, so that this is a quarter of the file; lossless codes
            # of wide sums may have more.
            wide = np.uint16 if codes.max(initial=0) < 1 << 16 else np.int64
            arrays[f"{key}/codes"] = codes.astype(wide)
        arrays[f"{key}/saturated"] = np.array(layer.saturated)
        arrays[f"{key}/conversions"] = np.array(layer.conversions)
    return arrays


@takes(execution=Execution, suffered=ChipEffects)
def check_command(
    program: Annotated[Path, _PROGRAM],
    data: Annotated[
        Path, typer.Option(metavar="DATA.npz", help="arrays by input name, and labels if any")
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL.onnx", help="the float model  [default: where it was when compiled]"
        ),
    ] = None,
    min_agreement: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="0 to 1; exit with 1 when top-1 agreement is below"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    *,
    execution: Execution,
    suffered: ChipEffects,
) -> int:
    """Compare a program with its float model, on data.

    Prints top-1 of both where there are labels, their agreement, and of every layer the signal to
    quantisation noise and the saturated conversions.
    """
    from json import dumps

    from xbarc.cli.effects import read_effects, spread_table
    from xbarc.cli.progress import progress_bar
    from xbarc.cli.reporting import emit_tables
    from xbarc.experiments import monte_carlo
    from xbarc.ir import load_program, read_npz

    if min_agreement is not None and not 0 <= min_agreement <= 1:
        raise InputError(
            f"{min_agreement} is not a share, expected 0 to 1", where="--min-agreement"
        )
    loaded = load_program(program)
    source = model or find_source(loaded, program)
    arrays = read_npz(data)
    effects = read_effects(loaded, suffered)
    with progress_bar("check") as advance:
        spread = monte_carlo(
            loaded,
            arrays,
            source,
            effects,
            suffered.samples,
            execution,
            progress=lambda done, total: advance("samples", done, total),
        )
    if json:
        print(dumps(spread.as_json(), indent=1, allow_nan=False))
    else:
        _print_evaluation(spread.runs[0])
        if effects.kinds:
            emit_tables(spread_table(spread))
    _print_notes(loaded, spread.runs[0].output_sqnr_db, with_lines="lines" in effects)
    return _answer(spread.least_agreement, min_agreement)


def _print_notes(program: Program, level_db: float | None, *, with_lines: bool) -> None:
    """Why a program is far from its float model, where that can be said."""
    from xbarc.report import of_converters, of_rounding

    told = of_rounding(program) if level_db is not None and level_db < _EXPLAINED_DB else ()
    for note in (*told, *(of_converters(program) if with_lines else ())):
        tell(f"note: {note}")


def _answer(agreement: float | None, least: float | None) -> int:
    if least is None or (agreement is not None and agreement >= least):
        return EXIT_DONE
    found = "there are no scores to agree on" if agreement is None else f"agreement {agreement:.4f}"
    print(f"xbarc: {found}, expected at least {least:g}", file=sys.stderr)
    return EXIT_NO


def _print_evaluation(result: Evaluation) -> None:
    from xbarc.cli.reporting import emit_tables
    from xbarc.evaluate import LayerResult, why_no_top1
    from xbarc.rows import TableData, accuracy, decibels, table_of

    why = why_no_top1(result.top1_crossbar, result.agreement)
    whole = TableData(
        f"{say_count(result.samples, 'sample')}{why}",
        ("", "float model>", "crossbar program>"),
        (
            ("top-1", accuracy(result.top1_float), accuracy(result.top1_crossbar)),
            ("agreement", "", accuracy(result.agreement)),
            ("output SQNR", "", decibels(result.output_sqnr_db, result.identical)),
        ),
    )
    bits = any(layer.agreement is not None for layer in result.layers)
    names = "name sqnr_db conversions saturated" + " agreement" * bits
    layers = table_of(LayerResult, result.layers, names)
    emit_tables(whole, layers)


def verify_command(
    program: Annotated[Path, _PROGRAM],
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="of the random inputs")] = 0,
) -> int:
    """Check a program: its rules, and fast == reference.

    Checksums and every rule of the format hold, layers meet nothing beyond what the program claims
    when it runs on random and extreme inputs, both engines agree there, a lossless layer equals the
    plain integer product, and report.json is what the program is counted as.
    """
    from xbarc.cli.progress import progress_bar
    from xbarc.cli.reporting import has_true_report
    from xbarc.evaluate import self_check
    from xbarc.instruments import probe_layers
    from xbarc.ir import PROGRAM_RULES, STEP_RULES, load_program, loops

    loaded = load_program(program)
    with progress_bar("verify") as advance:
        met = probe_layers(loaded, seed)
        wrong = list(self_check(loaded, seed, advance, met))
    if not wrong and not has_true_report(program, loaded):
        wrong = [("report counted", "report.json is not what this program is counted as")]
    for rule, text in wrong:
        print(visible(f"broken  {rule}: {text}"))
    # No file, however damaged, should make two engines differ: that is a bug of ours, and scripts
    # can tell by the code.
    if any(rule in _ENGINES for rule, _ in wrong):
        return EXIT_BUG
    if wrong:
        raise ProgramError(
            "claims what is not so: see the lines above", where=str(program), hint="compile again"
        )
    for fragment, node in loops(loaded):
        print(visible(f"note    {fragment}: {node} repeats as often as its inputs say"))
    for layer in (name for name, found in met.items() if found.low is None):
        text = "no input that was tried reaches it; codes within its claims"
        print(visible(f"note    {layer}: {text}"))
    layers, rules = len(loaded.crossbar_steps), len(STEP_RULES) + len(PROGRAM_RULES)
    print(
        f"verified: {rules} rules hold; fast == reference on {layers} crossbar layers, seed {seed}"
    )
    return EXIT_DONE
