"""An order and signs in which given integers lie on chains of columns that share cells.

Two outputs can be neighbours if the sum of their weights, each with its sign, stays within the
levels in every row; a chain fits if that holds for every run of its outputs. So an order is a set
of paths that cover the graph of possible neighbours, with a condition on whole paths.

The search grows a chain from the output with the fewest possible neighbours, at the end with fewer
ways to go on, and turns back where it is stuck. It is complete: without the limit on its work it
finds an order wherever there is one. Integers that come from real chains leave so few possible
neighbours that it hardly ever turns back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from xbarc.lazy import lazy_module
from xbarc.mapping.chains.beam import find_wide_order
from xbarc.mapping.chains.loop_arguments import (
    CHAIN,
    FOUND,
    FRAME,
    NONE,
    PUT,
    RANKED,
    UNKNOWN,
    ChainSearch,
    FollowerNoise,
    Free,
    GrownChains,
    Links,
    OpenMoves,
)
from xbarc.numerics import Int64Array, IntArray

if TYPE_CHECKING:
    from xbarc.mapping.chains import search_kernels as kernels
else:
    kernels = lazy_module("xbarc.mapping.chains.search_kernels")

_LARGEST: Final = 1 << 25
"""Weights of a search; each takes two levels of two bytes."""
# Levels are kept as int16, counted from where a chain begins: -(2**14) to 2**14 leaves room.
_MOST_LEVELS: Final = 1 << 14
# A link takes 5 bytes: 80 MiB.
_MOST_LINKS: Final = 1 << 24
_PAIRS_WORK: Final = 2_000_000_000
"""Rows looked at to find out who can be neighbours: about a second."""
_WORK: Final = 400_000_000
"""Rows looked at in one attempt: a few tenths of a second."""
_MOVES: Final = 10_000
"""Moves of one attempt, each some 5 microseconds beside its rows."""
_ATTEMPTS: Final = 4
"""The first goes strictly by the fewest ways on, the others with some noise.

