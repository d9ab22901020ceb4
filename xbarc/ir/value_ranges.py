"""What is known of every value of a network: from its borders through every step.

The same walk serves the compiler, which claims facts, and `verify`, which proves them again from
the program alone. Codes and values come from `codes.py`, whose functions the executor runs; none of
them falls while its argument rises (or rises while it falls), so ends go to ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from xbarc.errors import say_count
from xbarc.intervals import Bounds, along, bounds_of_type, fragment_bounds
from xbarc.ir.codes import quantize, to_values
from xbarc.ir.effective import effective_weights, is_lossless
from xbarc.ir.facts import WEIGHTS, InputFacts, Narrowed
from xbarc.ir.geometry import Dense, Geometry, Scatter, Window, window_output
from xbarc.ir.network import DigitalFragment, Value
from xbarc.ir.program import CrossbarStep, Program, Step
from xbarc.ir.quantizers import (
    DynamicInput,
    FloatInput,
    FloatResult,
    IntegerInput,
    IntegerResult,
    Quantizer,
    SignResult,
    StaticInput,
    known_zero,
)
from xbarc.numerics import AnyArray, Float64Array, Int64Array

MOST_WEIGHTS = 1 << 22
"""Weights of a layer beyond which its sums are not bounded: no output of so many inputs is dead."""

FEW_INPUTS = 32
"""Inputs up to which sums are bounded where scales are taken at run time: only a sum that is never
positive says something there, and among more weights than these one is positive."""

# float64 holds every integer up to here: what may exceed it is left unbounded, never rounded.
_EXACT = float(1 << 53)
# What the rule `accumulators_fit` holds every accumulator below.
_ACCUMULATOR = 2.0**62
# The widest code that a program can have; a file may claim to be narrowed from more.
_MOST_BITS = 16


class ValueRanges:
    """Bounds of values by name, as far as the steps have been walked.

    Args:
        inputs: the network's.
        weights: whether sums are bounded by what lossless layers multiply with.
    """

    def __init__(self, inputs: Iterable[Value], *, weights: bool = True) -> None:
        self.weights = weights
        self._known = {value.name: _border(value) for value in inputs}

    def bounds(self, name: str) -> Bounds:
        """What is known of a value."""
        return self._known.get(name, bounds_of_type())

    def facts(
        self, source: str, quantizer: Quantizer, geometry: Geometry, form: tuple[int, int]
    ) -> InputFacts | None:
        """Codes of a layer's wordlines; None where each of them can carry every code.

        Args:
            source: name of the layer's input.
            quantizer: how it becomes codes.
            geometry: which entries meet which wordline.
            form: groups and inputs of a group.
        """
        bounds = self.bounds(source)
        codes = _codes(bounds, quantizer, geometry)
        if codes is None or isinstance(quantizer, FloatInput):
            return None
        channels = form[0] * form[1]
        if isinstance(geometry, Window):
            channels //= prod(geometry.kernel)
        elif isinstance(geometry, Dense):
            channels = form[1]
        # The tensor has other channels than the layer: the executor will refuse it, so nothing is
        # claimed of it.
        if any(end.size not in (1, channels) for end in codes):
            return None
        low, high = (_rows(end, geometry, form) for end in codes)
        top = (1 << quantizer.bits) - 1
        # A fact that says nothing would still be stored, proven again on loading and shown to
        # people.
        if not low.any() and (high == top).all():
            return None
        return InputFacts(low, high, bounds.reasons)

    def advance(self, step: Step) -> None:
        """Add the ranges of what a step writes."""
        if isinstance(step, DigitalFragment):
            inputs = {name: self.bounds(name) for name in step.inputs}
            self._known |= fragment_bounds(step.model, inputs, step.name)
            return
        shape = None if step.sense else _result_shape(step, self.bounds(step.input))
        self._known[step.output] = self._result(step, shape)

    def _result(self, step: CrossbarStep, shape: tuple[int | None, ...] | None) -> Bounds:
        sums = self._sums(step) if self.weights else None
        if sums is None or _wraps(step, *sums):
            # Integers that overflow wrap in ONNX Runtime, so that no bound on the sum holds for the
            # value.
            return replace(_any_result(step), shape=shape)
        found = replace(bounds_of_type(step.result.dtype, shape), nan=False, reasons=(WEIGHTS,))
        return _by_channel(found, step, *_values(step, *sums))

    def _sums(self, step: CrossbarStep) -> tuple[Float64Array, Float64Array] | None:
        """Least and largest accumulator of each output channel."""
        size = step.groups * step.inputs * step.outputs
        # Before `is_lossless`, which reads all cells: this test costs nothing.
        if isinstance(step.quantizer, DynamicInput) and step.inputs > FEW_INPUTS:
            return None
        zero = _zero(step.quantizer, self.bounds(step.input))
        if size > MOST_WEIGHTS or zero is None or step.sense is not None or not is_lossless(step):
            return None
        return _accumulators(step, self.codes_of(step), zero)

    def codes_of(self, step: CrossbarStep) -> InputFacts:
        """Codes of a step's wordlines."""
        form = (step.groups, step.inputs)
        facts = self.facts(step.input, step.quantizer, step.geometry, form)
        return every_code(step) if facts is None else facts


