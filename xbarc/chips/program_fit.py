"""Fit a compiled program to its chip: placement, and compensations for losses in wires.

Whole programs are fitted, layer by layer in execution order. Placement only changes where cells
lie. Compensation changes levels or scales for one kind of chip, so the settings name it. Parts that
held-back samples show to be worse than nothing are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xbarc.chips.chip_converters import ConverterCalibration, ConverterSetter
from xbarc.chips.compensation import ChipKnowledge, compensate_layer, scaling_of
from xbarc.chips.judgement import ASKED, Judge, Judgement, hold_back
from xbarc.chips.paired_networks import Pairing
from xbarc.chips.placement_search import ENOUGH, PlacementResult, search_orders
from xbarc.chips.selection import (
    AS_MAPPED,
    COMPENSATIONS_ALONE,
    ON_CHIP,
    ORDER_ALONE,
    Kept,
    keep_best,
)
from xbarc.chips.sensitivity import Sensitivity, gather_moments, importance_of, layer_sensitivity
from xbarc.circuit import TOLERANCE, Chip, Effects, Importance
from xbarc.errors import InputError
from xbarc.executor import Data, StepRunner, chip_layer
from xbarc.instruments import InputMoments
from xbarc.ir import WEIGHTS, CrossbarStep, Program, verify_program
from xbarc.mapping import (
    METHODS,
    FaultJob,
    Placed,
    PlacementJob,
    load_placement,
    order_rows,
    place_around_faults,
    place_by,
    place_layer,
    placement_text,
    resize_converters,
    to_sense_side,
)
from xbarc.numerics import Float64Array, Int64Array
from xbarc.options import COMPENSATIONS, Method
from xbarc.pipeline import Progress

# Exchanges of an order on the exact matrix, for `optimal`: each solves the arrays of the layer.
SWAPS = 8


@dataclass(frozen=True)
class LayerFit:
    """What was done to a layer; costs are expected squared errors, weighted by sensitivity.

    Attributes:
        before, after: cost as mapped and as placed.
        gap: of the assignment.
        tried: orders solved on the exact matrix.
        level_gain: what levels aim at, as a share of the weights; 1 without pre-distortion.
    """

    name: str
    before: float
    after: float
    gap: float
    tried: int
    level_gain: float = 1.0

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return dict(vars(self))


@dataclass(frozen=True, eq=False)
class ProgramFit:
    """A program that was fitted to its chip, with a record of how.

    Attributes:
        searched: what was executed to choose orders, for `optimal`; None where nothing was.
        judgement: what was kept of it; None where nothing was judged.
    """

    program: Program
    layers: tuple[LayerFit, ...]
    sensitivities: Mapping[str, Sensitivity]
    searched: PlacementResult | None = None
    judgement: Judgement | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain data: per layer the objective, and the sensitivity of each output."""
        return {
            "format": 1,
            "settings": dict(self.program.settings),
            "layers": [layer.as_json() for layer in self.layers],
            "executed": None if self.searched is None else self.searched.as_json(),
            "judgement": None if self.judgement is None else self.judgement.as_json(),
            "sensitivity": {
                name: {
                    kind: None if values is None else [float(f"{v:.6g}") for v in values]
                    for kind, values in vars(found).items()
                }
                for name, found in self.sensitivities.items()
            },
        }


@dataclass(frozen=True, eq=False)
class FitOptions:
    """What to do to a compiled program.

    Attributes:
        placement: one of `METHODS`, or one from elsewhere, as `load_placement` takes it.
        compensations: some of `COMPENSATIONS`.
        effects: of the chip that placement and compensations know: its wires and its fault map.
        swaps: exchanges tried on the exact matrix, for `optimal`.
        judged: what held-back samples show to be worse than leaving it is left; otherwise all
            samples are fitted to, and everything is kept.
    """

    placement: str | Method = "none"
    compensations: frozenset[str] = frozenset()
    effects: Effects = Effects(frozenset({"lines"}))  # noqa: RUF009  # frozen
    swaps: int = SWAPS
    judged: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.placement, str):
            object.__setattr__(self, "placement", load_placement(self.placement))
        elif self.placement not in METHODS:
            raise InputError(
                f"'{self.placement}' is not available",
                where="--placement",
                hint=f"one of {', '.join(METHODS)}",
            )
        unknown = sorted(self.compensations - set(COMPENSATIONS))
        if unknown:
            raise InputError(
                f"no compensation '{unknown[0]}'",
                where="--compensate",
                hint=f"some of {', '.join(COMPENSATIONS)}",
            )
        if self.placement == "faults" and self.effects.fault_map is None:
            raise InputError("needs --fault-map", where="--placement faults")


