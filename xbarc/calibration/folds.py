"""Data in parts, so that no sample judges numbers that it was fitted to.

What a layer compensates digitally is fitted to the data. Judged on the same data it looks better
than it is, so every part of the data is judged through numbers that were fitted to the others: all
samples judge, and none of them its own fit. Ranges and steps of converters are few numbers, from
millions of sums; they come from all parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xbarc.calibration.refit import Fitting
from xbarc.executor import FastLayer, StepRunner, Values
from xbarc.numerics import Int64Array

FOLDS = 8
"""Folds of the data: each judges what seven eighths taught, which is nearly all."""


@dataclass(frozen=True, eq=False)
class Folds:
    """Which part each batch belongs to.

    Attributes:
        of: axis: batch.
        count: how many parts there are; one that holds all data judges itself.
    """

    of: Int64Array
    count: int


def deal_folds(batches: int) -> Folds:
    """Batches dealt to parts at random, so that data in some order is spread; always alike."""
    count = max(1, min(FOLDS, batches))
    dealt = np.arange(batches, dtype=np.int64) % count
    return Folds(np.random.default_rng(0).permutation(dealt), count)


def run_in_folds(fit: Fitting, origin: Int64Array, parts: Folds, values: Sequence[Values]) -> None:
    """Execute a layer on all batches, each through numbers fitted to the other parts.

    Args:
        fit: the layer and what it is fitted to.
        origin: batch of each vector that it is fitted to.
        parts: of the batches.
        values: the network's, a dictionary a batch; the layer's output is added.
    """
    runner = StepRunner()
    tables = fit.engine if isinstance(fit.engine, FastLayer) else None
    for part in range(parts.count):
        others = None if parts.count == 1 else parts.of[origin] != part
        step = fit.fit_step(others)
        runner.prepare(step, FastLayer(step, tables=tables))
        for batch in np.flatnonzero(parts.of == part).tolist():
            runner.run(step, values[batch])
