"""Encodings side by side: the same network, target and data, a row per encoding.

Nothing is measured here that the single commands do not give: a row holds what `compile`, `report`
and `check` say of that encoding, and with device noise what `check` says of the same chips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from xbarc.circuit import Chip
from xbarc.compiler import compile_model, prepared_network
from xbarc.cost import load_law, price_program
from xbarc.encoding_comparison.comparison import (
    VARIANTS,
    Comparison,
    EncodingRow,
    NoiseRow,
    NoiseSettings,
    Variant,
)
from xbarc.errors import MappingError
from xbarc.evaluate import Evaluation, evaluate
from xbarc.executor import Executor, Values, calibration_batches
from xbarc.experiments import Spread, Work, can_read_back, program_chip, share_work
from xbarc.ir import CrossbarStep, MatrixLayer, Network, Program, effective_weights
from xbarc.mapping import load_encoding, real_steps
from xbarc.numerics import AnyArray
from xbarc.options import AUTO, CompileOptions, Execution, Method
from xbarc.pipeline import Progress
from xbarc.report import collect
from xbarc.target import Target


@dataclass(frozen=True, eq=False)
class _Bench:
    """What all encodings have in common."""

    model: Path
    target: Target
    options: CompileOptions
    data: Mapping[str, AnyArray]
    calibration: Mapping[str, AnyArray] | None
    network: Network
    noise: NoiseSettings | None


@dataclass(frozen=True)
class Sharing:
    """How work is shared, and who hears of it.

    Attributes:
        jobs: processes; 0 takes one a core.
        progress: called with what is done, its number and how many there are.
    """

    jobs: int = 1
    progress: Progress | None = None


def compare(
    model: str | Path,
    target: Target,
    encodings: Sequence[str | Method],
    data: Mapping[str, AnyArray],
    *,
    options: CompileOptions | None = None,
    calibration: Mapping[str, AnyArray] | None = None,
    noise: NoiseSettings | None = None,
    work: Sharing | None = None,
) -> Comparison:
    """Compile, report and check a model with one encoding after another.

    Args:
        model: the ONNX file.
        target: for all of them.
        encodings: names, or objects of your own; each becomes a row.
        data: arrays by input name, and `labels` where there are labels.
        options: as for `compile_model`; the encoding in it does not count.
        calibration: as for `compile_model`. Without it chips are only programmed blind.
        noise: also run chips whose cells deviate.
        work: processes that share the encodings, and who is told of each that is done.

    Raises:
        MappingError: no encoding fits; the message is that of the first.
        XbarcError: the model, the target or the data is at fault.
    """
    path, chosen, how = Path(model), options or CompileOptions(), work or Sharing()
    if chosen.cost_law is not None:
        chosen = chosen.changed(cost_law=load_law(chosen.cost_law))
    rows: list[EncodingRow] = []
    problems: list[MappingError] = []
    samples = 0
    loaded = [given if given == AUTO else load_encoding(given) for given in encodings]
    sets = {"data": data} if calibration is None else {"data": data, "calibration": calibration}
    try:
        with share_work(None, None, Execution(jobs=how.jobs), **sets) as (share, shared):
            setup = _Setup(shared, path, target, chosen, calibration is not None, noise)
            for number, found in enumerate(share(partial(_try_row, setup), loaded)):
                row, count, problem = found
                samples = count or samples
                problems += [] if problem is None else [problem]
                rows.append(row)
                if how.progress is not None:
                    how.progress(row.encoding, number, len(loaded))
    finally:
        _make_bench.cache_clear()
    if len(problems) == len(rows) and problems:
        raise problems[0]
    law = target.cell.variation.law
    return Comparison(str(path), target.name, samples, noise, law, tuple(rows))


@dataclass(frozen=True)
class _Setup:
    """What makes a bench, in whichever process; equal where its data lies in the same place."""

    work: Work
    model: Path
    target: Target = field(compare=False)
    options: CompileOptions = field(compare=False)
    is_calibrated: bool
    noise: NoiseSettings | None = field(compare=False)


@lru_cache(maxsize=1)
def _make_bench(setup: _Setup) -> _Bench:
    calibration = setup.work.data("calibration") if setup.is_calibrated else None
    network = prepared_network(setup.model, setup.target, setup.options, calibration)
    return _Bench(
        *(setup.model, setup.target, setup.options, setup.work.data(), calibration),
        *(network, setup.noise),
    )


def _try_row(setup: _Setup, encoding: str | Method) -> tuple[EncodingRow, int, MappingError | None]:
    """A row, its samples, and why there is nothing to say where an encoding does not fit."""
    name = encoding if isinstance(encoding, str) else encoding.name
    bench = _make_bench(setup)
    try:
        row, samples = _row(bench, bench.options.changed(encoding=encoding), name)
    except MappingError as error:
        return EncodingRow(name, problem=str(error)), 0, error
    return row, samples, None


def _row(bench: _Bench, options: CompileOptions, name: str) -> tuple[EncodingRow, int]:
    program = compile_model(
        bench.model, bench.target, options=options, calibration=bench.calibration
    )
    if all(step.sense is not None for step in program.crossbar_steps):
        raise MappingError(
            "no layer has an encoding: sense amplifiers read them all",
            where=program.name,
            hint="a target with converters, such as rram128",
        )
    seen = evaluate(program, bench.data, bench.model)
    totals = collect(price_program(program, options.cost_law)).totals
    columns = sum(step.groups * step.cells.columns for step in program.crossbar_steps)
    outputs = sum(step.groups * step.outputs for step in program.crossbar_steps)
    row = EncodingRow(
        encoding=name,
        columns=columns,
        columns_per_output=columns / outputs if outputs else None,
        arrays=totals.arrays,
        conversions=totals.conversions,
        area_mm2=totals.area_mm2,
        energy_uj=totals.energy_uj,
        weight_error=weight_error(bench.network, program),
        output_sqnr_db=seen.output_sqnr_db,
        identical=seen.identical,
        top1_float=seen.top1_float,
        top1_crossbar=seen.top1_crossbar,
        agreement=seen.agreement,
        noise=_noise_rows(bench, program, options),
    )
    return row, seen.samples


def weight_error(network: Network, program: Program) -> float | None:
    """Root of the mean square error of all weights over that of the weights; None without any.

    Binary layers on sense amplifiers hold theirs exactly and are left out. With error feedback it
    is larger than with rounding, for it is the outputs that are fitted.
    """
    error = energy = 0.0
    for layer, step in zip(network.layers, program.steps, strict=True):
        if isinstance(layer, MatrixLayer) and isinstance(step, CrossbarStep) and not step.sense:
            exact = np.asarray(layer.weight.tensor.load(), dtype=np.float64)
            found = effective_weights(step) * real_steps(layer, step)[:, None]
            error += float(((exact - found) ** 2).sum())
            energy += float((exact**2).sum())
    return float(np.sqrt(error / energy)) if energy > 0 else None


def _noise_rows(bench: _Bench, program: Program, options: CompileOptions) -> tuple[NoiseRow, ...]:
    noise = bench.noise
    if noise is None:
        return ()
    noisy = replace(program, target=noise.target(program.target))
    given = bench.calibration
    batches = [] if given is None else calibration_batches(bench.network.inputs, given)
    rows = []
    for variant in _variants(program, options, batches):
        seen = [
            _on_chip(bench, noise, noisy, options, batches, variant, sample)
            for sample in range(noise.seeds)
        ]
        top1 = spread([one.top1_crossbar for one in seen])
        rows.append(NoiseRow(variant, top1, spread([one.agreement for one in seen])))
    return tuple(rows)


def _variants(
    program: Program, options: CompileOptions, batches: list[Values]
) -> tuple[Variant, ...]:
    """What can be done: nothing without calibration data, read-back where rows stand alone."""
    if not batches:
        return VARIANTS[:1]
    readable = any(can_read_back(step, options) for step in program.crossbar_steps)
    return VARIANTS if readable else VARIANTS[:2]


def _on_chip(
    bench: _Bench,
    noise: NoiseSettings,
    program: Program,
    options: CompileOptions,
    batches: list[Values],
    variant: Variant,
    sample: int,
) -> Evaluation:
    chip = Chip(program, replace(noise.effects, sample=sample))
    if variant != "blind":
        program = program_chip(program, bench.network, chip, batches, options, variant).program
    return evaluate(program, bench.data, bench.model, executor=Executor(program, chip=chip))


def spread(values: Sequence[float | None]) -> Spread | None:
    """Mean, standard deviation and least of what is known."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Spread(float(np.mean(known)), float(np.std(known)), min(known))
