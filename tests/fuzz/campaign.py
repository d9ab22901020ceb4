"""Many seeds of one kind, in a worker that may crash or hang."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tests.fuzz.kind import Result, Verdict
from tests.fuzz.kinds import KINDS
from tests.fuzz.worker import keep_case

ROOT = Path(__file__).resolve().parents[2]
STARTING = 5
"""How much longer a worker's first answer may take, because everything is imported before it."""
CASES_A_WORKER = 500
"""A fresh process now and then, so that memory that a library keeps does not add up."""

Observer = Callable[[int, Verdict], None]


@dataclass(eq=False)
class Tally:
    """What came of a campaign.

    Attributes:
        counts: cases by result.
        refusals: reasons of refusals that the reference does not share, each with its first seed
            and how often it came.
        findings: by seed.
        next_seed: where the next campaign goes on.
    """

    counts: dict[Result, int] = field(default_factory=lambda: dict.fromkeys(Result, 0))
    refusals: dict[str, tuple[int, int]] = field(default_factory=dict)
    findings: dict[int, str] = field(default_factory=dict)
    next_seed: int = 0

    @property
    def cases(self) -> int:
        """How many cases were tried."""
        return sum(self.counts.values())

    def add(self, seed: int, verdict: Verdict) -> None:
        """Count one case."""
        self.counts[verdict.result] += 1
        self.next_seed = seed + 1
        if verdict.result is Result.FINDING:
            self.findings[seed] = verdict.detail
        if verdict.result is Result.REFUSED:
            first, count = self.refusals.get(verdict.detail, (seed, 0))
            self.refusals[verdict.detail] = (first, count + 1)


@dataclass(frozen=True)
class Limits:
    """How far a campaign goes.

    Attributes:
        count: cases, at most.
        seconds: time, at most; the case that runs is finished.
        patience: seconds that one case may take.
    """

    count: int
    seconds: float = float("inf")
    patience: float = 60.0


def run_campaign(kind: str, start: int, limits: Limits, findings: Path, observe: Observer) -> Tally:
    """Try seeds from `start` on; findings land in folders below `findings`."""
    tally = Tally(next_seed=start)
    end = time.monotonic() + limits.seconds
    while tally.cases < limits.count and time.monotonic() < end:
        count = min(CASES_A_WORKER, limits.count - tally.cases)
        command = [sys.executable, "-m", "tests.fuzz.worker", kind]
        command += [str(tally.next_seed), str(count), str(findings)]
        for seed, verdict in worker_answers(command, tally.next_seed, count, limits.patience):
            if verdict.detail.startswith("the process ") or verdict.detail.startswith("no answer"):
                keep_case(KINDS[kind], seed, findings / f"{kind}-{seed}", verdict.detail)
            tally.add(seed, verdict)
            observe(seed, verdict)
            if time.monotonic() >= end:
                break
    return tally


def worker_answers(
    command: list[str], start: int, count: int, patience: float
) -> Iterator[tuple[int, Verdict]]:
    """Verdicts of one worker; the last is a finding where it crashed or hung."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
        )
        try:
            for seed in range(start, start + count):
                verdict = _next(process, patience * (STARTING if seed == start else 1), log)
                yield seed, verdict
                if process.poll() is not None and verdict.result is Result.FINDING:
                    return
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _next(process: subprocess.Popen[bytes], patience: float, log: IO[str]) -> Verdict:
    """The next answer, or why there is none."""
    if process.stdout is None:
        raise TypeError("the worker has no standard output")
    ready, _, _ = select.select([process.stdout], [], [], patience)
    if not ready:
        process.kill()
        process.wait()
        return Verdict(Result.FINDING, f"no answer within {patience:g} s")
    line = process.stdout.readline()
    if not line:
        code = process.wait()
        log.seek(0)
        last = " / ".join(text.strip() for text in log.read().splitlines()[-6:])
        return Verdict(Result.FINDING, f"the process ended with {code}: {last[:600]}")
    answer = json.loads(line)
    return Verdict(Result(answer["result"]), answer["detail"])
