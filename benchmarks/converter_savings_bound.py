"""How narrow lossless converters of a network can get by recoding, whatever the algorithm.

    python benchmarks/converter_savings_bound.py models/fashion-vgg.onnx

The digits of a weight are a way from carry to carry through its slices. For two neighbouring slices
alone, what is left of all ways is a few choices of four cells: plus and minus of each. A price on
each of the four columns then gives a sum that no choice can be below, so four widths whose largest
sums cost less than that are out of reach. The least widths that no price refutes bound two
slices; two such pairs bound a pair of four slices, and conversions are added up.
"""

from __future__ import annotations

import argparse
import sys
from functools import lru_cache
from itertools import pairwise, product
from math import gcd
from pathlib import Path

import numpy as np
from numba import njit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import xbarc
from xbarc.cost import program_cost
from xbarc.cost.converters.sizing_rules import Widths, converter_widths
from xbarc.ir.effective import effective_weights
from xbarc.ir.program import CrossbarStep
from xbarc.mapping.converters.width_costs import BOTH
from xbarc.numerics.types import Float64Array, IntArray

_PRICES = 4
LAWS = ("bits", "levels", "both")
"""What is made small, in the order of every axis `law` here."""


def digit_choices(
    weight: int, low: int, high: int, slices: int, cell_bits: int
) -> set[tuple[int, ...]]:
    """Digits `low .. high - 1` that some way to write a weight has."""
    base = 1 << cell_bits
    states: set[tuple[int, tuple[int, ...]]] = {(0, ())}
    sign = 1 if weight >= 0 else -1
    for j in range(slices):
        x = abs(weight) >> (cell_bits * j) & (base - 1)
        found = set()
        for carry, digits in states:
            for out in (0, 1):
                digit = x + carry - base * out
                if abs(digit) < base:
                    found.add((out, (*digits, sign * digit) if low <= j < high else digits))
        states = found
    return {digits for carry, digits in states if carry == 0}


def prices(columns: int) -> IntArray:
    """Directions to look along; axes: price, column."""
    found = [p for p in product(range(_PRICES), repeat=columns) if gcd(*p) == 1]
    return np.array(found, dtype=np.int64)


def least_of_all(magnitude: int, low: int, high: int, slices: int, cell_bits: int) -> IntArray:
    """What every weight costs at least under each price; axes: weight from -magnitude, price."""
    along = prices(2 * (high - low))
    rows = []
    for weight in range(-magnitude, magnitude + 1):
        choices = np.array(sorted(digit_choices(weight, low, high, slices, cell_bits)))
        cells = np.stack([np.maximum(choices, 0), np.maximum(-choices, 0)], axis=-1)
        rows.append((cells.reshape(len(choices), -1) @ along.T).min(axis=0))
    return np.array(rows)


@lru_cache(maxsize=4)
def candidates(columns: int, most: int, top: int) -> tuple[IntArray, IntArray]:
    """All widths of some columns, and what their largest sums cost; axes: candidate, column."""
    widths = np.array(list(product(range(most + 1), repeat=columns)), dtype=np.int64)
    reach = ((1 << widths) - 1) // top @ prices(columns).T
    return widths, reach


@njit(cache=False)
def _first(reach, order, floor, found):  # type: ignore[no-untyped-def]
    """For each problem the first candidate that no price refutes."""
    for problem in range(floor.shape[0]):
        for place in range(order.shape[0]):
            stands = True
            for price in range(floor.shape[1]):
                if reach[order[place], price] < floor[problem, price]:
                    stands = False
                    break
            if stands:
                found[problem] = place
                break


def least_cost(floor: IntArray, columns: int, top: int) -> Float64Array:
    """Least bits, least levels, and least of both together; axes: law, problem.

    Args:
        floor: sum that every choice costs at least; axes: problem, price.
        columns: how many columns a problem has.
        top: largest input slice.
    """
    most = int(floor.max(initial=0) * top).bit_length()
    widths, reach = candidates(columns, most, top)
    levels = np.exp2(widths) * (widths > 0)
    found = np.empty((3, len(floor)))
    for law, each in enumerate((widths, levels, levels + BOTH * widths)):
        cost = each.sum(axis=1).astype(np.float64)
        order = np.argsort(cost, kind="stable")
        first = np.full(len(floor), len(order) - 1)
        _first(reach, order, np.ascontiguousarray(floor, dtype=np.int64), first)
        found[law] = cost[order[first]]
    return found


