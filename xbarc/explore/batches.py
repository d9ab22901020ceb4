"""How designs are dealt to workers: what shares work goes to one of them, some at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from xbarc.explore.recipe import Recipe
from xbarc.explore.work import Batch, DesignCosts, group_recipes

# CPU seconds of one batch, about: what a worker that is killed loses at most beside what waits for
# it, and a hundred times what a scheduler takes for a task.
_BATCH_S = 1.0

# Designs of one batch at most, however quick they are.
_MOST = 64


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
