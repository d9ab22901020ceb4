"""What a program computes, apart from how: programs of one digest give equal outputs, bit for bit.

A layer whose converters lose nothing is a product with an integer matrix, whatever array, encoding,
slicing, placement or converter it sits on (`ir.effective`); only that matrix counts. A layer that
saturates or rounds is all of its cells, segments and converters. Where cells are counted, how long
they take and what they cost never matters.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from xbarc.explore.digests import Digest
from xbarc.ir import (
    CrossbarStep,
    DigitalFragment,
    Program,
    Step,
    effective_weights,
    is_lossless,
)

# What a layer takes from the network, without what is there for people, for counts or for savings.
_HEAD = ("input", "output", "geometry", "quantizer", "result")

# How a lossy layer is cut into sums, and what reads them; arrays, offsets and orders of bitlines
# are places, and a place changes no ideal sum.
_CUT = ("row_input", "row_bounds", "segment_bounds", "column_bounds", "conversion_bounds")


@dataclass(frozen=True)
class Meaning:
    """What a program computes.

    Attributes:
        digest: equal for programs whose outputs are provably equal.
        lossy: crossbar layers in which a converter may lose something; none: the program is its
            quantised network, exactly.
    """

    digest: str
    lossy: tuple[str, ...]

    @property
    def reason(self) -> str:
        """Why programs of this digest are equal, in a sentence."""
        if not self.lossy:
            return (
                "no converter can lose anything, so every layer is the same integer product as in "
                "all lossless designs of this quantised network"
            )
        names = ", ".join(self.lossy[:3]) + (", ..." if len(self.lossy) > 3 else "")
        return (
            f"the same cells, segments and converter settings in {names}, and the same integer "
            "products in all other layers"
        )


def meaning_of(program: Program) -> Meaning:
    """The digest of what an ideal chip computes with a program."""
    digest, lossy = Digest(), []
    digest.add([value.name for value in program.outputs])
    for value in program.inputs:
        digest.add([value.name, value.dtype])
    for step in program.steps:
        exact = isinstance(step, DigitalFragment) or is_lossless(step)
        if not exact:
            lossy.append(step.name)
        digest.add(_parts_of(step, exact=exact))
    return Meaning(digest.text(), tuple(lossy))


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
    cut = [getattr(step.tiling, name) for name in _CUT]
    cells = [step.cells.data, step.cells.bits, step.cells.columns]
    read = [step.adc.bits, step.adc.lo, step.adc.step, step.sense]
    periphery = [getattr(step.periphery, item.name) for item in fields(step.periphery)]
    return ["lossy", head, cut, cells, read, periphery, step.input_bits, step.dac_bits]


def _placed(step: CrossbarStep) -> list[Any]:
    tiling = step.tiling
    return [tiling.array, tiling.row_offset, tiling.column_offset, tiling.column_order]


def same_meaning(one: Program, other: Program) -> bool:
    """Whether two programs provably give equal outputs on every input."""
    return meaning_of(one).digest == meaning_of(other).digest
