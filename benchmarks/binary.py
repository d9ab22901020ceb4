"""Binary networks on sense amplifiers: accuracy after splitting, on Fashion-MNIST.

    python benchmarks/binary.py MODEL.onnx... [--rows 512 256 128] [--cases calibrated even two-bit]
        [--calibration-sets 0 1 2] [--calibration-images 5000] [--images 10000] [--log FILE]
    python benchmarks/binary.py --table LOG [--picture FILE.svg]

One JSON line a compilation; with `--log` lines are added to a file, and what it holds already is
not measured again. `--table` prints mean and spread of a log as Markdown. Calibration images are
drawn, without labels, from the first 55,000 training images; accuracy is that of test images.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from xbarc.api import CompiledProgram
from xbarc.compiler import CompileOptions, compile_model
from xbarc.evaluate import evaluate
from xbarc.executor import Executor
from xbarc.ir.program import Program
from xbarc.target import load_target

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models"))
from fetch import CACHE, as_input, fashion_mnist

CASES: dict[str, dict[str, Any]] = {
    "unsplit": {},
    "calibrated": {},
    "extra-50": {"extra_groups": 0.5},
    "extra-100": {"extra_groups": 1.0},
    "spare-columns": {"spare_columns": True},
    "spare-columns, extra-50": {"spare_columns": True, "extra_groups": 0.5},
    "spare-columns, extra-100": {"spare_columns": True, "extra_groups": 1.0},
    "two-bit": {"sense_bits": 2},
    "no-refit": {"refit": False},
    "partition": {"split": "partition"},
    "mean": {"thresholds": "mean"},
    "even": {"thresholds": "even", "refit": False},
    "even-consecutive": {"thresholds": "even", "split": "consecutive", "refit": False},
    "consecutive": {"split": "consecutive"},
}
_TALL = 16384
_PICTURED = 0.9


def compiled(model: Path, rows: int, case: str, images: Any) -> Program:
    """A program on arrays of this many rows; `unsplit` on arrays large enough."""
    target = load_target(f"bnn{rows}")
    if case == "unsplit":
        target = load_target("bnn512", [f"array.rows={_TALL}", f"array.active_rows={_TALL}"])
    options = CompileOptions(encoding="differential", **CASES[case])
    return compile_model(model, target, options=options, calibration={"image": images})


def key(line: dict[str, Any]) -> tuple[Any, ...]:
    """What tells one measurement from another."""
    names = ("model", "rows", "case", "calibration", "calibration_images", "images")
    return tuple(line[name] for name in names)


def measured(wanted: dict[str, Any], model: Path, training: Any, test: dict[str, Any]) -> Any:
    """The line with its results."""
    order = np.random.default_rng(wanted["calibration"]).permutation(len(training))
    images = training[order[: wanted["calibration_images"]]]
    start = time.process_time()
    program = compiled(model, wanted["rows"], wanted["case"], images)
    seconds = time.process_time() - start
    result = evaluate(program, test, model, executor=Executor(program))
    totals = CompiledProgram(program).report().totals
    return wanted | {
        "top1_float": result.top1_float,
        "top1": result.top1_crossbar,
        "agreement": result.agreement,
        "layers": {layer.name: layer.agreement for layer in result.layers},
        "groups": {s.name: len(s.tiling.segment_bounds) - 1 for s in program.crossbar_steps},
        "arrays": totals.arrays,
        "conversions": totals.conversions,
        "energy_uj": totals.energy_uj,
        "area_mm2": totals.area_mm2,
        "cpu_seconds": round(seconds, 1),
    }


def table(lines: list[dict[str, Any]]) -> Iterator[str]:
    """Points lost against ONNX Runtime, mean and spread over what was measured, as Markdown."""
    yield "| net | rows | case | nets x sets | float | lost | from, to | agreement | arrays |"
    yield "|---|--:|---|--:|--:|--:|--:|--:|--:|"
    rows: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for line in lines:
        kind = "MLP" if "mlp" in line["model"] else "CNN"
        tall = "any" if line["case"] == "unsplit" else line["rows"]
        rows.setdefault((kind, tall, line["case"]), []).append(line)
    for (kind, tall, case), found in sorted(rows.items(), key=lambda row: str(row[0])):
        lost = [100 * (line["top1_float"] - line["top1"]) for line in found]
        nets = len({line["model"] for line in found})
        mean = [float(np.mean([line[n] for line in found])) for n in ("top1_float", "agreement")]
        spread = f"{min(lost):.2f} to {max(lost):.2f}"
        yield (
            f"| {kind} | {tall} | {case} | {nets} x {len(found) / nets:.3g} | {100 * mean[0]:.2f}"
            f" | {np.mean(lost):.2f} | {spread} | {mean[1]:.4f} | {found[0]['arrays']} |"
        )


def picture(lines: list[dict[str, Any]]) -> str:
    """Classes that agree with the unsplit network's against points lost, a dot a compilation."""
    width, height, edge = 640, 400, 50
    shown = [line for line in lines if line["agreement"] > _PICTURED]
    lost = [100 * (line["top1_float"] - line["top1"]) for line in shown]
    low, high = min(0.0, *lost), max(lost)
    body = []
    for line, points in zip(shown, lost, strict=True):
        x = edge + (line["agreement"] - _PICTURED) / (1 - _PICTURED) * (width - 2 * edge)
        y = edge + (high - points) / (high - low) * (height - 2 * edge)
        colour = "#d98c3f" if "mlp" in line["model"] else "#3b6ea8"
        name = f"{line['model']}, {line['rows']} rows, {line['case']}: {points:.2f} points"
        dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}" fill-opacity="0.7">'
        body.append(f"{dot}<title>{name}</title></circle>")
    for share in np.linspace(_PICTURED, 1, 6):
        x = edge + (share - _PICTURED) / (1 - _PICTURED) * (width - 2 * edge)
        body.append(f'<text x="{x:.0f}" y="{height - 25}" text-anchor="middle">{share:.2f}</text>')
    for points in np.arange(np.ceil(low), high, 1.0):
        y = edge + (high - points) / (high - low) * (height - 2 * edge)
        body.append(f'<text x="{edge - 10}" y="{y + 4:.0f}" text-anchor="end">{points:.0f}</text>')
        body.append(f'<path d="M{edge} {y:.1f}H{width - edge}" stroke="#999"/>')
    body.append(f'<text x="{edge}" y="25">points lost (CNN blue, MLP orange)</text>')
    body.append(f'<text x="{width // 2}" y="{height - 5}">classes that agree</text>')
    style = '<rect width="100%" height="100%" fill="white"/>'
    start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
    return "\n".join(
        [f'{start} font-family="sans-serif" font-size="12">', style, *body, "</svg>\n"]
    )


