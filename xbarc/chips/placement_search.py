"""Search for placements by the answers of the executed network, wires and compensations included.

Losses in wires all have the same sign, so squared errors of layers say little about answers. Here
orders are proposed by the effect of each loss on the scores, sign included. An order is accepted if
the executed network comes nearer to the plain program's answers on images that the proposals did
not use.

Factors and offsets that will follow are folded in before orders are priced and judged. An order
that was searched without them would compensate for losses that they remove, and be wrong with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xbarc.chips.compensation import DigitalScaling
from xbarc.chips.responses import divergence, responses, run_from, some_images
from xbarc.circuit import Chip, Effects, Importance, real_weights
from xbarc.executor import Data, StepRunner, UnconvertedLayer, Values, Walk, labelled_batches
from xbarc.ir import CrossbarStep, Program, label_name
from xbarc.mapping import (
    cell_worth,
    columns_by_worth,
    output_losses,
    place_losses,
    rows_by_worth,
    some_columns,
    some_rows,
)
from xbarc.numerics import Float64Array
from xbarc.pipeline import Progress

# Walks over all layers with whole orders. Three orders a layer and walk are executed, each through
# all layers behind it, and a whole order moves the slopes that the next one is priced by.
ROUNDS = 2
# Walks in which parts of orders change: eight a layer and walk are executed.
FINE_ROUNDS = 2
FINE = 8
"""Orders tried per layer in which only some rows, or some columns, change places."""
# Of the rows or columns that change places, in turn: what moves less is priced more truly.
SHARES = (0.5, 0.25, 0.1)
ENOUGH = 1e-4
"""Tolerance on gated wires while orders are compared: far below what tells orders apart."""
# Images that give the slopes, the first ones, and others behind them that orders are judged by: an
# order that was proposed and judged by the same images would fit them.
_PROPOSING, _JUDGING = 64, 256
Starts = Mapping[str, Mapping[str, CrossbarStep]]
Proposals = Callable[[str], Iterator[CrossbarStep]]


@dataclass(frozen=True, eq=False)
class PlacementResult:
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


def search_orders(
    program: Program,
    data: Data,
    effects: Effects,
    scalings: Mapping[str, DigitalScaling],
    starts: Starts,
    progress: Progress | None = None,
) -> PlacementResult:
    """Orders of all layers together.

    Args:
        program: as it was compiled.
        data: inputs by name; labels are ignored.
        effects: the wires.
        scalings: of each layer the factors that will follow, with the importance of its inputs.
        starts: orders to set out from: by a name, by layer.
        progress: called with the layer's name, its number and the count of layers.
    """
    judge = _Judge(program, data, effects, scalings)
    by_start = {name: judge.divergence(steps) for name, steps in starts.items()}
    start = min(by_start, key=by_start.__getitem__)
    search = _PlacementSearch(program, judge, responses(program, data).layers, starts, progress)
    search.begin(starts[start], by_start[start])
    if any(scaling.is_asked for scaling in scalings.values()):
        search.round(search.others)
    # With a factor per output no output is short of anything, and losses have no sign to follow.
    if not any("outputs" in scaling.kinds for scaling in scalings.values()):
        for _ in range(ROUNDS):
            search.round(search.proposals)
        for _ in range(FINE_ROUNDS):
            search.round(search.parts)
    return PlacementResult(
        {name: own.step for name, own in search.layers.items()},
        by_start["none"],
        search.best,
        start,
        len(by_start) * len(scalings) + search.tried,
    )


@dataclass(frozen=True, eq=False)
class _PlacedLayer:
    """A layer in its order.

    Attributes:
        step: without its factors.
        corrected: with them, as it is executed.
        levels: what its cells contribute.
        lost: share of each output that is missing after the factors; axes: group, output.
    """

    step: CrossbarStep
    corrected: CrossbarStep
    levels: Float64Array
    lost: Float64Array

    def put(self, runner: StepRunner) -> None:
        """Run the layer like this from now on."""
        runner.prepare(self.corrected, UnconvertedLayer(self.corrected, self.levels))


class _Judge:
    """Executes the network on wires, and says how far its scores lie from the plain program's."""

    def __init__(
        self, program: Program, data: Data, effects: Effects, scalings: Mapping[str, DigitalScaling]
    ) -> None:
        self.program = program
        self.scalings = scalings
        self.effects = replace(effects, converters=False)
        labels = label_name(value.name for value in program.inputs)
        some = some_images(data, _PROPOSING, _JUDGING, labels)
        self.feeds = [feeds for feeds, _, _ in labelled_batches(program, some)]
        runner = StepRunner()
        self._plain = np.concatenate([run_from(program, 0, dict(f), runner) for f in self.feeds])

    def own(self, steps: Mapping[str, CrossbarStep], name: str) -> _PlacedLayer:
        """A layer under these orders."""
        step, scaling = steps[name], self.scalings[name]
        levels = self._levels(steps, name)
        found = real_weights(step, levels)
        corrected = scaling.fold(step, found) if scaling.is_asked else step
        arriving = found * scaling.gain(found)[:, None, :]
        lost = output_losses(scaling.wanted, arriving, scaling.importance)
        return _PlacedLayer(step, corrected, levels, lost)

    def _levels(self, steps: Mapping[str, CrossbarStep], name: str) -> Float64Array:
        """What a layer's cells contribute under these orders."""
        placed = tuple(steps.get(step.name, step) for step in self.program.steps)
        program = replace(self.program, steps=placed)
        return Chip(program, self.effects, tolerance=ENOUGH).levels(steps[name])

    def divergence(self, steps: Mapping[str, CrossbarStep]) -> float:
        """Of the whole network with these orders."""
        runner = StepRunner()
        for name in steps:
            self.own(steps, name).put(runner)
        return self.compare(0, [dict(feeds) for feeds in self.feeds], runner)

    def compare(self, index: int, batches: list[Values], runner: StepRunner) -> float:
        """Of the network from a step on, whose inputs are known."""
        found = [run_from(self.program, index, dict(values), runner) for values in batches]
        return divergence(self._plain, np.concatenate(found))


