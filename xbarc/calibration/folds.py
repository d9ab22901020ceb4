"""Cross-validation folds: no sample is judged by numbers that were fitted to it.

Digital compensations of a layer are fitted to the data, and look better on the same data than they
are. So each fold is judged with numbers that were fitted to the other folds: all samples are
judged, and none by its own fit. Ranges and steps of converters are few numbers from millions of
sums, so they come from all folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xbarc.calibration.refit import Fitting
from xbarc.executor import FastLayer, StepRunner, Values
from xbarc.numerics import Int64Array

FOLDS = 8
"""Each fold is judged by a fit to seven eighths of the data, which is nearly all of it."""


@dataclass(frozen=True, eq=False)
class Folds:
    """Which fold each batch belongs to.

    Attributes:
        of: axis: batch.
        count: how many folds there are; a single one is judged by its own fit.
    """

    of: Int64Array
    count: int


def deal_folds(batches: int) -> Folds:
    """Assign batches to folds at random, so that ordered data is spread; always the same way."""
    count = max(1, min(FOLDS, batches))
    # Whole batches, not samples: engines execute a batch at once.
    part = np.arange(batches, dtype=np.int64) % count
    return Folds(np.random.default_rng(0).permutation(part), count)


def run_in_folds(fit: Fitting, origin: Int64Array, folds: Folds, values: Sequence[Values]) -> None:
    """Execute a layer on all batches, each with numbers that were fitted to the other folds.

    Args:
        fit: the layer and what it is fitted to.
        origin: batch of each vector that it is fitted to.
        folds: of the batches.
        values: the network's, a dictionary a batch; the layer's output is added.
    """
    runner = StepRunner()
    tables = fit.engine if isinstance(fit.engine, FastLayer) else None
    for part in range(folds.count):
        others = None if folds.count == 1 else folds.of[origin] != part
        step = fit.fit_step(others)
        runner.prepare(step, FastLayer(step, tables=tables))
        for batch in np.flatnonzero(folds.of == part).tolist():
            runner.run(step, values[batch])
