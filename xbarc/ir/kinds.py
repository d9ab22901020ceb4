"""Kinds of conversions: those that read the same weight slice, with the same sign."""

from __future__ import annotations

import numpy as np

from xbarc.ir.program import CrossbarStep
from xbarc.numerics import Float64Array, Int64Array


def conversion_kinds(step: CrossbarStep) -> tuple[Int64Array, Float64Array]:
    """Kind of each conversion, and the weight with which each kind enters an output.

    Returns:
        Kinds, numbered from the least weight on, plus before minus; axis: conversion. And the
        square root of the mean square of a kind's entries of `R`; axis: kind.
    """
    periphery = step.periphery
    code, exponent = _codes(step), conversion_exponents(step)
    sign = np.zeros(step.conversions, dtype=np.int64)
    # A conversion may enter several outputs with either sign, and its sign may differ by row block:
    # the majority names it.
    np.add.at(sign, periphery.r_conversion, np.sign(code).sum(axis=0))
    # One number per kind: sorted, it goes by weight, plus before minus.
    names = 2 * exponent + (sign < 0)
    found, kinds = np.unique(names, return_inverse=True)
    energy = np.zeros(step.conversions)
    np.add.at(energy, periphery.r_conversion, _mean_square(step))
    members = np.bincount(kinds, minlength=len(found))
    weight = np.sqrt(np.bincount(kinds, energy, len(found)) / np.maximum(1, members))
    return kinds.astype(np.int64), weight


def conversion_exponents(step: CrossbarStep) -> Int64Array:
    """One more than the exponent of the largest weight of each conversion in any output."""
    exponent = np.zeros(step.conversions, dtype=np.int64)
    top = np.abs(_codes(step)).max(axis=0, initial=0)
    np.maximum.at(exponent, step.periphery.r_conversion, top)
    return exponent


def _codes(step: CrossbarStep) -> Int64Array:
    """Entries of `R`; axes: group and row block (joined), entry."""
    code = step.periphery.r_code.astype(np.int64)
    return code.reshape(-1, code.shape[2])


def _mean_square(step: CrossbarStep) -> Float64Array:
    values = step.periphery.r_value.astype(np.float64)
    squares: Float64Array = (values**2).mean(axis=(0, 1))
    return squares
