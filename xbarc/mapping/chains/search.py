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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from xbarc.lazy import lazy_module
from xbarc.mapping.chains.loop_arguments import (
    FIRST,
    LAST,
    SEED,
    ChainReach,
    FollowerNoise,
    Free,
    Links,
    Ranked,
    Tip,
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
"""Moves of one attempt, each some 60 microseconds beside its rows."""
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


@dataclass(frozen=True)
class _Move:
    """A step of the search: another output at an end, a closed end, or a new chain."""

    side: int
    item: int
    sign: int
    length: int = 0


@dataclass(eq=False)
class _GrowingChain:
    """A chain that grows."""

    length: int
    ends: IntArray
    low: IntArray
    high: IntArray
    items: list[tuple[int, int]] = field(default_factory=list)
    closed: set[int] = field(default_factory=set)


def find_order(
    weights: IntArray, lengths: Sequence[int], levels: int, *, dense: bool = True
) -> ChainOrder:
    """An order and signs with which all rows fit.

    Args:
        weights: axes: row, output.
        lengths: outputs of each chain, in the order of positions.
        levels: of a cell, or of all cells of a weight together.
        dense: whether to search too where most outputs can be neighbours.

    The same weights give the same answer: work is counted, never timed.
    """
    limit = levels - 1
    if weights.size and int(np.abs(weights.astype(np.int64)).max()) > limit:
        return _answer("none")
    # Equal rows ask for the same, and rows of zeros for nothing.
    rows = np.unique(weights, axis=0)
    columns = np.ascontiguousarray(rows[np.any(rows != 0, axis=1)].T, dtype=np.int32)
    small = 0 < columns.size <= _LARGEST and levels <= _MOST_LEVELS
    links = _links(columns, limit, dense=dense) if small else None
    if links is None:
        return _answer("unknown")
    for attempt in range(_ATTEMPTS):
        search = _ChainSearch(
            columns, list(lengths), limit, links, _NOISE if attempt else 0.0, attempt
        )
        answer = search.run()
        if answer == "found":
            return _join_chains(search.chains, lengths)
        # Proven by trying all: another attempt would only repeat it.
        if answer == "none":
            return _answer("none")
    return _answer("unknown")


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


def _join_chains(chains: list[_GrowingChain], lengths: Sequence[int]) -> ChainOrder:
    """Chains at the positions that have their lengths."""
    free = list(chains)
    order: list[tuple[int, int]] = []
    for length in lengths:
        chain = next(chain for chain in free if chain.length == length)
        free.remove(chain)
        order += chain.items
    found = np.array(order, dtype=np.int64).reshape(-1, 2)
    return ChainOrder("found", found[:, 0].copy(), found[:, 1].astype(np.int8))


class _ChainSearch:
    """One attempt."""

    def __init__(
        self,
        columns: IntArray,
        lengths: list[int],
        limit: int,
        links: Links,
        noise: float,
        seed: int,
    ) -> None:
        self.columns, self.limit, self.links = columns, limit, links
        self.left = sorted(lengths, reverse=True)
        self.chains: list[_GrowingChain] = []
        self.free = Free(np.zeros(len(columns), np.bool_), np.diff(links.start).astype(np.int64))
        self.chance = FollowerNoise(noise, np.array([seed + 1], np.uint64))
        self.ranked = Ranked(np.empty(_KEPT, np.int64), np.empty(_KEPT, np.int64), np.empty(_KEPT))
        self.work = 0
        self.cut_short = False

    def run(self) -> Answer:
        """Search until an order is found, all are tried, or the work is used up."""
        frames, done = [self._moves()], list[_Move]()
        for _ in range(_MOVES):
            while (move := next(frames[-1], None)) is None:
                frames.pop()
                if not frames:
                    return "unknown" if self.cut_short else "none"
                self._undo(done.pop())
            self._apply(move)
            done.append(move)
            if not self.left and len(self.chains[-1].items) == self.chains[-1].length:
                return "found"
            # Counted, not timed, so that the answer does not depend on the machine.
            if self.work > _WORK:
                break
            stuck = kernels.is_stuck(*self.free, len(self.left))
            frames.append(iter(()) if stuck else self._moves())
        return "unknown"

    def _moves(self) -> Iterator[_Move]:
        """What can be done next, best first."""
        chain = self.chains[-1] if self.chains else None
        if chain is None or len(chain.items) == chain.length:
            seed = kernels.best_seed(*self.free, *self.chance)
            for length in sorted(set(self.left), reverse=True):
                yield _Move(SEED, int(seed), 1, length)
            return
        ways = {side: self._ways(chain, side) for side in (LAST, FIRST) if side not in chain.closed}
        if not any(ways.values()):
            return
        # The end with fewer ways on first: what cannot be decided there ends this branch soonest.
        side = min(ways, key=lambda each: len(ways[each]))
        yield from ways[side]
        # Complete only if the end may also stay as it is, and the chain go on at the other.
        if len(ways) == 2:
            yield _Move(side, -1, 0)

    def _ways(self, chain: _GrowingChain, side: int) -> list[_Move]:
        tip, sign = chain.items[-1 if side == LAST else 0]
        length = len(chain.items)
        kept, every, used = kernels.find_followers(
            self.columns,
            self.links,
            Tip(tip, sign, side),
            ChainReach(chain.ends, chain.low[length], chain.high[length], self.limit),
            self.free,
            self.chance,
            self.ranked,
        )
        self.work += used
        # Some ways were left out, so that finding none proves nothing.
        self.cut_short |= kept < every
        items, signs = self.ranked.items[:kept].tolist(), self.ranked.signs[:kept].tolist()
        return [_Move(side, item, turn) for item, turn in zip(items, signs, strict=True)]

    def _apply(self, move: _Move) -> None:
        if move.item < 0:
            self.chains[-1].closed.add(move.side)
            return
        if move.side == SEED:
            self.left.remove(move.length)
            self.chains.append(self._chain(move.length))
        chain, row = self.chains[-1], self.columns[move.item]
        length = len(chain.items)
        kernels.put(row, move.sign, move.side, chain.ends, chain.low, chain.high, length)
        chain.items.insert(0 if move.side == FIRST else length, (move.item, move.sign))
        self._count(move.item, placed=True)

    def _undo(self, move: _Move) -> None:
        chain = self.chains[-1]
        if move.item < 0:
            chain.closed.remove(move.side)
            return
        kernels.take(self.columns[move.item], move.sign, move.side, chain.ends)
        chain.items.pop(0 if move.side == FIRST else -1)
        self._count(move.item, placed=False)
        if move.side == SEED:
            self.chains.pop()
            self.left = sorted([*self.left, move.length], reverse=True)

    def _count(self, item: int, *, placed: bool) -> None:
        self.free.placed[item] = placed
        kernels.mark(item, -1 if placed else 1, *self.links[:2], self.free.degree)

    def _chain(self, length: int) -> _GrowingChain:
        rows = self.columns.shape[1]
        return _GrowingChain(
            length,
            np.zeros((2, rows), np.int32),
            np.zeros((length + 1, rows), np.int16),
            np.zeros((length + 1, rows), np.int16),
        )
