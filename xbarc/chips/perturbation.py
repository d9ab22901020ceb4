"""The perturbation that sensitivities and responses are measured by: weaker layer outputs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from xbarc.ir import CrossbarStep, Dense
from xbarc.numerics import AnyArray, IntArray

PERTURBATION = 0.1
"""Share that an output loses: small, so that effects are of first order, yet far above rounding."""


def channel_axis(step: CrossbarStep) -> int:
    """Which axis of a layer's result counts channels."""
    return step.geometry.output_axis if isinstance(step.geometry, Dense) else 1


def change_channels(
    step: CrossbarStep, output: AnyArray, lost: IntArray, change: Callable[[AnyArray], AnyArray]
) -> AnyArray:
    """A layer's output with one channel of each part changed.

    Args:
        step: the layer.
        output: its result.
        lost: a channel for each of equal parts along the first axis: one an image, or one in all.
        change: takes values (axes: part, position) and gives others.
    """
    axis = channel_axis(step)
    moved = np.moveaxis(output.copy(), axis, -1)
    flat = moved.reshape(len(lost), -1, moved.shape[-1])
    part = np.arange(len(lost))
    flat[part, :, lost] = change(flat[part, :, lost]).astype(output.dtype)
    return np.ascontiguousarray(np.moveaxis(flat.reshape(moved.shape), -1, axis))
