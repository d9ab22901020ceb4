"""A program, its chips and data, laid out for other processes: on disk, mapped by each of them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xbarc.executor import Executor
from xbarc.ir import Program, load_program, save_program
from xbarc.lazy import lazy_module
from xbarc.numerics import AnyArray, available_cores
from xbarc.options import Execution
from xbarc.workers import WorkerMap, work_here, worker_map

if TYPE_CHECKING:
    from xbarc import circuit
    from xbarc.circuit import Effects
else:  # only chips with effects need it
    circuit = lazy_module("xbarc.circuit")

# Batches of one piece of work, some thousand samples: enough to make a chip for, and few enough
# that workers finish together and a person sees them move.
_BATCHES = 16


@dataclass(frozen=True, eq=False)
class LocalWork:
    """Work of this process."""

    own: Program | None
    arrays: Mapping[str, Mapping[str, AnyArray]]
    effects: Effects | None
    how: Execution

    def program(self) -> Program:
        """The program itself."""
        if self.own is None:
            raise ValueError("this work has no program")
        return self.own

    def data(self, name: str = "data") -> Mapping[str, AnyArray]:
        """The arrays themselves."""
        return self.arrays[name]


@dataclass(frozen=True)
class SharedWork:
    """Work on disk. It is compared by its folder, so each worker loads it once."""

    folder: Path
    effects: Effects | None = field(compare=False)
    how: Execution = field(compare=False)

    def program(self) -> Program:
        """The program, mapped."""
        return _load_program(self.folder)

    def data(self, name: str = "data") -> Mapping[str, AnyArray]:
        """The arrays, mapped."""
        return _map_arrays(self.folder / name)


Work = LocalWork | SharedWork
"""A program on chips, with data."""


def make_executor(work: Work, sample: int | None) -> Executor:
    """What runs one chip, or the program as it is."""
    program, how = work.program(), work.how
    chip = None
    if sample is not None and work.effects is not None:
        chip = circuit.Chip(program, replace(work.effects, sample=sample))
    return Executor(program, how.engine, how.budget, how.threads, chip)


@dataclass(frozen=True)
class Piece:
    """Some batches of one chip; `sample` is None where there is no effect."""

    sample: int | None
    first: int
    last: int


def cut_pieces(effects: Effects | None, samples: int, batches: int, jobs: int) -> list[Piece]:
    """Every chip's batches in pieces, chip by chip.

    One process takes batch after batch. Noise goes on from batch to batch, so among several
    processes a chip that has it is one piece.
    """
    chips: Sequence[int | None] = (None,)
    if effects is not None and effects.kinds:
        chips = range(samples if effects.is_random else 1)
    noisy = effects is not None and "noise" in effects
    most = min(_BATCHES, -(-batches // jobs)) if jobs > 1 else 1
    count = 1 if jobs > 1 and noisy else max(1, -(-batches // most))
    ends = [batches * number // count for number in range(count + 1)]
    return [Piece(chip, first, last) for chip in chips for first, last in pairwise(ends)]


@contextlib.contextmanager
def share_work(
    program: Program | None,
    effects: Effects | None,
    how: Execution,
    **data: Mapping[str, AnyArray],
) -> Iterator[tuple[WorkerMap, Work]]:
    """A map over as many processes as asked for, and what they work on.

    For other processes, program and data are laid out in a temporary folder, which goes with the
    block.

    Args:
        program: what runs, if anything does.
        effects: what chips suffer.
        how: the engine, and how many processes there are.
        data: sets of arrays, by the name under which `Work.data` gives them.
    """
    if (how.jobs or available_cores()) == 1:
        yield work_here, LocalWork(program, data, effects, how)
        return
    with tempfile.TemporaryDirectory(prefix="xbarc-") as name, worker_map(how.jobs) as share:
        folder = Path(name)
        if program is not None:
            save_program(program, folder / "program.xbar")
        for kind, arrays in data.items():
            (folder / kind).mkdir()
            for number, (key, array) in enumerate(arrays.items()):
                # Numbered: a name of other people may be no name of a file.
                np.save(folder / kind / f"{number}.npy", array, allow_pickle=False)
                (folder / kind / f"{number}.txt").write_text(key, encoding="utf-8")
        yield share, SharedWork(folder, effects, how)


@lru_cache(maxsize=1)
def _load_program(folder: Path) -> Program:
    return load_program(folder / "program.xbar")


@lru_cache(maxsize=2)
def _map_arrays(folder: Path) -> dict[str, AnyArray]:
    files = sorted(folder.glob("*.npy"), key=lambda path: int(path.stem))
    return {
        path.with_suffix(".txt").read_text(encoding="utf-8"): np.load(path, mmap_mode="r")
        for path in files
    }
