"""Rounding modes by name. A program stores the name, never a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from xbarc.numerics.types import FloatArray

Rounding = Literal["half_even", "half_up", "half_down", "half_away", "ceil", "floor", "down", "up"]
ROUNDINGS: tuple[str, ...] = get_args(Rounding)


def _half_away(x: FloatArray) -> FloatArray:
    rounded: FloatArray = np.copysign(np.floor(np.abs(x) + 0.5), x)
    return rounded


def _half_up(x: FloatArray) -> FloatArray:
    rounded: FloatArray = np.floor(x + 0.5)
    return rounded


def _half_down(x: FloatArray) -> FloatArray:
    rounded: FloatArray = np.ceil(x - 0.5)
    return rounded


def _up(x: FloatArray) -> FloatArray:
    rounded: FloatArray = np.copysign(np.ceil(np.abs(x)), x)
    return rounded


# Ties decide between the modes; away from ties all `half_` modes agree.
_MODES: dict[str, Callable[[FloatArray], FloatArray]] = {
    "half_even": np.rint,
    "half_up": _half_up,
    "half_down": _half_down,
    "half_away": _half_away,
    "ceil": np.ceil,
    "floor": np.floor,
    "down": np.trunc,
    "up": _up,
}


def round_to_int(values: FloatArray, mode: Rounding) -> FloatArray:
    """Round to whole numbers; the result keeps its float type.

    `half_even` is what IEEE 754, ONNX QuantizeLinear and numpy.rint do; `down` goes toward zero,
    `up` away from it.
    """
    if mode not in _MODES:
        raise ValueError(f"unknown rounding {mode!r}; known: {', '.join(ROUNDINGS)}")
    return _MODES[mode](values)
