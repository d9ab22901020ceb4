"""What one range for all layers costs: top-1 and SQNR beside ranges of their own.

    python benchmarks/one_range.py [--images N] [--feedback auto|off] [--share S ...] [NET ...]

Fashion-MNIST, test split (the first N images), 256 training images for calibration, without labels.
Cells of 2 bits, one a sign (weights from -3 to 3), differential pairs subtracted before the
converter, inputs of 6 bits in one cycle, 128 rows. Converters: 8 bits, one setting for all, where
the range is one; lossless where layers have ranges of their own, which flatters these.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.models.places import MODELS, calibration, fashion_test
from xbarc.compiler import CompileOptions, compile_model
from xbarc.evaluate import evaluate
from xbarc.target import load_target

NETS = ("fashion-mlp", "fashion-vgg", "fashion-resnet", "fashion-depthwise")
SHARES = ("own", "none", "layer", "channel")
SETTINGS = ("input.dac_bits=6", "precision.activation_bits=6")
CONVERTER_BITS = 8


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print a row as soon as it is known."""
    parser = argparse.ArgumentParser(description="What one range for all layers costs.")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--feedback", default="auto", choices=("auto", "off"))
    parser.add_argument("--share", nargs="+", default=SHARES, choices=SHARES)
    parser.add_argument("--encoding", default="differential-analog")
    parser.add_argument("nets", nargs="*", default=NETS, metavar="NET")
    options = parser.parse_args(arguments)
    print(
        "| net | feedback | scales | float | top-1 | lost | output SQNR | converter | compiled in |"
    )
    print("|---|---|---|--:|--:|--:|--:|---|--:|", flush=True)
    data = {name: array[: options.images] for name, array in fashion_test().items()}
    for net in options.nets:
        for share in options.share:
            print(_row(net, share, options.feedback, options.encoding, data), flush=True)
    return 0


def _row(net: str, share: str, feedback: str, encoding: str, data: dict[str, object]) -> str:
    own = share == "own"
    bits = 16 if own else CONVERTER_BITS
    target = load_target("rram128", [*SETTINGS, f"adc.max_bits={bits}"])
    chosen = CompileOptions(
        encoding=encoding,
        weight_slices=1,
        feedback=feedback,  # type: ignore[arg-type]
        uniform=not own,
        equalise=None if own else share,  # type: ignore[arg-type]
    )
    model = MODELS / f"{net}.onnx"
    start = time.perf_counter()
    program = compile_model(model, target, options=chosen, calibration=calibration())
    seconds = time.perf_counter() - start
    result = evaluate(program, data, model)  # type: ignore[arg-type]
    top1, reference = 100 * (result.top1_crossbar or 0), 100 * (result.top1_float or 0)
    setting = dict(program.settings).get("one_converter", "lossless")
    return (
        f"| {net} | {feedback} | {share} | {reference:.2f} | {top1:.2f} | {reference - top1:.2f}"
        f" | {result.output_sqnr_db or 0:.1f} dB | {setting} | {seconds:.0f} s |"
    )


if __name__ == "__main__":
    sys.exit(main())
