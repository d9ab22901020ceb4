"""Which design to look at next: all of a grid, some at random, or what a sampler of Optuna says."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

import numpy as np

from xbarc.errors import InputError
from xbarc.explore.knobs import Design, Knob, all_designs, count_designs
from xbarc.explore.study import MOST_DESIGNS, Search

# Up to here a grid is priced whole within minutes; beyond, a sampler finds the front with a tenth
# of the designs.
_GRID = 2_000

# Designs that a sampler looks at where nobody says how many: our choice, not tuned.
_PROPOSED = 500

# Designs that are asked for at a time: enough to share among workers, few enough that a sampler
# learns between them.
_BATCH = 24


class DesignSampler(Protocol):
    """Proposes designs, and learns what came of them."""

    def ask(self) -> list[Design]:
        """Some designs that were not asked for before; none: there are no more."""

    def tell(self, design: Design, values: Sequence[float] | None) -> None:
        """What came of a design: a value an objective, less is better; None: it is not allowed."""


def choose_sampler(search: Search, knobs: Sequence[Knob], objectives: int) -> DesignSampler:
    """The sampler that a study asks for.

    Raises:
        InputError: it needs a package that is not installed, or a grid is far too large.
    """
    count, asked = count_designs(knobs), search.sampler
    if asked == "auto":
        small = count <= _GRID and (search.designs is None or search.designs >= count)
        asked = "grid" if small else "tpe" if _has_optuna() else "random"
    if asked == "grid":
        if search.designs is None and count > MOST_DESIGNS:
            text = f"a grid of {count:,} designs, expected at most {MOST_DESIGNS:,}"
            raise InputError(text, where="search.sampler", hint='designs = N, or sampler = "auto"')
        return _Listed(all_designs(knobs), search.designs or count)
    most = min(count, search.designs or _PROPOSED)
    if asked == "random":
        return _Listed(_random_designs(knobs, search.seed), most)
    return _Learned(knobs, asked, objectives, search.seed, most)


class _Listed:
    """Designs in an order that nothing changes."""

    def __init__(self, designs: Iterator[Design], most: int) -> None:
        self._left = islice(designs, most)

    def ask(self) -> list[Design]:
        # All at once: what they cost is known before the first of them runs.
        return list(self._left)

    def tell(self, design: Design, values: Sequence[float] | None) -> None:
        """Nothing is learned."""


def _random_designs(knobs: Sequence[Knob], seed: int) -> Iterator[Design]:
    """Designs in a drawn order, none of them twice."""
    sizes = [len(knob.choices) for knob in knobs]
    seen: set[Design] = set()
    random, count = np.random.default_rng(seed), count_designs(knobs)
    while len(seen) < count:
        design = tuple(int(random.integers(size)) for size in sizes)
        if design not in seen:
            seen.add(design)
            yield design


def _has_optuna() -> bool:
    try:
        import optuna  # noqa: F401, PLC0415  # an extra, which takes a second to load
    except ImportError:
        return False
    return True


class _Learned:
    """A sampler of Optuna, asked and told in memory: the store of the study is the only one."""

    # Proposals in a row that were all known: the sampler has seen what it cares for.
    _TRIES = 20

    def __init__(
        self, knobs: Sequence[Knob], kind: str, objectives: int, seed: int, most: int
    ) -> None:
        try:
            import optuna  # noqa: PLC0415  # an extra, which takes a second to load
        except ImportError as error:
            raise InputError(
                f"sampler '{kind}' needs optuna",
                where="search.sampler",
                hint="pip install 'xbarc[explore]', or sampler = \"random\"",
            ) from error
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna, self._knobs, self._left = optuna, knobs, most
        self._study = optuna.create_study(
            directions=["minimize"] * objectives, sampler=_make_sampler(optuna, kind, seed)
        )
        self._open: dict[Design, Any] = {}
        self._seen: set[Design] = set()

    def ask(self) -> list[Design]:
        found: list[Design] = []
        tries = 0
        while len(found) < min(_BATCH, self._left) and tries < self._TRIES * _BATCH:
            trial = self._study.ask()
            design = tuple(self._suggest(trial, knob) for knob in self._knobs)
            if design in self._seen:
                tries += 1
                self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
                continue
            self._seen.add(design)
            self._open[design] = trial
            found.append(design)
        self._left -= len(found)
        return found

    def tell(self, design: Design, values: Sequence[float] | None) -> None:
        trial = self._open.pop(design, None)
        if trial is None:
            return
        if values is None or not all(np.isfinite(values)):
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(trial, list(values))

    def _suggest(self, trial: Any, knob: Knob) -> int:
        size = len(knob.choices)
        if knob.ordered and size > 1:
            return int(trial.suggest_int(knob.name, 0, size - 1))
        return int(trial.suggest_categorical(knob.name, list(range(size))))


def _make_sampler(optuna: Any, kind: str, seed: int) -> Any:
    if kind == "nsga2":
        return optuna.samplers.NSGAIISampler(seed=seed)
    # Knobs of a design depend on each other (rows and bits), which a sampler that draws each alone
    # cannot see. Optuna calls that experimental: a study keeps its results, whatever changes there.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, multivariate=True)


def neighbours(knobs: Sequence[Knob], design: Design) -> Iterator[Design]:
    """Designs that differ in one knob: by one position where it is ordered, else by any."""
    for place, knob in enumerate(knobs):
        at = design[place]
        near = (at - 1, at + 1) if knob.ordered else range(len(knob.choices))
        for number in near:
            if number != at and 0 <= number < len(knob.choices):
                yield (*design[:place], number, *design[place + 1 :])
