"""What every converter policy must keep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from xbarc.calibration import calibrate_converters, uniform
from xbarc.errors import MappingError
from xbarc.executor import Engine, Executor
from xbarc.ir import Program, verify_program
from xbarc.mapping import ConverterPolicy, chosen_by, load_converters
from xbarc.numerics import AnyArray
from xbarc.options import Method
from xbarc.testing.cases import int_layer, mapped, program_of, small_target
from xbarc.testing.encodings import ENGINES, require

_ENCODINGS = ("differential", "differential-analog", "acm", "offset")
_REFERENCES = ("static", "per-cycle")
# Few, so that a policy must choose a range and a step: wide converters lose nothing either way.
_MOST_BITS = 4


@dataclass(frozen=True)
class ConvertedLayer:
    """What a policy does to a layer.

    Attributes:
        layer: its encoding, and whether converters can change their reference.
        bits: mean over its conversions.
        error: root of the mean squared error of its accumulators, after all digital numbers of
            the layer were fitted.
        own_error: the same by `calibrated:4`, xbarc's own policy.
    """

    layer: str
    bits: float
    error: float
    own_error: float


def check_converters(policy: str | Method) -> tuple[ConvertedLayer, ...]:
    """Set the converters of small layers from random data, and run them.

    Args:
        policy: an object, or a name that an installed package registers.

    Returns:
        Bits and errors of each layer, beside those of xbarc's own policy at 4 bits.

    Raises:
        ConformanceError: engines differ, or the policy gives other settings when asked again.
        MappingError: it lacks methods, fails, or gives what converters cannot be set to.
    """
    loaded = load_converters(policy)
    if loaded is None:
        raise MappingError(f"'{policy}' is one of ours", where="--adc")
    return tuple(_check(loaded, name, program) for name, program in _programs())


def _programs() -> Iterator[tuple[str, Program]]:
    weights = np.random.default_rng(0).integers(-128, 128, (1, 40, 9))
    for reference in _REFERENCES:
        target = small_target(
            array__rows=16,
            array__active_rows=8,
            array__columns=16,
            adc__columns_per_adc=4,
            adc__reference=f'"{reference}"',
        )
        for encoding in _ENCODINGS:
            step = mapped(int_layer(weights), target, encoding=encoding)
            yield f"{encoding}, {reference} reference", program_of([step], target, [None, 40])


def _check(policy: ConverterPolicy, name: str, program: Program) -> ConvertedLayer:
    rng = np.random.default_rng(1)
    known, judged = (
        # Skewed, with many small codes, as what leaves a ReLU: there a policy can gain by leaving
        # out the rare large sums.
        np.minimum(255, rng.exponential(40.0, (64, 40))).astype(np.uint8)
        for _ in range(2)
    )
    # Narrowed after mapping: the cells stay those of a lossless layer, whose sums say what is
    # right.
    narrow = program.target.adc.model_copy(update={"max_bits": _MOST_BITS})
    program = replace(program, target=program.target.model_copy(update={"adc": narrow}))
    own = _set_converters(program, known, None)
    found, again = (_set_converters(program, known, policy) for _ in range(2))
    where = f"{policy.name}, {name}"
    steps = [one.crossbar_steps[0].adc for one in (found, again)]
    # A policy with a random choice must seed it: the same data gives the same program.
    same = all(
        np.array_equal(getattr(steps[0], kind), getattr(steps[1], kind))
        for kind in ("bits", "lo", "step")
    )
    require(same, f"{where}: asked again, it gives other settings")
    verify_program(found)
    fast, reference = (_run(found, judged, engine) for engine in ENGINES)
    require(np.array_equal(fast, reference), f"{where}: engines differ")
    exact = _run(program, judged, "fast")
    bits = float(found.crossbar_steps[0].adc.bits.mean())
    return ConvertedLayer(name, bits, _rms(fast - exact), _rms(_run(own, judged, "fast") - exact))


def _set_converters(program: Program, data: AnyArray, policy: ConverterPolicy | None) -> Program:
    """A program with converters set by a policy, or by ours."""
    choose = uniform(_MOST_BITS, f"calibrated:{_MOST_BITS}")
    if policy is not None:
        choose = partial(chosen_by, policy)
    batches = [{"x": data}]
    made = calibrate_converters(program.steps, program.target, batches, choose, most=_MOST_BITS)
    return replace(program, steps=made)


def _run(program: Program, inputs: AnyArray, engine: Engine) -> AnyArray:
    return np.asarray(Executor(program, engine).run({"x": inputs})[0])


def _rms(difference: AnyArray) -> float:
    return float(np.sqrt(np.mean(np.square(difference, dtype=np.float64))))
