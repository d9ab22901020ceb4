"""Write the small image files beside the models: test images with labels, calibration images.

    python models/make_npz.py [--cache DIR] [--out DIR] [--train N]

With `--train N` it writes the first N training images with labels, and nothing else.

numpy stamps every member of an .npz with the same date, so the same images give the same bytes.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

import numpy as np
from fetch import CACHE, as_input, fashion_mnist, fetch

TEST_IMAGES: Final = 1000
CALIBRATION_IMAGES: Final = 256


def main(arguments: list[str] | None = None) -> int:
    """Write both files."""
    parser = argparse.ArgumentParser(description="Write the image files beside the models.")
    parser.add_argument("--cache", type=Path, default=CACHE, help="default: .cache/data")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent)
    parser.add_argument("--train", type=int, metavar="N", help="training images with labels")
    options = parser.parse_args(arguments)
    fetch("fashion-mnist", options.cache)
    if options.train is not None:
        images, labels = fashion_mnist(options.cache, "train")
        np.savez_compressed(
            options.out / f"fashion-train-{options.train}.npz",
            image=as_input(images[: options.train]),
            labels=labels[: options.train].astype(np.int64),
        )
        return 0
    images, labels = fashion_mnist(options.cache, "test")
    np.savez_compressed(
        options.out / f"fashion-test-{TEST_IMAGES}.npz",
        image=as_input(images[:TEST_IMAGES]),
        labels=labels[:TEST_IMAGES].astype(np.int64),
    )
    images, _ = fashion_mnist(options.cache, "train")
    np.savez_compressed(
        options.out / f"fashion-calibration-{CALIBRATION_IMAGES}.npz",
        image=as_input(images[:CALIBRATION_IMAGES]),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
