"""Options of training a program for its target."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from xbarc.options.base import Options, option, read_path, reads
from xbarc.options.values import Augmentation, Method, parse_augmentation


class Training(Options):
    """How `xbarc train` goes through the data."""

    table: ClassVar[str] = "training"
    panel: ClassVar[str] = "Training"

    epochs: int = option(
        3,
        "passes over the training data",
        metavar="N",
        bounds=(0, 100_000),
        brief="passes over the training data",
    )
    hours: float | None = option(
        None,
        "stop after this many hours, at the end of an epoch",
        metavar="H",
        unset="none",
        bounds=(0, None),
        brief="stop after this many hours",
    )
    batch: int = option(128, "samples of one step", metavar="N", bounds=(1, 1 << 20))
    # The MLP behind 2-bit converters, 3 epochs of 20,000 images, one seed, validation images: these
    # two rates gave 88.0 % (shares of .03 88.0 too, with more loss); cells of .02 and one absolute
    # rate for all scales and biases 87.5 (1e-3) and 87.6 (5e-3); cells of .05 with 1e-3 87.3; cells
    # of .1 and shares of .01 87.1. A net of 8 inputs behind 1-bit converters, 5 seeds, gained 10.1
    # points with these, 8.1 with shares of .03, 9.6 with cells of .1.
    # Of several cells per weight, a rate in levels changed weights 64 times as fast by the highest
    # of four slices as by the lowest: the VGG-like net, pruned for energy, lost ten points at .05.
    # In levels of the lowest .05 and .3 lost none.
    cell_rate: float = option(
        0.05,
        "largest learning rate of cells, in levels; of several cells per weight, in levels of the "
        "least significant one",
        metavar="RATE",
        bounds=(0, None),
    )
    digital_rate: float = option(
        0.1,
        "largest learning rate of scales and biases, as a share of their mean in the layer; of "
        "thresholds, in sums",
        metavar="RATE",
        bounds=(0, None),
    )
    settle: float = option(
        0.0,
        "let a cell leave its level only where its gradients agree: where their mean is above half "
        "of RATIO of their root mean square",
        metavar="RATIO",
        bounds=(0, 10),
    )
    augment: Annotated[
        Augmentation | None, reads(lambda v: v if v is None else parse_augmentation(v))
    ] = option(
        None,
        "change samples at random in every step: mirror half of them along their last axis (flip), "
        "move each by up to N places along each axis of space or time (shift:N), put a patch of "
        "another one into each (cutmix; the float network alone teaches, for labels do not fit)",
        metavar="flip,shift:N,cutmix",
        brief="change samples at random: mirror, move, patch",
        unset="none",
    )
    noise: float = option(
        0.0,
        "let every cell deviate by a normal share of its range while training, drawn at each step",
        metavar="SHARE",
        bounds=(0, 1),
    )
    noise_device: str | Method | None = option(
        None,
        "let cells hold what this device model makes of their levels, drawn at each step: "
        "variation is the target's own spread, else as --device of check",
        metavar="variation|NAME|package:Name",
        unset="none",
        imports=True,
    )
    prune_energy: float = option(
        1.0,
        "make lossless conversions this many times cheaper on average (energy as 2**bits); the "
        "epoch that is kept is the best of those that reach it",
        metavar="TIMES",
        brief="make conversions this many times cheaper",
        bounds=(1, 1e6),
    )
    validation: Annotated[Path | None, reads(read_path)] = option(
        None,
        "samples that choose the epoch",
        metavar="VALID.npz",
        brief="samples that choose the epoch",
        flags=("--validate",),
        unset="a share of the training data",
    )
    held_out: float = option(
        0.1,
        "share of the training data that chooses the epoch where --validate names no other",
        metavar="SHARE",
        bounds=(0, 0.9),
    )
    # Each epoch draws from a million seeds further on (`loop.py`), and torch's have 64 bits.
    train_seed: int = option(
        0, "seed of the order of samples, and of noise", metavar="N", bounds=(0, (1 << 32) - 1)
    )