Chains of random cells with 27 rows and more are all found in the first. With fewer rows more
attempts were tried and found little: what four do not find, chains of 12 rows, 24 did not either.
"""
_SPARSE: Final = 64
"""Possible neighbours of an output on average, up to which a search is short."""
# A key is at most half as large again: an output with two free neighbours may change places with
# one that has three, and hardly ever with one that has four.
_NOISE: Final = 0.5
_KEPT: Final = 64
"""Ways on that are tried at a place, best first."""

Answer = Literal["found", "none", "unknown"]
_ANSWERS: Final[dict[int, Answer]] = {NONE: "none", FOUND: "found", UNKNOWN: "unknown"}


@dataclass(frozen=True, eq=False)
class ChainOrder:
    """What a search found.

    Attributes:
        answer: `none` is proven, `unknown` means that the work was used up.
        order: output at each position; empty unless found.
        signs: +1 or -1 at each position.
    """

    answer: Answer
    order: Int64Array
    signs: IntArray


def find_order(
    weights: IntArray, lengths: Sequence[int], levels: int, *, dense: bool = True
) -> ChainOrder:
    """An order and signs with which all rows fit.

    Args:
        weights: axes: row, output.
        lengths: outputs of each chain, in the order of positions; together all outputs.
        levels: of a cell, or of all cells of a weight together.
        dense: whether to search too where most outputs can be neighbours.

    The same weights give the same answer: work is counted, never timed.

    Raises:
        ValueError: chains without outputs, or for more or fewer outputs than there are.
    """
    if min(lengths, default=1) < 1 or sum(lengths) != weights.shape[1]:
        raise ValueError(f"chains of {list(lengths)[:8]} for {weights.shape[1]} outputs")
    limit = levels - 1
    if weights.size and int(np.abs(weights.astype(np.int64)).max()) > limit:
        return _answer("none")
    # Equal rows ask for the same, and rows of zeros for nothing.
    rows = np.unique(weights, axis=0)
    rows = rows[np.any(rows != 0, axis=1)]
    # Rows with large weights first: what does not fit shows there.
    by_size = np.argsort(-np.abs(rows.astype(np.int64)).sum(axis=1), kind="stable")
    columns = np.ascontiguousarray(rows[by_size].T, dtype=np.int32)
    small = 0 < columns.size <= _LARGEST and levels <= _MOST_LEVELS
    links = _links(columns, limit, dense=dense) if small else None
    if links is None:
        return _answer("unknown")
    found = _try_orders(columns, lengths, limit, links)
    if found.answer != "unknown" or not dense:
        return found
    return _find_whole_chain(columns, lengths, limit, links)


def _try_orders(columns: IntArray, lengths: Sequence[int], limit: int, links: Links) -> ChainOrder:
    """Attempts until one finds an order or proves that there is none."""
    for attempt in range(_ATTEMPTS):
        search = _start_search(columns, lengths, limit, links, attempt)
        answer = _ANSWERS[kernels.search_order(search, _MOVES, _WORK)]
        if answer == "found":
            return _join_chains(search, lengths)
        # Proven by trying all: another attempt would only repeat it.
        if answer == "none":
            return _answer("none")
    return _answer("unknown")


def _find_whole_chain(
    columns: IntArray, lengths: Sequence[int], limit: int, links: Links
) -> ChainOrder:
    """One chain of all outputs: wherever it is cut, its parts fit too.

    Integers that were made on one chain and are cut into several have no ends where chains must
    end, so that chains of given lengths nearly always begin in the middle of each other.
    """
    if len(lengths) > 1:
        found = _try_orders(columns, [len(columns)], limit, links)
        if found.answer == "found":
            return found
    order, signs = find_wide_order(columns, limit, links)
    return ChainOrder("found", order, signs) if len(order) else _answer("unknown")


def _answer(answer: Answer) -> ChainOrder:
    return ChainOrder(answer, np.zeros(0, np.int64), np.zeros(0, np.int8))


def _links(columns: IntArray, limit: int, *, dense: bool) -> Links | None:
    """Possible neighbours of each output; None where there are too many."""
    count = len(columns)
    most = min(2 * count * (count - 1), _MOST_LINKS if dense else _SPARSE * count)
    start = np.zeros(count + 1, np.int64)
    other, sign = np.empty(most, np.int32), np.empty(most, np.int8)
    total = kernels.find_links(columns, limit, most, _PAIRS_WORK, start, other, sign)
    return None if total < 0 else Links(start, other[:total].copy(), sign[:total].copy())


def _join_chains(search: ChainSearch, lengths: Sequence[int]) -> ChainOrder:
    """Chains at the positions that have their lengths."""
    chains = search.chains
    # Chains of a length in the order in which they were begun.
    free = np.argsort(chains.table["size"], kind="stable")
    rank = np.argsort(np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable"))
    own = chains.table[free[rank]]
    items = np.concatenate(
        [chains.items[first:stop] for first, stop in zip(own["first"], own["stop"], strict=True)]
    )
    return ChainOrder("found", items["item"].astype(np.int64), items["sign"].astype(np.int8))


def _start_search(
    columns: IntArray, lengths: Sequence[int], limit: int, links: Links, attempt: int
) -> ChainSearch:
    """An attempt before its first move."""
    each, left = np.unique(-np.asarray(lengths, dtype=np.int64), return_counts=True)
    return ChainSearch(
        columns,
        links,
        limit,
        -each,
        left.astype(np.int64),
        Free(np.zeros(len(columns), np.bool_), np.diff(links.start).astype(np.int64)),
        FollowerNoise(_NOISE if attempt else 0.0, np.array([attempt + 1], np.uint64)),
        np.empty((2, _KEPT), RANKED),
        _empty_chains(columns, len(lengths)),
        _empty_frames(),
        np.zeros(3, np.int64),
    )


def _empty_chains(columns: IntArray, count: int) -> GrownChains:
    """No chain, and room for all; what is not used takes no memory."""
    items, rows = columns.shape
    return GrownChains(
        np.zeros(count, CHAIN),
        np.empty(2 * items, PUT),
        np.empty((count, 2, rows), np.int32),
        np.empty((items + count, 2, rows), np.int16),
    )


def _empty_frames() -> OpenMoves:
    """One for every move that an attempt may make, and one to begin with."""
    depth = _MOVES + 1
    return OpenMoves(np.zeros(depth, FRAME), np.empty((depth, _KEPT + 1), PUT))
