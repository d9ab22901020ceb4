"""Running a program on chips, batch after batch, in this process or in several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from xbarc.executor import Executor, split_batches
from xbarc.experiments.sharing import Piece, Work, cut_pieces, make_executor, share_work
from xbarc.ir import Program, Trace
from xbarc.numerics import AnyArray, available_cores
from xbarc.options import Execution

if TYPE_CHECKING:
    from xbarc.circuit import Effects


@dataclass(frozen=True)
class Chips:
    """Which chips run; without effects the program runs as it is, once.

    Attributes:
        effects: what they suffer from; None: nothing.
        samples: how many, where anything is random.
    """

    effects: Effects | None = None
    samples: int = 1


# Samples that run together, and two of them alone, to see whether they meet: more would only take
# longer, and of two at least one differs wherever a maximum or a sum over samples counts.
_TRIED = 4


def samples_meet(program: Program, feeds: Mapping[str, AnyArray], how: Execution) -> bool:
    """Whether a sample gives other bits alone than among others, as where a batch is normalised.

    Args:
        program: every output's first axis counts samples.
        feeds: inputs by name.
        how: the engine.
    """
    few = split_batches(program.inputs, feeds, _TRIED)[0]
    alone = split_batches(program.inputs, few, 1)
    executor = Executor(program, how.engine, how.budget, how.threads)
    together = executor.run(few)
    for place in {0, len(alone) - 1} if len(alone) > 1 else ():
        for one, several in zip(executor.run(alone[place]), together, strict=True):
            if not np.array_equal(one, several[place : place + 1], equal_nan=one.dtype.kind == "f"):
                return True
    return False


def run_chips(
    program: Program,
    feeds: Mapping[str, AnyArray],
    chips: Chips,
    how: Execution,
    batch: int,
    trace: Trace | None = None,
) -> Iterator[list[Any]]:
    """Run all batches of all chips.

    Args:
        program: what runs.
        feeds: inputs by name.
        chips: which ones.
        how: engine and processes.
        batch: samples at a time, where the model leaves its batch open.
        trace: observer; counts and codes come in the order of the batches.

    Yields:
        Outputs of each batch, chip by chip.
    """
    count = len(split_batches(program.inputs, feeds, batch))
    pieces = cut_pieces(chips.effects, chips.samples, count, how.jobs or available_cores())
    keep = trace is not None
    try:
        with share_work(program, chips.effects, how, data=feeds) as (share, work):
            for results, seen in share(partial(_run_piece, work, batch, keep), pieces):
                if trace is not None:
                    trace.join(seen)
                yield from results
    finally:
        _executor_of.cache_clear()


def _run_piece(
    work: Work, batch: int, keep_codes: bool, piece: Piece
) -> tuple[list[list[Any]], Trace]:
    """Outputs of each batch of a piece, and what was traced."""
    program = work.program()
    batches = split_batches(program.inputs, work.data(), batch)[piece.first : piece.last]
    trace = Trace(keep_codes=keep_codes)
    executor = _executor_of(work, piece.sample)
    observer = trace if keep_codes else None
    return [executor.run(feeds, trace=observer) for feeds in batches], trace


# As in `robustness`: a chip is made once for all of its pieces, and only the last one is kept.
@lru_cache(maxsize=1)
def _executor_of(work: Work, sample: int | None) -> Executor:
    return make_executor(work, sample)
