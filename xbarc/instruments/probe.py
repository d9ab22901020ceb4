"""What layers meet when a network runs on inputs of many kinds, extremes of their types included.

The codes come from the network's declared inputs through its own fragments and layers, never from
what the program claims about them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from xbarc.errors import InputError
from xbarc.executor import Accumulate, StepRunner, Values, Walk, check_feeds
from xbarc.ir import CrossbarStep, IntegerInput, Program, StaticInput, Value, loops, quantize
from xbarc.numerics import AnyArray, Int64Array, IntArray

_SIZES = (16, 32, 8, 64, 224, 1)
"""Extents tried for open axes: multiples of usual strides first, then those of usual pictures."""

# Numbers of one input: open axes of a model may ask for any size, and 224 x 224 pictures of 3
# channels fit 27 times over.
_LARGEST_INPUT = 1 << 22
_LARGE = 1 << 25
"""Cells beyond which fewer kinds of inputs are run, each once: an inference of vgg19 takes
seconds."""

_CONTROL = 8
"""Entries up to which a vector may hold sizes: extreme ones would ask for all memory."""


@dataclass(eq=False)
class Met:
    """Codes that a layer's wordlines carried.

    Attributes:
        low, high: least and largest code of each input; axes: group, input. None before any vector.
        vectors: some of the vectors; axes: vector, group, input.
        beyond: least and largest code before input bits were saved, where they are more than the
            bits that are left hold.
        engine: what ran the layer; None where no run reached it.
    """

    most: int
    low: IntArray | None = None
    high: IntArray | None = None
    beyond: tuple[int, int] | None = None
    engine: Accumulate | None = None
    _parts: list[IntArray] = field(default_factory=list)

    @property
    def vectors(self) -> IntArray | None:
        """A few vectors of each run, at most `most`."""
        if not self._parts:
            return None
        every: IntArray = np.concatenate(self._parts)
        return every[_spread(len(every), self.most)]

    def add(self, vectors: IntArray) -> None:
        """Take in some vectors."""
        if not len(vectors):
            return
        low, high = vectors.min(axis=0), vectors.max(axis=0)
        self.low = low if self.low is None else np.minimum(self.low, low)
        self.high = high if self.high is None else np.maximum(self.high, high)
        self._parts.append(vectors[_spread(len(vectors), 4)].copy())


def _spread(count: int, most: int) -> Int64Array:
    """Some of so many places, evenly."""
    places: Int64Array = np.unique(np.linspace(0, count - 1, min(most, count)).astype(np.int64))
    return places


def probe_layers(program: Program, seed: int = 0, most: int = 16) -> dict[str, Met]:
    """Run a program on inputs of many kinds; what each layer met, by its name.

    A run ends where a layer or a fragment refuses its input (infinity, say), and at a fragment that
    holds a Loop, which a hostile file may have turn for ever; layers that no run reached have met
    nothing.

    Args:
        program: what to run.
        seed: of the random inputs.
        most: vectors of a layer that are kept.
    """
    probe, rng = _Probe(program, most), np.random.default_rng(seed)
    sizes = _SIZES if _has_open_axes(program.inputs) else _SIZES[:1]
    best = max(sizes, key=lambda size: probe.run(_feeds(program.inputs, size, "normal", rng)))
    cells = sum(prod(step.cells.shape) for step in program.crossbar_steps)
    for kind in _KINDS[1:3] if cells > _LARGE else _KINDS:
        probe.run(_feeds(program.inputs, best, kind, rng))
    return probe.met


class _Probe:
    """A program whose layers note what they are given."""

    def __init__(self, program: Program, most: int) -> None:
        self.program = program
        self.met = {step.name: Met(most) for step in program.crossbar_steps}
        self._runner = StepRunner(taps={name: met.add for name, met in self.met.items()})
        self._endless = {name for name, node in loops(program) if node.startswith("Loop")}

    def run(self, feeds: Values | None) -> int:
        """Run one set of inputs; the number of steps that were made."""
        if feeds is None:
            return -1
        done = 0
        try:
            values, walk = check_feeds(self.program.inputs, feeds), Walk(self.program.steps)
            for step in walk:
                if isinstance(step, CrossbarStep):
                    self.met[step.name].beyond = self.met[step.name].beyond or _beyond(step, values)
                if step.name in self._endless:
                    return done
                # Extremes overflow in fragments; that is what they are for.
                with np.errstate(all="ignore"):
                    walk.run(self._runner, step, [values])
                if isinstance(step, CrossbarStep):
                    self.met[step.name].engine = self._runner.engine_of(step)
                done += 1
        except InputError:
            return done
        return done


def _beyond(step: CrossbarStep, values: Values) -> tuple[int, int] | None:
    """Codes that a layer would have had with all of its input bits, where some do not fit."""
    quantizer, tensor = step.quantizer, np.asarray(values[step.input])
    if step.narrowed is None or not tensor.size:
        return None
    if isinstance(quantizer, StaticInput):
        whole = replace(quantizer, bits=min(step.narrowed.bits, 16))
        codes = quantize(tensor.reshape(1, -1), whole, values, step.name).values
    elif isinstance(quantizer, IntegerInput):
        codes = np.array([tensor.min(), tensor.max()]).astype(np.int64) - quantizer.low
    else:
        return None
    low, high = int(codes.min()), int(codes.max())
    return None if low >= 0 and high >> step.input_bits == 0 else (low, high)


_KINDS = ("normal", "unit", "zeros", "bytes", "large", "ends", "signs")


def _has_open_axes(inputs: Sequence[Value]) -> bool:
    shapes = [value.shape for value in inputs]
    return any(s is None or any(not isinstance(n, int) for n in s[1:]) for s in shapes)


def _feeds(
    inputs: Sequence[Value], size: int, kind: str, rng: np.random.Generator
) -> Values | None:
    """Inputs of one kind; None where they would be too large, or are no tensors of numbers."""
    feeds: Values = {}
    for value in inputs:
        if value.dtype in ("string", "other", "complex64", "complex128"):
            return None
        shape = tuple(_extents(value, size))
        if prod(shape) > _LARGEST_INPUT:
            return None
        is_data = len(shape) > 1 or prod(shape) > _CONTROL
        feeds[value.name] = _draw(value.dtype, shape, kind if is_data else "unit", rng)
    return feeds


def _extents(value: Value, size: int) -> Iterator[int]:
    """One sample where the first axis is open, `size` along other open axes."""
    for axis, extent in enumerate((1, size) if value.shape is None else value.shape):
        yield extent if isinstance(extent, int) else size if axis else 1


def _draw(dtype: str, shape: tuple[int, ...], kind: str, rng: np.random.Generator) -> AnyArray:
    number = np.dtype(dtype)
    if number.kind == "b":
        return rng.integers(0, 2, shape).astype(number)
    low, high = _ends(number)
    drawn: AnyArray
    match kind:
        case "normal":
            drawn = rng.normal(0, 1 if number.kind == "f" else 3, shape)
        case "unit":
            drawn = rng.random(shape) if number.kind == "f" else rng.integers(0, 2, shape)
        case "bytes":
            drawn = rng.integers(0, 256, shape)
        case "zeros":
            drawn = np.zeros(shape)
        case _:
            choices = {"large": [-1e3, 1e3, 1.0, 0.0], "ends": [low, high], "signs": [-1.0, 1.0]}
            drawn = rng.choice(choices[kind], shape)
    near: AnyArray = np.clip(drawn, low, high).astype(number)
    return near


def _ends(number: np.dtype[Any]) -> tuple[float, float]:
    """Least and largest number of a type, as far as float64 can tell."""
    if number.kind == "f":
        largest = float(np.finfo(number).max)
        return -largest, largest
    info = np.iinfo(number)
    return max(float(info.min), -(2.0**53)), min(float(info.max), 2.0**53)
