"""What a program computes, apart from how: steps of one digest give equal outputs, bit for bit.

A layer whose converters lose nothing is a product with an integer matrix, whatever array, encoding,
slicing, placement or converter it sits on (`effective`); only that matrix counts. A layer that
saturates or rounds is all of its cells, segments and converters. Where cells are counted, how long
they take and what they cost never matters.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from xbarc.ir.effective import effective_weights, is_lossless
from xbarc.ir.network import DigitalFragment
from xbarc.ir.program import CrossbarStep, Program, Step
from xbarc.memo import Memo
from xbarc.numerics import Digest, digest_of

# What a layer takes from the network, without what is there for people, for counts or for savings.
_HEAD = ("input", "output", "geometry", "quantizer", "result")

# How a lossy layer is cut into sums. A column sums in whichever array it lies: blocks of columns,
# arrays, offsets and orders of bitlines are places, and a place changes no ideal sum.
_CUT = ("row_input", "row_bounds", "segment_bounds")


@dataclass(frozen=True)
class StepMeaning:
    """What a step computes.

    Attributes:
        digest: equal for steps that give provably equal outputs for equal inputs.
        lossy: whether a converter of it may lose something.
    """

    digest: str
    lossy: bool


def step_meaning(step: Step, memo: Memo | None = None) -> StepMeaning:
    """What a step computes on an ideal chip.

    Args:
        step: of a program.
        memo: what steps of the same cells compute.
    """
    return (memo or Memo()).of(step, "meaning", lambda: _find_meaning(step, memo or Memo()))


def _find_meaning(step: Step, memo: Memo) -> StepMeaning:
    if isinstance(step, DigitalFragment):
        return StepMeaning(digest_of(_parts_of(step, exact=True)), lossy=False)
    whole = digest_of(_parts_of(step, exact=False))
    # To write out the product takes ten times as long as to read the cells. What is known of the
    # inputs decides whether a converter loses anything.
    key = ("meaning", whole, digest_of(step.facts))
    return memo.recall(key, lambda: _crossbar_meaning(step, whole))


def _crossbar_meaning(step: CrossbarStep, whole: str) -> StepMeaning:
    """What a layer computes; `whole`: the digest of its cells and all that reads them."""
    if not is_lossless(step):
        return StepMeaning(whole, lossy=True)
    return StepMeaning(digest_of(_parts_of(step, exact=True)), lossy=False)


def sums_digest(step: CrossbarStep) -> str:
    """The digest of what a layer sums before its converters read it."""
    head = [step.input, step.geometry, step.quantizer]
    return digest_of(head, _summed_parts(step))


def chip_digest(program: Program) -> str:
    """The digest of a program as a chip that deviates computes with it: places matter too."""
    digest = Digest()
    for step in program.steps:
        digest.add(
            _parts_of(step, exact=True)
            if isinstance(step, DigitalFragment)
            else [_lossy_parts(step), _placed(step)]
        )
    digest.add(program.target.model_dump_json())
    return digest.text()


def _parts_of(step: Step, *, exact: bool) -> list[Any]:
    if isinstance(step, DigitalFragment):
        return ["digital", step.model, step.inputs, step.outputs]
    return _exact_parts(step) if exact else _lossy_parts(step)


def _exact_parts(step: CrossbarStep) -> list[Any]:
    head = [getattr(step, name) for name in _HEAD]
    return ["exact", head, effective_weights(step), step.periphery.constant]


def _lossy_parts(step: CrossbarStep) -> list[Any]:
    head = [getattr(step, name) for name in _HEAD]
    read = [step.adc.bits, step.adc.lo, step.adc.step, step.sense]
    return ["lossy", head, read, _summed_parts(step)]


def _summed_parts(step: CrossbarStep) -> list[Any]:
    """Cells, how they are cut and driven, and what joins their sums."""
    cut = [getattr(step.tiling, name) for name in _CUT]
    cells = [step.cells.data, step.cells.bits, step.cells.columns, step.conversions]
    periphery = [getattr(step.periphery, item.name) for item in fields(step.periphery)]
    return [cut, cells, periphery, step.input_bits, step.dac_bits]


def _placed(step: CrossbarStep) -> list[Any]:
    tiling = step.tiling
    bounds = [tiling.column_bounds, tiling.conversion_bounds]
    return [bounds, tiling.array, tiling.row_offset, tiling.column_offset, tiling.column_order]
