"""What `training.py` trains: cases, and the tables that are made of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np

from benchmarks import activity
from xbarc.target import Target, load_target

ENCODINGS = ("differential", "acm", "unipolar", "bias-column")
SPREADS = (0.05, 0.1)
# Sixteen encodings and widths, trained in two ways: twenty chips of each would take hours.
FEW_CHIPS = 3


@dataclass(frozen=True)
class Case:
    """One question.

    Attributes:
        title: what the table calls it.
        compiling: options of compiling.
        target: the name of a target.
        settings: fields of it that are other ones here.
        cell_bits: of the target's cells; 0 leaves them as they are.
        training: options of training beside the command line's.
        spreads: by what shares of their range cells of the tested chips deviate.
        chips: so many are tested.
        calibration: images that choose ranges and converters; 0 takes ranges at run time.
        from_scratch: the network's weights are drawn anew, and labels alone teach.
        masked: cells that hold zero keep it.
        balanced: weight of `hoyer_balance` in the loss.
    """

    title: str
    compiling: dict[str, Any]
    target: str = "rram128"
    settings: tuple[str, ...] = ()
    cell_bits: int = 0
    training: dict[str, Any] = field(default_factory=dict)
    spreads: tuple[float, ...] = ()
    chips: int = 20
    calibration: int = 256
    from_scratch: bool = False
    masked: bool = False
    balanced: float = 0.0

    @property
    def is_lossless(self) -> bool:
        """Whether no conversion loses anything."""
        return "uniform" not in self.compiling and self.compiling.get("adc") in (None, "lossless")

    @property
    def counts_widths(self) -> bool:
        """Whether the question is how wide lossless converters are."""
        return self.is_lossless and bool(self.settings) and not self.cell_bits

    @property
    def reference(self) -> Case:
        """The same mapping behind lossless converters, layers with ranges of their own."""
        plain = {name: value for name, value in self.compiling.items() if name != "uniform"}
        # 6-bit inputs in one cycle ask for 15 bits; a lossless converter takes those it needs
        settings = (*self.settings, "adc.max_bits=16")
        return replace(self, compiling={**plain, "adc": "lossless"}, settings=settings)

    def load_target(self, spread: float = 0.0) -> Target:
        """The target; cells of other widths have as many levels, equally spaced."""
        settings = list(self.settings)
        if self.cell_bits:
            levels = np.linspace(1.0, 2.0, 1 << self.cell_bits).tolist()
            settings += [f"cell.bits={self.cell_bits}", f"cell.conductance={levels}"]
        if spread:
            settings += [f"cell.variation.sigma.value={spread}"]
        return load_target(self.target, settings)


_ONE_CELL: dict[str, Any] = {"weight_slices": 1}
_FEW: dict[str, Any] = {**_ONE_CELL, "activation_bits": 4}
_ONE_RANGE: dict[str, Any] = {"weight_slices": 1, "activation_bits": 6, "uniform": True}
_ONE_RANGE_TARGET = ("input.dac_bits=6", "adc.max_bits=8")


def _converter_cases() -> Iterator[tuple[str, Case]]:
    for bits in (2, 1):
        name = "converters" if bits == 2 else f"converters-{bits}"
        title = f"{bits}-bit converters, 4-bit inputs, a 2-bit cell a sign"
        case = Case(title, {**_FEW, "adc": f"calibrated:{bits}"})
        yield name, case
        scaled = replace(case, title=f"{title}, factors of 4 bits", settings=("adc.scale_bits=4",))
        yield f"{name}-scaled", scaled
    yield (
        "converters-8",
        Case("2-bit converters, 8-bit inputs, four cells a sign", {"adc": "calibrated:2"}),
    )


# Ten bits, which the target's converters have, hold neither the sums of 5-bit cells nor those that
# 4-bit cells grow to in training.
_WIDER = ("adc.max_bits=12",)


def _cell_cases() -> Iterator[tuple[str, Case]]:
    for bits, encoding in product((1, 2, 3, 5), ENCODINGS):
        title, compiling = f"{bits}-bit cells, {encoding}", {**_ONE_CELL, "encoding": encoding}
        settings = _WIDER if bits == 5 else ()
        case = Case(title, compiling, settings=settings, cell_bits=bits)
        yield f"{encoding}-{bits}", replace(case, calibration=2_000)
        several = replace(case, spreads=SPREADS, chips=FEW_CHIPS)
        yield f"{encoding}-{bits}-spread", several
        yield (
            f"{encoding}-{bits}-scratch",
            replace(several, title=f"{title}, from scratch", calibration=0, from_scratch=True),
        )


def _noise_cases() -> Iterator[tuple[str, Case]]:
    for bits, spread in product((2, 4), SPREADS):
        yield (
            f"noise-{bits}-{100 * spread:.0f}",
            Case(
                f"{bits}-bit cells that deviate by {100 * spread:.0f} % of their range",
                _ONE_CELL,
                settings=_WIDER if bits == 4 else (),
                cell_bits=bits,
                training={"noise": spread},
                spreads=(spread,),
            ),
        )


def _energy_cases() -> Iterator[tuple[str, Case]]:
    for rows in (32, 64, 128):
        tile = (f"array.rows={rows}", f"array.active_rows={rows}")
        yield (
            f"energy-{rows}",
            Case(
                f"lossless converters 5 times cheaper by 2**b, {rows} rows",
                {},
                settings=tile,
                training={"prune_energy": 5.0},
            ),
        )
        zeros = {"prune": "0.75:free"}
        # each column by its own cells, as a converter reads it that stops early
        early = (*tile, "adc.stops_early=true")
        for name, times, said in (
            ("pruned-energy", 2.0, "twice"),
            ("cheap-energy", 3.0, "3 times"),
        ):
            yield (
                f"{name}-{rows}",
                Case(
                    f"75 % zeros, then each column {said} as cheap by 2**b, {rows} rows",
                    zeros,
                    settings=early,
                    training={"prune_energy": times},
                ),
            )
        yield (
            f"shared-energy-{rows}",
            Case(
                f"75 % zeros, then shared converters twice as cheap by 2**b, {rows} rows",
                zeros,
                settings=tile,
                training={"prune_energy": 2.0},
            ),
        )
        # an eighth of the rows is what D.U.B. needs to save three bits, and eight times by 2**b
        yield (
            f"dub-{rows}",
            Case(
                f"D.U.B., {rows} rows: 87.5 % balanced zeros that stay zero, and their loss",
                {"prune": "0.875:balanced"},
                settings=tile,
                masked=True,
                balanced=0.01,
            ),
        )


def _other_cases() -> Iterator[tuple[str, Case]]:
    # as many images as the thresholds of `binary.py` are chosen by
    binary: dict[str, Any] = {"encoding": "differential"}
    yield "split", Case("split binary, 128 rows", binary, target="bnn128", calibration=5_000)
    for encoding in ("unipolar", "one-signed", "differential-analog"):
        yield (
            f"one-range-{encoding}",
            Case(
                f"one range, 2-bit cells, {encoding}",
                {**_ONE_RANGE, "encoding": encoding},
                settings=_ONE_RANGE_TARGET,
            ),
        )


CASES: dict[str, Case] = dict(
    (
        *_converter_cases(),
        *_cell_cases(),
        *_noise_cases(),
        *_energy_cases(),
        *_other_cases(),
    )
)


@dataclass(frozen=True)
class Plan:
    """Rows of a table.

    Attributes:
        cases: names in `CASES`.
        nets: file names in `models/`, or networks of `activity.py`.
        seeds: how many, from 0.
        train: samples to train on, at most.
        epochs, batch: of training.
        cell_rate, digital_rate: largest learning rates.
        settle, augment: options of training.
        alone: the teacher alone teaches, without labels.
    """

    cases: tuple[str, ...]
    nets: tuple[str, ...] = ("fashion-mlp",)
    seeds: int = 1
    train: int = 55_000
    epochs: int = 5
    batch: int = 128
    cell_rate: float = 0.05
    digital_rate: float = 0.1
    settle: float = 0.0
    alone: bool = False
    augment: str = ""


def _named(stem: str) -> tuple[str, ...]:
    return tuple(name for name in CASES if name.startswith(stem))


_ONE_BIT = tuple(f"{encoding}-1" for encoding in ("acm", "unipolar", "bias-column", "differential"))
_FINE_TUNED = tuple(f"{e}-{b}-spread" for b, e in product((1, 2, 3, 5), ENCODINGS))
_SCRATCH = tuple(f"{e}-{b}-scratch" for b, e in product((1, 2, 3, 5), ENCODINGS))

_SETTLED = Plan(
    (),
    ("fashion-resnet20",),
    cell_rate=0.02,
    digital_rate=0.005,
    alone=True,
    augment="flip,shift:1",
)

TABLES: dict[str, tuple[Plan, ...]] = {
    "cells": (
        Plan(_ONE_BIT, seeds=3, cell_rate=0.015, digital_rate=0.01),
        Plan(
            _ONE_BIT,
            ("fashion-vgg", "fashion-resnet"),
            epochs=3,
            cell_rate=0.006,
            digital_rate=0.005,
        ),
        replace(_SETTLED, cases=("acm-1",), epochs=2, settle=0.2),
        replace(_SETTLED, cases=("differential-1",), epochs=1, settle=0.3),
    ),
    "converters": (
        Plan(("converters",), seeds=3),
        Plan(("converters",), ("activity-cnn",), seeds=3, epochs=8, batch=64),
        Plan(("converters",), ("fashion-vgg",), train=20_000, epochs=4, batch=64),
    ),
    "binary": (
        Plan(("split",), ("fashion-bnn-mlp",), train=20_000, epochs=3),
        Plan(("split",), ("fashion-bnn-cnn",), train=10_000, epochs=3, batch=64),
    ),
    "noise": (Plan(_named("noise-"), train=20_000, epochs=3),),
    "encodings": (
        Plan(_FINE_TUNED, train=20_000, epochs=3, cell_rate=0.015, digital_rate=0.01),
        Plan(_SCRATCH, train=20_000, epochs=5),
    ),
    "energy": (
        # short epochs: the price of energy changes from one to the next
        Plan(
            ("pruned-energy-128", "cheap-energy-128", "shared-energy-128", "energy-128"),
            ("fashion-vgg",),
            train=10_000,
            epochs=6,
            batch=64,
            cell_rate=0.2,
            digital_rate=0.01,
        ),
        Plan(("dub-64", "dub-32"), ("fashion-vgg",), train=10_000, epochs=3, batch=64),
        Plan(("dub-64", "dub-32"), ("fashion-wide",), train=20_000, epochs=3, digital_rate=0.01),
    ),
    "one-range": (Plan(_named("one-range-"), activity.NETS, epochs=8, batch=64),),
}
