"""Measure the top-1 accuracy of the ONNX files by ONNX Runtime, its optimisations off.

    python models/verify.py [NAME ...] [--cache DIR]

Prints one line per network: right answers on the 10,000 test images and on the shipped 1,000.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
from fetch import CACHE, as_input, fashion_mnist, fetch
from numpy.typing import NDArray

MODELS: Final = Path(__file__).resolve().parent


def ort_logits(path: Path, images: NDArray[np.float32], batch: int = 500) -> NDArray[np.float32]:
    """Run an ONNX file over many images, all graph optimisations off."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    parts = [
        session.run(["logits"], {"image": images[start : start + batch]})[0]
        for start in range(0, len(images), batch)
    ]
    return np.concatenate(parts)


def count_right(path: Path, images: NDArray[np.float32], labels: NDArray[np.int64]) -> int:
    """Return how many images get their own label as the largest logit."""
    return int(np.count_nonzero(ort_logits(path, images).argmax(1) == labels))


def main(arguments: list[str] | None = None) -> int:
    """Print the accuracy of the named networks, by default of all."""
    parser = argparse.ArgumentParser(description="Measure the top-1 accuracy of the ONNX files.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as fashion-vgg")
    parser.add_argument("--cache", type=Path, default=CACHE, help="default: .cache/data")
    options = parser.parse_args(arguments)
    fetch("fashion-mnist", options.cache)
    pixels, labels = fashion_mnist(options.cache, "test")
    images = as_input(pixels)
    shipped = np.load(MODELS / "fashion-test-1000.npz")
    for name in options.names or sorted(path.stem for path in MODELS.glob("*.onnx")):
        path = MODELS / f"{name}.onnx"
        full = count_right(path, images, labels.astype(np.int64))
        part = count_right(path, shipped["image"], shipped["labels"])
        print(f"{name}: {full} of {len(labels)}, {part} of the shipped {len(shipped['labels'])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
