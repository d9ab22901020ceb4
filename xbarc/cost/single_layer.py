"""What one layer costs by itself, for choosing between ways to map it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xbarc.cost.counts import Counts
from xbarc.cost.parts import area_parts, energy_parts, total
from xbarc.cost.program import LayerCost, program_cost
from xbarc.ir import CrossbarStep, ModelSource, Program
from xbarc.target import Target


@dataclass(frozen=True)
class Price:
    """Cost of one layer.

    Attributes:
        area_um2: arrays, converters, and of macros, tiles and chips what the arrays fill of them.
        energy_pj: of one inference; of one input vector where positions are not known.
    """

    area_um2: float
    energy_pj: float

    @property
    def product(self) -> float:
        """What choices are ranked by: area times energy, so that neither needs a weight."""
        return self.area_um2 * self.energy_pj


def layer_price(step: CrossbarStep, target: Target) -> Price:
    """Price of a layer that has its arrays for itself, by the figures of the report.

    A report rounds macros, tiles and chips of the whole program up to whole ones and shares them
    out; here a layer pays for the part that it fills, so that a small layer counts too.
    """
    # Arrays are renumbered from 0, as if nothing else were on the chip.
    numbers, own = np.unique(step.tiling.array, return_inverse=True)
    arrays = len(numbers)
    tiling = replace(step.tiling, array=own.reshape(step.tiling.array.shape).astype(np.int32))
    layer = replace(step, tiling=tiling)
    alone = Program(step.name, ModelSource("", ""), target, (), (), (layer,), arrays, ())
    cost = program_cost(alone).layers[0]
    tree = target.hierarchy
    macros = arrays / tree.arrays_per_macro
    tiles = macros / tree.macros_per_tile
    chips = tiles / tree.tiles_per_chip
    on = _time_on(cost, arrays)
    held = replace(
        cost.counts if cost.positions is not None else _one_vector(cost.counts, cost.vector),
        macros=macros,
        tiles=tiles,
        chips=chips,
        linked_chips=0,  # whether links are on depends on the other layers
        array_time_ns=arrays * on,
        macro_time_ns=macros * on,
        tile_time_ns=tiles * on,
        chip_time_ns=chips * on,
        link_time_ns=0,
    )
    area, energy = total(area_parts(held, target)), total(energy_parts(held, target))
    # A figure that is missing is missing for all candidates: what is left still ranks them.
    return Price(area or 0.0, energy or 0.0)


def _time_on(cost: LayerCost, arrays: int) -> float:
    """The interval between two inferences; the time of one vector where positions are unknown."""
    return cost.timing.vector_ns if cost.positions is None else cost.counts.array_time_ns / arrays


def _one_vector(hardware: Counts, vector: Counts) -> Counts:
    """Hardware of a layer, and what one input vector makes it do."""
    return hardware + vector
