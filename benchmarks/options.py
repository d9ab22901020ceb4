"""CPU seconds of compiling with each costly option, beside a plain compile of the same net.

    python benchmarks/options.py [--write] [--net FILE] [--times N] [--skip NAME ...]

Everything runs in one process, once to warm up and then N times; each time a plain compile goes
first, and the ratio is that of this pair. The program is written too, with its report. Options that
need data get 256 samples, and so does their plain compile. `--write` puts the table into
docs/reference/options-table.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np

import xbarc

TABLE = ROOT / "docs" / "reference" / "options-table.md"
SAMPLES = 256
# Name: what is asked for, and whether it needs data.
OPTIONS: dict[str, tuple[dict[str, Any], bool]] = {
    "--encoding auto": ({"encoding": "auto"}, False),
    "--weight-slices 1": ({"weight_slices": 1}, False),
    "--adc-savings group": ({"adc_savings": "group"}, False),
    "--adc-savings distribute": ({"adc_savings": "distribute"}, False),
    "--adc-savings recode": ({"adc_savings": "recode"}, False),
    "--adc-savings centre": ({"adc_savings": "centre"}, False),
    "--adc-savings all": ({"adc_savings": "all"}, False),
    "--adc calibrated": ({"adc": "calibrated"}, True),
    "--weight-slices 1, with data": ({"weight_slices": 1}, True),
    "--adc-budget 0.5": ({"adc_budget": "0.5"}, True),
}


def seconds(net: Path, options: dict[str, Any], data: dict[str, Any] | None) -> float:
    """CPU seconds of compiling and writing, all threads together."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.process_time()
        xbarc.compile(net, calibration=data, **options).save(Path(folder) / "net.xbar")
        return time.process_time() - begin


def row_of(name: str, net: Path, data: dict[str, Any], times: int) -> str:
    """A row of the table: medians of a plain compile, of the option, and of their ratio."""
    options, needs = OPTIONS[name]
    given = data if needs else None
    seconds(net, options, given)
    pairs = [(seconds(net, {}, given), seconds(net, options, given)) for _ in range(times)]
    plain, own = (median(column) for column in zip(*pairs, strict=True))
    ratio = median(second / first for first, second in pairs)
    return f"| `{name}` | {plain:.2f} | {own:.2f} | {ratio:.1f} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--net", type=Path, default=ROOT / "models" / "fashion-vgg.onnx")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--skip", nargs="*", default=[])
    arguments = parser.parse_args()
    with np.load(ROOT / "models" / "fashion-test-1000.npz") as file:
        data = {name: file[name][:SAMPLES] for name in file.files}
    lines = ["| option | plain compile | with the option | times |", "|---|---|---|---|"]
    seconds(arguments.net, {}, None)
    for name in OPTIONS:
        if name not in arguments.skip:
            lines.append(row_of(name, arguments.net, data, arguments.times))
            print(lines[-1], flush=True)
    if arguments.write:
        TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
