"""Rules that every network and every program keeps. One rule, one short function, one test.

A rule yields a sentence for each thing that is wrong. `verify_network` and `verify_program` raise
on the first sentence; `broken_rules` lists all of them for `xbarc verify`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from xbarc.errors import ProgramError, VerifyError, say_count
from xbarc.ir.built import built_settings
from xbarc.ir.meaning import step_meaning
from xbarc.ir.network import layer_inputs, layer_outputs
from xbarc.ir.program import AdcSettings, CrossbarStep, Program
from xbarc.ir.value_ranges import find_unproven
from xbarc.ir.verify.fragments import fragments_closed
from xbarc.ir.verify.networks import (
    NETWORK_RULES,
    find_repeated,
    value_flow,
    verify_network,
)
from xbarc.ir.verify.steps import STEP_RULES, takes
from xbarc.memo import Memo
from xbarc.numerics import AnyArray, digest_of

# What numpy raises on indices and sizes that no check could foresee in a hostile file.
_ABSURD = (IndexError, ValueError, TypeError, ArithmeticError, MemoryError)

ProgramRule = Callable[[Program], Iterator[str]]


__all__ = [
    "NETWORK_RULES",
    "PROGRAM_RULES",
    "STEP_RULES",
    "broken_rules",
    "check_program",
    "verify_network",
    "verify_program",
]


def names_unique(program: Program) -> Iterator[str]:
    """No two steps have the same name."""
    return find_repeated(step.name for step in program.steps)


def values_flow(program: Program) -> Iterator[str]:
    """Values are written once, before they are read."""
    nodes = ((step.name, layer_inputs(step), layer_outputs(step)) for step in program.steps)
    return value_flow((v.name for v in program.inputs), (v.name for v in program.outputs), nodes)


def inputs_taken(program: Program) -> Iterator[str]:
    """Layers take the inputs of the network in the shapes that it declares."""
    declared = {value.name: value.shape for value in program.inputs}
    for step in program.crossbar_steps:
        shape = declared.get(step.input)
        if shape is not None and not takes(step, shape):
            yield f"{step.name}: takes no input of the declared shape {list(shape)}"


def arrays_counted(program: Program) -> Iterator[str]:
    """Blocks sit in arrays 0 to `arrays` - 1, and every array holds a block."""
    used = [np.unique(step.tiling.array) for step in program.crossbar_steps]
    found = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *used]))
    if found.size != program.arrays or not np.array_equal(found, np.arange(program.arrays)):
        yield f"{found.size} arrays hold blocks, the program counts {program.arrays}"


def blocks_inside_arrays(program: Program) -> Iterator[str]:
    """Every block lies within the rows and columns of its array."""
    array = program.target.array
    for step in program.crossbar_steps:
        tiling = step.tiling
        rows = _ends(tiling.row_offset, tiling.row_bounds, 1)
        columns = _ends(tiling.column_offset, tiling.column_bounds, 2)
        if tiling.row_offset.min(initial=0) < 0 or rows.max(initial=0) > array.rows:
            yield f"{step.name}: a block reaches beyond {array.rows} rows"
        if (
            tiling.column_offset.min(initial=0) < 0
            or columns.max(initial=0) > array.columns + array.spare_columns
        ):
            yield f"{step.name}: a block reaches beyond {array.columns} columns"


def _ends(offset: AnyArray, bounds: AnyArray, axis: int) -> AnyArray:
    """Where blocks end in their arrays; in float64, where no offset overflows."""
    sizes = np.expand_dims(np.diff(bounds), tuple({0, 1, 2} - {axis}))
    # Offsets of a hostile file may be near the largest int64.
    ends: AnyArray = offset.astype(np.float64) + sizes
    return ends


def blocks_do_not_overlap(program: Program) -> Iterator[str]:
    """Blocks that share an array use other bitlines; those of one layer other wordlines too."""
    boxes = [_boxes(step, number) for number, step in enumerate(program.crossbar_steps)]
    if not boxes:
        return
    table = np.concatenate(boxes)
    # Sorted by array and first bitline, an overlap shows between neighbours: no pairs are compared.
    order = np.lexsort((table[:, 1], table[:, 0]))
    table = table[order]
    same = table[1:, 0] == table[:-1, 0]
    overlap = same & (table[1:, 1] < table[:-1, 2])
    # A shifted array overlaps thousands of times; three say as much.
    for index in np.flatnonzero(overlap)[:3]:
        yield f"two blocks overlap in array {table[index, 0]}"


def _boxes(step: CrossbarStep, number: int) -> AnyArray:
    """Array, first bitline, end, step of every block."""
    tiling = step.tiling
    width = np.diff(tiling.column_bounds)[None, None, :]
    end = tiling.column_offset + width
    parts = [tiling.array, tiling.column_offset, end, np.full_like(tiling.array, number)]
    boxes: AnyArray = np.stack([part.reshape(-1) for part in parts], axis=1, dtype=np.int64)
    return boxes


def segments_within_limit(program: Program) -> Iterator[str]:
    """No more rows are active together than the target allows."""
    limit = program.target.array.active_rows
    for step in program.crossbar_steps:
        widest = int(np.diff(step.tiling.segment_bounds).max(initial=0))
        if widest > limit:
            yield f"{step.name}: {widest} rows active together, the target allows {limit}"


def adc_buildable(program: Program) -> Iterator[str]:
    """No conversion has more bits than the target's converter."""
    limit = program.target.adc.max_bits
    for step in program.crossbar_steps:
        # Comparisons store the width of their code, which is made of several 1-bit decisions.
        widest = 1 if step.sense else int(step.adc.bits.max(initial=0))
        if widest > limit:
            wide = say_count(widest, "bit")
            yield f"{step.name}: conversions of {wide}, the converter has {limit}"