def _read(log: Path | None) -> list[dict[str, Any]]:
    if log is None or not log.exists():
        return []
    return [json.loads(line) for line in log.read_text().splitlines() if line]


def _data(options: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    training = as_input(fashion_mnist(options.cache, "train")[0][:55_000])
    pixels, labels = fashion_mnist(options.cache, "test")
    count = options.images
    classes = labels[:count].astype(np.int64)
    return training, {"image": as_input(pixels[:count]), "labels": classes}


def measure(options: argparse.Namespace) -> None:
    """Print one line a compilation that is not in the log yet."""
    done = {key(line) for line in _read(options.log)}
    training, test = _data(options)
    sizes = (options.calibration_images, options.images)
    for number, rows, case, model in product(
        options.calibration_sets, options.rows, options.cases, options.models
    ):
        names = ("model", "rows", "case", "calibration", "calibration_images", "images")
        wanted = dict(zip(names, (model.stem, rows, case, number, *sizes), strict=True))
        if key(wanted) in done:
            continue
        line = json.dumps(measured(wanted, model, training, test))
        print(line, flush=True)
        if options.log is not None:
            with options.log.open("a") as file:
                file.write(line + "\n")


def main() -> int:
    """Measure, or print a table."""
    parser = argparse.ArgumentParser(description="Accuracy of split binary networks.")
    parser.add_argument("models", type=Path, nargs="*")
    parser.add_argument(
        "--rows", type=int, nargs="+", choices=[512, 256, 128], default=[512, 256, 128]
    )
    parser.add_argument("--cases", nargs="+", choices=CASES, default=["calibrated"])
    parser.add_argument("--calibration-sets", type=int, nargs="+", default=[0])
    parser.add_argument("--calibration-images", type=int, default=5000)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--table", type=Path, metavar="LOG", help="only print this log's table")
    parser.add_argument("--picture", type=Path, help="with --table: agreement against loss")
    options = parser.parse_args()
    if options.table is None:
        measure(options)
    else:
        lines = _read(options.table)
        print("\n".join(table(lines)))
        if options.picture is not None:
            options.picture.write_text(picture(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
