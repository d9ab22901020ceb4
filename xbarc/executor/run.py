"""A whole program from its inputs to its outputs, step by step, never re-seeded in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from xbarc.errors import InputError
from xbarc.executor.fast import FastLayer
from xbarc.executor.layer import Accumulate, LayerFrame, run_layer
from xbarc.executor.reference import ReferenceLayer
from xbarc.executor.senses import SenseLayer, SenseReference
from xbarc.executor.short_runs import ShortRunLayer
from xbarc.executor.tap import Look, Tap
from xbarc.executor.vectors import DEFAULT_BUDGET
from xbarc.executor.walk import Values, Walk
from xbarc.ir import (
    CrossbarStep,
    DigitalFragment,
    Program,
    Step,
    Trace,
    Value,
    layer_outputs,
    weight_sums,
)
from xbarc.lazy import lazy_module
from xbarc.runtime import OnnxSession, check_memory

if TYPE_CHECKING:
    from xbarc import circuit
    from xbarc.circuit import Chip
    from xbarc.executor import analog, analog_senses, noise, unconverted
else:  # only chips with effects need them
    circuit = lazy_module("xbarc.circuit")
    analog = lazy_module("xbarc.executor.analog")
    analog_senses = lazy_module("xbarc.executor.analog_senses")
    noise = lazy_module("xbarc.executor.noise")
    unconverted = lazy_module("xbarc.executor.unconverted")

Engine = Literal["fast", "reference"]
Progress = Callable[[str], None]


LayerEngine = FastLayer | ReferenceLayer | SenseLayer | SenseReference


def layer_engine(step: CrossbarStep, *, fast: bool = True, threads: int = 0) -> LayerEngine:
    """The engine of one layer; both kinds give the same bits."""
    if step.sense is not None:
        return SenseLayer(step, threads) if fast else SenseReference(step)
    return FastLayer(step, threads) if fast else ReferenceLayer(step)


def chip_layer(
    chip: Chip, step: CrossbarStep, threads: int = 0
) -> analog.AnalogLayer | unconverted.UnconvertedLayer:
    """The engine of one layer on a chip, with the chip's offsets and noise."""
    effects = chip.effects
    own = noise.Noise(
        chip.model.read_noise,
        circuit.adc_noise(chip.program.target, effects),
        effects.seed,
        effects.sample,
    )
    if step.sense is not None:
        return analog_senses.AnalogSenses(step, chip.levels(step), chip.offsets(step), own, threads)
    if not effects.converters:
        return unconverted.UnconvertedLayer(step, chip.levels(step), threads)
    return analog.AnalogLayer(step, chip.levels(step), own, threads)


class StepRunner:
    """Prepared steps: sessions of fragments and engines of layers are made when first needed.

    Args:
        engine: `fast` or `reference`; they give the same bits.
        budget: largest count of input codes that a layer gathers at a time; bounds memory.
        threads: 0 takes all; the results do not depend on it.
        chip: with effects, the analog engine runs its cells instead.
        taps: by the name of a layer, who is shown its input codes.
    """

    def __init__(
        self,
        engine: Engine = "fast",
        budget: int = DEFAULT_BUDGET,
        threads: int = 0,
        chip: Chip | None = None,
        taps: Mapping[str, Look] | None = None,
    ) -> None:
        self.engine = engine
        self._taps = taps or {}
        self.chip = chip
        self.threads = threads
        self.budget = budget
        self._fragments: dict[str, OnnxSession] = {}
        self._shapes: dict[str, dict[str, tuple[int, ...]]] = {}
        self._layers: dict[str, tuple[LayerFrame, Accumulate]] = {}

    def run(self, step: Step, values: Values, trace: Trace | None = None) -> None:
        """Execute one step; its outputs are added to `values`."""
        if isinstance(step, DigitalFragment):
            self._digital(step, values)
        else:
            self._crossbar(step, values, trace)

    def forget(self, step: Step) -> None:
        """Drop what was prepared for a step."""
        self._fragments.pop(step.name, None)
        self._shapes.pop(step.name, None)
        self._layers.pop(step.name, None)

    def engine_of(self, step: CrossbarStep) -> Accumulate | None:
        """The engine that ran a layer, without its tap; None before."""
        if step.name not in self._layers:
            return None
        engine = self._layers[step.name][1]
        return engine.engine if isinstance(engine, Tap) else engine

    def prepare(self, step: CrossbarStep, engine: Accumulate) -> None:
        """Run a layer by this engine from now on."""
        self._layers[step.name] = (layer_frame(step), engine)

    def _digital(self, step: DigitalFragment, values: Values) -> None:
        if step.name not in self._fragments:
            self._fragments[step.name] = OnnxSession(
                step.model, where=step.name, threads=self.threads
            )
        feeds = {name: values[name] for name in step.inputs}
        self._check_memory(step, feeds)
        results = self._fragments[step.name].run(feeds, step.outputs)
        values.update(zip(step.outputs, results, strict=True))

    def _check_memory(self, step: DigitalFragment, feeds: Values) -> None:
        """Before a fragment runs; once for inputs of the same shapes that follow each other."""
        fed = {n: a.shape for n, a in feeds.items() if isinstance(a, np.ndarray)}
        if self._shapes.get(step.name) != fed:
            check_memory(step.model, fed, step.name)
            self._shapes[step.name] = fed

    def _crossbar(self, step: CrossbarStep, values: Values, trace: Trace | None) -> None:
        if step.name not in self._layers:
            engine, look = self._engine(step), self._taps.get(step.name)
            self.prepare(step, engine if look is None else Tap(engine, look))
        frame, layer = self._layers[step.name]
        observer = None if trace is None else trace.layer(step.name)
        tensor = np.asarray(values[step.input])
        values[step.output] = run_layer(frame, layer, tensor, values, observer, self.budget)

    def _engine(self, step: CrossbarStep) -> Accumulate:
        if self.chip is not None and self.chip.effects.kinds:
            return chip_layer(self.chip, step, self.threads)
        engine = layer_engine(step, fast=self.engine == "fast", threads=self.threads)
        if isinstance(engine, FastLayer) and engine.has_tables:
            return ShortRunLayer(engine)
        return engine


