"""The inputs of each group of a layer on wordlines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.errors import MappingError
from xbarc.ir import ABSENT, DOWN, UP, BinaryInput, MatrixLayer, Window
from xbarc.mapping.sense_amplifiers.deal import deal, kernel_size
from xbarc.numerics import Int64Array, IntArray, UInt8Array
from xbarc.options import SenseOptions
from xbarc.target import Target


@dataclass(frozen=True, eq=False)
class Wordlines:
    """The wordlines of a layer, group after group.

    Attributes:
        inputs: input of each wordline; axis: row.
        drive: codes that drive it; axis: row.
        bounds: first row of each group, and the end.
        copies: wordlines per input.
        share: how often an input stands in a group, on average; 1 where no two groups overlap.
    """

    inputs: IntArray
    drive: UInt8Array
    bounds: IntArray
    copies: int
    share: float = 1.0

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return len(self.bounds) - 1


def wordlines(layer: MatrixLayer, target: Target, options: SenseOptions) -> Wordlines:
    """Split a layer.

    Raises:
        MappingError: an array is too small, or groups given do not fit; with the numbers.
    """
    most = min(target.array.rows, target.array.active_rows)
    copies = _copies(layer, options, most)
    if most < copies:
        raise MappingError(
            f"an input needs {copies} wordlines, the array drives {most} together",
            where=layer.name,
            hint="a target with more rows",
        )
    parts = deal(layer, options, most // copies)
    inputs: list[IntArray] = []
    drive: list[UInt8Array] = []
    for part in parts:
        for mask, absent in _sides(_absent_drives_both(layer, part), copies):
            inputs.append(part)
            drive.append((mask | (absent * ABSENT)).astype(np.uint8))
    sizes = np.array([len(part) for part in parts])
    return Wordlines(
        np.concatenate(inputs).astype(np.int32),
        np.concatenate(drive),
        np.append(0, np.cumsum(sizes * copies)).astype(np.int32),
        copies,
        int(sizes.sum()) / layer.rows,
    )


def _sides(both: IntArray, copies: int) -> list[tuple[int, IntArray]]:
    """Direction of each run of wordlines, and whether absent inputs drive it."""
    if copies == 1:
        return [(UP, np.zeros_like(both))]
    if copies == 2:
        return [(UP, both), (DOWN, both)]
    one, none = np.ones_like(both), np.zeros_like(both)
    return [(UP, one), (UP, none), (DOWN, one), (DOWN, none)]


def _copies(layer: MatrixLayer, options: SenseOptions, most: int) -> int:
    """Wordlines an input: one, a pair, or two pairs where a left-out input must count half."""
    absent = may_be_absent(layer)
    if options.sense_rows == "zero-one":
        if absent:
            raise MappingError(
                "padding with 0 is neither of the two values, one wordline cannot say it",
                where=layer.name,
                hint="--sense-rows complementary",
            )
        return 1
    # Two pairs an input take twice the wordlines: only where the layer still fits one array.
    if not absent or layer.rows * 4 > most:
        return 2
    return 2 if _halves_evenly(layer) else 4


def may_be_absent(layer: MatrixLayer) -> bool:
    """Whether windows reach over a border that is filled with neither value."""
    geometry, quantizer = layer.geometry, layer.quantizer
    if not isinstance(geometry, Window) or not isinstance(quantizer, BinaryInput):
        return False
    pads = geometry.auto_pad != "explicit" or any(geometry.pads)
    return bool(pads and quantizer.zero_code == ABSENT)


def _halves_evenly(layer: MatrixLayer) -> bool:
    """Whether half of the inputs of every kernel position is a whole number, in every column."""
    geometry = layer.geometry
    if not isinstance(geometry, Window):
        return True
    channels = layer.rows // int(np.prod(geometry.kernel))
    return channels % 2 == 0 and bool(np.asarray(layer.weight.tensor.load()).all())


def _absent_drives_both(layer: MatrixLayer, part: Int64Array) -> IntArray:
    """Inputs of a group that drive both wordlines when they are left out: every other one.

    Counted along each kernel position, and on from one position to the next, so that any set of
    positions that is left out counts as nearly half agreements, and exactly half where each
    position has an even number of inputs.
    """
    both = np.zeros(len(part), dtype=np.int64)
    both[np.lexsort((part, part % kernel_size(layer)))] = np.arange(len(part)) % 2
    return both
