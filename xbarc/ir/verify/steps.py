"""Rules of one layer's arrays: shapes, indices and sizes that everything else relies on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from math import prod

import numpy as np

from xbarc.errors import say_count
from xbarc.ir.geometry import Dense, Scatter, Shape, Window, is_countable, stackable
from xbarc.ir.program import CrossbarStep
from xbarc.ir.quantizers import FloatInput, FloatResult, RequantizedResult, SignResult
from xbarc.ir.verify.networks import geometry_faults
from xbarc.ir.verify.senses import SENSE_RULES
from xbarc.numerics import AnyArray
from xbarc.plugins import is_method_name

# A code of `R` is an exponent plus one: 2**61 is the last entry whose double int64 still holds.
_LARGEST_EXPONENT = 62
# A model's integers have 32 bits at most, so no code is farther from its zero.
_LARGEST_OFFSET = 1 << 32

StepRule = Callable[[CrossbarStep], Iterator[str]]


def bounds_rise(step: CrossbarStep) -> Iterator[str]:
    """Bounds start at 0, rise, and end where the cells end."""
    tiling = step.tiling
    ends = {
        "row_bounds": step.cells.shape[1],
        "segment_bounds": step.cells.shape[1],
        "column_bounds": step.cells.shape[2],
        "conversion_bounds": step.conversions,
    }
    for name, end in ends.items():
        bounds = getattr(tiling, name)
        good = bounds.ndim == 1 and bounds.size >= 2 and bounds[0] == 0 and bounds[-1] == end
        # Widened first: the difference of two narrow integers of a hostile file could wrap.
        if not good or np.any(np.diff(bounds.astype(np.int64)) <= 0):
            yield f"{name} do not rise from 0 to {end}"
    if tiling.column_bounds.size != tiling.conversion_bounds.size:
        yield "column and conversion bounds differ in length"
    # Rows of two arrays cannot be driven together and read by one converter.
    if np.setdiff1d(tiling.row_bounds, tiling.segment_bounds).size:
        yield "a segment crosses the border of a row block"


def blocks_placed(step: CrossbarStep) -> Iterator[str]:
    """Every block has one place."""
    tiling = step.tiling
    shape = (step.groups, tiling.row_bounds.size - 1, tiling.column_bounds.size - 1)
    for name in ("array", "row_offset", "column_offset"):
        if getattr(tiling, name).shape != shape:
            yield f"{name} has shape {getattr(tiling, name).shape}, expected {shape}"


def columns_ordered(step: CrossbarStep) -> Iterator[str]:
    """Within each block, every column has a bitline of its own, from the first one on."""
    order, tiling = step.tiling.column_order, step.tiling
    if order is None:
        return
    blocks = tiling.row_bounds.size - 1
    allowed = [(g, b, step.cells.columns) for g in (1, step.groups) for b in (1, blocks)]
    if order.shape not in allowed:
        yield f"column_order has shape {order.shape}"
        return
    for first, last in pairwise(tiling.column_bounds.tolist()):
        # A block is placed as a whole: its columns trade places among themselves only.
        if not (np.sort(order[:, :, first:last], axis=2) == np.arange(last - first)).all():
            yield f"columns {first} to {last} do not have each bitline of their block once"


def rows_read_inputs(step: CrossbarStep) -> Iterator[str]:
    """Every wordline carries an input of the layer, and every input has its wordline once."""
    inputs = step.tiling.row_input
    if step.sense is not None:
        return  # an input may have several wordlines: see senses.py
    if inputs.shape != (step.cells.shape[1],):
        yield f"{inputs.size} wordlines have an input, the cells have {step.cells.shape[1]}"
    elif inputs.size != step.inputs or not np.array_equal(np.sort(inputs), np.arange(step.inputs)):
        yield f"the wordlines do not carry each of {step.inputs} inputs once"


def periphery_indices(step: CrossbarStep) -> Iterator[str]:
    """Entries of `A` and `R` point at columns, conversions and outputs that exist."""
    p = step.periphery
    limits = (
        ("a_conversion", p.a_conversion, step.conversions),
        ("a_column", p.a_column, step.cells.columns),
        ("r_output", p.r_output, step.outputs),
        ("r_conversion", p.r_conversion, step.conversions),
    )
    for name, entries, limit in limits:
        if entries.size and not (entries.min() >= 0 and entries.max() < limit):
            yield f"{name} points beyond {limit}"
    if not p.a_conversion.shape == p.a_column.shape == p.a_sign.shape:
        yield "entries of A differ in length"
    # Widened: the magnitude of -128 does not fit int8.
    if p.a_sign.size and np.any(np.abs(p.a_sign.astype(np.int64)) != 1):
        yield "entries of A are not +1 or -1"
    if not p.a_sign.size and step.conversions != step.cells.columns:
        yield "A is the identity, but conversions and columns differ in number"


def periphery_shapes(step: CrossbarStep) -> Iterator[str]:
    """Entries of `R` have a value, and every output has its constants."""
    p = step.periphery
    blocks = step.tiling.row_bounds.size - 1
    entries = p.r_output.size
    allowed = [(g, b, entries) for g in (1, step.groups) for b in (1, blocks)]
    if p.r_code.shape not in allowed or p.r_conversion.size != entries:
        yield f"R has values of shape {p.r_code.shape} for {entries} places"
    if np.abs(p.r_code.astype(np.int64)).max(initial=0) > _LARGEST_EXPONENT:
        yield "an entry of R is beyond 62 bits"
    for name in ("constant", "input_sum"):
        if getattr(p, name).shape != (step.groups * step.outputs,):
            yield f"{name} has shape {getattr(p, name).shape}"


def column_scales_sound(step: CrossbarStep) -> Iterator[str]:
    """A factor for each conversion of a row block, on what converters read."""
    scale = step.periphery.column_scale
    if scale is None:
        return
    blocks = step.tiling.row_bounds.size - 1
    allowed = [(g, b, step.conversions) for g in (1, step.groups) for b in (1, blocks)]
    if scale.shape not in allowed:
        yield f"column_scale has shape {scale.shape}, expected a factor for each conversion"
    if step.sense is not None:
        yield "column_scale for comparisons"


def conversions_stay_in_blocks(step: CrossbarStep) -> Iterator[str]:
    """What one conversion sees lies in one array: its columns belong to its own column block."""
    p, tiling = step.periphery, step.tiling
    if not p.a_sign.size:
        if not np.array_equal(tiling.column_bounds, tiling.conversion_bounds):
            yield "A is the identity, but blocks of columns and conversions differ"
        return
    # Analog subtraction joins currents of one array; nothing joins those of two.
    conversion = np.searchsorted(tiling.conversion_bounds, p.a_conversion, side="right")
    column = np.searchsorted(tiling.column_bounds, p.a_column, side="right")
    if np.any(conversion != column):
        yield "a conversion sees columns of another array"


def adc_shapes(step: CrossbarStep) -> Iterator[str]:
    """Converter settings have an axis each, of full length or 1, and sane values."""
    full = (
        step.groups,
        step.tiling.segment_bounds.size - 1,
        step.conversions,
        step.input_slices,
    )
    for name in ("bits", "lo", "step"):
        shape = getattr(step.adc, name).shape
        # Axes of length 1 keep a program of one setting small: a full one has a number a
        # conversion.
        fits = len(shape) == 4 and all(
            have in (1, want) for have, want in zip(shape, full, strict=True)
        )
        if not fits:
            yield f"adc.{name} has shape {shape}, expected 1 or the length of {full} on each axis"
    if step.adc.bits.size and not 0 <= step.adc.bits.min() <= step.adc.bits.max() <= 62:
        yield "a conversion has less than 0 or more than 62 bits"
    if step.adc.step.size and step.adc.step.min() < 1:
        yield "a converter has a step below 1"


def facts_sound(step: CrossbarStep) -> Iterator[str]:
    """Facts are intervals of codes, one for each input."""
    facts = step.facts
    if facts is None:
        return
    allowed = [(g, step.inputs) for g in (1, step.groups)]
    if facts.low.shape != facts.high.shape or facts.low.shape not in allowed:
        yield f"facts have shapes {facts.low.shape} and {facts.high.shape}"
        return
    low, high = facts.low.astype(np.int64), facts.high.astype(np.int64)
    if (low < 0).any() or (low > high).any() or (high >> step.input_bits).any():
        yield f"facts are not intervals of codes of {say_count(step.input_bits, 'bit')}"
    # A binary code says which wordlines are driven: there is no interval of them.
    if step.sense is not None:
        yield "facts for comparisons"


def result_shapes(step: CrossbarStep) -> Iterator[str]:
    """Scales, biases and equalisation have a number for each output channel."""
    channels = step.groups * step.outputs
    if isinstance(step.geometry, Scatter):
        channels //= prod(step.geometry.kernel)
    arrays = _result_arrays(step)
    if step.equalised is not None:
        arrays["equalised"] = step.equalised
        # A negative factor would turn signs round that Relu and Sign ask for.
        if not np.all(step.equalised > 0):
            yield "equalised by a number that is not positive"
    for name, array in arrays.items():
        if array.shape != (channels,) or not np.isfinite(array).all():
            yield f"{name} has shape {array.shape} or is not finite, expected ({channels},)"


def _result_arrays(step: CrossbarStep) -> dict[str, AnyArray]:
    match step.result:
        case FloatResult():
            return {"scale": step.result.scale, "bias": step.result.bias}
        case RequantizedResult():
            return {"multiplier": step.result.multiplier}
        case SignResult():
            return {"threshold": step.result.threshold, "flip": step.result.flip}
        case _:
            return {}


def result_typed(step: CrossbarStep) -> Iterator[str]:
    """The type of the values holds what the rule of the result makes."""
    result, dtype = step.result, np.dtype(step.result.dtype)
    kinds = {"float": "f", "sign": "fiu"}.get(result.kind, "iu")
    # Requantising rounds in float32, which holds integers of 16 bits and not those of 32.
    if dtype.kind not in kinds or (isinstance(result, RequantizedResult) and dtype.itemsize > 2):
        yield f"results of kind {result.kind} are not of type {dtype}"
        return
    made: tuple[float, ...] = ()
    if isinstance(result, SignResult):
        made = (result.low, result.high)
    if isinstance(result, RequantizedResult):
        made = (result.zero_point,)
    ends = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    if not all(ends.min <= number <= ends.max for number in made):
        yield f"{dtype} does not hold {' and '.join(str(number) for number in made)}"


def geometry_sound(step: CrossbarStep) -> Iterator[str]:
    """Windows have positive strides, and extents that the matrix agrees with."""
    return geometry_faults(step.geometry, step.groups, step.inputs, step.outputs)


def input_shape_fits(step: CrossbarStep) -> Iterator[str]:
    """The shape that counts are made for is one that the layer takes."""
    shape = step.input_shape
    if shape is None:
        return
    if not takes(step, shape) or min(shape) < 0 or not is_countable(step.geometry, shape):
        yield f"counts are for an input of shape {shape}, which the layer does not take"


def takes(step: CrossbarStep, shape: Shape) -> bool:
    """Whether a layer takes an input of this shape, its open axes aside."""
    geometry = step.geometry
    if isinstance(geometry, Dense):
        axis = -1 if len(shape) == 1 else geometry.contract_axis
        # A scalar has no axis to sum over.
        if not shape or not stackable(geometry, shape):
            return False
        return not isinstance(shape[axis], int) or shape[axis] == step.inputs
    channels = step.groups * step.inputs
    if isinstance(geometry, Window):
        channels //= prod(geometry.kernel)
    found = shape[1] if len(shape) == len(geometry.kernel) + 2 else -1
    return not isinstance(found, int) or found == channels


def input_chosen(step: CrossbarStep) -> Iterator[str]:
    """The input's format is chosen, and is the one that the slices cut."""
    if isinstance(step.quantizer, FloatInput):
        yield "the range of the input was never chosen"
        return
    if step.quantizer.bits != step.input_bits:
        yield f"codes of {say_count(step.quantizer.bits, 'bit')}, slices for {step.input_bits}"
    scale = getattr(step.quantizer, "scale", 1.0)
    if not (np.isfinite(scale) and scale > 0):
        yield f"an input scale of {scale}, expected a positive number"
    for name in ("zero_point", "low"):
        number = getattr(step.quantizer, name, 0)
        if isinstance(number, int) and abs(number) > _LARGEST_OFFSET:
            yield f"an input {name} of {number}, expected at most {_LARGEST_OFFSET}"


