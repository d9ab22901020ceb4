"""The command: `python -m tests.fuzz KIND`; see the package's docstring."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz.campaign import ROOT, Limits, Tally, run_campaign
from tests.fuzz.kind import Result, Verdict
from tests.fuzz.kinds import KINDS
from tests.fuzz.worker import try_case

_TOLD = 500
"""Every so many seeds a line says how far it is."""


def main(arguments: list[str] | None = None) -> int:
    """Fuzz; 1 when there was a finding."""
    options = _options(arguments)
    if options.kind == "kinds":
        print(*sorted(KINDS))
        return 0
    if options.case is not None:
        verdict = try_case(KINDS[options.kind].judge, options.case)
        print(f"{verdict.result}: {verdict.detail}" if verdict.detail else verdict.result)
        return int(verdict.result is Result.FINDING)
    limits = Limits(options.count, options.seconds, options.patience)
    tally = run_campaign(options.kind, options.start, limits, options.findings, _show)
    _summary(options.kind, options.start, tally)
    return int(bool(tally.findings))


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=main.__doc__)
    parser.add_argument("kind", choices=[*sorted(KINDS), "kinds"], help="`kinds` lists them")
    parser.add_argument("--start", type=int, default=0, metavar="SEED", help="default: 0")
    parser.add_argument("--count", type=int, default=10**9, metavar="N", help="cases, at most")
    parser.add_argument("--seconds", type=float, default=float("inf"), metavar="S", help="time")
    parser.add_argument("--patience", type=float, default=60.0, metavar="S", help="one case's time")
    parser.add_argument("--findings", type=Path, default=ROOT / ".fuzz", metavar="DIR")
    parser.add_argument("--case", type=Path, metavar="PATH", help="judge this input and stop")
    options = parser.parse_args(arguments)
    asks = options.case is not None or options.kind == "kinds"
    if not asks and options.count == 10**9 and options.seconds == float("inf"):
        parser.error("say how far to go: --count N or --seconds S")
    options.findings = options.findings.resolve()
    return options


def _show(seed: int, verdict: Verdict) -> None:
    if verdict.result is Result.FINDING:
        print(f"{seed}: {verdict.detail}", flush=True)
    if (seed + 1) % _TOLD == 0:
        print(f"seed {seed} done", file=sys.stderr, flush=True)


def _summary(kind: str, start: int, tally: Tally) -> None:
    print(f"{kind}: {tally.cases} cases, seeds {start} to {tally.next_seed - 1}")
    for result, count in tally.counts.items():
        print(f"{count:8d} {result}")
    for reason, (seed, count) in sorted(tally.refusals.items(), key=lambda item: -item[1][1]):
        print(f"{count:8d} times refused by xbarc alone, first at {seed}: {reason}")
    print(f"go on with --start {tally.next_seed}")


if __name__ == "__main__":
    sys.exit(main())
