"""Many images and many chips: growth, and what processes gain."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from timing import Launcher, Row, Usage, compare, spread_of

_MODELS = Path(__file__).resolve().parent.parent / "models"
_ROUNDS = 3


@dataclass(frozen=True)
class _Shop:
    """A compiled net, its test images, and who starts commands on them."""

    folder: Path
    launcher: Launcher

    def compile(self) -> None:
        """The VGG-like net for Fashion-MNIST, 0.3 M weights."""
        calibration = str(_MODELS / "fashion-calibration-256.npz")
        model = str(_MODELS / "fashion-vgg.onnx")
        options = ("--calibrate", calibration, "-o", str(self.folder / "net.xbar"))
        self._start("compile", model, *options)

    def check(self, images: int, chips: int, *options: str) -> Usage:
        """`xbarc check` of the first images on some chips with variation."""
        data = self.folder / f"{images}.npz"
        if not data.exists():
            with np.load(_MODELS / "fashion-test-1000.npz") as whole:
                np.savez(data, **{name: whole[name][:images] for name in whole.files})
        effects = ("--effects", "variation", "--samples", str(chips))
        program = str(self.folder / "net.xbar")
        return self._start("check", program, "--data", str(data), *effects, *options)

    def _start(self, *arguments: str) -> Usage:
        return self.launcher.run((sys.executable, "-m", "xbarc", *arguments), os.environ)


def growth(quick: bool) -> Iterator[Row]:
    """CPU time of `check` over images and over chips; even figures mean that it is linear."""
    counts = ((250, 1), (500, 1), (1000, 1), (250, 2), (250, 4))
    with _open_shop() as shop:
        for kind in ((), ("--ideal-converters",)):
            least = shop.check(1, 1, "--threads", "1", *kind).cpu
            for images, chips in counts[: 2 if quick else None]:
                one = shop.check(images, chips, "--threads", "1", *kind)
                chip = f"{chips} chip{'s' * (chips > 1)}"
                yield Row(
                    f"growth: check, {_kind_name(kind)}, {images} images, {chip}",
                    spread_of([(one.cpu - least) / (images * chips) * 1e3]),
                    "CPU ms per image and chip",
                    note=f"{one.cpu:.1f} CPU s, of which {least:.1f} for the first image",
                    goal="even",
                )


def jobs(quick: bool) -> Iterator[Row]:
    """Wall and CPU time of one process and of two, in turns."""
    images = 125 if quick else 250
    with _open_shop() as shop:
        for kind in ((), ("--ideal-converters",)):
            one, two = [], []
            for _ in range(_ROUNDS):
                one.append(shop.check(images, 4, "--threads", "1", "--jobs", "1", *kind))
                two.append(shop.check(images, 4, "--jobs", "2", *kind))
            yield from _jobs_rows(f"check, {_kind_name(kind)}, 4 chips, {images} images", one, two)


@contextmanager
def _open_shop() -> Iterator[_Shop]:
    with tempfile.TemporaryDirectory() as name, Launcher() as launcher:
        shop = _Shop(Path(name), launcher)
        shop.compile()
        yield shop


def _kind_name(options: Sequence[str]) -> str:
    return "variation, ideal converters" if options else "variation"


def _jobs_rows(work: str, one: Sequence[Usage], two: Sequence[Usage]) -> list[Row]:
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    return [
        compare(
            f"{work}: --jobs 2",
            *([run.wall for run in two], [run.wall for run in one]),
            peer="--jobs 1 --threads 1",
            unit="wall s",
            note=load,
            goal=">= 1.8 times on free cores",
        ),
        compare(
            f"{work}: --jobs 2",
            *([run.cpu for run in two], [run.cpu for run in one]),
            peer="--jobs 1 --threads 1",
            goal=">= 0.9 times",
        ),
    ]
