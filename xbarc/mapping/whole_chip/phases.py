"""A network that is larger than the chip, in phases: what stays, and what is written again.

Layers run in their order. In each phase the layers that stay and those of the phase stand on the
chip; what does not stay is written once an inference. CP-SAT chooses what stays and where to cut,
so that least is written, and among those choices the fewest bytes wait between phases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xbarc.cost import Link
from xbarc.errors import MappingError
from xbarc.lazy import lazy_module

if TYPE_CHECKING:
    from ortools.sat.python import cp_model
else:
    cp_model = lazy_module("ortools.sat.python.cp_model")

# Deterministic seconds; `bound` says what is left open when they are over.
_SECONDS = 10.0


@dataclass(frozen=True)
class Load:
    """Arrays that are written together: a layer, or a part of one that is larger than the chip."""

    name: str
    layer: str
    arrays: int


@dataclass(frozen=True)
class Phases:
    """What stands on the chip when.

    Attributes:
        stays: loads that are written once and for all.
        phases: loads of each phase, in the order in which they run; those that stay included.
        written: arrays that are written an inference.
        bound: no choice with so many phases writes less.
        waiting: bytes that wait from one phase to a later one, an inference.
    """

    stays: tuple[str, ...]
    phases: tuple[tuple[str, ...], ...]
    written: int
    bound: int
    waiting: float


def loads_of(arrays: Sequence[tuple[str, int]], capacity: int) -> tuple[Load, ...]:
    """Layers by their arrays; one that is larger than the chip falls into equal parts."""
    found = []
    for name, count in arrays:
        parts = max(1, -(-count // capacity))
        for part in range(parts):
            size = (part + 1) * count // parts - part * count // parts
            label = name if parts == 1 else f"{name} {part + 1}/{parts}"
            found.append(Load(label, name, size))
    return tuple(found)


def fewest_phases(loads: Sequence[Load], capacity: int) -> int:
    """Phases when nothing stays, each filled as far as the order allows."""
    phases, room = 0, 0
    for load in loads:
        if load.arrays > room:
            phases, room = phases + 1, capacity
        room -= load.arrays
    return phases


def choose_phases(
    loads: Sequence[Load],
    links: Sequence[Link],
    capacity: int,
    phases: int,
    seconds: float = _SECONDS,
) -> Phases:
    """Choose what stays and where to cut.

    Args:
        loads: in the order in which they run.
        links: bytes from layer to layer.
        capacity: arrays of the chip.
        phases: how many phases there may be.
        seconds: deterministic time that the solver may take.

    Raises:
        MappingError: so few phases do not hold the network.
    """
    model = cp_model.CpModel()
    at = [model.new_int_var(0, phases - 1, f"phase{i}") for i in range(len(loads))]
    stay = [model.new_bool_var(f"stay{i}") for i in range(len(loads))]
    inside = [[model.new_bool_var(f"in{i}_{p}") for p in range(phases)] for i in range(len(loads))]
    for i, load in enumerate(loads):
        model.add_exactly_one(inside[i])
        model.add(at[i] == sum(p * inside[i][p] for p in range(phases)))
        if i and loads[i - 1].layer == load.layer:
            model.add(at[i - 1] <= at[i])
        else:
            _after(model, at, i, loads, links)
    on_chip = [_there(model, inside[i], stay[i], f"{i}") for i in range(len(loads))]
    for p in range(phases):
        used = sum(load.arrays * on_chip[i][p] for i, load in enumerate(loads))
        model.add(used <= capacity)
    written = sum(load.arrays * (1 - stay[i]) for i, load in enumerate(loads))
    waits = _waiting_bytes(model, at, loads, links)
    # One array written outweighs all bytes that can wait: first written, then waiting, in one
    # objective.
    scale = 1 + sum(size for size, _ in waits)
    model.minimize(scale * written + sum(size * late for size, late in waits))
    solver = _solve(model, seconds, loads, phases, capacity)
    return _found(solver, (at, stay), loads, phases, scale, waits)


def _after(
    model: cp_model.CpModel,
    at: list[cp_model.IntVar],
    index: int,
    loads: Sequence[Load],
    links: Sequence[Link],
) -> None:
    """A load runs no earlier than any that it reads from."""
    sources = {link.source for link in links if link.target == loads[index].layer}
    for before in range(index):
        if loads[before].layer in sources:
            for later in range(index, len(loads)):
                if loads[later].layer == loads[index].layer:
                    model.add(at[before] <= at[later])


def _there(
    model: cp_model.CpModel,
    inside: list[cp_model.IntVar],
    stay: cp_model.IntVar,
    name: str,
) -> list[cp_model.IntVar]:
    """Whether a load stands on the chip, phase by phase."""
    found = []
    for phase, runs in enumerate(inside):
        there = model.new_bool_var(f"there{name}_{phase}")
        model.add_implication(runs, there)
        model.add_implication(stay, there)
        found.append(there)
    return found


def _waiting_bytes(
    model: cp_model.CpModel,
    at: list[cp_model.IntVar],
    loads: Sequence[Load],
    links: Sequence[Link],
) -> list[tuple[int, cp_model.IntVar]]:
    """Bytes of each link, and whether they wait for a later phase."""
    first = {load.layer: i for i, load in reversed(list(enumerate(loads)))}
    last = {load.layer: i for i, load in enumerate(loads)}
    found = []
    for number, link in enumerate(links):
        # Only one direction is stated: the objective keeps it 0 wherever it may be.
        late = model.new_bool_var(f"late{number}")
        model.add(at[first[link.source]] >= at[last[link.target]]).only_enforce_if(~late)
        # Whole bytes, and at least one: a link of half a byte waits too.
        found.append((max(1, round(link.size)), late))
    return found


def _solve(
    model: cp_model.CpModel, seconds: float, loads: Sequence[Load], phases: int, capacity: int
) -> cp_model.CpSolver:
    solver = cp_model.CpSolver()
    # One worker and deterministic time: the same choice on every machine.
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.max_deterministic_time = seconds
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        need = fewest_phases(loads, capacity)
        raise MappingError(
            f"{phases} phases do not hold {sum(load.arrays for load in loads)} arrays on a chip "
            f"of {capacity}",
            where="--phases",
            hint=f"{need} or more",
        )
    return solver


def _found(
    solver: cp_model.CpSolver,
    chosen: tuple[list[cp_model.IntVar], list[cp_model.IntVar]],
    loads: Sequence[Load],
    phases: int,
    scale: int,
    waits: list[tuple[int, cp_model.IntVar]],
) -> Phases:
    at, stay = chosen
    order: list[list[str]] = [[] for _ in range(phases)]
    for i, load in enumerate(loads):
        order[solver.value(at[i])].append(load.name)
    return Phases(
        stays=tuple(load.name for i, load in enumerate(loads) if solver.value(stay[i])),
        phases=tuple(tuple(names) for names in order if names),
        written=sum(load.arrays for i, load in enumerate(loads) if not solver.value(stay[i])),
        bound=int(solver.best_objective_bound // scale),
        waiting=float(sum(size for size, late in waits if solver.value(late))),
    )