def every_code(step: CrossbarStep) -> InputFacts:
    """Facts that exclude no code, for a step of whose input nothing is known."""
    low = np.zeros((1, step.inputs), dtype=np.int64)
    return InputFacts(low, low + ((1 << step.input_bits) - 1))


def _wraps(step: CrossbarStep, least: Float64Array, most: Float64Array) -> bool:
    """Whether plain integers of the result's type may overflow."""
    if not isinstance(step.result, IntegerResult):
        return False
    info = np.iinfo(step.result.dtype)
    return bool((least < info.min).any() or (most > info.max).any())


def _border(value: Value) -> Bounds:
    """What an input of the network can hold; the executor checks its type and its extents."""
    shape = None
    if value.shape is not None:
        shape = tuple(size if isinstance(size, int) else None for size in value.shape)
    # NumPy has no such types; without a name every number is possible.
    dtype = value.dtype if value.dtype not in ("string", "other", "bfloat16") else ""
    return bounds_of_type(dtype, shape)


def _codes(
    bounds: Bounds, quantizer: Quantizer, geometry: Geometry
) -> tuple[Int64Array, Int64Array] | None:
    """Least and largest code by channel, or of the whole tensor; axis: channel or 1."""
    low = _channels(bounds.low, geometry).min(axis=0)
    high = _channels(bounds.high, geometry).max(axis=0)
    zero = _zero(quantizer, bounds)
    match quantizer:
        case IntegerInput():
            floor, top = quantizer.low, quantizer.low + (1 << quantizer.bits) - 1
            ends = [np.clip(end, floor, top).astype(np.int64) - floor for end in (low, high)]
        case StaticInput():
            ends = [_static(end, quantizer) for end in (low, high)]
        # The range follows the data: the largest value always gets the top code, and a tensor that
        # is never positive holds zeros only.
        case DynamicInput() if zero == 0:
            top = (1 << quantizer.bits) - 1
            ends = [np.zeros(low.shape, np.int64), np.where(high > 0, top, 0).astype(np.int64)]
        case _:
            return None
    # A border carries the code of zero, which need not lie between the ends of the values.
    if _has_padding(geometry):
        if zero is None:
            return None
        ends = [np.minimum(ends[0], zero), np.maximum(ends[1], zero)]
    return ends[0], ends[1]


def _static(ends: Float64Array, quantizer: StaticInput) -> Int64Array:
    """Codes of ends; the largest float stands for infinity, which the executor refuses."""
    largest = float(np.finfo(np.float32).max)
    with np.errstate(over="ignore"):
        # Clipped before the cast: float64 beyond float32 would become infinite and be refused.
        real = np.clip(ends, -largest, largest).astype(np.float32)
        codes = quantize(real[None], quantizer, {}, "")
    found: Int64Array = codes.values[0].astype(np.int64)
    return found


def _channels(ends: Float64Array, geometry: Geometry) -> Float64Array:
    """Bring the axis that wordlines lie along to the end; axes: all others joined, channel or 1."""
    if not ends.ndim:
        return ends.reshape(1, 1)
    axis = 1
    if isinstance(geometry, Dense):
        axis = -1 if ends.ndim == 1 else geometry.contract_axis
    if not -ends.ndim <= axis < ends.ndim:  # a tensor that the layer refuses
        return np.array([[ends.min()], [ends.max()]])
    # All other axes are joined: a wordline meets every position, so only its channel is told apart.
    moved = np.moveaxis(ends, axis, -1)
    return moved.reshape(-1, moved.shape[-1])


def _has_padding(geometry: Geometry) -> bool:
    """Whether a wordline may carry the code of a border."""
    if not isinstance(geometry, Window):
        return False
    return geometry.auto_pad != "explicit" or any(geometry.pads)


def _zero(quantizer: Quantizer, bounds: Bounds) -> int | None:
    """The code that means zero, where it is known before the network runs."""
    if isinstance(quantizer, DynamicInput):
        return 0 if bool((bounds.low >= 0).all()) else None
    known = known_zero(quantizer)
    return None if known is None else known[0]