def cuts(slices: int) -> list[list[tuple[int, int]]]:
    """Ways to cut slices into neighbours and single ones."""
    even = [(low, min(low + 2, slices)) for low in range(0, slices, 2)]
    odd = [(0, 1), *((low, min(low + 2, slices)) for low in range(1, slices, 2))]
    return [even, odd]


def layer_bound(step: CrossbarStep, reach: int) -> Float64Array:
    """Least bits, levels and both, of all conversions of one input slice; axis: law.

    Args:
        step: a layer in differential pairs; its rows stay in their blocks.
        reach: the largest number that may be subtracted from an output instead of what is; each
            output and each law may have its own.
    """
    beta = step.periphery.input_sum.reshape(step.groups, 1, step.outputs)
    weights = (effective_weights(step) - beta)[:, step.tiling.row_input]
    groups, rows, outputs = weights.shape
    most = (1 << step.cells.bits * step.weight_slices) - 1
    magnitude = min(most, int(np.abs(weights).max(initial=0)) + reach)
    flat = weights.transpose(1, 0, 2).reshape(rows, groups * outputs)
    tables = [
        [
            (
                2 * (high - low),
                least_of_all(magnitude, low, high, step.weight_slices, step.cells.bits),
            )
            for low, high in cut
        ]
        for cut in cuts(step.weight_slices)
    ]
    best = np.full((3, groups * outputs), np.inf)
    for off in range(-reach, reach + 1):
        moved = flat - off
        cost = np.zeros_like(best)
        for first, last in pairwise(step.tiling.segment_bounds.tolist()):
            counts = histogram(np.clip(moved[first:last], -magnitude, magnitude), magnitude)
            cost += problem_bound(counts, tables, (1 << step.dac_bits) - 1)
        cost[:, np.abs(moved).max(axis=0) > most] = np.inf
        best = np.minimum(best, cost)
    return np.asarray(best.sum(axis=1))


def problem_bound(
    counts: IntArray, tables: list[list[tuple[int, IntArray]]], top: int
) -> Float64Array:
    """The better of all cuts, for each law and problem."""
    found = [
        np.sum([least_cost(counts @ table, columns, top) for columns, table in cut], axis=0)
        for cut in tables
    ]
    return np.asarray(np.max(found, axis=0))


def histogram(weights: IntArray, magnitude: int) -> IntArray:
    """How often each weight stands in a column; axes: column, weight from -magnitude."""
    size = 2 * magnitude + 1
    index = weights.T + magnitude + size * np.arange(weights.shape[1])[:, None]
    counts = np.bincount(index.reshape(-1), minlength=size * weights.shape[1])
    return counts.reshape(weights.shape[1], size)


def network_bound(model: Path, target: str, reach: int) -> dict[str, Float64Array]:
    """Bits, levels and both, of an inference: worst case, found by all savings, and bound.

    What is found under each law, and no choice of digits for its blocks and centres is below.
    """
    sums = {name: np.zeros(3) for name in ("worst case", "found", "bound")}
    for law, name in enumerate(LAWS):
        program = xbarc.compile(
            str(model), target=target, adc_savings="all", conversion_cost=name
        ).program
        for layer in program_cost(program).layers:
            rules = {item.rule: item for item in converter_widths(layer.step)}
            times = layer.positions or 1
            sums["worst case"][law] += times * _laws(rules["worst case"])[law]
            sums["found"][law] += times * _laws(rules["from cells"])[law]
            bound = layer_bound(layer.step, reach)[law]
            sums["bound"][law] += times * layer.step.input_slices * bound
    return sums


def _laws(widths: Widths) -> Float64Array:
    return np.array([widths.bits, widths.levels, widths.levels + BOTH * widths.bits])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--target", default="rram128")
    parser.add_argument("--reach", type=int, default=0, help="numbers subtracted from outputs")
    arguments = parser.parse_args()
    sums = network_bound(arguments.model, arguments.target, arguments.reach)
    for name, found in sums.items():
        ratios = sums["worst case"] / found
        print(
            f"{name:10} {ratios[0]:.3f} times less by b, {ratios[1]:.3f} by 2^b,"
            f" {ratios[2]:.3f} by both"
        )


if __name__ == "__main__":
    main()
