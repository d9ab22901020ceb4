"""An order for integers of few rows, where many outputs can be neighbours.

The search of `search.py` follows one chain and turns back; with few rows nearly every way on looks
good, and what is wrong shows only at the end. So many chains grow side by side here, by one output
at either end, and the best of each length are kept: those whose free outputs have most possible
neighbours left. Chains of the same outputs, levels and ends are one.

It finds an order or none, and proves nothing.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from xbarc.lazy import lazy_module
from xbarc.mapping.chains.loop_arguments import Links
from xbarc.numerics import AnyArray, Float64Array, Int64Array, IntArray

if TYPE_CHECKING:
    from xbarc.mapping.chains import beam_kernels as kernels
else:
    kernels = lazy_module("xbarc.mapping.chains.beam_kernels")

# Chains kept of each length. Of 12 rows, 64 outputs and 4 levels, 1000 that grow at both ends found
# 4 of 4 orders, 4000 that grow at one end 0 of 4. More find more and take longer: of 12 rows, 127
# outputs and 2 levels 2 of 4 were found with 1000.
_KEPT: Final = 1000
_WORK: Final = 4_000_000_000
"""Links and rows looked at, about: some seconds. Where they would be more, fewer are kept."""
# Ways on of one beam that are compared; each chain has a few, where it has more than one.
_WAYS: Final = 32
# What an output costs that has so many free neighbours: three quarters for each more. .6 and .8
# (exp -.5, -.2) found the same orders, .37 fewer.
_PRICE: Final = 0.75
# Of the random numbers that name outputs and levels in a hash.
_SEED: Final = 1


class ChainBeam(NamedTuple):
    """Chains of one length; the first axis is the chain.

    Attributes:
        placed: bits of the outputs that it holds.
        outputs: a hash of them.
        tips: levels at its last and its first end; axes: chain, end, row.
        low, high: least and greatest level of each row.
        score: how hard the free outputs are to place.
    """

    placed: AnyArray
    outputs: AnyArray
    tips: IntArray
    low: IntArray
    high: IntArray
    score: Float64Array


class ChainProblem(NamedTuple):
    """Outputs, and what chains are judged by.

    Attributes:
        columns: axes: output, row.
        links: possible neighbours.
        limit: what levels of a row may span.
        price: of an output with so many free neighbours.
        name, random: random numbers for each output, and for levels of each row.
    """

    columns: IntArray
    links: Links
    limit: int
    price: Float64Array
    name: AnyArray
    random: AnyArray


class BeamRoom(NamedTuple):
    """Room for one chain, and the table of chains seen."""

    degree: Int64Array
    level: IntArray
    low: IntArray
    high: IntArray
    table: AnyArray


class BeamWays(NamedTuple):
    """Chains one output longer: the chain before, the output, and its end and sign in two bits."""

    parent: IntArray
    item: IntArray
    way: IntArray
    score: Float64Array


def find_wide_order(columns: IntArray, limit: int, links: Links) -> tuple[Int64Array, IntArray]:
    """Order and signs of one chain of all outputs; empty where none is found.

    Args:
        columns: axes: output, row.
        limit: what levels of a row may span.
        links: possible neighbours.
    """
    count, rows = columns.shape
    kept = int(min(_KEPT, _WORK // max(1, count * (8 * count + len(links.other)))))
    if kept < 1:
        return np.zeros(0, np.int64), np.zeros(0, np.int8)
    problem = _problem(columns, limit, links)
    room = kept * _WAYS
    table = np.zeros(1 << (4 * room).bit_length(), np.uint64)
    level, low, high = (np.zeros(rows, np.int32) for _ in range(3))
    past = _ways((count, kept))
    length = kernels.grow_chains(
        _beam(kept, count, rows),
        _beam(kept, count, rows),
        problem,
        BeamRoom(np.zeros(count, np.int64), level, low, high, table),
        _ways((room,)),
        past,
    )
    return _follow_back(past, count if length == count else 0)


def _problem(columns: IntArray, limit: int, links: Links) -> ChainProblem:
    count, rows = columns.shape
    random = np.random.default_rng(_SEED)
    # the lowest bit is left for keys that must not be 0
    names = 2 * random.integers(1, 1 << 63, (count,), dtype=np.uint64)
    levels = random.integers(1, 1 << 63, (3, rows), dtype=np.uint64)
    # products one after another: a power may end in another bit on another CPU
    price = np.cumprod(np.full(2 * count + 1, _PRICE)) / _PRICE
    return ChainProblem(columns.astype(np.int32), links, limit, price, names, levels)


def _beam(kept: int, count: int, rows: int) -> ChainBeam:
    return ChainBeam(
        np.zeros((kept, -(-count // 64)), np.uint64),
        np.zeros(kept, np.uint64),
        np.zeros((kept, 2, rows), np.int32),
        np.zeros((kept, rows), np.int32),
        np.zeros((kept, rows), np.int32),
        np.zeros(kept),
    )


def _ways(shape: tuple[int, ...]) -> BeamWays:
    parent, item, way = (np.zeros(shape, np.int32) for _ in range(3))
    # scores of chains that are past decide nothing
    return BeamWays(parent, item, way, np.zeros(shape if len(shape) == 1 else 0))


def _follow_back(past: BeamWays, length: int) -> tuple[Int64Array, IntArray]:
    """The best chain, from its last output to its first."""
    added, place = [], 0
    for at in reversed(range(length)):
        added.append((int(past.item[at, place]), int(past.way[at, place])))
        place = int(past.parent[at, place])
    chain: deque[tuple[int, int]] = deque()
    for item, way in reversed(added):
        entry = (item, 1 - 2 * (way & 1))
        (chain.appendleft if way >> 1 else chain.append)(entry)
    found = np.array(chain, dtype=np.int64).reshape(-1, 2)
    return found[:, 0].copy(), found[:, 1].astype(np.int8)
