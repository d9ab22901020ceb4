"""What a worker does: price a design, and answer samples with it. Both are pure functions.

Items and results are small and picklable; programs, data and float answers are kept in the process
that made them, so that a design that is answered right after it was priced is compiled once.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from xbarc.circuit import Chip, Effects, program_faults
from xbarc.compiler import compile_model
from xbarc.cost import parse_policy, price_program, program_cost
from xbarc.errors import InputError, WorkerError, XbarcError
from xbarc.executor import Executor, check_data, fill_batch, split_batches
from xbarc.explore.figures import totals_of
from xbarc.explore.meaning import meaning_of
from xbarc.explore.recipe import Recipe, forget_targets
from xbarc.frontend import fixed_feeds, runnable_model
from xbarc.ir import (
    Program,
    check_labels,
    chip_digest,
    count_classes,
    read_npz,
    read_samples,
    split_labels,
)
from xbarc.memo import Memo
from xbarc.numerics import AnyArray, Float64Array, IntArray, digest_of
from xbarc.options import CompileOptions
from xbarc.oracle import Oracle
from xbarc.target import Target

# Cells of the programs that a process keeps, packed: some hundred small networks, or one ImageNet
# network.
_KEPT_BYTES = 256 << 20

# What an executor counts as, so that four are kept: a class answers some hundred samples at a
# time, and then the next one. Tables and sessions of a VGG for 28 x 28 pixels took 2 to 50 MB.
_EXECUTOR_BYTES = 64 << 20

# Float outputs that a process keeps, so that designs judged on the same samples share one run.
_FLOAT_BYTES = 64 << 20

# What compilations share: quantised networks, statistics of calibration data, cells of layers. The
# 15 quantised networks of a study of three widths of each need some 100 MB with a VGG.
_STAGE_BYTES = 512 << 20

REPORTED = frozenset({"duplicate", "cost_law"})
"""Options that only reports read: programs that differ in nothing else are one program. Where a
choice is made by price they count (`_by_price`)."""

# Tables of a target that no cell, converter or order depends on, unless a choice is made by price.
_PRICED = ("costs", "hierarchy", "peak", "sources", "name", "description", "changed", "base")

PRICED_FIELDS = tuple(f"{name}." for name in _PRICED)
"""How the names of their fields begin."""

# Stands for a label where data have none: every other number is one, -1 too, which no class has.
NO_LABEL = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Conditions:
    """What designs are judged on.

    Attributes:
        data: samples that judge; None where only costs are asked for.
        kinds: effects that chips suffer.
        seed: of everything random.
        order: seed of the order in which samples are taken.
        files: digest of every file of the study. A process keeps what it makes of them, and files
            of one name may change from one study to the next.
    """

    data: Path | None
    kinds: frozenset[str] = frozenset()
    seed: int = 0
    order: int = 0
    files: str = ""


@dataclass(frozen=True)
class DesignCosts:
    """What is known of a design before any sample runs.

    Attributes:
        totals: figures of the report, by name; null where one is unknown.
        unknown: why, by name.
        digest: equal for designs with provably equal answers; empty for one that failed.
        proof: why they are equal.
        lossless: whether the program is its quantised network exactly.
        error: why there is no program; empty: there is one.
        seconds: CPU time that it took.
        lost: whether that is because workers died at it, which others may not.
    """

    totals: Mapping[str, float | None] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""
    proof: str = ""
    lossless: bool = False
    error: str = ""
    seconds: float = 0.0
    lost: bool = False


@dataclass(frozen=True, eq=False)
class Answers:
    """What a program says of some samples, in the order of the study; axis: sample.

    Attributes:
        classes: index of the largest score of the first output; -1 where it has no scores.
        expected: the same of the float model.
        labels: class numbers of the data; `NO_LABEL` where there are none.
        error, signal: squared error against the float outputs, and their squares, summed.
        failed: why there are none; empty: there are.
    """

    classes: IntArray
    expected: IntArray
    labels: IntArray
    error: Float64Array
    signal: Float64Array
    seconds: float = 0.0
    failed: str = ""

    @classmethod
    def failing(cls, reason: str) -> Answers:
        """No answers, and why."""
        none, zero = np.zeros(0, dtype=np.int64), np.zeros(0)
        return cls(none, none, none, zero, zero, failed=reason)


def price(conditions: Conditions, recipe: Recipe) -> DesignCosts:
    """Compile a design and count what it costs. A design that does not map is a result too."""
    start = process_time()
    forget_other_files(conditions.files)
    try:
        program = _program_of(recipe)
        options = recipe.compile_options()
        priced = price_program(program, options.cost_law)
        policy = parse_policy(options.duplicate, priced.target)
        totals, unknown = totals_of(priced, program_cost(priced, policy, _stages))
    except XbarcError as error:
        return DesignCosts(error=str(error), seconds=process_time() - start)
    except MemoryError as error:
        raise _out_of_memory(error) from error
    meaning = meaning_of(program, _stages)
    digest, proof = meaning.digest, meaning.reason
    if conditions.kinds:
        # Chips deviate place by place, so nothing but the same program is equal.
        digest = digest_of(chip_digest(program), _faults_in(recipe, conditions))
        proof = "the same program on the same chips"
    # Answers are compared with the float model's, in which these inputs are constants too.
    digest = digest_of(digest, options.fix_input)
    spent = process_time() - start
    return DesignCosts(totals, unknown, digest, proof, not meaning.lossy, "", spent)


@dataclass(frozen=True)
class Question:
    """Samples that a design is to answer, on one chip.

    Attributes:
        recipe: of the design.
        first, last: samples, in the order of the study.
        chip: its number.
        lane: of the worker that has the program, as `xbarc.workers.WorkerMap` takes it.
    """

    recipe: Recipe
    first: int
    last: int
    chip: int = 0
    lane: int = 0


def answer(conditions: Conditions, question: Question) -> Answers:
    """Run some samples through a design and through the float model.

    A design that cannot run them is a result too: others may.
    """
    try:
        return _answer(conditions, question)
    except XbarcError as error:
        return Answers.failing(str(error))
    except MemoryError as error:
        raise _out_of_memory(error) from error


def _out_of_memory(error: MemoryError) -> WorkerError:
    """As if the worker had died of it; what it keeps is dropped, for whatever comes next."""
    _forget_all()
    text = f": {error}" if str(error) else ""
    return WorkerError(
        f"out of memory{text}", where="design", hint="fewer jobs, or a machine with more memory"
    )


def _answer(conditions: Conditions, question: Question) -> Answers:
    start = process_time()
    forget_other_files(conditions.files)
    program = _program_of(question.recipe)
    feeds, labels = _samples(conditions, question)
    # A rung may end within the batch that a model fixes.
    batches = split_batches(program.inputs, fill_batch(program.inputs, feeds))
    names = [value.name for value in program.outputs]
    wanted = _float_outputs(question, batches, names, conditions)
    executor = _executor_of(program, conditions, question)
    parts = [
        _compare(executor.run(batch, names), floats)
        for batch, floats in zip(batches, wanted, strict=True)
    ]
    classes, expected, error, signal = (
        np.concatenate(column)[: len(labels)] for column in zip(*parts, strict=True)
    )
    return Answers(classes, expected, labels, error, signal, process_time() - start)


def _executor_of(program: Program, conditions: Conditions, question: Question) -> Executor:
    """Prepared tables and sessions, kept for the next samples; chips differ from each other."""
    chip = _chip(program, conditions, question)
    if chip is not None:
        return Executor(program, chip=chip)
    key = _program_key(question.recipe)
    return _executors.recall(key, lambda: Executor(program), lambda _: _EXECUTOR_BYTES)


def _chip(program: Program, conditions: Conditions, question: Question) -> Chip | None:
    if not conditions.kinds:
        return None
    arrays = _faults_in(question.recipe, conditions)
    # Cells that are known to be stuck take the place of those that are drawn.
    known = program_faults(arrays, program, "fault_map") if arrays else None
    effects = Effects(conditions.kinds, conditions.seed, question.chip, fault_map=known)
    return Chip(program, effects)


def _faults_in(recipe: Recipe, conditions: Conditions) -> dict[str, AnyArray]:
    """Stuck cells that the design was compiled around; none where chips have no faults."""
    path = dict(recipe.options).get("fault_map")
    return read_npz(Path(path)) if path is not None and "faults" in conditions.kinds else {}


def _compare(found: list[Any], wanted: list[AnyArray]) -> tuple[AnyArray, ...]:
    """Classes of both, and error and signal; a row per sample."""
    count = len(wanted[0])
    error, signal = np.zeros(count), np.zeros(count)
    for mine, floats in zip(found, wanted, strict=True):
        if floats.dtype.kind not in "fiub" or np.shape(mine) != floats.shape:
            continue
        exact = floats.reshape(count, -1).astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):  # infinite values have no ratio
            signal += np.square(exact).sum(axis=1)
            error += np.square(exact - np.asarray(mine).reshape(count, -1)).sum(axis=1)
    return _classes(found[0], count), _classes(wanted[0], count), error, signal


def _classes(scores: Any, count: int) -> IntArray:
    array = np.asarray(scores)
    # As in `xbarc.evaluate`: one number a sample is no choice among classes.
    if array.ndim < 2 or array.dtype.kind not in "fiub" or array.size <= count:
        return np.full(count, -1, dtype=np.int32)
    found: IntArray = array.reshape(count, -1).argmax(axis=1).astype(np.int32)
    return found


def _samples(conditions: Conditions, question: Question) -> tuple[dict[str, AnyArray], IntArray]:
    """Inputs and labels of the samples asked for, in the order of the study."""
    program = _program_of(question.recipe)
    if conditions.data is None:
        raise InputError("no data to judge by", where="study", hint="data = DATA.npz")
    data, order = load_samples(conditions.data, conditions.order)
    index = order[question.first : question.last]
    feeds, labels = split_labels(program.inputs, data)
    chosen = {name: array[index] for name, array in feeds.items()}
    # A rung need not fill the batch of a model: it is filled before it runs.
    check_data(program.inputs, fill_batch(program.inputs, chosen), str(conditions.data))
    if labels is None:
        return chosen, np.full(len(index), NO_LABEL)
    classes = count_classes(program.outputs)
    check_labels(labels, (len(order),), str(conditions.data), classes=classes)
    return chosen, labels[index].astype(np.int64)


@lru_cache(maxsize=2)
def load_samples(path: Path, seed: int) -> tuple[dict[str, AnyArray], IntArray]:
    """Arrays of a file, and the order in which their samples are taken.

    Raises:
        InputError: the file is no such file, or arrays differ in their number of samples.
    """
    data = read_samples(path)
    count = len(next(iter(data.values())))
    # A file may be sorted by class: the first samples of a drawn order stand for all of them.
    return data, np.random.default_rng(seed).permutation(count)


# What the designs of a study share in one process.
_programs = Memo(_KEPT_BYTES)
_executors = Memo(_KEPT_BYTES)
_floats = Memo(_FLOAT_BYTES)
_stages = Memo(_STAGE_BYTES)
_made_from = [""]
"""Digest of the files that all this was made from."""


def forget_other_files(files: str) -> None:
    """Drop what was made from files as they were: keys name them, and do not see them change.

    A process outlives a study where Python asks for another one, and where workers are a cluster's.

    Args:
        files: digest of the files of the study that goes on.
    """
    if _made_from[0] != files:
        _forget_all()
        _made_from[0] = files


def _forget_all() -> None:
    for memo in (_programs, _executors, _floats, _stages):
        memo.clear()
    for kept in (load_samples, _calibration, _oracle):
        kept.cache_clear()
    forget_targets()


def _program_of(recipe: Recipe) -> Program:
    """The program of a design; cells that another design has already are taken over."""
    target, options = recipe.load_target(), recipe.compile_options()

    def build() -> Program:
        calibration = _calibration(recipe.calibrate)
        made = compile_model(
            recipe.model, target, options=options, calibration=calibration, memo=_stages
        )
        # the other designs that share it ask for other ones
        settings = tuple(item for item in made.settings if item[0] not in REPORTED)
        return replace(made, settings=settings)

    program = _programs.recall(_program_key(recipe), build, _cell_bytes)
    return replace(program, target=target)


def _program_key(recipe: Recipe) -> tuple[Hashable, ...]:
    """All that the steps of a program are made from."""
    target, options = recipe.load_target(), recipe.compile_options()
    return (recipe.model, recipe.calibrate, *_cells_key(target, options, recipe))


def _cell_bytes(program: Program) -> int:
    return sum(step.cells.data.nbytes for step in program.crossbar_steps)


def _cells_key(target: Target, options: CompileOptions, recipe: Recipe) -> tuple[Hashable, ...]:
    """What a program's steps depend on."""
    if _by_price(options, target) or recipe.methods():
        return (target.model_dump_json(), repr(recipe.options))
    kept = tuple((name, value) for name, value in recipe.options if name not in REPORTED)
    return (target.model_dump_json(exclude=set(_PRICED)), repr(kept))