def fit_program(
    program: Program,
    data: Data,
    options: FitOptions,
    progress: Progress | None = None,
    converters: ConverterCalibration | None = None,
) -> ProgramFit:
    """Place and correct a program for its target's wires and known faults.

    Args:
        program: as it was compiled.
        data: inputs by name, with `labels` where there are any; unlabelled is enough.
        options: what to do.
        progress: called with the layer's name, its number and the count of layers.
        converters: to be set on the sums of the fitted program; the program's own lose nothing.
            None keeps them.
    """
    program = _drop_weight_facts(program)
    if converters is not None:
        program = converters.unset(program)
    fitting, judging = hold_back(program, data) if options.judged else (data, {})
    made = _fit_layers(program, fitting, options, progress)
    reading = ConverterSetter(converters, fitting, options.effects)
    judge = Judge(program, judging, options.effects) if judging else None
    if judge is None or not judge.samples:
        kept = Kept(reading.on_chip(made.corrected), None if converters is None else ON_CHIP)
        return _describe_fit(program, made, options, kept)
    # Each part is fitted alone as well: compensations that suit one order may be worse than none in
    # another, and an order may be worse than a factor.
    ways = {ASKED: made.corrected}
    if options.compensations and options.placement != "none":
        alone = _fit_layers(program, fitting, replace(options, placement="none"), progress)
        ways |= {COMPENSATIONS_ALONE: alone.corrected, ORDER_ALONE: made.placed}
    ways[AS_MAPPED] = program
    return _describe_fit(program, made, options, keep_best(judge, ways, reading))


@dataclass(frozen=True, eq=False)
class _Made:
    """All that was asked, as fitted: orders alone, and compensations on top of them."""

    placed: Program
    corrected: Program
    layers: tuple[LayerFit, ...]
    sensitivities: Mapping[str, Sensitivity]
    searched: PlacementResult | None


def _fit_layers(
    program: Program, data: Data, options: FitOptions, progress: Progress | None
) -> _Made:
    moments = gather_moments(program, data)
    ranked = _sensitivities(program, data, options)
    plain = {s.name: importance_of(s, moments[s.name], None) for s in program.crossbar_steps}
    found, placed, layers, pairing = program, program, [], Pairing(program, data)
    searched, given = _place_together(program, data, plain, moments, ranked, options, progress)
    for number, step in enumerate(program.crossbar_steps):
        if progress is not None:
            progress(step.name, number, len(program.crossbar_steps))
        # DRS ranks a layer's outputs behind the layers that are placed already, on their wires.
        if options.placement == "drs":
            runner = _prepare_placed(found, options.effects, number)
            ranked[step.name] = layer_sensitivity(found, step.name, data, runner)
        importance = importance_of(step, moments[step.name], ranked.get(step.name))
        order, done = _place(found, step, importance, options, given.get(step.name))
        # `placed` has the orders alone, to be judged beside both.
        placed, found = replace_step(placed, order), replace_step(found, order)
        if options.compensations:
            known = ChipKnowledge(
                options.compensations, program.target, options.effects.fault_map, pairing
            )
            wired = _level_reader(found, options)
            new, gain = compensate_layer(order, step, plain[step.name], wired, known)
            if "outputs" in options.compensations:
                pairing.put(new, wired(new))
            found, done = replace_step(found, new), replace(done, level_gain=gain)
        layers.append(done)
    return _Made(placed, found, tuple(layers), ranked, searched)


def _describe_fit(plain: Program, made: _Made, options: FitOptions, kept: Kept) -> ProgramFit:
    """The program that is kept, with settings that say what it holds of what was asked."""
    asked = {"placement": placement_text(options.placement)}
    if options.compensations:
        asked["compensate"] = ", ".join(c for c in COMPENSATIONS if c in options.compensations)
    if options.placement != "none" and _has_same_places(plain, made.placed):
        asked["placement"] += " (changed nothing)"
    settings = {**dict(kept.program.settings), **asked, **kept.settings(asked)}
    program = replace(kept.program, settings=tuple(sorted(settings.items())))
    # Levels and numbers have changed: all rules are checked again.
    verify_program(program)
    return ProgramFit(program, made.layers, made.sensitivities, made.searched, kept.judgement)


def _has_same_places(program: Program, other: Program) -> bool:
    """Whether every cell, input and block lies where it lay."""
    pairs = zip(program.crossbar_steps, other.crossbar_steps, strict=True)
    return all(
        np.array_equal(a.tiling.row_input, b.tiling.row_input)
        and np.array_equal(a.tiling.row_offset, b.tiling.row_offset)
        and np.array_equal(a.cells.data, b.cells.data)
        for a, b in pairs
    )


def _drop_weight_facts(program: Program) -> Program:
    """Drop facts that depend on weights, since compensations change those; resize converters."""
    for step in program.crossbar_steps:
        if step.facts is not None and WEIGHTS in step.facts.reasons:
            program = replace_step(
                program, resize_converters(replace(step, facts=None), program.target)
            )
    return program


