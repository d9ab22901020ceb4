"""Top-1 with one few-bit cell per weight: every net, every encoding, 1 to 4 bits.

    python benchmarks/few_bits.py [--images N] [--calibration N] [--bits 1,2] [--encodings a,b]
                                  [--feedback auto|on|off] [--seed S]
                                  [--json FILE] [--markdown FILE] [NET ...]

All layers have cells of so many bits, one cell of each sign a weight, activations of 8 bits, and
lossless converters, so that the loss is that of the weights alone (and of 8-bit activations).
Calibration: unlabelled training images of Fashion-MNIST, drawn with the seed from the 55,000 that
the nets were trained on. Accuracy: the 10,000 test images, the first N of them. `models/fetch.py`
fetches both.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.models.places import (
    MODELS,
    fashion_test,
    fashion_training,
)  # the root has to be found first
from xbarc.compiler import CompileOptions, compile_model
from xbarc.evaluate import evaluate
from xbarc.ir.program import CrossbarStep, Program
from xbarc.target import Target, load_target

NETS = ("fashion-vgg", "fashion-resnet", "fashion-mlp", "fashion-depthwise")
ENCODINGS = ("differential", "segmented:4", "acm", "bias-column", "unipolar")
BITS = (1, 2, 3, 4)
TARGET = "rram128"


@dataclass(frozen=True)
class Row:
    """One program on the test images; shares are between 0 and 1.

    Attributes:
        columns: bitlines of the program over those of its differential form.
        fed_back: layers that error feedback was kept for, of all.
        output_error: squared error of the layers' products over their variance, on held-back
            calibration images, mean over layers.
    """

    net: str
    encoding: str
    bits: int
    images: int
    top1_float: float
    top1_crossbar: float
    agreement: float
    columns: float
    layers: int
    fed_back: int
    output_error: float | None
    seconds: float

    @property
    def lost(self) -> float:
        """Float less crossbar, in points."""
        return 100 * (self.top1_float - self.top1_crossbar)


@dataclass(frozen=True)
class Setting:
    """What a table was measured with."""

    images: int
    calibration: int
    seed: int
    feedback: str


def main(arguments: list[str] | None = None) -> int:
    """Measure, write files as rows come in, print the table."""
    options = _parser().parse_args(arguments)
    setting = Setting(options.images, options.calibration, options.seed, options.feedback)
    test = {name: array[: options.images] for name, array in fashion_test().items()}
    known = fashion_training(options.calibration, options.seed)
    rows: list[Row] = []
    for net in options.nets or NETS:
        for bits in options.bits:
            for encoding in options.encodings:
                rows.append(measure(net, encoding, bits, (test, known), options.feedback))
                print(f"{net} {encoding} {bits} bits: -{rows[-1].lost:.2f}", file=sys.stderr)
                _write(options, rows, setting)
    print(markdown(rows, setting), end="")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Accuracy with one few-bit cell per weight.")
    parser.add_argument("--images", type=int, default=10_000, help="test images, at most")
    parser.add_argument("--calibration", type=int, default=2_000, help="training images")
    parser.add_argument("--bits", type=_numbers, default=BITS, help="of a cell, such as 1,2")
    parser.add_argument("--encodings", type=_names, default=ENCODINGS, help="with commas between")
    parser.add_argument("--feedback", default="auto", choices=("auto", "on", "off"))
    parser.add_argument("--seed", type=int, default=0, help="of the choice of training images")
    parser.add_argument("--json", type=Path, help="write the rows as JSON")
    parser.add_argument("--markdown", type=Path, help="write the table as Markdown")
    parser.add_argument("nets", nargs="*", metavar="NET", help=", ".join(NETS))
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _write(options: argparse.Namespace, rows: list[Row], setting: Setting) -> None:
    if options.json is not None:
        options.json.write_text(as_json(rows, setting), encoding="utf-8")
    if options.markdown is not None:
        options.markdown.write_text(markdown(rows, setting), encoding="utf-8")


def target_of(bits: int) -> Target:
    """The default target with cells of so many bits, evenly spaced."""
    levels = [float(level + 1) for level in range(1 << bits)]
    settings = [f"cell.bits={bits}", f"cell.conductance={levels}", "adc.max_bits=16"]
    return load_target(TARGET, settings)


def measure(
    net: str,
    encoding: str,
    bits: int,
    data: tuple[dict[str, Any], dict[str, Any]],
    feedback: str,
) -> Row:
    """Compile with one cell per weight, and count right answers."""
    start = time.perf_counter()
    model, (test, known) = MODELS / f"{net}.onnx", data
    mapping = CompileOptions(
        activation_bits=8, encoding=encoding, weight_slices=1, feedback=feedback
    )
    program = compile_model(
        model,
        target_of(bits),
        options=mapping,
        calibration=known,
    )
    result = evaluate(program, test, model)
    shares = (result.top1_float or 0.0, result.top1_crossbar or 0.0, result.agreement or 0.0)
    steps = program.crossbar_steps
    seconds = round(time.perf_counter() - start, 1)
    fits = (len(steps), *_fits(steps))
    return Row(net, encoding, bits, result.samples, *shares, _columns(program), *fits, seconds)


def _columns(program: Program) -> float:
    """Bitlines, beside two an output and block of rows."""
    own = pairs = 0
    for step in program.crossbar_steps:
        blocks = (len(step.tiling.row_bounds) - 1) * step.groups
        own += blocks * step.cells.columns
        pairs += blocks * 2 * step.outputs
    return round(own / pairs, 4)


def _fits(steps: tuple[CrossbarStep, ...]) -> tuple[int, float | None]:
    records = [step.fit for step in steps if step.fit is not None]
    errors = [record.output_error for record in records if record.output_error is not None]
    mean = None if not errors else float(np.mean(errors))
    return sum(record.method == "feedback" for record in records), mean


def as_json(rows: list[Row], setting: Setting) -> str:
    """All rows, and what they have in common."""
    record = {"target": TARGET, **asdict(setting), "rows": [asdict(row) for row in rows]}
    return json.dumps(record, indent=1) + "\n"


def caption(rows: list[Row], setting: Setting) -> str:
    """What the table was measured on."""
    images = min([setting.images, *(row.images for row in rows)])
    return (
        f"Points of top-1 lost. Target {TARGET} with cells of so many bits, one cell of each sign"
        f" a weight in all layers, 8-bit activations, lossless converters. Fashion-MNIST:"
        f" {images:,} test images; {setting.calibration:,} unlabelled training images, seed"
        f" {setting.seed}; `--feedback {setting.feedback}`. *Columns* are those of an output."
    )


def markdown(rows: list[Row], setting: Setting) -> str:
    """Points of top-1 lost, a row for each net and encoding, a column for each count of bits."""
    bits = sorted({row.bits for row in rows})
    lines = [
        caption(rows, setting),
        "",
        "| net | float | encoding | columns | " + " | ".join(f"{b} bit" for b in bits) + " |",
        "|---|--:|---|--:|" + "--:|" * len(bits),
    ]
    found = {(row.net, row.encoding, row.bits): row for row in rows}
    for net, encoding in dict.fromkeys((row.net, row.encoding) for row in rows):
        own = [found.get((net, encoding, b)) for b in bits]
        first = next(row for row in own if row is not None)
        cells = ["" if row is None else f"{row.lost:.2f}" for row in own]
        lines.append(
            f"| {net} | {100 * first.top1_float:.2f} % | {encoding} | {2 * first.columns:.2f} |"
            f" {' | '.join(cells)} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
