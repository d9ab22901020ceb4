"""How many wordlines of each layer are driven at a time: bits against cycles.

With half the rows a conversion loses a bit and there are twice as many of them. By `b` that nearly
always loses, by `2^b` it is a tie at best, and reads and drives come on top. Where a layer needs
more bits than the converter has, fewer rows are the remedy. Every option of a layer gives the same
results, so layers are chosen apart: least energy of the whole under a limit on the time that arrays
work, a multiple-choice knapsack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from xbarc.cost import (
    WIDTHS,
    Widths,
    energy_parts,
    input_vectors,
    step_timing,
    total,
    vector_counts,
)
from xbarc.errors import MappingError, say_count
from xbarc.ir import CrossbarStep, RowsPoint, Step
from xbarc.mapping.converters.adc import adc_settings, wide
from xbarc.mapping.converters.knapsack import pick
from xbarc.mapping.tiling import segment_bounds
from xbarc.numerics import Float64Array, Int64Array
from xbarc.target import Target

LIMITS = (1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 8.0)
"""Times of the points shown, as multiples of the time with all rows at once."""

# 2**7 = 128: from all rows of a common array down to one. Each option is mapped and priced.
_MOST_HALVINGS = 8


@dataclass(frozen=True, eq=False)
class RowOption:
    """A layer with so many wordlines at a time.

    Attributes:
        active: wordlines driven together at most.
        buildable: whether the target's converter has the bits.
        bits, levels: sums over the conversions of an inference; what needs more bits than any
            target's converter can have counts as the widest of them.
        adc_pj: of the conversions of an inference, by the target's converter.
        energy_pj: of all that the layer does in an inference; what only waits is left out.
        time_ns: that its arrays work, an inference.
    """

    step: CrossbarStep
    active: int
    buildable: bool
    bits: float
    levels: float
    adc_pj: float
    energy_pj: float
    time_ns: float


def row_options(step: CrossbarStep, target: Target) -> list[RowOption]:
    """All rows at once, half of them, a quarter and so on, as far as blocks have rows."""
    found: list[RowOption] = []
    for halvings in range(_MOST_HALVINGS):
        active = target.array.active_rows >> halvings
        if not active:
            break
        bounds = segment_bounds(step.tiling.row_bounds, active)
        # No block has so many rows: the same layer, driven with a smaller number.
        if found and np.array_equal(bounds, found[-1].step.tiling.segment_bounds):
            found[-1] = replace(found[-1], active=active)
            continue
        fewer = replace(step, tiling=replace(step.tiling, segment_bounds=bounds))
        settings = adc_settings(fewer, wide(target), step.adc.policy)
        settings = replace(settings, notes=step.adc.notes, solved=step.adc.solved)
        found.append(_option(replace(fewer, adc=settings), active, target))
    return found


def _option(step: CrossbarStep, active: int, target: Target) -> RowOption:
    vectors = input_vectors(step) or 1
    priced = replace(step, adc=replace(step.adc, bits=np.minimum(step.adc.bits, WIDTHS - 1)))
    counts = vector_counts(priced, target)
    widths = Widths("as set", counts.conversions)
    read = widths.energy_pj(target.costs.adc)
    other = total(energy_parts(counts, target)) or 0.0  # without conversions: none was decided yet
    return RowOption(
        step=step,
        active=active,
        buildable=int(step.adc.bits.max(initial=0)) <= target.adc.max_bits,
        bits=widths.bits * vectors,
        levels=widths.levels * vectors,
        adc_pj=read * vectors,
        energy_pj=(read + other) * vectors,
        time_ns=step_timing(priced, target).vector_ns * vectors,
    )


def choose_rows(
    steps: Sequence[Step], target: Target, limit: float
) -> tuple[tuple[Step, ...], tuple[RowsPoint, ...]]:
    """Active rows of every layer, and what other choices would have been.

    Args:
        steps: mapped with all rows at once, their converters as wide as they have to be.
        target: the chip.
        limit: on the time that arrays work, as a multiple of that with all rows at once. Where no
            buildable choice keeps it, the fastest buildable one is taken.

    Raises:
        MappingError: a layer needs more bits than there are even with a row at a time.
    """
    read = [s for s in steps if isinstance(s, CrossbarStep) and s.sense is None]
    if not read:
        return tuple(steps), ()
    table = _Table([row_options(step, target) for step in read])
    _check(table, target)
    choices = {limit_: table.cheapest(limit_) for limit_ in sorted({*LIMITS, limit})}
    points = [*table.uniform(), *table.least()]
    before: Int64Array | None = None
    # Limits that lead to the same choice are shown once.
    for times, (choice, bound) in choices.items():
        if before is None or times == limit or not np.array_equal(choice, before):
            point = table.point(f"within {times:g} times", choice, bound)
            points.append(replace(point, chosen=times == limit))
        before = choice
    new = {option.step.name: option.step for option in table.options_of(choices[limit][0])}
    return tuple(new.get(step.name, step) for step in steps), tuple(points)


def _check(table: _Table, target: Target) -> None:
    for row in table.options:
        if not any(option.buildable for option in row):
            step = row[-1].step
            raise MappingError(
                f"conversions of {row[-1].active} rows at a time need "
                f"{say_count(int(step.adc.bits.max(initial=0)), 'bit')}, the ADC of "
                f"{target.name} has {target.adc.max_bits}",
                where=step.name,
                hint="fewer cell or DAC bits, another encoding, or --adc calibrated",
            )


class _Table:
    """Options of every layer; layers with fewer of them repeat their last."""

    def __init__(self, options: list[list[RowOption]]) -> None:
        self.options = options
        most = max(len(row) for row in options)
        self._full = [row + [row[-1]] * (most - len(row)) for row in options]
        self.energy = self._numbers("energy_pj")
        self.time = self._numbers("time_ns")
        self.buildable = self._numbers("buildable") > 0
        self.base = float(self.time[:, 0].sum())

    def _numbers(self, name: str) -> Float64Array:
        rows = [[float(getattr(option, name)) for option in row] for row in self._full]
        return np.array(rows, dtype=np.float64)

    def cheapest(self, limit: float) -> tuple[Int64Array, float | None]:
        """Least energy within a multiple of the base's time, and what none can be below."""
        times = np.where(self.buildable, self.time, np.inf)
        allowed = max(limit * self.base * (1 + 1e-9), 1e-12)
        found = pick(self.energy, times, allowed)
        return found.choice, found.bound if found.error <= allowed else None

    def least(self) -> list[RowsPoint]:
        """What is least by each law, whatever its time."""
        laws = {"b": "bits", "2^b": "levels", "converter": "adc_pj", "energy": "energy_pj"}
        found = []
        for law, name in laws.items():
            costs = np.where(self.buildable, self._numbers(name), np.inf)
            # of equal ones the fastest, which stands first
            choice = (costs <= costs.min(axis=1, keepdims=True) * (1 + 1e-12)).argmax(axis=1)
            found.append(self.point(f"least {law}", choice.astype(np.int64)))
        return found

    def uniform(self) -> list[RowsPoint]:
        """The same active rows everywhere, by halves."""
        found = []
        for place in range(self.energy.shape[1]):
            longest = max(self.options, key=len)
            active = longest[place].active
            name = f"{active} row{'s' * (active > 1)} at a time"
            choice = np.full(len(self.options), place, dtype=np.int64)
            found.append(self.point(name if place else "all rows at once", choice))
        return found

    def options_of(self, choice: Int64Array) -> list[RowOption]:
        """The options of a choice."""
        return [row[i] for row, i in zip(self._full, choice.tolist(), strict=True)]

    def point(self, kind: str, choice: Int64Array, bound: float | None = None) -> RowsPoint:
        """The sums of a choice."""
        picked = self.options_of(choice)
        return RowsPoint(
            kind=kind,
            bits=sum(option.bits for option in picked),
            levels=sum(option.levels for option in picked),
            adc_pj=sum(option.adc_pj for option in picked),
            energy_pj=sum(option.energy_pj for option in picked),
            time_ns=sum(option.time_ns for option in picked),
            buildable=all(option.buildable for option in picked),
            bound_pj=bound,
        )
