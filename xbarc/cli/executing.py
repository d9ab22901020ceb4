"""`xbarc run`, `xbarc check` and `xbarc verify`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from xbarc.errors import EXIT_BUG, EXIT_NO, InputError, ProgramError

if TYPE_CHECKING:
    from xbarc.evaluate import Evaluation
    from xbarc.ir.program import Program
    from xbarc.ir.trace import Trace

Engine = Literal["fast", "reference"]
_PROGRAM = typer.Argument(metavar="PROGRAM.xbar", help="what xbarc compile wrote")


def run_command(
    program: Annotated[Path, _PROGRAM],
    inputs: Annotated[Path, typer.Option(metavar="IN.npz", help="an array a model input")],
    outputs: Annotated[Path, typer.Option(metavar="OUT.npz", help="where results go")],
    engine: Annotated[str, typer.Option(metavar="fast|reference")] = "fast",
    trace: Annotated[
        Path | None,
        typer.Option(metavar="TRACE.npz", help="every ADC code, and counts, of every layer"),
    ] = None,
) -> int:
    """Run a program on inputs; the codes of every converter on request."""
    import numpy as np

    from xbarc.cli.files import read_npz, write_npz
    from xbarc.compiler import split_batches
    from xbarc.executor.run import Executor
    from xbarc.ir.files import load_program
    from xbarc.ir.trace import Trace

    loaded = load_program(program)
    executor = Executor(loaded, _engine(engine))
    observer = Trace(keep_codes=True) if trace is not None else None
    batches = split_batches(loaded.inputs, read_npz(inputs), most=sys.maxsize)
    results = [executor.run(batch, trace=observer) for batch in batches]
    names = [value.name for value in loaded.outputs]
    if len(results) == 1:
        joined: dict[str, Any] = dict(zip(names, results[0], strict=True))
    else:
        joined = {
            n: np.concatenate(parts)
            for n, parts in zip(names, zip(*results, strict=True), strict=True)
        }
    write_npz(outputs, joined)
    if trace is not None and observer is not None:
        write_npz(trace, _trace_arrays(observer))
    return 0


def _engine(name: str) -> Engine:
    if name == "fast":
        return "fast"
    if name == "reference":
        return "reference"
    raise InputError(f"no engine '{name}'", where="--engine", hint="fast or reference")


def _trace_arrays(trace: Trace) -> dict[str, Any]:
    """LAYER/codes with axes vector, group, segment, input slice, conversion; and counts."""
    import numpy as np

    arrays: dict[str, Any] = {}
    for name, layer in trace.layers.items():
        key = name.strip("/").replace("/", ".")
        if layer.codes:
            codes = np.concatenate(layer.codes)
            wide = np.uint16 if codes.max(initial=0) < 1 << 16 else np.int64
            arrays[f"{key}/codes"] = codes.astype(wide)
        arrays[f"{key}/saturated"] = np.array(layer.saturated)
        arrays[f"{key}/conversions"] = np.array(layer.conversions)
    return arrays


def check_command(
    program: Annotated[Path, _PROGRAM],
    data: Annotated[Path, typer.Option(metavar="DATA.npz", help="inputs, and labels if any")],
    model: Annotated[
        Path | None,
        typer.Option(metavar="MODEL.onnx", help="default: where it was when compiled"),
    ] = None,
    engine: Annotated[str, typer.Option(metavar="fast|reference")] = "fast",
    min_agreement: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="exit with 1 when top-1 agreement is below"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> int:
    """Compare the program with the float model: top-1 of both, agreement, SQNR, saturation."""
    from json import dumps

    from xbarc.cli.files import read_npz
    from xbarc.cli.progress import progress_bar
    from xbarc.evaluate import evaluate
    from xbarc.ir.files import load_program

    loaded = load_program(program)
    source = model or _source_model(loaded, program)
    arrays = read_npz(data)
    with progress_bar("check") as advance:
        result = evaluate(
            loaded,
            arrays,
            source,
            engine=_engine(engine),
            progress=lambda done, total: advance("samples", done, total),
        )
    if json:
        print(dumps(result.as_json(), indent=1))
    else:
        _print_evaluation(result)
    below = min_agreement is not None and (result.agreement or 0.0) < min_agreement
    return EXIT_NO if below else 0


def _source_model(program: Program, place: Path) -> Path:
    """The model as it was given to compile, or a file of its name beside the program or here."""
    given = Path(program.source.path)
    for path in (given, place.resolve().parent / given.name, Path(given.name)):
        if path.is_file():
            return path
    raise ProgramError(
        f"the model '{given}' is not where it was when compiled",
        where=str(place),
        hint="pass --model MODEL.onnx",
    )


def _print_evaluation(result: Evaluation) -> None:
    from rich.table import Table

    from xbarc.cli.reporting import emit

    table = Table(title=f"{result.samples} samples, float model against crossbar program")
    for heading in ("", "float", "crossbar"):
        table.add_column(heading, justify="left" if not heading else "right")
    table.add_row("top-1", _percent(result.top1_float), _percent(result.top1_crossbar))
    table.add_row("agreement", "", _percent(result.agreement))
    table.add_row("output SQNR", "", _decibel(result.output_sqnr_db, result.identical))
    emit(table)
    layers = Table(title="layers, errors of earlier layers included")
    for heading in ("layer", "SQNR", "conversions", "saturated"):
        layers.add_column(heading, justify="left" if heading == "layer" else "right")
    for layer in result.layers:
        sqnr = _decibel(layer.sqnr_db, layer.identical)
        layers.add_row(layer.name, sqnr, f"{layer.conversions:,}", f"{layer.saturated:,}")
    emit(layers)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


def _decibel(value: float | None, identical: bool) -> str:
    if identical:
        return "identical"
    return "-" if value is None else f"{value:.1f} dB"


def verify_command(
    program: Annotated[Path, _PROGRAM],
    seed: Annotated[int, typer.Option(metavar="N", help="of the random inputs")] = 0,
) -> int:
    """Check every rule of a program, and that both engines agree on random inputs."""
    from xbarc.evaluate import self_check
    from xbarc.ir.files import load_program
    from xbarc.ir.verify import PROGRAM_RULES, STEP_RULES

    loaded = load_program(program)
    wrong = list(self_check(loaded, seed))
    for rule, text in wrong:
        print(f"broken  {rule}: {text}")
    if wrong:
        return EXIT_BUG
    layers, rules = len(loaded.crossbar_steps), len(STEP_RULES) + len(PROGRAM_RULES)
    print(
        f"verified: {rules} rules hold; fast == reference on {layers} crossbar layers, seed {seed}"
    )
    return 0
