"""Which classes can still win: rung after rung, those that surely cannot are given up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from xbarc.explore.candidates import EqualClass, TriedDesign
from xbarc.explore.front import on_front
from xbarc.explore.goals import Goals
from xbarc.explore.judging import BOUNDED, Judged, highest_mean, surely_no_worse
from xbarc.numerics import BoolArray, Float64Array

Classes = Mapping[tuple[str, ...], EqualClass]


class Tournament:
    """Compares classes on the samples that they have all answered.

    Args:
        goals: what is wanted.
        classes: all that were found, the mapping that the study goes on to fill.
    """

    def __init__(self, goals: Goals, classes: Classes) -> None:
        self.goals, self.classes = goals, classes

    def give_up(self, count: int) -> None:
        """Give up designs that cost no less than one whose answers are surely no worse.

        Args:
            count: samples that were answered; what was answered beyond them does not count yet.
        """
        judged = self.goals.judged
        # A figure without bounds could still turn any comparison round.
        if not judged or not judged <= set(BOUNDED) or not self._more_is_better():
            return
        # Every class that came this far, also earlier: what was found stays a rival.
        keys = [
            key for key, made in self.classes.items() if made.samples >= count and not made.failed
        ]
        for key in keys:
            rule = self._find_broken(self.classes[key], count)
            if rule:
                _close(self.classes[key].members, count, f"surely not {rule}")
        wins = self._surely_wins(keys, count)
        if wins is None:
            return
        costs = [self._costs_of(self.classes[key]) for key in keys]
        for number, key in enumerate(keys):
            rivals = [costs[other] for other in np.flatnonzero(wins[:, number])]
            if rivals and self.classes[key].samples == count:
                self._drop(self.classes[key], np.concatenate(rivals), count)

    def _more_is_better(self) -> bool:
        """Whether no design gains anything by answers that are worse."""
        ways = [way for name, way in self.goals.objectives if name in BOUNDED]
        rules = [one.rule for one in self.goals.constraints if one.figure in BOUNDED]
        return all(way == "max" for way in ways) and all(rule in (">=", ">") for rule in rules)

    def _drop(self, made: EqualClass, rivals: Float64Array, count: int) -> None:
        beaten = [
            item
            for item in made.members
            if item.is_open and (rivals <= np.array(self._counted(item))).all(axis=1).any()
        ]
        _close(beaten, count, "a cheaper design was surely no worse")

    def _surely_wins(self, keys: list[tuple[str, ...]], count: int) -> BoolArray | None:
        """Which classes are surely no worse than which, by every figure, on every model.

        Returns:
            Axes: class that leads, class that trails; None where the data do not tell.
        """
        found: BoolArray | None = None
        for figure in sorted(self.goals.judged):
            for place in range(len(self.goals.models)):
                rows = [self.classes[key].judged[place].right.get(figure) for key in keys]
                known = [row[:count] for row in rows if row is not None]
                if not rows or len(known) < len(rows):
                    return None
                wins = surely_no_worse(np.array(known))
                found = wins if found is None else found & wins
        return found

    def _find_broken(self, made: EqualClass, count: int) -> str:
        """A lower bound that a class breaks, whatever the samples that are left say."""
        rules = [
            rule
            for rule in self.goals.constraints
            if rule.figure in BOUNDED and rule.rule in (">=", ">")
        ]
        # The mean over models may hold where one of them breaks the rule.
        if self.goals.across == "mean" and len(self.goals.models) > 1:
            return ""
        broken = (
            f"{rule.figure} {rule.text}"
            for rule in rules
            for one in made.judged
            if _highest(one, rule.figure, count, relative=rule.relative) < rule.bound
        )
        return next(broken, "")

    def _counted(self, item: TriedDesign) -> list[float]:
        names = frozenset(name for name, _ in self.goals.objectives) - self.goals.judged
        return self.goals.values([one.totals for one in item.priced], names)

    def _costs_of(self, made: EqualClass) -> Float64Array:
        """What its allowed designs cost; axes: design, counted objective."""
        rows = [self._counted(item) for item in made.members if not item.broken]
        if not rows:
            return np.empty((0, len(self._counted(made.members[0]))))
        values = np.array(rows).reshape(len(rows), -1)
        return values[on_front(values)] if values.shape[1] else values[:1]


def _close(items: Iterable[TriedDesign], count: int, why: str) -> None:
    for item in items:
        if not item.given_up:
            item.given_up, item.why_given_up = count, why


def _highest(one: Judged, figure: str, count: int, *, relative: bool) -> float:
    """The most that a figure could be over all data, or its lead over the float model's."""
    if figure not in one.right:
        return float("inf")
    reference = one.float_right[figure][:count] if relative else None
    return highest_mean(one.right[figure][:count], reference)
