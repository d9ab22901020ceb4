"""Which designs each worker gets: what shares work goes to one of them, some at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from xbarc.explore.recipe import Recipe
from xbarc.explore.work import PRICED_FIELDS, REPORTED, Conditions, DesignCosts, price

# Options of converters alone: designs that differ in nothing else have cells in common.
_CONVERTERS = frozenset({"adc", "adc_budget"})

# Designs of one program that are priced in a row, and lost where a worker is killed: some 20 ms
# each once there is a program.
_GROUP = 16

# CPU seconds of one batch, about: what a worker that is killed loses at most beside what waits for
# it, and a hundred times what a scheduler takes for a task.
_BATCH_S = 1.0

# Designs of one batch at most, however quick they are.
_MOST = 64


@dataclass(frozen=True)
class Batch:
    """Designs that one worker prices in a row.

    Attributes:
        keys: of their results.
        recipes: in the order of the keys.
        lane: as `xbarc.workers.WorkerMap` takes it.
    """

    keys: tuple[str, ...]
    recipes: tuple[Recipe, ...]
    lane: int = 0


def price_batch(conditions: Conditions, batch: Batch) -> list[DesignCosts]:
    """Price designs one after another, in the process that has the program of the first."""
    return [price(conditions, recipe) for recipe in batch.recipes]


def group_recipes(recipes: Mapping[str, Recipe]) -> list[list[str]]:
    """Keys of designs of one program as a rule, at most `_GROUP` of them together.

    Neighbours share more than others do: first the integers of a network, then cells.
    """
    words = {key: _shared_words(recipe) for key, recipe in recipes.items()}
    found: list[list[str]] = []
    for _, run in groupby(sorted(words, key=lambda key: words[key]), lambda key: words[key][0]):
        equal = list(run)
        found += [equal[at : at + _GROUP] for at in range(0, len(equal), _GROUP)]
    return found


def _shared_words(recipe: Recipe) -> tuple[str, str]:
    """What designs of one program have in common as a rule, and all of a recipe."""
    fields = [text for text in recipe.overrides if not text.startswith(PRICED_FIELDS)]
    options = [item for item in recipe.options if item[0] not in REPORTED]
    integers = [item for item in options if item[0] not in _CONVERTERS]
    head = (recipe.model, recipe.target, integers, fields)
    return repr((*head, options)), repr(recipe)


class Batches:
    """Designs in the order in which workers get them: each lane goes through its own part.

    Neighbours in the order of `group_recipes` share most, so a lane is a run of them.

    Args:
        recipes: designs by key.
        lanes: workers that keep what they have made.
    """

    def __init__(self, recipes: Mapping[str, Recipe], lanes: int) -> None:
        self._recipes = recipes
        self._lanes = [deque(part) for part in _cut(group_recipes(recipes), lanes)]
        self._seconds, self._count = 0.0, 0

    def learn(self, costs: Sequence[DesignCosts]) -> None:
        """Size the next batches by what a design took so far."""
        self._seconds += sum(one.seconds for one in costs)
        self._count += len(costs)

    def __iter__(self) -> Iterator[Batch]:
        while any(self._lanes):
            for number, groups in enumerate(self._lanes):
                if groups:
                    keys = self._take(groups)
                    yield Batch(tuple(keys), tuple(self._recipes[key] for key in keys), number)

    def _take(self, groups: deque[list[str]]) -> list[str]:
        """The next groups of a lane: one, and more while they fit the time of a batch."""
        taken = [*groups.popleft()]
        each = self._seconds / self._count if self._count else _BATCH_S
        most = min(_MOST, int(_BATCH_S / max(each, 1e-6)))
        while groups and len(taken) + len(groups[0]) <= most:
            taken += groups.popleft()
        return taken


def _cut(groups: Sequence[list[str]], lanes: int) -> list[list[list[str]]]:
    """Runs of groups with about the same number of designs each."""
    count = sum(map(len, groups))
    found: list[list[list[str]]] = [[] for _ in range(lanes)]
    done = 0
    for group in groups:
        found[done * lanes // count].append(group)
        done += len(group)
    return found
