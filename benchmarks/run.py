"""Speed and size, against peers that are timed in the same run.

    python benchmarks/run.py [--json FILE] [--markdown FILE] [--quick] [NAME ...]

Works of a row take turns, so that a busy machine slows both; figures are medians, and ratios those
of pairs with their quartiles. Rivals that are not installed are left out with a line that says so.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # rivals share code with tests

import commands
import layers
import many
import networks
import rivals
from timing import Row, Spread

BENCHMARKS = {
    "saturating": layers.saturating,
    "lossless": layers.lossless,
    "network": networks.network,
    "chip": networks.chip,
    "rivals": rivals.rivals,
    "commands": commands.commands,
    "cold": commands.cold,
    "jobs": many.jobs,
    "growth-chips": many.growth,
    "growth-layers": layers.growth,
}
_VERSIONS = (
    *("xbarc", "numpy", "numba", "onnxruntime"),
    *("torch", "badcrossbar", "aihwkit", "aihwkit-lightning"),
)
_COLUMNS = ("work", "xbarc", "peer", "unit", "times as fast", "peer is", "bound, bytes", "goal")


def _number(value: float | None) -> str:
    if value is None:
        return ""
    for size, letter in ((1e9, "G"), (1e6, "M")):
        if value >= size:
            return f"{value / size:,.3g} {letter}"
    return f"{value:,.3g}"


def _cells(row: Row) -> list[str]:
    ratio = ""
    if row.ratio is not None:
        low, high = _number(row.ratio.low), _number(row.ratio.high)
        ratio = _number(row.ratio.median)
        if low != high:
            ratio += f" ({low} to {high})"
    ours, theirs = _number(row.ours.median), _number(row.theirs)
    return [row.work, ours, theirs, row.unit, ratio, row.peer, row.note, row.goal]


def _line(row: Row) -> str:
    shown = zip(_COLUMNS, _cells(row), strict=True)
    return ", ".join(text if name == "work" else f"{name} {text}" for name, text in shown if text)


def machine() -> dict[str, str]:
    """Processor, versions, load and date, without which no figure means anything."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = (line for line in info.read_text().splitlines() if line.startswith("model name"))
        cpu = next(lines, cpu).partition(":")[2].strip() or cpu
    facts = {"processor": cpu, "cores": str(os.cpu_count()), "python": platform.python_version()}
    for name in _VERSIONS:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            continue
    load = f"{os.getloadavg()[1]:.1f}"
    return {**facts, "load": load, "date": time.strftime("%Y-%m-%d")}


def markdown(rows: list[Row], facts: dict[str, str]) -> str:
    """The results as a table for the docs."""
    told = ", ".join(f"{name} {value}" for name, value in facts.items())
    lines = [f"{told}.", "", f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    lines += [f"| {' | '.join(_cells(row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def _read_rows(path: Path) -> list[Row]:
    """Rows that `--json` wrote."""

    def spread(found: dict[str, float] | None) -> Spread | None:
        return None if found is None else Spread(**found)

    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return [
        Row(**{**row, "ours": spread(row["ours"]), "ratio": spread(row["ratio"])}) for row in rows
    ]


def main() -> None:
    """Run the benchmarks named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []])
    parser.add_argument("--json", type=Path, help="write rows, machine and versions here")
    parser.add_argument("--markdown", type=Path, help="write them as a table here")
    parser.add_argument("--quick", action="store_true", help="smaller sizes")
    parser.add_argument(
        "--after", type=Path, nargs="*", default=[], help="JSON of earlier runs, shown first"
    )
    arguments = parser.parse_args()
    rows = [row for path in arguments.after for row in _read_rows(path)]
    for name in arguments.names or ([] if arguments.after else BENCHMARKS):
        for row in BENCHMARKS[name](arguments.quick):
            print(_line(row), flush=True)
            rows.append(row)
            _write(arguments, rows)
    _write(arguments, rows)


def _write(arguments: argparse.Namespace, rows: list[Row]) -> None:
    """After every row, so that a run that is interrupted keeps what it has."""
    facts = machine()
    if arguments.json:
        found = {**facts, "rows": [dataclasses.asdict(row) for row in rows]}
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if arguments.markdown:
        arguments.markdown.write_text(markdown(rows, facts), encoding="utf-8")


if __name__ == "__main__":
    main()