class _PlacementSearch:
    """One layer after another, each judged by the answers of the whole network."""

    def __init__(
        self,
        program: Program,
        judge: _Judge,
        responses: Mapping[str, Float64Array],
        starts: Starts,
        progress: Progress | None,
    ) -> None:
        self.layers: dict[str, _PlacedLayer] = {}
        self.best = float("inf")
        self.tried = 0
        self._program, self._judge, self._progress = program, judge, progress
        self._responses, self._starts = responses, starts
        self._runner = StepRunner()
        # A fixed seed: the same program and data give the same orders.
        self._rng = np.random.default_rng(0)

    def begin(self, steps: Mapping[str, CrossbarStep], found: float) -> None:
        """Set out from these orders, whose divergence is known."""
        self.best = found
        for step in steps.values():
            self._take(self._judge.own(steps, step.name))
        self._names = tuple(steps)

    def round(self, proposals: Proposals) -> None:
        """Every layer once; the values before each are those of the layers as they are."""
        batches = [dict(feeds) for feeds in self._judge.feeds]
        walk = Walk(self._program.steps)
        for index, step in enumerate(walk):
            if step.name in self.layers:
                self._improve(index, step.name, batches, proposals)
            walk.run(self._runner, step, batches)

    def _improve(self, index: int, name: str, batches: list[Values], proposals: Proposals) -> None:
        if self._progress is not None:
            self._progress(name, self._names.index(name), len(self._names))
        for step in proposals(name):
            steps = {n: own.step for n, own in self.layers.items()} | {name: step}
            # Layers that share arrays load each other's wires, so all orders are given.
            trial = self._judge.own(steps, name)
            trial.put(self._runner)
            found = self._judge.compare(index, batches, self._runner)
            self.tried += 1
            if found < self.best:
                self.layers[name], self.best = trial, found
        self._take(self.layers[name])

    def _take(self, own: _PlacedLayer) -> None:
        self.layers[own.step.name] = own
        own.put(self._runner)

    def others(self, name: str) -> Iterator[CrossbarStep]:
        """The layer as in the orders that the search did not set out from."""
        for steps in self._starts.values():
            if steps[name] is not self.layers[name].step:
                yield steps[name]

    def parts(self, name: str) -> Iterator[CrossbarStep]:
        """Some rows, and some columns, by what their losses now do to the scores.

        A whole new order moves what it was priced by; a part of it less so.
        """
        rng, shape = self._rng, self.layers[name].step.cells.shape
        for number in range(FINE):
            own, share = self.layers[name], SHARES[number // 2 % len(SHARES)]
            worth = cell_worth(own.step, self._pull(name), self._importance(name))
            losses = place_losses(own.step, own.levels)
            if number % 2 == 0:
                yield some_rows(own.step, worth, losses, rng.random(shape[1]) < share)
            else:
                yield some_columns(own.step, worth, losses, rng.random(shape[2]) < share)

    def proposals(self, name: str) -> Iterator[CrossbarStep]:
        """Rows, columns, and both, by what their losses now do to the scores."""
        own, importance = self.layers[name], self._importance(name)
        pull = self._pull(name)
        losses = place_losses(own.step, own.levels)
        shared = self._program.target.adc.columns_per_adc
        worth = cell_worth(own.step, pull, importance)
        rows = rows_by_worth(own.step, worth, losses)
        yield rows
        yield columns_by_worth(own.step, worth, losses, shared)
        yield columns_by_worth(rows, cell_worth(rows, pull, importance), losses, shared)

    def _importance(self, name: str) -> Importance:
        return self._judge.scalings[name].importance

    def _pull(self, name: str) -> Float64Array:
        """Slope of the divergence in the loss of each output; axes: group, output.

        Behind one gain a layer, what all outputs lose together is no loss.
        """
        # Losses of all layers push the scores together, each with its sign; a layer that pushes
        # against the rest is worth losing.
        change = sum(self._responses[n] @ own.lost.reshape(-1) for n, own in self.layers.items())
        pull = np.asarray(self._responses[name].T @ change).reshape(self.layers[name].lost.shape)
        if "gain" not in self._judge.scalings[name].kinds:
            return pull
        return np.asarray(pull - pull.mean())
