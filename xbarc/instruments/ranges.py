"""Which values a tensor holds on data, for methods that choose its range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xbarc.ir import RangeStatistics

# Eight bins for every code of 8 bits: a range that is cut at a bin is right to an eighth of a step.
_BINS = 2048


def range_statistics(tensors: Sequence[Any]) -> RangeStatistics:
    """Histogram over several arrays; exact zeros are not counted."""
    arrays = [np.asarray(tensor, dtype=np.float32) for tensor in tensors]
    arrays = [array[np.isfinite(array)] for array in arrays]
    low = min((float(a.min(initial=0.0)) for a in arrays), default=0.0)
    high = max((float(a.max(initial=0.0)) for a in arrays), default=0.0)
    edges = np.linspace(low, high if high > low else low + 1.0, _BINS + 1)
    counts = np.zeros(_BINS, dtype=np.int64)
    for array in arrays:
        # A ReLU makes half of all values zero. Every range holds zero exactly, so zeros would only
        # hide the rest.
        counts += np.histogram(array[array != 0], bins=edges)[0]
    return RangeStatistics(low, high, counts, edges, sum(array.size > 0 for array in arrays))