def layer_frame(step: CrossbarStep) -> LayerFrame:
    """What both engines share of a crossbar step."""
    if step.sense is None:
        sums = weight_sums(step)
    else:  # codes of binary inputs have no zero point
        sums = np.zeros((step.groups, step.outputs), dtype=np.int64)
    return LayerFrame(step, step.periphery.constant, sums, step.inputs)


class Executor:
    """Runs a program again and again.

    Args:
        program: what to run.
        engine: `fast` or `reference`.
        budget, threads, chip: as for `StepRunner`.
    """

    def __init__(
        self,
        program: Program,
        engine: Engine = "fast",
        budget: int = DEFAULT_BUDGET,
        threads: int = 0,
        chip: Chip | None = None,
    ) -> None:
        self.program = program
        self.runner = StepRunner(engine, budget, threads, chip)

    def run(
        self,
        feeds: Mapping[str, Any],
        outputs: Sequence[str] | None = None,
        *,
        trace: Trace | None = None,
        progress: Progress | None = None,
    ) -> list[Any]:
        """Values of the outputs asked for, or of all; any value of a step's output may be asked.

        Raises:
            InputError: inputs with wrong names, shapes or types, or an unknown output.
        """
        names = self._names(outputs)
        values: Values = check_feeds(self.program.inputs, feeds)
        walk = Walk(self.program.steps, keep=names)
        for step in walk:
            if progress is not None:
                progress(step.name)
            self.runner.run(step, values, trace)
            walk.forget(values)
        return [values[name] for name in names]

    def _names(self, outputs: Sequence[str] | None) -> list[str]:
        declared = [value.name for value in self.program.outputs]
        if outputs is None:
            return declared
        known = {*declared, *(name for step in self.program.steps for name in layer_outputs(step))}
        unknown = [name for name in outputs if name not in known]
        if unknown:
            raise InputError(
                f"no output named {', '.join(map(repr, unknown))}",
                hint=f"the model has {', '.join(map(repr, declared))}",
            )
        return list(outputs)


def check_feeds(inputs: Sequence[Value], feeds: Mapping[str, Any]) -> Values:
    """Inputs by name, checked against the model.

    Raises:
        InputError: all wrong names, types and shapes at once.
    """
    known = {value.name for value in inputs}
    wrong = [f"unknown input '{name}'" for name in feeds if name not in known]
    for value in inputs:
        if value.name not in feeds:
            wrong.append(f"input '{value.name}' is missing")
        elif value.dtype not in ("other", "string"):
            wrong.extend(_mismatch(value, np.asarray(feeds[value.name])))
    if wrong:
        expected = ", ".join(f"'{v.name}' {v.dtype}{_shape(v)}" for v in inputs)
        raise InputError("; ".join(wrong), hint=f"the model takes {expected or 'no input'}")
    return {
        v.name: feeds[v.name] if v.dtype == "other" else np.asarray(feeds[v.name]) for v in inputs
    }


def _mismatch(value: Value, array: np.ndarray[Any, Any]) -> list[str]:
    if str(array.dtype) != value.dtype:
        return [f"input '{value.name}' is {array.dtype}, expected {value.dtype}"]
    if value.shape is None:
        return []
    same_rank = len(value.shape) == array.ndim
    fits = same_rank and all(
        not isinstance(want, int) or want == have
        for want, have in zip(value.shape, array.shape, strict=True)
    )
    if fits:
        return []
    return [f"input '{value.name}' has shape {list(array.shape)}, expected {_shape(value)}"]


def _shape(value: Value) -> str:
    if value.shape is None:
        return "[...]"
    return "[" + ", ".join("?" if dim is None else str(dim) for dim in value.shape) + "]"