def column_scales_buildable(program: Program) -> Iterator[str]:
    """Factors of conversions fit the target's multiplier."""
    bits = program.target.adc.scale_bits or 0
    for step in program.crossbar_steps:
        scale = step.periphery.column_scale
        if scale is None:
            continue
        if not bits:
            yield f"{step.name}: factors of conversions, the target has no multiplier for them"
        elif int(scale.max(initial=0)) >> bits:
            wide = say_count(bits, "bit")
            yield f"{step.name}: a factor of {scale.max()}, the multiplier takes {wide}"


def adc_reference_allowed(program: Program) -> Iterator[str]:
    """Settings differ between input slices only where the converter can change its reference.

    A slice without a conversion, whose sums are always the same number, asks for no reference.
    """
    if program.target.adc.reference == "per-cycle":
        return
    for step in program.crossbar_steps:
        # An axis of length 1 already says that slices share their settings.
        told = max(array.shape[3] for array in (step.adc.bits, step.adc.lo, step.adc.step))
        if told > 1 and (step.facts is None or not _one_reference(step.adc)):
            yield f"{step.name}: settings per input slice on a converter with a static reference"


def _one_reference(adc: AdcSettings) -> bool:
    """Whether the conversions that are made (not those of 0 bits) agree in all input slices."""
    if adc.step.shape[3] > 1:
        return False
    bits, lo = (np.asarray(array, dtype=np.int64) for array in (adc.bits, adc.lo))
    most = bits.max(axis=3, keepdims=True)
    # Slices without a conversion may not decide which `lo` the others must share.
    made = np.where(bits > 0, lo, np.iinfo(np.int64).max).min(axis=3, keepdims=True)
    same = (bits == 0) | ((bits == most) & (lo == made))
    return bool(same.all())


def cells_of_target(program: Program) -> Iterator[str]:
    """Cells and input slices have the widths of the target."""
    for step in program.crossbar_steps:
        if step.cells.bits != program.target.cell.bits:
            yield f"{step.name}: cells of {say_count(step.cells.bits, 'bit')}"
        if step.dac_bits != program.target.input.dac_bits:
            yield f"{step.name}: input slices of {say_count(step.dac_bits, 'bit')}"


