"""A program on chips as they are made: the same data on several samples, and their spread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from xbarc.circuit import Effects, device_origin, names_of
from xbarc.evaluate import Evaluation, Meter, Progress, Tally, evaluation_of
from xbarc.executor import labelled_batches
from xbarc.experiments.sharing import Piece, Work, cut_pieces, make_executor, share_work
from xbarc.ir import Program
from xbarc.numerics import AnyArray, available_cores
from xbarc.options import Execution

# What the engine of a chip keeps of a cell: a contribution of 4 bytes and tables of 16 to 24.
_CELL_BYTES = 28

# Of engines that a process keeps at once, 2 GB: 35 chips of ResNet-20, one of VGG-19, whose float
# model then runs once a chip.
_ROOM = 1 << 31


@dataclass(frozen=True)
class Spread:
    """Mean, standard deviation over chips, and the least."""

    mean: float
    deviation: float
    worst: float


@dataclass(frozen=True, eq=False)
class MonteCarlo:
    """A run on several chips.

    Attributes:
        effects: what they suffered from; its sample is the first chip's.
        runs: an evaluation a chip.
    """

    effects: Effects
    runs: tuple[Evaluation, ...]

    @property
    def top1(self) -> Spread | None:
        """Of the program, where there are labels."""
        return _spread([run.top1_crossbar for run in self.runs])

    @property
    def agreement(self) -> Spread | None:
        """With the float model."""
        return _spread([run.agreement for run in self.runs])

    @property
    def least_agreement(self) -> float | None:
        """Of the worst chip."""
        return None if self.agreement is None else self.agreement.worst

    def as_json(self) -> dict[str, Any]:
        """The evaluation of the first chip, with means over chips and the whole spread."""
        data = self.runs[0].as_json()
        if not self.effects.kinds:
            return data
        effects = self.effects
        data["top1_crossbar"] = None if self.top1 is None else self.top1.mean
        data["agreement"] = None if self.agreement is None else self.agreement.mean
        data["effects"] = {
            "kinds": list(names_of(effects.kinds)),
            "seed": effects.seed,
            "seconds": effects.seconds,
            "gated": effects.active,
            "fault_map": effects.fault_map is not None,
            "ideal_converters": not effects.converters,
            "chips": len(self.runs),
            "top1": None if self.top1 is None else vars(self.top1),
            "agreement": None if self.agreement is None else vars(self.agreement),
            "runs": [
                {
                    "sample": number,
                    "top1_crossbar": run.top1_crossbar,
                    "agreement": run.agreement,
                    "output_sqnr_db": run.output_sqnr_db,
                }
                for number, run in enumerate(self.runs)
            ],
        }
        if effects.device is not None:
            data["effects"]["device"] = device_origin(effects.device)
        return data


def _spread(values: list[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Spread(float(np.mean(known)), float(np.std(known)), min(known))


def monte_carlo(
    program: Program,
    data: Mapping[str, AnyArray],
    model: Path,
    effects: Effects,
    samples: int = 1,
    how: Execution | None = None,
    progress: Progress | None = None,
) -> MonteCarlo:
    """Evaluate a program on chips.

    Args:
        program: the compiled program.
        data: as for `evaluate`.
        model: the float model.
        effects: what every chip suffers from.
        samples: chips to draw, where anything is random.
        how: the engine, which only counts without effects.
        progress: called with samples done and samples in all, over all chips.
    """
    how = how or Execution()
    counts = [count for _, _, count in labelled_batches(program, data)]
    jobs = how.jobs or available_cores()
    pieces = cut_pieces(effects, samples, len(counts), jobs)
    chips = dict.fromkeys(piece.sample for piece in pieces)
    rounds = _group_pieces(program, pieces, jobs)
    tallies = {chip: Tally() for chip in chips}
    done, total = 0, sum(counts) * len(chips)
    try:
        with share_work(program, effects, how, data=data) as (share, work):
            found = share(partial(_measure_round, work, model), rounds)
            for some, batches in zip(rounds, found, strict=True):
                for batch in batches:
                    for piece, part in zip(some, batch, strict=True):
                        tallies[piece.sample].join(part)
                        done += part.samples
                if progress is not None:
                    progress(done, total)
    finally:
        _meter_of.cache_clear()
    return MonteCarlo(effects, tuple(evaluation_of(program, tally) for tally in tallies.values()))


def _group_pieces(program: Program, pieces: list[Piece], jobs: int) -> list[tuple[Piece, ...]]:
    """The same batches of several chips together, so that the float model runs once for them.

    As many chips as memory holds side by side, and no fewer groups than processes where there are
    chips enough.
    """
    cells = sum(prod(step.cells.shape) for step in program.crossbar_steps)
    room = max(1, _ROOM // max(1, cells * _CELL_BYTES))
    each = list(dict.fromkeys((piece.first, piece.last) for piece in pieces))
    by_chip = [pieces[at : at + len(each)] for at in range(0, len(pieces), len(each))]
    size = min(room, -(-len(by_chip) * len(each) // jobs))
    groups = [by_chip[at : at + size] for at in range(0, len(by_chip), size)]
    return [some for group in groups for some in zip(*group, strict=True)]


def _measure_round(work: Work, model: Path, some: tuple[Piece, ...]) -> list[list[Tally]]:
    """Counts of each batch of a piece of several chips; axes: batch, chip."""
    batches = labelled_batches(work.program(), work.data())
    meter = _meter_of(work, model, tuple(piece.sample for piece in some))
    return [meter.measure(batch) for batch in batches[some[0].first : some[0].last]]


# Chips are made once for all of their pieces, and of a process only the last group is kept.
@lru_cache(maxsize=1)
def _meter_of(work: Work, model: Path, samples: tuple[int | None, ...]) -> Meter:
    executors = [make_executor(work, sample) for sample in samples]
    return Meter(work.program(), model, executors)
