"""ISAAC's own arithmetic on VGG-16: conversions per MAC, balance of the pipeline, rate.

    python benchmarks/isaac.py [--write]

Random weights, static ranges, 16-bit weights and inputs. `--write` puts the table into
docs/reference/isaac-table.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from math import ceil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import duplication
from xbarc.cost import LayerCost, Policy, ProgramCost, program_cost

TABLE = ROOT / "docs" / "reference" / "isaac-table.md"


def line(layer: LayerCost) -> str:
    """A row of the table."""
    step, found = layer.step, layer.counts
    filled = step.inputs * step.outputs * 8 / (128 * 128) / step.tiling.array.size
    rounds = ceil((layer.positions or 0) / layer.copies)
    ratio = found.all_conversions / found.crossbar_macs
    sizes = f"| {step.name} | {step.inputs} x {step.outputs} | {layer.positions or 0:,} "
    work = f"| {layer.copies:,} | {rounds:,} | {rounds * layer.timing.vector_ns / 1e3:,.1f} "
    return f"{sizes}{work}| {filled:.3f} | {ratio:.3f} | {ratio * filled * 128 / 129:.3f} |"


def rate(cost: ProgramCost) -> tuple[float, float]:
    """Inferences a second: of the schedule, and by the published formula."""
    slowest = max(ceil((x.positions or 0) / x.copies) * x.timing.vector_ns for x in cost.layers)
    return 1e9 / (cost.interval_ns or 1.0), 1e9 / slowest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    with tempfile.TemporaryDirectory() as folder:
        program = duplication.compiled("vgg16", "isaac", Path(folder))
    cost = program_cost(program, Policy("balance"))
    head = "| layer | matrix | vectors | copies | rounds | works, us | full | conversions per MAC "
    lines = [head + "| of full arrays, less the unit column |", "|---" * 9 + "|"]
    lines += [line(layer) for layer in cost.layers]
    text = "\n".join(lines) + "\n"
    ours, formula = rate(cost)
    print(text, f"{ours:,.1f} inferences per second, {formula:,.1f} by formula", sep="\n")
    print(f"{cost.counts.arrays:,.0f} arrays, {cost.counts.chips:.0f} chips")
    if write:
        TABLE.write_text(text)
    return int(abs(ours / formula - 1) > 1e-6)


if __name__ == "__main__":
    sys.exit(main())
