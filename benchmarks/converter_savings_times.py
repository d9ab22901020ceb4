"""CPU seconds of every converter saving on a network, all threads counted.

    python benchmarks/converter_savings_times.py MODEL.onnx [--target rram128]
    python benchmarks/converter_savings_times.py vgg19

A name is that of a light model of the onnx package; its weights are random numbers of seed 0.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import xbarc
from benchmarks import fill
from xbarc.mapping import layer
from xbarc.mapping.converter_savings import savings
from xbarc.mapping.recoding import encoding

STAGES: dict[str, tuple[object, str]] = {
    "distribute": (savings, "deal_rows"),
    "centre": (savings, "centres"),
    "recode": (encoding, "recode"),
    "group": (savings, "order_columns"),
    "settings": (layer, "adc_settings"),
}


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Seconds of the process that pass in each stage while the context lasts."""
    spent = dict.fromkeys(STAGES, 0.0)
    with ExitStack() as stack:
        for stage, (room, name) in STAGES.items():
            stack.enter_context(
                patch.object(room, name, _clocked(getattr(room, name), stage, spent))
            )
        yield spent


def _clocked(work: Callable[..., Any], stage: str, spent: dict[str, float]) -> Callable[..., Any]:
    def run(*arguments: Any, **options: Any) -> Any:
        start = time.process_time()
        try:
            return work(*arguments, **options)
        finally:
            spent[stage] += time.process_time() - start

    return run


def measure(
    model: Path, target: str, pulled: str = "all", law: str = "both"
) -> tuple[dict[str, float], list[str]]:
    """Seconds of each stage, and what converters are against the worst case."""
    with timed() as spent:
        start = time.process_time()
        program = xbarc.compile(str(model), target=target, adc_savings=pulled, conversion_cost=law)
        spent["compile"] = time.process_time() - start
    rows = {row.rule: row for row in program.report().converters if row.layer == "all layers"}
    worst = rows["worst case"]
    lines = [
        f"{rule}: {row.mean_bits:.3f} bits, {worst.mean_bits / row.mean_bits:.3f} times less;"
        f" {row.mean_levels:.2f} levels, {worst.mean_levels / row.mean_levels:.3f} times less"
        for rule, row in rows.items()
    ]
    return spent, lines


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--target", default="rram128")
    parser.add_argument("--adc-savings", default="all")
    parser.add_argument("--conversion-cost", default="both")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(arguments.model)
        if not model.exists():
            model = Path(folder) / "model.onnx"
            fill.fill(fill.light_model(arguments.model), model, 0)
        spent, lines = measure(
            model, arguments.target, arguments.adc_savings, arguments.conversion_cost
        )
    for stage, seconds in spent.items():
        print(f"{stage:10} {seconds:8.1f} CPU s")
    solver = sum(spent[stage] for stage in STAGES)
    print(f"{'all stages':10} {solver:8.1f} CPU s")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