def _by_price(options: CompileOptions, target: Target) -> bool:
    """Whether the compiler chooses anything by what it costs."""
    return (
        options.adc_budget is not None
        or bool(options.adc_savings)
        or "auto" in (options.encoding, target.precision.encoding)
        or options.fits_wires
    )


@lru_cache(maxsize=2)
def _calibration(path: Path | None) -> dict[str, AnyArray] | None:
    return None if path is None else read_npz(path)


@lru_cache(maxsize=4)
def _oracle(model: Path) -> Oracle:
    return Oracle(runnable_model(model))


def _float_outputs(
    question: Question,
    batches: list[dict[str, AnyArray]],
    names: list[str],
    conditions: Conditions,
) -> list[list[AnyArray]]:
    """Outputs of the float model by these names, batch by batch."""
    recipe = question.recipe
    fixed = recipe.compile_options().fix_input
    samples = (conditions.data, conditions.order, question.first, question.last)
    key = (recipe.model, *samples, repr(fixed))

    def run() -> list[list[AnyArray]]:
        oracle, constants = _oracle(recipe.model), fixed_feeds(recipe.model, fixed)
        values = [oracle.run({**batch, **constants}) for batch in batches]
        return [[one[name] for name in names] for one in values]

    return _floats.recall(key, run, _float_bytes)


def _float_bytes(floats: list[list[AnyArray]]) -> int:
    return sum(int(np.asarray(item).nbytes) for batch in floats for item in batch)
