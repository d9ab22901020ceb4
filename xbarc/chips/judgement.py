"""Compare a fitted program with the same program unfitted, on samples that were held back.

Orders and compensations are fitted on some samples and can be worse on others, each alone or both
together. So each of them is left out in turn, the result is executed on the chip, and the program
whose answers come nearest to those of the plain program is kept. Whole programs are compared with
their converters, single layers without. Only differences beyond their noise count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xbarc.chips.responses import divergences, first_output
from xbarc.circuit import Chip, Effects
from xbarc.executor import Accumulate, Data, StepRunner, Values, chip_layer, labelled_batches
from xbarc.ir import CrossbarStep, Program, split_labels
from xbarc.numerics import Float64Array

ASKED = "as asked"
MOST = 128
"""Held-back samples: executing them with converters takes most of the time of a judgement."""
# Samples below which nothing is held back: a quarter of them are fewer than 8, and the standard
# error of so few is itself wrong by a third.
_FEWEST = 32
_SAME = 0.01
"""Share of a divergence that is no difference: rounding alone moves answers by as much."""


@dataclass(frozen=True)
class Judgement:
    """Which of several programs is kept, and why.

    Attributes:
        samples: that judged, held back from everything that was fitted.
        divergence: mean over samples, by the name of the program.
        kept: one of those names.
        left: layers of which a part was left; empty where the program is kept as a whole.
        converters: what those from data are set on; None where there are none.
    """

    samples: int
    divergence: Mapping[str, float]
    kept: str
    left: tuple[str, ...] = ()
    converters: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain data; null where answers cannot be compared."""
        found = {k: v if np.isfinite(v) else None for k, v in self.divergence.items()}
        return {**vars(self), "divergence": found, "left": list(self.left)}


def hold_back(program: Program, data: Data) -> tuple[Data, Data]:
    """Samples to fit to, with their labels, and the last quarter to judge by, without.

    Fewer than 32 samples are all fitted to, and none judges: it could show nothing.
    """
    count = min((len(array) for array in data.values()), default=0)
    shape = (program.inputs[0].shape if program.inputs else None) or (None,)
    batch = shape[0] if isinstance(shape[0], int) and shape[0] > 0 else 1
    # Models of a fixed batch take whole batches only.
    held = min(MOST, count // 4) // batch * batch if count >= _FEWEST else 0
    first = count - held
    judging = {name: array[first:] for name, array in split_labels(program.inputs, data)[0].items()}
    return {name: array[:first] for name, array in data.items()}, judging if held else {}


class Judge:
    """Runs programs on a chip and compares their answers with the plain program's.

    Args:
        plain: the program as it was compiled, on ideal cells.
        data: inputs by name.
        effects: of the chip.
    """

    def __init__(self, plain: Program, data: Data, effects: Effects) -> None:
        self._effects = effects
        self._feeds = [feeds for feeds, _, _ in labelled_batches(plain, data)]
        runner = StepRunner()
        found = [_scores(plain, dict(feeds), runner) for feeds in self._feeds]
        known = [part for part in found if part is not None]
        is_comparable = len(known) == len(found) and len({part.shape[1] for part in known}) == 1
        self._plain = np.concatenate(known) if is_comparable else np.zeros((0, 1))

    @property
    def samples(self) -> int:
        """That judge; 0 where the first output has no numbers for each sample."""
        return len(self._plain)

    def choose(self, ways: Mapping[str, Program]) -> tuple[str, dict[str, float]]:
        """The first program unless another is shown to be nearer, and the divergence of each.

        Converters are executed as well.
        """
        found = {}
        for name, program in ways.items():
            runner = StepRunner(chip=Chip(program, self._effects))
            found[name] = self._divergences(program, runner)
        asked = next(iter(ways))
        better = [name for name in ways if is_less(found[name], found[asked])]
        means = {name: float(each.mean()) for name, each in found.items()}
        return min(better, key=means.__getitem__, default=asked), means

    def mix_layers(self, ways: Sequence[Program]) -> Program:
        """The first program, with layers of others where those are nearer beyond their noise."""
        engines = [self._engines(program) for program in ways]
        runner, chosen = StepRunner(), ways[0]
        for step, engine in engines[0].values():
            runner.prepare(step, engine)
        now = self._divergences(chosen, runner)
        # One layer after another, on what was kept before: errors of two layers may cancel, so a
        # choice is only good beside those that are made already.
        for name, asked in engines[0].items():
            kept = asked
            for other in (way[name] for way in engines[1:]):
                if other[0] is asked[0]:
                    continue
                runner.prepare(*other)
                trial = self._divergences(chosen, runner)
                if is_less(trial, now):
                    kept, now = other, trial
            runner.prepare(*kept)
            steps = tuple(kept[0] if step.name == name else step for step in chosen.steps)
            chosen = replace(chosen, steps=steps)
        return chosen

    def _engines(self, program: Program) -> dict[str, tuple[CrossbarStep, Accumulate]]:
        # Without converters, which take eight times as long: layers are told apart by their wires.
        chip = Chip(program, replace(self._effects, converters=False))
        return {step.name: (step, chip_layer(chip, step)) for step in program.crossbar_steps}

    def _divergences(self, program: Program, runner: StepRunner) -> Float64Array:
        """Of each sample; infinite where the chip's answers have another shape."""
        parts = [_scores(program, dict(feeds), runner) for feeds in self._feeds]
        known = [part for part in parts if part is not None]
        if sum(map(len, known)) != self.samples or {p.shape[1] for p in known} != {
            self._plain.shape[1]
        }:
            return np.full(self.samples, np.inf)
        return divergences(self._plain, np.concatenate(known))


def _scores(program: Program, values: Values, runner: StepRunner) -> Float64Array | None:
    """The first output; axes: sample, score. None where it holds no numbers for each sample."""
    found = first_output(program, 0, values, runner)
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiub" or found.ndim < 1:
        return None
    return found.astype(np.float64).reshape(len(found), -1)


def is_less(found: Float64Array, before: Float64Array) -> bool:
    """Whether divergences are smaller, by a standard error of their mean and by a hundredth."""
    if not np.isfinite(found).all() or not np.isfinite(before).all():
        return bool(np.isfinite(found).all() and not np.isfinite(before).all())
    # Paired: both ran on the same samples, so what makes a sample hard falls out.
    change = found - before
    error = float(change.std(ddof=1)) / np.sqrt(len(change)) if len(change) > 1 else 0.0
    return bool(float(change.mean()) < -max(error, _SAME * float(before.mean())))