def _rows(ends: Int64Array, geometry: Geometry, form: tuple[int, int]) -> Int64Array:
    """Spread ends by channel over the inputs of wordlines; axes: group or 1, input."""
    groups, inputs = form
    if isinstance(geometry, Dense) or ends.size == 1:
        return np.broadcast_to(ends.reshape(1, -1), (1, inputs)).copy()
    # Inputs of a window are ordered channel first, kernel position last.
    kernel = prod(geometry.kernel) if isinstance(geometry, Window) else 1
    return np.repeat(ends.reshape(groups, -1), kernel, axis=1)


def _accumulators(
    step: CrossbarStep, facts: InputFacts, zero: int
) -> tuple[Float64Array, Float64Array] | None:
    """Ends of the sums, exact in float64; axis: output channel."""
    weights = effective_weights(step).astype(np.float64)
    # The zero point is subtracted here, as the executor does with `weight_sums`.
    low, high = (end.astype(np.float64) - zero for end in (facts.low, facts.high))
    shape = (step.groups, 1, step.inputs)
    low, high = (np.broadcast_to(end[:, None], shape) for end in (low, high))
    plus, minus = np.maximum(weights, 0), np.minimum(weights, 0)
    most = (high @ plus + low @ minus).reshape(-1)
    least = (low @ plus + high @ minus).reshape(-1)
    if isinstance(step.geometry, Scatter):
        kernel = prod(step.geometry.kernel)
        # How many windows overlap depends on the place: at a border some of them are missing, so
        # each may add its extreme or nothing.
        most = np.maximum(most, 0).reshape(-1, kernel).sum(axis=1)
        least = np.minimum(least, 0).reshape(-1, kernel).sum(axis=1)
    else:
        constant = step.periphery.constant.astype(np.float64)
        most, least = most + constant, least + constant
    # Bounds the partial sums of the product above too, not only its result: float64 then rounded
    # nowhere on the way.
    size = np.abs(weights).sum(axis=1).max(initial=0) * (1 << step.input_bits)
    size += np.abs(step.periphery.constant.astype(np.float64)).max(initial=0)
    return None if size >= _EXACT else (least, most)


