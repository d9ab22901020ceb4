"""What every placement must keep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from xbarc.circuit import Chip, Effects, Importance
from xbarc.errors import MappingError
from xbarc.executor import Executor
from xbarc.ir import CrossbarStep, Program, verify_program
from xbarc.mapping import Placement, PlacementJob, find_encoding, load_placement, place_by
from xbarc.numerics import AnyArray, Float64Array
from xbarc.options import Method
from xbarc.target import Target
from xbarc.testing.cases import int_layer, mapped, program_of, small_target
from xbarc.testing.encodings import edge_cases, require

_ENCODINGS = ("differential", "differential-analog", "acm", "offset", "bias-column")
_LAYERS = (
    "random",
    "zero row and column",
    "one element",
    "convolution, 3 groups",
    "transposed, 1 groups",
)


@dataclass(frozen=True)
class PlacedLayer:
    """What an order of a layer loses to its wires.

    Attributes:
        layer: its encoding and kind.
        before, after: expected squared error of the outputs, as mapped and as placed.
    """

    layer: str
    before: float
    after: float


def check_placement(placement: str | Method) -> tuple[PlacedLayer, ...]:
    """Place small layers of several encodings, with groups, and with columns in groups.

    Args:
        placement: an object, or a name that an installed package registers.

    Returns:
        What each order loses to wires, to compare with the order as mapped.

    Raises:
        ConformanceError: a placed layer gives other results, or another order when asked again.
        MappingError: it lacks methods, fails, or gives an order that a layer cannot have.
    """
    loaded = load_placement(placement)
    if isinstance(loaded, str):
        raise MappingError(f"'{loaded}' is one of ours", where="--placement")
    return tuple(_check(loaded, *case) for case in _cases())


def _cases() -> Iterator[tuple[str, Program, AnyArray]]:
    """Layers as programs, and an input of each; rows are read together or some at a time."""
    for name in _ENCODINGS:
        encoding = find_encoding(name)
        for kind in _LAYERS:
            case = edge_cases(encoding)[kind]
            made = mapped(case.layer, case.target, encoding=name)
            yield f"{name}, {kind}", _program(made, case.target, case.tensor), case.tensor
    target = small_target(
        array__rows=8, array__active_rows=8, array__columns=16, adc__columns_per_adc=4
    )
    weights = np.random.default_rng(9).integers(-9, 10, (1, 21, 11))
    inputs = np.random.default_rng(8).integers(0, 256, (3, 21)).astype(np.uint8)
    for name, adc_savings in (("no groups", ()), ("columns in groups", ("group",))):
        made = mapped(int_layer(weights, weight_bits=5), target, adc_savings=adc_savings)
        yield name, _program(made, target, inputs), inputs


def _program(step: CrossbarStep, target: Target, inputs: AnyArray) -> Program:
    return program_of([step], target, [None] * inputs.ndim)


def _check(placement: Placement, name: str, program: Program, inputs: AnyArray) -> PlacedLayer:
    (step,) = program.crossbar_steps

    def with_step(other: CrossbarStep) -> Program:
        return replace(program, steps=(other,))

    def levels_with_lines(other: CrossbarStep) -> Float64Array:
        return Chip(with_step(other), Effects(frozenset({"lines"}))).levels(other)

    rng = np.random.default_rng(0)
    matrix = np.stack([np.diag(rng.random(step.inputs)) for _ in range(step.groups)])
    importance = Importance(
        matrix, np.zeros((step.groups, step.inputs)), rng.random((step.groups, step.outputs))
    )
    job = PlacementJob(step, program.target, importance, levels_with_lines)
    # The same job twice: an order may depend on nothing else.
    found, again = place_by(job, placement), place_by(job, placement)
    where = f"{placement.name}, {name}"
    same = np.array_equal(found.step.cells.data, again.step.cells.data)
    require(same, f"{where}: asked again, it gives another order")
    placed = with_step(found.step)
    verify_program(placed)
    same = np.array_equal(_run(program, inputs), _run(placed, inputs))
    require(same, f"{where}: placed, it gives other results")
    return PlacedLayer(name, found.before, found.after)


def _run(program: Program, inputs: AnyArray) -> AnyArray:
    return np.asarray(Executor(program).run({"x": inputs})[0])
