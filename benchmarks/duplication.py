"""Copies of weights at equal budgets: the optimum beside the rules of thumb of other compilers.

    python benchmarks/duplication.py [--write]

Nets with random weights, target rram128 and isaac; budgets are one chip and some multiples of what
one copy needs. `--write` puts the table into docs/reference/duplication-table.md.
The rules are ours, after what their papers say: `ratio` scales ISAAC's ratio of positions down
until it fits, `slowest` adds copies to the slowest layer until the next one does not fit, `saving`
adds the copy that saves most time per array.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import nets
from xbarc.compiler import CompileOptions, compile_model
from xbarc.cost import Policy, chip_arrays, step_timing
from xbarc.cost.timing.duplication import (
    Stand,
    arrays_of,
    interval_of,
    stands,
    within_budget,
)
from xbarc.ir.program import CrossbarStep, Program
from xbarc.ir.quantizers import StaticInput
from xbarc.report import collect, render_html
from xbarc.target import load_target

TABLE = ROOT / "docs" / "reference" / "duplication-table.md"
NETS: dict[str, Callable[[Path], None]] = {
    "resnet18": nets.resnet18,
    "squeezenet": nets.squeezenet,
    "vgg16": nets.vgg16,
}
Copies = dict[str, int]


def by_ratio(layers: Sequence[Stand], budget: int) -> Copies:
    """Copies in proportion to the work of a layer, one at least, as many as fit."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        fits = arrays_of(layers, _scaled(layers, middle)) <= budget
        low, high = (middle, high) if fits else (low, middle)
    return _scaled(layers, low)


def _scaled(layers: Sequence[Stand], share: float) -> Copies:
    return {x.name: min(x.most, max(1, int(share * x.positions))) for x in layers}


def by_slowest(layers: Sequence[Stand], budget: int) -> Copies:
    """One more copy for the slowest layer, until the next one does not fit."""
    copies = {layer.name: 1 for layer in layers}
    left = budget - sum(layer.arrays for layer in layers)
    while True:
        slow = max(layers, key=lambda layer: layer.time(copies[layer.name]))
        if slow.arrays > left or copies[slow.name] >= slow.most:
            return copies
        copies[slow.name] += 1
        left -= slow.arrays


def by_saving(layers: Sequence[Stand], budget: int) -> Copies:
    """The copy that shortens the sum of all layers' times most for each array, while one fits."""
    copies = {layer.name: 1 for layer in layers}
    left = budget - sum(layer.arrays for layer in layers)
    while True:
        open_ones = [x for x in layers if x.arrays <= left and copies[x.name] < x.most]
        if not open_ones:
            return copies
        best = max(open_ones, key=lambda x: _saving(x, copies[x.name]))
        copies[best.name] += 1
        left -= best.arrays


def _saving(layer: Stand, copies: int) -> float:
    saved = layer.round_time * layer.positions / (copies * (copies + 1))
    return saved / layer.arrays


RULES: dict[str, Callable[[Sequence[Stand], int], Copies]] = {
    "optimum": within_budget,
    "ratio": by_ratio,
    "slowest": by_slowest,
    "saving": by_saving,
}


def compiled(name: str, target: str, folder: Path) -> Program:
    """A net with static ranges, so that layers overlap."""
    path = folder / f"{name}.onnx"
    if not path.is_file():
        NETS[name](path)
    loaded = load_target(target)
    shapes = {"x": (1, 3, 224, 224)}
    program = compile_model(
        path, loaded, options=CompileOptions(adc=str(loaded.adc.max_bits), shapes=shapes)
    )
    fixed = StaticInput(bits=loaded.precision.activation_bits, scale=1.0, zero_point=0)
    steps = tuple(
        replace(step, quantizer=fixed) if isinstance(step, CrossbarStep) else step
        for step in program.steps
    )
    return replace(program, steps=steps)


def lines_of(name: str, target: str, folder: Path) -> list[str]:
    program = compiled(name, target, folder)
    times = {s.name: step_timing(s, program.target) for s in program.crossbar_steps}
    layers = stands(program, times) or ()
    chip = chip_arrays(program.target)
    chips = -(-program.arrays // chip)
    begin = time.process_time()
    render_html(collect(program, Policy("budget", chips * chip)))
    took = time.process_time() - begin
    found = []
    for budget in sorted({int(1.1 * program.arrays), 2 * program.arrays, chips * chip}):
        cells = []
        for rule in RULES.values():
            copies = rule(layers, budget)
            cells.append(f"{1e12 / interval_of(layers, copies):,.1f}")
        head = f"| {name} | {target} | {program.arrays:,} | {budget:,} ({budget / chip:.2f} chips)"
        found.append(f"{head} | {' | '.join(cells)} | {took:.1f} |")
        print(found[-1], flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--nets", nargs="*", default=list(NETS))
    arguments = parser.parse_args()
    head = "| net | target | arrays of one copy | budget | optimum | ratio | slowest | saving |"
    lines = [head + " schedule and report, CPU s |", "|---" * 9 + "|"]
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.nets:
            for target in ("rram128", "isaac"):
                lines += lines_of(name, target, Path(folder))
    if arguments.write:
        TABLE.write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