def _values(
    step: CrossbarStep, least: Float64Array, most: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Values of the ends of the sums, by the executor's own function; axis: output channel."""
    if isinstance(step.quantizer, DynamicInput) and isinstance(step.result, FloatResult):
        return _dynamic_values(step.result, least, most)
    scale = np.array([[float(np.float32(getattr(step.quantizer, "scale", 1.0)))]])
    if isinstance(step.quantizer, IntegerInput):
        scale = np.array([[step.quantizer.scale]])
    ends = [
        to_values(end.astype(np.int64)[None], step.result, scale)[0].astype(np.float64)
        for end in (least, most)
    ]
    # A negative scale, or a flipped sign, turns the ends round.
    return np.minimum(*ends), np.maximum(*ends)


def _dynamic_values(
    result: FloatResult, least: Float64Array, most: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Ends of values whose scale is only known to be positive: a sum keeps its sign."""
    turned = result.scale < 0
    least, most = np.where(turned, -most, least), np.where(turned, -least, most)
    bias = result.bias.astype(result.dtype).astype(np.float64)
    return np.where(least < 0, -np.inf, bias), np.where(most > 0, np.inf, bias)


def _any_result(step: CrossbarStep) -> Bounds:
    """What a layer can write, whatever its sums are."""
    result = step.result
    room = bounds_of_type(result.dtype)
    if isinstance(result, SignResult):
        ends = np.array([result.low, result.high], dtype=result.dtype).astype(np.float64)
        return replace(room, low=np.array(ends.min()), high=np.array(ends.max()), nan=False)
    if not isinstance(result, FloatResult):
        return room
    if isinstance(step.quantizer, DynamicInput):
        return replace(room, nan=False)
    factor = float(np.abs(result.scale).max(initial=0)) * getattr(step.quantizer, "scale", 1.0)
    # Twice the exact reach, which leaves room for every rounding between here and the value.
    reach = 2 * (_ACCUMULATOR * factor + float(np.abs(result.bias).max(initial=0)))
    if not reach < float(np.finfo(result.dtype).max):
        return replace(room, nan=False)
    return replace(room, low=np.array(-reach), high=np.array(reach), nan=False)


def _by_channel(found: Bounds, step: CrossbarStep, low: Float64Array, high: Float64Array) -> Bounds:
    """Ends by channel along their axis of the result, or of all channels together."""
    if found.shape is None:  # of a stack of matrices and of squeezed results as well
        return replace(found, low=low.min(), high=high.max())
    axis = 1
    if isinstance(step.geometry, Dense):
        # A vector has one axis, whichever side the matrix stood on.
        axis = -1 if len(found.shape) == 1 else step.geometry.output_axis
    return along(found, axis, low, high)


def _result_shape(step: CrossbarStep, source: Bounds) -> tuple[int | None, ...] | None:
    """Extents of a layer's result, where those of its input are known."""
    shape, geometry = source.shape, step.geometry
    channels = step.groups * step.outputs
    if shape is None or isinstance(geometry, Dense):
        return None if shape is None else _dense_shape(step, shape)
    spatial: list[int | None] = [None] * (len(shape) - 2)
    known = [size for size in shape[2:] if size is not None]
    if isinstance(geometry, Window) and len(known) == len(spatial) == len(geometry.kernel):
        spatial = list(window_output(geometry, tuple(known)))
    if isinstance(geometry, Scatter):
        channels //= prod(geometry.kernel)
    return (shape[0], channels, *spatial)


def _dense_shape(
    step: CrossbarStep, shape: tuple[int | None, ...]
) -> tuple[int | None, ...] | None:
    geometry = step.geometry
    if not isinstance(geometry, Dense) or geometry.batch or geometry.squeeze or not shape:
        return None
    if len(shape) == 1:
        return (step.outputs,)
    lead = [size for i, size in enumerate(shape) if i - len(shape) != geometry.contract_axis]
    if geometry.output_axis == -1:
        return (*lead, step.outputs)
    return (*lead[:-1], step.outputs, lead[-1])


@dataclass(frozen=True)
class Unproven:
    """A fact that a program claims and that does not follow from it."""

    layer: str
    text: str


def find_unproven(program: Program) -> list[Unproven]:
    """List claims that do not follow; sums are bounded only where operators prove too little."""
    claims = ((step.facts, step.narrowed) for step in program.crossbar_steps)
    if all(facts is None and narrowed is None for facts, narrowed in claims):
        return []
    wrong = _walk(program, weights=False)
    # Most claims follow from the operators alone; bounding sums reads every cell of every layer.
    return _walk(program, weights=True) if wrong else wrong


def _walk(program: Program, *, weights: bool) -> list[Unproven]:
    ranges = ValueRanges(program.inputs, weights=weights)
    wrong: list[Unproven] = []
    for step in program.steps:
        if isinstance(step, CrossbarStep) and step.facts is not None:
            wrong.extend(_differences(step, step.facts, ranges))
        if isinstance(step, CrossbarStep) and step.narrowed is not None:
            wrong.extend(_cut_codes(step, step.narrowed, ranges))
        ranges.advance(step)
    return wrong


def _differences(
    step: CrossbarStep, claimed: InputFacts, ranges: ValueRanges
) -> Iterable[Unproven]:
    found = ranges.codes_of(step)
    if claimed.contains(found):
        return
    outside = (claimed.low > found.low) | (claimed.high < found.high)
    group, place = (int(i) for i in np.argwhere(outside)[0])
    told, true = (
        [int(_at(end, group)[place]) for end in (item.low, item.high)] for item in (claimed, found)
    )
    text = f"input {place} claims codes {told[0]} to {told[1]}, provable are "
    yield Unproven(step.name, text + f"{true[0]} to {true[1]}")


def _cut_codes(step: CrossbarStep, claimed: Narrowed, ranges: ValueRanges) -> Iterable[Unproven]:
    """List codes that occur beyond the bits that a layer is said to need."""
    quantizer, bounds = step.quantizer, ranges.bounds(step.input)
    top = (1 << step.input_bits) - 1
    if isinstance(quantizer, StaticInput):
        # The codes as they would be with the bits of before: the cut is sound where these fit in
        # what is left.
        whole = replace(quantizer, bits=min(claimed.bits, _MOST_BITS))
        codes = ranges.facts(step.input, whole, step.geometry, (step.groups, step.inputs))
        low, high = 0, (1 << whole.bits) - 1 if codes is None else int(codes.high.max())
    elif isinstance(quantizer, IntegerInput):
        least, most = float(bounds.low.min()), float(bounds.high.max())
        # An unbounded value is infinite here, which no integer is.
        low = int(max(least, -_EXACT)) - quantizer.low
        high = int(min(most, _EXACT)) - quantizer.low
    else:
        return
    if low < 0 or high > top:
        given, held = (say_count(bits, "bit") for bits in (claimed.bits, step.input_bits))
        text = f"codes of {given} are said to fit {held}, provable are codes {low} to {high}"
        yield Unproven(step.name, f"{text}, not 0 to {top}")


def _at(end: AnyArray, group: int) -> AnyArray:
    row: AnyArray = end[group if len(end) > 1 else 0]
    return row
