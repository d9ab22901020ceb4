"""Placement judged by the network's own answers, its wires executed.

Errors of wires have one sign, so squared errors of layers do not add up to answers. Here orders are
proposed by what each loss does to the scores, sign included, and one is taken when the executed
network comes nearer to the plain program's answers on images that the proposals did not see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xbarc.chips.responses import divergence, responses, run_from, some_images
from xbarc.circuit import Chip, Effects
from xbarc.circuit.meaning import Importance, real_weights
from xbarc.executor.analog import UnconvertedLayer
from xbarc.executor.batches import labelled_batches
from xbarc.executor.run import StepRunner, Values, last_uses
from xbarc.ir.labels import label_name
from xbarc.ir.program import CrossbarStep, Program
from xbarc.mapping.place.layer import cells_of
from xbarc.mapping.place.signed import (
    cell_worth,
    columns_by_worth,
    output_losses,
    place_losses,
    rows_by_worth,
    some_columns,
    some_rows,
)
from xbarc.numerics.types import AnyArray, Float64Array

ROUNDS = 2
FINE_ROUNDS = 2
FINE = 8
"""Orders a layer in which only some rows, or some columns, change places."""
SHARES = (0.5, 0.25, 0.1)
ENOUGH = 1e-4
"""Tolerance on the wires while orders are compared: far below what tells orders apart."""
_PROPOSING, _JUDGING = 64, 256
Data = Mapping[str, AnyArray]
Starts = Mapping[str, Mapping[str, CrossbarStep]]
Proposals = Callable[[str], Iterator[CrossbarStep]]


@dataclass(frozen=True, eq=False)
class Steered:
    """Placed layers by name, and how far answers lie from the plain program's.

    Attributes:
        before, after: divergence of the executed network, as mapped and as placed.
        start: which orders it set out from.
        tried: orders of layers that were executed.
    """

    steps: Mapping[str, CrossbarStep]
    before: float
    after: float
    start: str
    tried: int

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        kept = {key: value for key, value in vars(self).items() if key != "steps"}
        return {"measure": "divergence of the executed network", **kept}


def steer(
    program: Program,
    data: Data,
    effects: Effects,
    known: tuple[Mapping[str, Importance], Starts],
    progress: Callable[[str, int, int], None] | None = None,
) -> Steered:
    """Orders of all layers together.

    Args:
        program: as it was compiled.
        data: inputs by name; labels are not looked at.
        effects: the wires.
        known: of each layer the importance of its inputs; and orders to set out from: by a name,
            by layer.
        progress: called with the layer's name, its number and the count of layers.
    """
    importance, starts = known
    judge = _Judge(program, data, effects)
    by_start = {name: judge.divergence(steps) for name, steps in starts.items()}
    start = min(by_start, key=by_start.__getitem__)
    search = _Search(program, judge, (responses(program, data).layers, importance), progress)
    search.begin(starts[start], by_start[start])
    for _ in range(ROUNDS):
        search.round(search.proposals)
    for _ in range(FINE_ROUNDS):
        search.round(search.parts)
    return Steered(
        {name: own.step for name, own in search.layers.items()},
        by_start["none"],
        search.best,
        start,
        len(by_start) * len(importance) + search.tried,
    )


class _Judge:
    """Executes the network on wires, and says how far its scores lie from the plain program's."""

    def __init__(self, program: Program, data: Data, effects: Effects) -> None:
        self.program = program
        self.effects = replace(effects, converters=False)
        labels = label_name(value.name for value in program.inputs)
        some = some_images(data, _PROPOSING, _JUDGING, labels)
        self.feeds = [feeds for feeds, _, _ in labelled_batches(program, some)]
        runner = StepRunner()
        self._plain = np.concatenate([run_from(program, 0, dict(f), runner) for f in self.feeds])

    def levels(self, steps: Mapping[str, CrossbarStep], name: str) -> Float64Array:
        """What a layer's cells contribute under these orders."""
        placed = tuple(steps.get(step.name, step) for step in self.program.steps)
        program = replace(self.program, steps=placed)
        return Chip(program, self.effects, tolerance=ENOUGH).levels(steps[name])

    def divergence(self, steps: Mapping[str, CrossbarStep]) -> float:
        """Of the whole network with these orders."""
        runner = StepRunner()
        for name, step in steps.items():
            runner.prepare(step, UnconvertedLayer(step, self.levels(steps, name)))
        return self.compare(0, [dict(feeds) for feeds in self.feeds], runner)

    def compare(self, index: int, batches: list[Values], runner: StepRunner) -> float:
        """Of the network from a step on, whose inputs are known."""
        found = [run_from(self.program, index, dict(values), runner) for values in batches]
        return divergence(self._plain, np.concatenate(found))


