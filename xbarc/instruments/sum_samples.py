"""Column sums of some vectors as they are, for one converter setting that all layers share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xbarc.executor import ReferenceLayer, Values
from xbarc.instruments.samples import draw_vectors, input_vectors
from xbarc.ir import CrossbarStep, LayerTrace
from xbarc.mapping import SumHistogram, sum_histogram

# Vectors of a layer, as many as the reference engine multiplies in about a second, within these
# bounds: all layers share one setting, so a wide layer's few vectors still give millions of sums.
_VECTORS, _LEAST_VECTORS, _PRODUCTS = 1024, 64, 1 << 29


def sampled_sums(step: CrossbarStep, batches: Sequence[Values]) -> SumHistogram:
    """Column sums of a lossless layer on calibration data.

    Args:
        step: lossless, so that codes are sums.
        batches: values that the layer reads, by name.
    """
    each = step.groups * step.inputs * step.cells.columns * step.input_slices
    most = int(np.clip(_PRODUCTS // max(1, each), _LEAST_VECTORS, _VECTORS))
    share = max(1, most // max(1, len(batches)))
    kept = [draw_vectors(part, share) for values in batches for part in input_vectors(step, values)]
    vectors = np.concatenate(kept).astype(np.int64)
    trace = LayerTrace(keep_codes=True)
    accumulators = ReferenceLayer(step).accumulate(vectors, trace)
    # A lossless code is the sum less the lowest sum of its range.
    lo = np.moveaxis(step.adc.lo.astype(np.int64), 2, 3)
    return sum_histogram(step, trace.codes[0] + lo, accumulators)
