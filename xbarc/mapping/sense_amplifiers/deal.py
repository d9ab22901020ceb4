"""Distribute the inputs of a layer over groups that fit an array."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

import numpy as np

from xbarc.errors import InputError, MappingError
from xbarc.ir import MatrixLayer, Window
from xbarc.numerics import AnyArray, Int64Array
from xbarc.options import InputGroups, SenseOptions

WORTH_FILLING = 4 / 3
"""Free wordlines are used a second time from this many times the inputs on: fewer repeats weigh
inputs unevenly and cost more than they tell (measured, see the page on binary networks)."""

# (sqrt(5) - 1) / 2, the fraction whose multiples spread most evenly over a circle (Knuth, The Art
# of Computer Programming 3, 6.4).
_GOLDEN = 0.6180339887498949


def deal(layer: MatrixLayer, options: SenseOptions, capacity: int) -> list[Int64Array]:
    """The inputs of each group, rising.

    Args:
        layer: what is split.
        options: how.
        capacity: inputs that an array takes, at least 1.

    Raises:
        MappingError: groups that were given do not fit.
    """
    if isinstance(options.split, InputGroups) and layer.name in options.split.groups:
        return _parts(_check_groups(layer, options.split.groups[layer.name], capacity))
    least = -(-layer.rows // capacity)
    groups = least
    if least > 1:
        # Rounded first: 100 * 1.1 is a little more than 110 in floats, and must not ask for a 111th
        # group.
        groups = min(layer.rows, ceil(round(least * (1 + options.extra_groups), 6)))
    if options.split == "consecutive":
        bounds = np.arange(groups + 1) * layer.rows // groups
        return _parts(np.repeat(np.arange(groups), np.diff(bounds)).astype(np.int64))
    turn = _turns(layer)
    parts = _parts(turn % groups)
    if options.split == "partition" or groups * capacity < WORTH_FILLING * layer.rows:
        return parts
    return fill_up(parts, turn, capacity)


def read_groups(arrays: Mapping[str, AnyArray]) -> InputGroups:
    """Groups of inputs by layer name, from arrays of whole numbers.

    Raises:
        InputError: an array is something else.
    """
    groups = {}
    for name, given in arrays.items():
        array = np.asarray(given)
        if array.ndim != 1 or array.dtype.kind not in "iu" or array.min(initial=0) < 0:
            raise InputError(
                f"'{name}' is {array.dtype}{list(array.shape)}, expected a group number per input",
                where="--split",
            )
        groups[name] = array.astype(np.int64)
    return InputGroups(groups)


def fill_up(parts: list[Int64Array], turn: Int64Array, capacity: int) -> list[Int64Array]:
    """Groups filled up with inputs of other groups, those first that stand in the fewest.

    Args:
        parts: groups that together hold every input once.
        turn: the order in which inputs were distributed; axis: input.
        capacity: inputs that a group takes, or all of them.
    """
    uses = np.ones(len(turn), dtype=np.int64)
    spread = (turn * _GOLDEN) % 1.0  # neighbours in the order of dealing lie far apart
    done = []
    for part in parts:
        others = np.setdiff1d(np.arange(len(turn)), part)
        order = np.lexsort((spread[others], uses[others]))
        more = others[order[: max(0, capacity - len(part))]]
        uses[more] += 1
        done.append(np.sort(np.append(part, more)))
    return done


def kernel_size(layer: MatrixLayer) -> int:
    """Positions of a convolution's kernel; 1 for a plain product."""
    return int(np.prod(layer.geometry.kernel)) if isinstance(layer.geometry, Window) else 1


def _parts(member: Int64Array) -> list[Int64Array]:
    order = np.argsort(member, kind="stable")
    return np.split(order, np.cumsum(np.bincount(member))[:-1])


def _turns(layer: MatrixLayer) -> Int64Array:
    """Place of each input in the order of dealing: the channels of one kernel position in a row.

    In the order of the weights, channel by channel, three groups of a 3x3 kernel would be its three
    columns, and at a border one of them would see nothing but padding.
    """
    kernel = kernel_size(layer)
    index = np.arange(layer.rows, dtype=np.int64)
    turns: Int64Array = (index % kernel) * (layer.rows // kernel) + index // kernel
    return turns


def _check_groups(layer: MatrixLayer, member: Int64Array, capacity: int) -> Int64Array:
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
