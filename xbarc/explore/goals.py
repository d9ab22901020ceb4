"""What a study wants: figures of one or several models, as numbers of which less is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xbarc.explore.figures import (
    JUDGED,
    Constraint,
    Direction,
    check_names,
    read_constraints,
    signed,
)
from xbarc.explore.study import Across, Study

Figures = Mapping[str, float | None]
"""Figures of one design on one model, by name."""


@dataclass(frozen=True)
class Goals:
    """Objectives and constraints of a study.

    Attributes:
        objectives: figures with their direction, in the order of the file.
        constraints: what figures must be.
        across: how several models become one figure.
        models: names of the models, where there are several.
    """

    objectives: tuple[tuple[str, Direction], ...]
    constraints: tuple[Constraint, ...]
    across: Across
    models: tuple[str, ...]

    @property
    def judged(self) -> frozenset[str]:
        """Figures that need samples."""
        asked = {name for name, _ in self.objectives} | {rule.figure for rule in self.constraints}
        return frozenset(asked & set(JUDGED))

    @property
    def names(self) -> tuple[str, ...]:
        """A name a number of `values`: of the figure, and of the model where each counts."""
        if self.across != "each" or len(self.models) == 1:
            return tuple(name for name, _ in self.objectives)
        return tuple(f"{name}[{model}]" for name, _ in self.objectives for model in self.models)

    def values(self, figures: Sequence[Figures], only: frozenset[str] | None = None) -> list[float]:
        """Objectives of a design, less is better; NaN where one is unknown.

        Args:
            figures: a mapping a model.
            only: the figures that count; None: all.
        """
        found = []
        for name, way in self.objectives:
            if only is not None and name not in only:
                continue
            each = [signed(way, _known(one.get(name))) for one in figures]
            found += each if self.across == "each" else [self._join(each)]
        return found

    def _join(self, each: list[float]) -> float:
        # Of numpy, also the largest: `max` of Python finds NaN only where it comes first.
        return float(np.max(each) if self.across == "worst" else np.mean(each))

    def broken(self, figures: Sequence[Figures], floats: Sequence[Figures]) -> list[str]:
        """The constraints that a design breaks, of the figures that are known."""
        found = []
        for rule in self.constraints:
            shown = [one[rule.figure] for one in figures if rule.figure in one]
            if not shown:
                continue
            references = [one.get(rule.figure) for one in floats] or [None] * len(shown)
            pairs = list(zip(shown, references, strict=True))
            if self.across == "mean" and None not in shown:
                values = [value for value in shown if value is not None]
                known = [reference for reference in references if reference is not None]
                pairs = [(float(np.mean(values)), float(np.mean(known)) if known else None)]
            if not all(rule.holds(value, reference) for value, reference in pairs):
                found.append(f"{rule.figure} {rule.text}")
        return found


def _known(value: float | None) -> float:
    return float("nan") if value is None else value


def read_goals(study: Study) -> Goals:
    """The goals of a study.

    Raises:
        InputError: a figure is unknown, or a constraint is no rule.
    """
    check_names(study.objectives, "objectives")
    names = tuple(path.stem for path in study.models)
    unique = names if len(set(names)) == len(names) else tuple(str(path) for path in study.models)
    return Goals(
        tuple(study.objectives.items()),
        read_constraints(study.constraints),
        study.across,
        unique,
    )
