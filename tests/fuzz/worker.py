"""The process that tries cases: `python -m tests.fuzz.worker KIND START COUNT FINDINGS`.

It writes one line of JSON a case to the standard output that it was started with. It may crash or
hang; `campaign` watches it.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path

import typer.main

from tests.fuzz.kind import Kind, Result, Verdict
from tests.fuzz.kinds import KINDS

MEMORY = 12 << 30
"""Bytes of address space: an input that makes xbarc ask for more is a finding, not a dead host."""


def try_case(judge: Callable[[Path], Verdict], path: Path) -> Verdict:
    """Judge a case; whatever it raises is a finding."""
    try:
        return judge(path)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}:{last.lineno}"
        text = " ".join(str(error).split())[:300]
        return Verdict(Result.FINDING, f"{type(error).__name__} at {place}: {text}")


def try_seed(kind: Kind, seed: int, keep: Path) -> Verdict:
    """Build and judge one seed; a finding's input stays in `keep`."""
    with tempfile.TemporaryDirectory(prefix="xbarc-fuzz-") as name:
        folder = Path(name) / "case"
        folder.mkdir()
        verdict = try_case(kind.judge, kind.case(seed, folder))
    if verdict.result is Result.FINDING:
        keep_case(kind, seed, keep, verdict.detail)
    return verdict


def keep_case(kind: Kind, seed: int, keep: Path, detail: str) -> None:
    """Write the input of a seed anew, and what is wrong with it, into a folder."""
    shutil.rmtree(keep, ignore_errors=True)
    keep.mkdir(parents=True)
    kind.case(seed, keep)
    (keep / "finding.txt").write_text(f"seed {seed}: {detail}\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Try seeds one after another."""
    name, start, count, findings = arguments
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    faulthandler.enable()
    typer.main.get_command = cache(typer.main.get_command)  # built anew, it takes a third of a case
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)  # what libraries print is no answer
        for seed in range(int(start), int(start) + int(count)):
            verdict = try_seed(KINDS[name], seed, Path(findings) / f"{name}-{seed}")
            line = {"seed": seed, "result": verdict.result, "detail": verdict.detail}
            print(json.dumps(line), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