def accumulators_fit(step: CrossbarStep) -> Iterator[str]:
    """No accumulator can overflow 64 bits, whatever the codes are."""
    p, adc = step.periphery, step.adc
    if p.r_code.ndim != 3 or not p.r_code.size:
        return
    # In float64 throughout: what this rule looks for would overflow integers while it looks.
    # Rounding is far finer than the factor of two below 2**63.
    per_entry = np.ldexp(1.0, np.maximum(np.abs(p.r_code.astype(np.int64)) - 1, 0))
    per_entry = per_entry * (p.r_code != 0) * _largest_scale(step)
    # What a code can be read back as, not what a sum can be: settings of a file need not fit its
    # cells.
    reach = np.ldexp(1.0, int(adc.bits.max())) * float(adc.step.max()) + _magnitude(adc.lo)
    segments = step.tiling.segment_bounds.size - 1
    slices = np.ldexp(1.0, step.dac_bits * step.input_slices)
    worst = np.bincount(p.r_output, weights=per_entry.max(axis=(0, 1))).max() * segments
    inputs = np.ldexp(float(step.inputs), step.input_bits)
    total = worst * reach * slices + _magnitude(p.constant) + _magnitude(p.input_sum) * inputs
    # Half of what int64 holds, so that the sum of two accumulators fits as well.
    if total >= 2.0**62:
        yield f"accumulators reach 2**{np.log2(total):.1f}"


