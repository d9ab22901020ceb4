"""What facts about inputs of layers are worth: conversions, bits and cycles with and without them.

    python benchmarks/range_analysis.py [NET ...] [--target rram128] [--set key=value ...]

Networks of `models/` as they are, with ranges at run time and from calibration data, and as
ONNX Runtime quantises them (QDQ): signed and symmetric, signed with a zero point, unsigned.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import xbarc
from xbarc.api import CompiledProgram
from xbarc.target import Target, load_target

MODELS = Path(__file__).resolve().parent.parent / "models"
NETS = ("fashion-mlp", "fashion-vgg", "fashion-resnet", "fashion-depthwise")
KINDS = ("run time", "calibrated", "int8 symmetric", "int8", "uint8")
_SAMPLES = 64


class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is untyped
    """The first images of the calibration data, in small batches."""

    def __init__(self) -> None:
        images = calibration()["image"]
        self._batches = iter([images[at : at + 16] for at in range(0, _SAMPLES, 16)])

    def get_next(self) -> dict[str, object] | None:
        """One batch, or None at the end."""
        batch = next(self._batches, None)
        return None if batch is None else {"image": batch}


def calibration() -> dict[str, np.ndarray]:
    """Unlabelled calibration images."""
    with np.load(MODELS / "fashion-calibration-256.npz") as data:
        return {"image": data["image"]}


def quantised(model: Path, kind: str, folder: Path) -> Path:
    """The model in QDQ form."""
    prepared, path = folder / "prepared.onnx", folder / f"{model.stem}-{kind}.onnx"
    quant_pre_process(str(model), str(prepared))
    quantize_static(
        str(prepared),
        str(path),
        Reader(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8 if kind == "uint8" else QuantType.QInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        extra_options={"ActivationSymmetric": kind == "int8 symmetric"},
    )
    return path


def compiled(model: Path, target: Target, kind: str, facts: str) -> CompiledProgram:
    """One program; calibrated where the kind says so."""
    data = calibration() if kind == "calibrated" else None
    return xbarc.compile(model, target=target, calibration=data, range_analysis=facts)


def measured(program: CompiledProgram) -> tuple[float, float, float, float]:
    """Sums over conversions of one, of b, of 2^b, and microseconds of an inference."""
    report = program.report()
    row = [row for row in report.converters if row.rule == "as set"][-1]
    made = sum(count for bits, count in row.histogram.items() if bits)
    every = sum(row.histogram.values())
    latency = report.totals.latency_us or 0.0
    return float(made), row.mean_bits * every, row.mean_levels * every, latency


def line(name: str, kind: str, model: Path, target: Target) -> str:
    """A row of the table."""
    start = time.process_time()
    plain = compiled(model, target, kind, "none")
    between = time.process_time()
    known = compiled(model, target, kind, "all")
    end = time.process_time()
    before, after = measured(plain), measured(known)
    shares = [f"{100 * (b / a - 1):+.1f} %" for a, b in zip(before, after, strict=True)]
    steps = known.program.crossbar_steps
    layers = sum(step.facts is not None or step.narrowed is not None for step in steps)
    cells = (name, kind, f"{layers} of {len(steps)}", *shares)
    spent = f"{between - start:.2f} / {end - between:.2f}"
    return "| " + " | ".join((*cells, spent)) + " |"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nets", nargs="*", default=NETS)
    parser.add_argument("--target", default="rram128")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--kinds", nargs="*", default=KINDS)
    arguments = parser.parse_args()
    target = load_target(arguments.target, arguments.settings)
    print("| | input | layers with facts | conversions | b | 2^b | latency | CPU s without, with |")
    print("|---|---|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.nets:
            for kind in arguments.kinds:
                model = MODELS / f"{name}.onnx"
                if kind not in ("run time", "calibrated"):
                    model = quantised(model, kind, Path(folder))
                print(line(name, kind, model, target), flush=True)


if __name__ == "__main__":
    main()
