"""Functions of entries that the table names, exact in float64."""

from __future__ import annotations

from math import erf, pi

import numpy as np

from xbarc.operators.record import INF, Array, Curve


def positive_part(x: Array) -> Array:
    """Relu, in the type of its argument."""
    found: Array = np.maximum(x, x.dtype.type(0))
    return found


def _logistic(x: Array) -> Array:
    found: Array = 1 / (1 + np.exp(-np.clip(x, -80, 80)))
    return found


def _soft_sign(x: Array) -> Array:
    return np.where(np.isinf(x), np.sign(x), x / (1 + np.abs(x)))


error_function = np.vectorize(erf, otypes=[np.float64])  # scipy's takes a second to import

SIGMOID = Curve(_logistic, 0.0, 1.0)
TANH = Curve(np.tanh, -1.0, 1.0)
ERF = Curve(error_function, -1.0, 1.0)
SOFTPLUS = Curve(lambda x: np.logaddexp(0.0, x), 0.0)
SOFTSIGN = Curve(_soft_sign, -1.0, 1.0)
ASIN = Curve(np.arcsin, -pi / 2, pi / 2, -1.0, 1.0)
ATAN = Curve(np.arctan, -pi / 2, pi / 2)
SINH = Curve(np.sinh)
ASINH = Curve(np.arcsinh)
ACOSH = Curve(np.arccosh, 0.0, INF, 1.0)
ATANH = Curve(np.arctanh, -INF, INF, -1.0, 1.0)