@dataclass(frozen=True, eq=False)
class _Own:
    """A layer in its order: what its cells contribute, and how much of its outputs is lost."""

    step: CrossbarStep
    levels: Float64Array
    lost: Float64Array


class _Search:
    """One layer after another, each judged by the answers of the whole network."""

    def __init__(
        self,
        program: Program,
        judge: _Judge,
        known: tuple[Mapping[str, Float64Array], Mapping[str, Importance]],
        progress: Callable[[str, int, int], None] | None,
    ) -> None:
        self.layers: dict[str, _Own] = {}
        self.best = float("inf")
        self.tried = 0
        self._program, self._judge, self._progress = program, judge, progress
        self._responses, self._importance = known
        self._wanted = {s.name: real_weights(s, cells_of(s)) for s in program.crossbar_steps}
        self._runner = StepRunner()
        self._rng = np.random.default_rng(0)

    def begin(self, steps: Mapping[str, CrossbarStep], found: float) -> None:
        """Set out from these orders, whose divergence is known."""
        self.best = found
        for step in steps.values():
            self._take(self._own(step, steps))
        self._names = tuple(steps)

    def round(self, proposals: Proposals) -> None:
        """Every layer once; the values before each are those of the layers as they are."""
        last, batches = last_uses(self._program), [dict(feeds) for feeds in self._judge.feeds]
        for index, step in enumerate(self._program.steps):
            if step.name in self.layers:
                self._improve(index, step.name, batches, proposals)
            for values in batches:
                self._runner.run(step, values)
                for name in last.get(index, ()):
                    values.pop(name, None)

    def _improve(self, index: int, name: str, batches: list[Values], proposals: Proposals) -> None:
        if self._progress is not None:
            self._progress(name, self._names.index(name), len(self._names))
        for step in proposals(name):
            trial = self._own(step, {n: own.step for n, own in self.layers.items()} | {name: step})
            self._runner.prepare(trial.step, UnconvertedLayer(trial.step, trial.levels))
            found = self._judge.compare(index, batches, self._runner)
            self.tried += 1
            if found < self.best:
                self.layers[name], self.best = trial, found
        self._take(self.layers[name])

    def _take(self, own: _Own) -> None:
        self.layers[own.step.name] = own
        self._runner.prepare(own.step, UnconvertedLayer(own.step, own.levels))

    def _own(self, step: CrossbarStep, steps: Mapping[str, CrossbarStep]) -> _Own:
        levels = self._judge.levels(steps, step.name)
        found = real_weights(step, levels)
        lost = output_losses(self._wanted[step.name], found, self._importance[step.name])
        return _Own(step, levels, lost)

    def parts(self, name: str) -> Iterator[CrossbarStep]:
        """Some rows, and some columns, by what their losses now do to the scores.

        A whole new order moves what it was priced by; a part of it less so.
        """
        rng, shape = self._rng, self.layers[name].step.cells.shape
        for number in range(FINE):
            own, share = self.layers[name], SHARES[number // 2 % len(SHARES)]
            worth = cell_worth(own.step, self._pull(name), self._importance[name])
            losses = place_losses(own.step, own.levels)
            if number % 2 == 0:
                yield some_rows(own.step, worth, losses, rng.random(shape[1]) < share)
            else:
                yield some_columns(own.step, worth, losses, rng.random(shape[2]) < share)

    def proposals(self, name: str) -> Iterator[CrossbarStep]:
        """Rows, columns, and both, by what their losses now do to the scores."""
        own, importance = self.layers[name], self._importance[name]
        pull = self._pull(name)
        losses = place_losses(own.step, own.levels)
        shared = self._program.target.adc.columns_per_adc
        worth = cell_worth(own.step, pull, importance)
        rows = rows_by_worth(own.step, worth, losses)
        yield rows
        yield columns_by_worth(own.step, worth, losses, shared)
        yield columns_by_worth(rows, cell_worth(rows, pull, importance), losses, shared)

    def _pull(self, name: str) -> Float64Array:
        """Slope of the divergence in the loss of each output; axes: group, output."""
        change = sum(self._responses[n] @ own.lost.reshape(-1) for n, own in self.layers.items())
        return np.asarray(self._responses[name].T @ change).reshape(self.layers[name].lost.shape)
