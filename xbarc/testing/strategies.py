"""What hypothesis draws: weights with their extremes, targets, and layers of every geometry."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from hypothesis import strategies as st

from xbarc.ir import AutoPad, Dense, Geometry, IntegerInput, Scatter, Window
from xbarc.mapping import encoding_names
from xbarc.numerics import AnyArray
from xbarc.options import Method
from xbarc.target import Target
from xbarc.testing.cases import Case, int_layer, small_target


@st.composite
def integers_of(draw: st.DrawFn, shape: tuple[int, ...], low: int, high: int) -> AnyArray:
    """Random, constant or extreme integers; axes as asked."""
    # hypothesis draws kind and seed, numpy the numbers: thousands of integers drawn one by one are
    # slow, and shrinking them says little.
    kind = draw(st.sampled_from(["random", "random", "extremes", "constant", "zero", "sparse"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if kind == "constant":
        return np.full(shape, draw(st.integers(low, high)), dtype=np.int64)
    if kind == "zero":
        return np.zeros(shape, dtype=np.int64)
    if kind == "extremes":
        return rng.choice(np.array([low, high]), shape).astype(np.int64)
    values = rng.integers(low, high + 1, shape)
    return np.where(rng.random(shape) < 0.3, values, 0) if kind == "sparse" else values


@st.composite
def targets(draw: st.DrawFn) -> Target:
    """Small arrays of every kind."""
    rows = draw(st.sampled_from([1, 2, 3, 8, 17, 64]))
    return small_target(
        array__rows=rows,
        array__columns=draw(st.sampled_from([2, 3, 7, 16, 40])),
        array__active_rows=draw(st.integers(1, rows)),
        array__spare_columns=draw(st.integers(0, 1)),
        cell__bits=draw(st.integers(1, 8)),
        input__dac_bits=draw(st.integers(1, 8)),
        adc__columns_per_adc=draw(st.sampled_from([1, 2, 5, 8])),
        adc__reference='"per-cycle"',
    )


def _sizes(rank: int, low: int, high: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*[st.integers(low, high)] * rank)


@st.composite
def geometries(draw: st.DrawFn) -> tuple[Geometry, int, int]:
    """A geometry, how many inputs its kernel multiplies, and how many outputs."""
    kind = draw(st.sampled_from(["dense", "window", "scatter"]))
    if kind == "dense":
        axes = draw(st.sampled_from([(-1, -1), (-2, -2), (-2, -1)]))
        return Dense(*axes), 1, 1
    rank = draw(st.integers(1, 3))
    # Three axes of three are 27 inputs a channel: enough for every rule, and small enough for
    # hundreds of examples.
    top = 3 if rank < 3 else 2
    kernel, strides = draw(_sizes(rank, 1, top)), draw(_sizes(rank, 1, 3))
    dilations = draw(_sizes(rank, 1, 2))
    auto: AutoPad = draw(st.sampled_from(["explicit", "same_upper", "same_lower"]))
    if kind == "window":
        pads = draw(_sizes(2 * rank, 0, 2))
        return Window(kernel, strides, dilations, pads, auto), prod(kernel), 1
    padding = tuple(
        min(p, max(s, d) - 1)
        for p, s, d in zip(draw(_sizes(rank, 0, 1)), strides, dilations, strict=True)
    )
    pads = (0,) * (2 * rank)
    return Scatter(kernel, strides, dilations, pads, padding), 1, prod(kernel)


@st.composite
def cases(
    draw: st.DrawFn, adc: str = "lossless", encodings: Sequence[str | Method] | None = None
) -> Case:
    """A layer with integer weights that is ready to map, and an input of integers.

    Args:
        draw: of hypothesis.
        adc: of the options.
        encodings: one of these; None takes ours.
    """
    geometry, per_input, per_output = draw(geometries())
    groups = 1 if isinstance(geometry, Dense) else draw(st.integers(1, 3))
    channels, outputs = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    if isinstance(geometry, Dense):
        channels = draw(st.integers(1, 70))
    bits, input_bits = draw(st.integers(2, 9)), draw(st.integers(1, 10))
    low = -(1 << (bits - 1))
    weights = draw(integers_of((groups, channels * per_input, outputs * per_output), low, -low - 1))
    zero = draw(st.integers(0, (1 << input_bits) - 1))
    quantizer = IntegerInput(low=0, bits=input_bits, zero_point=zero)
    layer = int_layer(weights, geometry=geometry, weight_bits=bits, quantizer=quantizer)
    shape = draw(_input_shape(geometry, groups * channels))
    tensor = draw(integers_of(shape, 0, (1 << input_bits) - 1)).astype(np.uint16)
    options = {
        "encoding": draw(st.sampled_from(encodings or encoding_names())),
        "tile": draw(st.sampled_from(["fill", "even"])),
        "pack": draw(st.sampled_from(["layer", "network", "none"])),
        "adc": adc,
    }
    return Case(layer, tensor, draw(targets()), options)


@st.composite
def _input_shape(draw: st.DrawFn, geometry: Geometry, channels: int) -> tuple[int, ...]:
    batch = draw(st.integers(0, 3))
    if not isinstance(geometry, Dense):
        extents = [
            draw(st.integers(max(1, (k - 1) * d + 1), 6))
            for k, d in zip(geometry.kernel, geometry.dilations, strict=True)
        ]
        return (batch, channels, *extents)
    if geometry.contract_axis == -1:
        return draw(st.sampled_from([(batch, channels), (2, batch, channels), (channels,)]))
    return draw(st.sampled_from([(channels, batch), (2, channels, 3)]))
