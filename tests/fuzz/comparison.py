"""When two sets of outputs agree: integers exactly, quantised real numbers by their noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.fuzz.reference import Feeds
from xbarc.numerics.types import AnyArray

LEAST = 30.0
"""SQNR in dB that 8-bit weights and activations reach on outputs that amplify no errors."""
EXACT = 80.0
"""SQNR in dB of real outputs behind integer layers only: float32 rounds in another order."""


def differences(found: Sequence[Any], feeds: Feeds, *, quantised: bool) -> str:
    """What is wrong with the outputs, in words; empty when nothing is."""
    reports = [_worst(found, answer, feeds.names, quantised) for answer in feeds.answers]
    return "" if "" in reports else reports[0]


def _worst(
    found: Sequence[Any], answer: Sequence[Any], names: Sequence[str], quantised: bool
) -> str:
    for name, mine, right in zip(names, found, answer, strict=True):
        text = _differs(mine, right, quantised)
        if text:
            return f"output '{name}' {text}"
    return ""


def _differs(mine: Any, right: Any, quantised: bool) -> str:
    if isinstance(right, (list, dict)) or isinstance(mine, (list, dict)):
        return "" if type(mine) is type(right) else f"is {type(mine)}, expected {type(right)}"
    if mine is None or right is None:
        return "" if mine is right else "is None on one side only"
    mine, right = np.asarray(mine), np.asarray(right)
    if mine.shape != right.shape or mine.dtype != right.dtype:
        return f"is {mine.dtype}{mine.shape}, expected {right.dtype}{right.shape}"
    if right.dtype.kind in "OUS" or not right.size:
        return "" if np.array_equal(mine, right) else "holds other texts"
    if right.dtype.kind in "biu" and not quantised:
        return "" if np.array_equal(mine, right) else "holds other integers"
    return _noise(mine.astype(np.float64), right.astype(np.float64), quantised)


def _noise(mine: AnyArray, right: AnyArray, quantised: bool) -> str:
    finite = np.isfinite(right)
    if not np.array_equal(np.isfinite(mine), finite):
        return f"is finite in {np.isfinite(mine).mean():.0%}, expected {finite.mean():.0%}"
    if not np.array_equal(mine[~finite], right[~finite], equal_nan=True):
        return "holds other infinities or NaN"
    peak = np.abs(right[finite]).max(initial=0.0)
    if max(peak, np.abs(mine[finite]).max(initial=0.0)) < np.finfo(np.float32).tiny:
        return ""  # both below the normal numbers, where digits are lost
    unit = peak or 1.0  # squares of large numbers overflow
    error = np.square((mine[finite] - right[finite]) / unit).sum()
    signal = np.square(right[finite] / unit).sum()
    wanted = LEAST if quantised else EXACT
    if error == 0:
        return ""
    level = 10 * np.log10(signal / error) if signal else -np.inf
    return "" if level >= wanted else f"reaches {level:.1f} dB, expected {wanted:.0f} dB"
