"""How often each layer's weights should stand on the chip.

The rate of a pipeline is that of its slowest layer, so this is a max-min problem. Its optimum is
found exactly: for a given interval each layer needs a known least number of copies, that number
falls as the interval grows, and the interval can only be one of the layers' own round counts times
their round time. A binary search over those ends at the optimum.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, prod
from typing import Literal

import numpy as np

from xbarc.cost.hardware import arrays_of_step, chip_arrays
from xbarc.cost.timing.layer_schedule import PS
from xbarc.cost.timing.position_grids import input_grid, vector_grid
from xbarc.cost.timing.vector_timing import Timing
from xbarc.errors import InputError, MappingError
from xbarc.ir import Program
from xbarc.target import Target

Kind = Literal["none", "balance", "throughput", "budget"]


@dataclass(frozen=True)
class Stand:
    """A layer as duplication sees it.

    Attributes:
        arrays: arrays of one copy.
        positions: input vectors of one inference.
        round_time: time of one vector on the arrays, in any unit.
        most: most copies that make sense, or that may be made.
        least: no interval is shorter, because others work on the same arrays.
    """

    name: str
    arrays: int
    positions: int
    round_time: int
    most: int
    least: int = 0

    def time(self, copies: int) -> int:
        """Time between two inferences that the arrays allow."""
        return max(self.least, -(-self.positions // copies) * self.round_time)

    def least_copies(self, interval: float) -> int | None:
        """Least copies that keep to an interval; None where no number does."""
        if interval < self.least:
            return None
        if not self.positions:
            return 1
        # Whole rounds fit an interval; a fraction of one is idle time.
        rounds = int(interval // self.round_time) if self.round_time else self.positions
        copies = -(-self.positions // rounds) if rounds else self.most + 1
        return copies if copies <= self.most else None


@dataclass(frozen=True)
class Policy:
    """What `--duplicate` asks for.

    Attributes:
        amount: arrays of a budget, inferences per second of a throughput; 0 otherwise.
    """

    kind: Kind = "none"
    amount: float = 0.0

    def __str__(self) -> str:
        return self.kind if not self.amount else f"{self.kind}={self.amount:g}"


def parse_policy(text: str, target: Target) -> Policy:
    """Read `none`, `balance`, `throughput=N`, `budget=N` or `budget=chip`.

    Raises:
        InputError: it is none of these.
    """
    if text in ("none", "balance"):
        return Policy("none" if text == "none" else "balance")
    name, _, number = text.partition("=")
    if text == "budget=chip":
        return Policy("budget", chip_arrays(target))
    try:
        amount = float(number)
    except ValueError:
        amount = 0.0
    # `inf` and `nan` are floats as well; the comparison refuses both.
    if name not in ("throughput", "budget") or not 0 < amount < inf:
        raise InputError(
            f"'{text}' is not available",
            where="--duplicate",
            hint="none, balance, throughput=INFERENCES_A_SECOND, budget=ARRAYS or budget=chip",
        )
    return Policy("throughput" if name == "throughput" else "budget", amount)


def stands(program: Program, timings: Mapping[str, Timing]) -> tuple[Stand, ...] | None:
    """The layers of a program whose input shapes are known; None where none is.

    Layers that share arrays with others stand once: a copy would need the others' arrays too.
    """
    users = np.zeros(program.arrays, dtype=np.int64)
    busy = np.zeros(program.arrays, dtype=object)  # times of any length, in ps
    work = []
    for step in program.crossbar_steps:
        grid, arrays = input_grid(step), arrays_of_step(step)
        users[arrays] += 1
        if grid is None:
            continue
        positions = prod(vector_grid(step, grid)[0])
        time = round(timings[step.name].vector_ns * PS)
        busy[arrays] += positions * time
        work.append((step.name, arrays, positions, time))
    if program.crossbar_steps and not work:
        return None
    return tuple(
        Stand(name, arrays.size, positions, time, max(1, positions))
        if users[arrays].max(initial=1) == 1
        else Stand(name, arrays.size, positions, time, 1, int(busy[arrays].max()))
        for name, arrays, positions, time in work
    )


def copies_for(layers: Sequence[Stand], policy: Policy, arrays: int) -> dict[str, int]:
    """Copies of each layer by name.

    Args:
        layers: the layers of a program.
        policy: what is asked for.
        arrays: arrays of the program without copies; layers that share arrays count them once.

    Raises:
        MappingError: the budget is too small, or no number of copies reaches the throughput.
    """
    match policy.kind:
        case "none":
            return {layer.name: 1 for layer in layers}
        case "balance":
            return balance_copies(layers)
        case "throughput":
            return at_rate(layers, policy.amount)
        case "budget":
            # Each layer counts all arrays that it touches, so shared ones count several times here;
            # the budget is raised by as many.
            shared = sum(layer.arrays for layer in layers) - arrays
            return within_budget(layers, int(policy.amount) + shared)


def balance_copies(layers: Sequence[Stand]) -> dict[str, int]:
    """As many copies as keep step with the layer that has least to do of those with windows.

    This is ISAAC's rule: copies follow the ratio of positions. It asks for what it asks for; use a
    budget where arrays are counted.
    """
    windows = [layer.time(1) for layer in layers if layer.positions > 1 and layer.most > 1]
    # No interval is shorter than that of a layer with a copy for each of its positions.
    goal = max([min(windows, default=0), *(layer.time(layer.most) for layer in layers)])
    return {layer.name: layer.least_copies(goal) or 1 for layer in layers}


def at_rate(layers: Sequence[Stand], rate: float) -> dict[str, int]:
    """Fewest arrays for so many inferences per second.

    Raises:
        MappingError: a layer is too slow with a copy for every position.
    """
    interval = 1e12 / rate
    found = {layer.name: layer.least_copies(interval) for layer in layers}
    # The error names the layer that no number of copies makes fast enough, and the rate that it
    # allows.
    slow = max(layers, key=lambda layer: layer.time(layer.most), default=None)
    if slow is not None and None in found.values():
        best = 1e12 / slow.time(slow.most)
        raise MappingError(
            f"{rate:g} inferences per second are out of reach: {slow.name} does at most {best:.4g} "
            f"with {slow.most} copies",
            where="--duplicate",
            hint=f"throughput={best:.4g} or less",
        )
    return {name: copies or 1 for name, copies in found.items()}


def within_budget(layers: Sequence[Stand], budget: int) -> dict[str, int]:
    """The highest rate within a number of arrays, and of those the fewest arrays.

    Raises:
        MappingError: one copy of everything needs more.
    """
    once = sum(layer.arrays for layer in layers)
    if once > budget:
        raise MappingError(
            f"one copy of every layer needs {once} arrays, {once - budget} more than the budget of "
            f"{budget}",
            where="--duplicate",
            hint=f"budget={once} or more",
        )
    candidates = intervals(layers)

    # fits is monotone: a longer interval never needs more arrays

    def fits(interval: int) -> bool:
        return arrays_at(layers, interval) <= budget

    best = candidates[bisect_left(candidates, True, key=fits)] if candidates else 0
    return {layer.name: layer.least_copies(best) or 1 for layer in layers}


def intervals(layers: Sequence[Stand]) -> list[int]:
    """Every interval that some number of copies of some layer leads to, rising."""
    found: set[int] = set()
    for layer in layers:
        copies = 1
        while copies <= layer.most:
            rounds = -(-layer.positions // copies)
            found.add(layer.time(copies))
            if rounds <= 1:
                break
            # the least number of copies that saves a round: those between change nothing
            copies = max(copies + 1, -(-layer.positions // (rounds - 1)))
    return sorted(found)


def arrays_at(layers: Sequence[Stand], interval: float) -> float:
    """Arrays that an interval needs; infinite where it is out of reach."""
    total = 0
    for layer in layers:
        copies = layer.least_copies(interval)
        if copies is None:
            return inf
        total += copies * layer.arrays
    return total


def interval_of(layers: Sequence[Stand], copies: Mapping[str, int]) -> int:
    """Time of the slowest layer."""
    return max((layer.time(copies[layer.name]) for layer in layers), default=0)


def arrays_of(layers: Sequence[Stand], copies: Mapping[str, int]) -> int:
    """Arrays of all copies."""
    return sum(copies[layer.name] * layer.arrays for layer in layers)
