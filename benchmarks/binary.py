"""Binary networks on sense amplifiers: accuracy after splitting, on Fashion-MNIST.

    python benchmarks/binary.py MODEL.onnx [--rows 512 256 128] [--cases calibrated even two-bit]
        [--calibration-sets 3] [--calibration-images 5000] [--images 10000]

One JSON line a compilation. Calibration images are drawn, without labels, from the first 55,000
training images; accuracy is measured on the test images.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from xbarc.compiler import CompileOptions, compile_model
from xbarc.evaluate import evaluate
from xbarc.executor import Executor
from xbarc.ir.program import Program
from xbarc.mapping import MapOptions, SenseOptions
from xbarc.target import load_target

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models"))
from fetch import CACHE, as_input, fashion_mnist

CASES: dict[str, dict[str, Any]] = {
    "unsplit": {},
    "calibrated": {},
    "mean": {"thresholds": "mean"},
    "even": {"thresholds": "even"},
    "even-consecutive": {"thresholds": "even", "split": "consecutive"},
    "consecutive": {"split": "consecutive"},
    "two-bit": {"bits": 2},
}


def compiled(model: Path, rows: int, case: str, images: Any) -> Program:
    """A program on arrays of this many rows; `unsplit` on arrays large enough."""
    tall = 16384 if case == "unsplit" else rows
    target = load_target("bnn128", [f"array.rows={tall}", f"array.active_rows={tall}"])
    sense = SenseOptions(**CASES[case])
    options = CompileOptions(mapping=MapOptions(encoding="differential", sense=sense))
    return compile_model(model, target, options=options, calibration={"image": images})


def main() -> int:
    """Print one line a compilation."""
    parser = argparse.ArgumentParser(description="Accuracy of split binary networks.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[512, 256, 128])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=["calibrated"])
    parser.add_argument("--calibration-sets", type=int, default=1)
    parser.add_argument("--calibration-images", type=int, default=5000)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--cache", type=Path, default=CACHE)
    options = parser.parse_args()
    training = as_input(fashion_mnist(options.cache, "train")[0][:55_000])
    pixels, labels = fashion_mnist(options.cache, "test")
    test = {
        "image": as_input(pixels[: options.images]),
        "labels": labels[: options.images].astype(np.int64),
    }
    for rows in options.rows:
        for case in options.cases:
            for seed in range(options.calibration_sets):
                order = np.random.default_rng(seed).permutation(len(training))
                images = training[order[: options.calibration_images]]
                start = time.monotonic()
                program = compiled(options.model, rows, case, images)
                seconds = time.monotonic() - start
                result = evaluate(program, test, options.model, executor=Executor(program))
                line = {
                    "model": options.model.stem,
                    "rows": rows,
                    "case": case,
                    "calibration": seed,
                    "top1_float": result.top1_float,
                    "top1": result.top1_crossbar,
                    "agreement": result.agreement,
                    "layers": {layer.name: layer.agreement for layer in result.layers},
                    "seconds": round(seconds, 1),
                }
                print(json.dumps(line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
