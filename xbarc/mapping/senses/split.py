"""Dealing the inputs of a layer over groups that fit an array, and each group over wordlines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.errors import MappingError
from xbarc.ir.geometry import Window
from xbarc.ir.network import MatrixLayer
from xbarc.ir.quantize import ABSENT, DOWN, UP, BinaryInput
from xbarc.mapping.sense_options import SenseOptions
from xbarc.numerics.types import Int64Array, IntArray, UInt8Array
from xbarc.target import Target


@dataclass(frozen=True, eq=False)
class Wordlines:
    """The wordlines of a layer, group after group.

    Attributes:
        inputs: input of each wordline; axis: row.
        drive: codes that drive it; axis: row.
        bounds: first row of each group, and the end.
        copies: wordlines an input.
    """

    inputs: IntArray
    drive: UInt8Array
    bounds: IntArray
    copies: int

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
    member = _members(layer, options, most // copies, copies, most)
    order = np.argsort(member, kind="stable")
    sizes = np.bincount(member)
    both = _absent_drives_both(layer, member)
    inputs: list[IntArray] = []
    drive: list[UInt8Array] = []
    for part in np.split(order, np.cumsum(sizes)[:-1]):
        for mask, absent in _sides(both[part], copies):
            inputs.append(part)
            drive.append((mask | (absent * ABSENT)).astype(np.uint8))
    return Wordlines(
        np.concatenate(inputs).astype(np.int32),
        np.concatenate(drive),
        np.append(0, np.cumsum(sizes * copies)).astype(np.int32),
        copies,
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
    if options.rows == "zero-one":
        if absent:
            raise MappingError(
                "padding with 0 is neither of the two values, one wordline cannot say it",
                where=layer.name,
                hint="--sense-rows complementary",
            )
        return 1
    if not absent or layer.rows * 4 > most:
        return 2
    return 2 if _balanced(layer) else 4


def may_be_absent(layer: MatrixLayer) -> bool:
    """Whether windows reach over a border that is filled with neither value."""
    geometry, quantizer = layer.geometry, layer.quantizer
    if not isinstance(geometry, Window) or not isinstance(quantizer, BinaryInput):
        return False
    pads = geometry.auto_pad != "explicit" or any(geometry.pads)
    return bool(pads and quantizer.zero_code == ABSENT)


def _balanced(layer: MatrixLayer) -> bool:
    """Whether half of the inputs of every kernel position is a whole number, in every column."""
    geometry = layer.geometry
    if not isinstance(geometry, Window):
        return True
    channels = layer.rows // int(np.prod(geometry.kernel))
    return channels % 2 == 0 and bool(np.asarray(layer.weight.tensor.load()).all())


def _members(
    layer: MatrixLayer, options: SenseOptions, capacity: int, copies: int, most: int
) -> Int64Array:
    if options.split == "given" and layer.name in options.groups:
        return _given(layer, options.groups[layer.name], capacity)
    if capacity < 1:
        raise MappingError(
            f"an input needs {copies} wordlines, the array drives {most} together",
            where=layer.name,
            hint="a target with more rows",
        )
    groups = -(-layer.rows // capacity)
    if options.split == "consecutive":
        bounds = np.arange(groups + 1) * layer.rows // groups
        return np.repeat(np.arange(groups), np.diff(bounds)).astype(np.int64)
    return _strided(layer, groups)


def _strided(layer: MatrixLayer, groups: int) -> Int64Array:
    """Input after input to group after group, the channels of one kernel position in a row.

    In the order of the weights, channel by channel, three groups of a 3x3 kernel would be its three
    columns, and at a border one of them would see nothing but padding.
    """
    kernel = int(np.prod(layer.geometry.kernel)) if isinstance(layer.geometry, Window) else 1
    channels = layer.rows // kernel
    index = np.arange(layer.rows)
    turn = (index % kernel) * channels + index // kernel
    return (turn % groups).astype(np.int64)


def _given(layer: MatrixLayer, member: Int64Array, capacity: int) -> Int64Array:
    if member.shape != (layer.rows,):
        raise MappingError(
            f"groups for {member.size} inputs, the layer has {layer.rows}", where=layer.name
        )
    sizes = np.bincount(member)
    if sizes.min(initial=1) == 0:
        raise MappingError(f"group {int(sizes.argmin())} has no input", where=layer.name)
    if sizes.max() > capacity:
        raise MappingError(
            f"group {int(sizes.argmax())} has {int(sizes.max())} inputs, an array takes {capacity}",
            where=layer.name,
            hint=f"at least {-(-layer.rows // max(1, capacity))} groups",
        )
    return member


def _absent_drives_both(layer: MatrixLayer, member: Int64Array) -> IntArray:
    """Inputs that drive both wordlines when they are left out: every other one.

    Counted within each group and kernel position, and on from one position to the next, so that any
    set of positions that is left out counts as nearly half agreements, and exactly half where each
    position has an even number of inputs.
    """
    geometry = layer.geometry
    kernel = int(np.prod(geometry.kernel)) if isinstance(geometry, Window) else 1
    both = np.zeros(layer.rows, dtype=np.int64)
    order = np.lexsort((np.arange(layer.rows), np.arange(layer.rows) % kernel, member))
    starts = np.flatnonzero(np.diff(member[order], prepend=-1))
    for run in np.split(order, starts[1:]):
        both[run] = np.arange(len(run)) % 2
    return both
