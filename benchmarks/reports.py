"""CPU seconds of schedule and report for big nets, and how large the reports are.

    python benchmarks/reports.py [--write] [--nets NAME ...]

Nets with random weights and static ranges on rram128 and isaac, one copy of every layer. The clock
is that of the process. `--write` puts the table into docs/reference/reports-table.md. Leaves with 1
where schedule and report together take longer than ten seconds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import duplication, nets
from xbarc.cost import chip_arrays, program_cost
from xbarc.report import collect, render_html, render_json

TABLE = ROOT / "docs" / "reference" / "reports-table.md"
LIMIT_S = 10.0
NETS: dict[str, Callable[[Path], None]] = {
    "resnet18": nets.resnet18,
    "resnet50": nets.resnet50,
    "mobilenet": nets.mobilenet,
    "vgg16": nets.vgg16,
}
Made = TypeVar("Made")


def timed(work: Callable[[], Made]) -> tuple[Made, float]:
    """What some work gives, and its CPU seconds."""
    begin = time.process_time()
    made = work()
    return made, time.process_time() - begin


def line_of(name: str, target: str, folder: Path) -> tuple[str, float]:
    """A row of the table, and the seconds of schedule and report."""
    program = duplication.compiled(name, target, folder)
    chip = chip_arrays(program.target)
    _, counting = timed(lambda: program_cost(program))
    report, collecting = timed(lambda: collect(program))
    page, drawing = timed(lambda: render_html(report))
    text, _ = timed(lambda: render_json(report))
    over = program.arrays - chip
    fits = "yes" if over <= 0 else f"{over:,} arrays too many ({program.arrays / chip:.2f} chips)"
    sizes = f"{len(text) / 1e3:,.0f} | {len(page) / 1e3:,.0f}"
    row = f"| {name} | {target} | {len(report.layers)} | {program.arrays:,} | {fits} "
    row += f"| {counting:.1f} | {collecting + drawing:.1f} | {sizes} |"
    return row, collecting + drawing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--nets", nargs="*", default=list(NETS))
    parser.add_argument("--targets", nargs="*", default=["rram128", "isaac"])
    arguments = parser.parse_args()
    duplication.NETS.update(NETS)
    head = "| net | target | layers | arrays | fits one chip | counts and schedule, CPU s "
    lines = [head + "| all of a report, CPU s | JSON, kB | HTML, kB |", "|---" * 9 + "|"]
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.nets:
            for target in arguments.targets:
                row, took = line_of(name, target, Path(folder))
                print(row, flush=True)
                lines.append(row)
                worst = max(worst, took)
    if arguments.write:
        TABLE.write_text("\n".join(lines) + "\n")
    return int(worst > LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())
