"""Values that conversions of one converter have in common."""

from __future__ import annotations

import numpy as np

from xbarc.numerics import AnyArray, IntArray


def over_runs(combine: np.ufunc, values: AnyArray, key: IntArray) -> AnyArray:
    """Combine values of equal keys along the last axis, in whatever order they lie."""
    if not values.size:
        return values
    flat, keys = values.reshape(-1, values.shape[-1]), key.reshape(-1, key.shape[-1])
    sorts = bool((keys[:, 1:] >= keys[:, :-1]).all())
    natural = np.broadcast_to(np.arange(keys.shape[1]), keys.shape)
    order = natural if sorts else np.argsort(keys, axis=1, kind="stable")
    keys = np.take_along_axis(keys, order, axis=1)
    change = np.ones(keys.shape, dtype=bool)
    change[:, 1:] = keys[:, 1:] != keys[:, :-1]
    starts = np.flatnonzero(change.reshape(-1))
    joined = combine.reduceat(np.take_along_axis(flat, order, axis=1).reshape(-1), starts)
    lengths = np.diff(np.append(starts, values.size))
    spread = np.empty_like(flat)
    np.put_along_axis(spread, order, np.repeat(joined, lengths).reshape(flat.shape), axis=1)
    return spread.reshape(values.shape)