def weights_fit(step: CrossbarStep) -> Iterator[str]:
    """No weight that the cells stand for can leave 32 bits, which is what products are made of."""
    p = step.periphery
    if p.r_code.ndim != 3 or not p.r_code.size:
        return
    # How many columns a conversion joins: with `A` the identity, one.
    columns = np.bincount(p.a_conversion.astype(np.int64), minlength=step.conversions)
    seen = columns if p.a_sign.size else np.ones(step.conversions)
    entries = np.ldexp(seen[p.r_conversion] * (p.r_code != 0), np.abs(p.r_code.astype(np.int64)))
    outputs = np.bincount(p.r_output, weights=entries.max(axis=(0, 1)))
    cell = ((1 << step.cells.bits) - 1) * _largest_scale(step)
    most = outputs.max() / 2 * cell + _magnitude(p.input_sum)
    if most >= 2.0**31:
        yield f"weights reach 2**{np.log2(most):.1f}"


def methods_named(step: CrossbarStep) -> Iterator[str]:
    """Encodings and converter policies have names of small letters, digits and `-_.:`."""
    # Names are printed in reports and pages: a file must not smuggle markup or control codes in.
    tried = () if step.choice is None else step.choice.candidates
    names = [("encoding", step.encoding), ("converter policy", step.adc.policy)]
    names += [("encoding that was tried", candidate.encoding) for candidate in tried]
    for what, name in names:
        if not is_method_name(name):
            yield f"no {what} is called {name[:60]!r}"


def _largest_scale(step: CrossbarStep) -> float:
    """The largest factor of a conversion; 1 where there is none."""
    scale = step.periphery.column_scale
    return 1.0 if scale is None else _magnitude(scale)


def _magnitude(array: AnyArray) -> float:
    """Largest absolute value; in float64, where the least int64 has one too."""
    return float(np.abs(array.astype(np.float64)).max(initial=0))


STEP_RULES: tuple[StepRule, ...] = (
    bounds_rise,
    blocks_placed,
    columns_ordered,
    rows_read_inputs,
    periphery_indices,
    periphery_shapes,
    column_scales_sound,
    conversions_stay_in_blocks,
    adc_shapes,
    geometry_sound,
    result_shapes,
    result_typed,
    input_shape_fits,
    input_chosen,
    facts_sound,
    accumulators_fit,
    weights_fit,
    methods_named,
    *SENSE_RULES,
)