def facts_proven(program: Program) -> Iterator[str]:
    """What the wordlines are said to carry follows from the program itself."""
    for fact in find_unproven(program):
        yield f"{fact.layer}: {fact.text}"


def settings_built(program: Program) -> Iterator[str]:
    """Bits, ranges, encodings and converter policies in the settings are those of the layers."""
    # Settings are what people read first: a file that was edited must not say other bits than it
    # has.
    right = dict(built_settings(program.settings, program.steps))
    for name, text in program.settings:
        if text != right[name]:
            yield f"setting {name} is {text[:60]!r}, the layers hold {right[name][:60]!r}"
    for step in program.crossbar_steps:
        # `calibrated:4` and the plain number `4` both name a cap.
        cap = step.adc.policy.rpartition(":")[2]
        widest = int(step.adc.bits.max(initial=0))
        if step.sense is None and cap.isdecimal() and widest > int(cap):
            wide = say_count(widest, "bit")
            yield f"{step.name}: converters of {wide}, its policy is {step.adc.policy}"


PROGRAM_RULES: tuple[ProgramRule, ...] = (
    names_unique,
    values_flow,
    inputs_taken,
    arrays_counted,
    blocks_inside_arrays,
    blocks_do_not_overlap,
    segments_within_limit,
    adc_buildable,
    adc_reference_allowed,
    column_scales_buildable,
    cells_of_target,
    fragments_closed,
    facts_proven,
    settings_built,
)


def broken_rules(program: Program, memo: Memo | None = None) -> Iterator[tuple[str, str]]:
    """Name of each broken rule and what is wrong; rules of layers first, others rely on them.

    Args:
        program: what is checked.
        memo: what was proved of programs that compute the same.
    """
    broken = False
    for step in program.crossbar_steps:
        for step_rule in STEP_RULES:
            for text in step_rule(step):
                broken = True
                yield step_rule.__name__, f"{step.name}: {text}"
            # Later rules index with what earlier ones checked: after a broken one they would fail,
            # not report.
            if broken:
                break
    if broken:
        return
    for rule in PROGRAM_RULES:
        for text in _break_rule(rule, program, memo):
            yield rule.__name__, text


def _break_rule(rule: ProgramRule, program: Program, memo: Memo | None) -> Iterable[str]:
    if rule is facts_proven and memo is not None:
        return _recall_proof(program, memo)
    return rule(program)


def _recall_proof(program: Program, memo: Memo) -> tuple[str, ...]:
    """What `facts_proven` says: claims follow from the inputs and from what the steps compute."""
    claims = [(step.facts, step.narrowed, step.input_bits) for step in program.crossbar_steps]
    digests = [step_meaning(step, memo).digest for step in program.steps]
    key = ("proven", digest_of(program.inputs, claims, digests))
    return memo.recall(key, lambda: tuple(facts_proven(program)))


def verify_program(program: Program, memo: Memo | None = None) -> None:
    """Check every rule of a program that was just compiled.

    Args:
        program: what is checked.
        memo: as for `broken_rules`.

    Raises:
        VerifyError: the first rule that is broken, a bug of ours.
    """
    for rule, text in broken_rules(program, memo):
        raise VerifyError(f"{rule}: {text}", where=program.name)


def check_program(program: Program, where: str) -> None:
    """Check every rule of a program that came from a file.

    Raises:
        ProgramError: the first rule that is broken; the file cannot be trusted.
    """
    try:
        for rule, text in broken_rules(program):
            raise ProgramError(f"breaks the rule {rule}: {text}", where=where, hint="compile again")
    except _ABSURD as error:  # numbers so far out that a rule cannot even be computed
        raise ProgramError(
            f"holds absurd numbers: {error}", where=where, hint="compile again"
        ) from error