def replace_step(program: Program, step: CrossbarStep) -> Program:
    """The program with another step of the same name."""
    steps = tuple(step if old.name == step.name else old for old in program.steps)
    return replace(program, steps=steps)


def _sensitivities(program: Program, data: Data, options: FitOptions) -> dict[str, Sensitivity]:
    if options.placement in ("none", "heaviest", "drs"):
        return {}
    runner = StepRunner()
    return {
        step.name: layer_sensitivity(program, step.name, data, runner)
        for step in program.crossbar_steps
    }


def _prepare_placed(program: Program, effects: Effects, placed: int) -> StepRunner:
    """The first layers, which are placed already, run on the chip; the others are ideal."""
    runner, chip = StepRunner(), Chip(program, effects)
    for step in program.crossbar_steps[:placed] if effects.kinds else ():
        runner.prepare(step, chip_layer(chip, step))
    return runner


def _place_together(
    program: Program,
    data: Data,
    importance: Mapping[str, Importance],
    moments: Mapping[str, InputMoments],
    ranked: Mapping[str, Sensitivity],
    options: FitOptions,
    progress: Progress | None,
) -> tuple[PlacementResult | None, dict[str, Placed]]:
    """All layers by the answers of the executed network, for `optimal`.

    Comparisons have no cells that could be executed on wires, so nothing is done with them.
    """
    steps = program.crossbar_steps
    if options.placement != "optimal" or not steps or any(s.sense is not None for s in steps):
        return None, {}
    exact: dict[str, Placed] = {}
    rows: dict[str, CrossbarStep] = {}
    for step in steps:
        ranking = importance_of(step, moments[step.name], ranked.get(step.name))
        job = PlacementJob(step, program.target, ranking, _level_reader(program, options, ENOUGH))
        exact[step.name] = place_layer(job, "optimal", options.swaps)
        job = replace(job, importance=importance[step.name])
        rows[step.name] = order_rows(job, to_sense_side(step, program.target))
    starts = {
        "none": {step.name: step for step in steps},
        "rows": rows,
        "exact": {name: found.step for name, found in exact.items()},
    }
    kinds = options.compensations
    scalings = {s.name: scaling_of(s, importance[s.name], kinds) for s in steps}
    searched = search_orders(program, data, options.effects, scalings, starts, progress)
    return searched, {
        name: replace(found, step=resize_converters(searched.steps[name], program.target))
        for name, found in exact.items()
    }


def _level_reader(
    program: Program, options: FitOptions, tolerance: float = TOLERANCE
) -> Callable[[CrossbarStep], Float64Array]:
    """What the cells of a layer contribute, whatever its order."""

    def levels(changed: CrossbarStep) -> Float64Array:
        # The whole program: cells of other layers in the same arrays load its wires.
        chip = Chip(replace_step(program, changed), options.effects, tolerance=tolerance)
        return chip.levels(changed)

    return levels


def _place(
    program: Program,
    step: CrossbarStep,
    importance: Importance,
    options: FitOptions,
    given: Placed | None,
) -> tuple[CrossbarStep, LayerFit]:
    """A layer in its order, behind layers that are placed."""
    if options.placement == "faults":
        job = FaultJob(
            program.target, importance, stuck_of(program, options), _owns_arrays(program, step)
        )
        placed, before, after = place_around_faults(step, job)
        return placed, LayerFit(step.name, before, after, 0.0, 1)
    layer = PlacementJob(step, program.target, importance, _level_reader(program, options))
    result = given or _order_layer(layer, options)
    # An order from the common search was judged by answers; its squared error is not known yet.
    after = result.after if given is None else layer.error(result.step)
    return result.step, LayerFit(step.name, result.before, after, result.gap, result.tried)


def _order_layer(layer: PlacementJob, options: FitOptions) -> Placed:
    method = load_placement(options.placement)
    if isinstance(method, str):
        return place_layer(layer, method, options.swaps)
    return place_by(layer, method)


def _owns_arrays(program: Program, step: CrossbarStep) -> bool:
    """Whether no other layer uses the step's arrays."""
    own = np.unique(step.tiling.array)
    return not any(
        np.isin(own, other.tiling.array).any()
        for other in program.crossbar_steps
        if other.name != step.name
    )


def stuck_of(program: Program, options: FitOptions) -> Callable[[int], Int64Array]:
    """Dense picture of a map of stuck cells, array by array."""
    array, known = program.target.array, options.effects.fault_map
    shape = (array.rows, array.columns + array.spare_columns)

    def of(number: int) -> Int64Array:
        grid = np.full(shape, -1, dtype=np.int64)
        if known is not None:
            row, column, level = known.of(number)
            grid[row, column] = level
        return grid

    return of
