"""How the speed benchmarks time: works take turns, so that the machine's mood hits all of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

Work = Callable[[], object]


@dataclass(frozen=True)
class Spread:
    """The median of several runs, and their quartiles."""

    median: float
    low: float
    high: float


def spread_of(values: Sequence[float]) -> Spread:
    """Median and quartiles."""
    if len(values) < 2:
        return Spread(values[0], values[0], values[0])
    low, _, high = quantiles(values, n=4, method="inclusive")
    return Spread(median(values), low, high)


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        work: what is done.
        ours: what we take or reach.
        unit: of `ours` and `theirs`.
        peer: who else does it.
        theirs: what the peer takes or reaches.
        ratio: how many times as fast as the peer we are, pair by pair.
        note: the bound, bytes or memory.
        goal: what `ours` should be.
    """

    work: str
    ours: Spread
    unit: str
    peer: str = ""
    theirs: float | None = None
    ratio: Spread | None = None
    note: str = ""
    goal: str = ""


def take_turns(works: Mapping[str, Work], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each work in each round, after a first run that does not count."""
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            start = time.process_time()
            work()
            times[name].append(time.process_time() - start)
    return times


def rates(amount: float, seconds: Sequence[float]) -> list[float]:
    """Amount a second, run by run."""
    return [amount / one for one in seconds]


def compare(
    work: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    *,
    peer: str,
    unit: str = "CPU s",
    amount: float | None = None,
    note: str = "",
    goal: str = "",
) -> Row:
    """A row of two lists of seconds, taken in turns.

    Args:
        work: what is done.
        ours: seconds of xbarc, run by run.
        theirs: those of the peer, in the same order.
        peer: its name.
        unit: seconds of what, or what is counted.
        amount: how much is done in a run; where it is given, rates are shown.
        note: as in `Row`.
        goal: as in `Row`.
    """
    ratio = spread_of([b / a for a, b in zip(ours, theirs, strict=True)])
    shown = (rates(amount, ours), rates(amount, theirs)) if amount else (ours, theirs)
    return Row(work, spread_of(shown[0]), unit, peer, median(shown[1]), ratio, note, goal)


@dataclass(frozen=True)
class Usage:
    """What one process took: CPU and wall seconds, and its largest memory in bytes."""

    cpu: float
    wall: float
    peak: int


_LAUNCHER = """
import json, os, sys, time
for line in sys.stdin:
    job = json.loads(line)
    start = time.perf_counter()
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    files = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, flags, 0o600) for fd in (1, 2)]
    pid = os.posix_spawnp(job["command"][0], job["command"], job["environment"], file_actions=files)
    _, status, used = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    found = [used.ru_utime + used.ru_stime, wall, used.ru_maxrss * 1024]
    print(json.dumps([os.waitstatus_to_exitcode(status), found]), flush=True)
"""


class Launcher:
    """Starts commands from a process so small that its own memory is not taken for theirs.

    The system counts as a process's peak what its parent held when it was started.
    """

    def __init__(self) -> None:
        command = [sys.executable, "-I", "-S", "-c", _LAUNCHER]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Launcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(
        self,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        codes: Sequence[int] = (0,),
    ) -> Usage:
        """Run a command as a shell would, its output thrown away."""
        job: dict[str, Any] = {"command": [*map(str, command)], "environment": dict(environment)}
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise ValueError("the launcher has no pipes")
        stdin.write(json.dumps(job) + "\n")
        stdin.flush()
        code, (cpu, wall, peak) = json.loads(stdout.readline())
        if code not in codes:
            raise SystemExit(f"{' '.join(job['command'])}: exit code {code}")
        return Usage(cpu, wall, peak)
