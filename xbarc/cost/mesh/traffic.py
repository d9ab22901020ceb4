"""What a program makes the mesh carry: results from layer to layer, sums inside a layer."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from xbarc.cost.hardware import arrays_of_step
from xbarc.cost.mesh.places import MeshPlacement, place
from xbarc.cost.mesh.tile_traffic import Item, Link
from xbarc.cost.step_counts import accumulator_bytes
from xbarc.cost.timing import input_grid, vector_grid
from xbarc.ir import CrossbarStep, Program, dataflow
from xbarc.memo import Memo


def program_items(program: Program, copies: Mapping[str, int]) -> tuple[Item, ...]:
    """The layers with their arrays; each array counts for the first layer that touches it."""
    seen: set[int] = set()
    found = []
    for step in program.crossbar_steps:
        # A shared array can lie in one tile only.
        own = [int(array) for array in arrays_of_step(step) if int(array) not in seen]
        seen.update(own)
        blocks = len(step.tiling.row_bounds) - 1
        sums = _positions(step) * step.groups * step.outputs * accumulator_bytes(step) * blocks
        arrays = max(1, len(own)) * copies.get(step.name, 1)
        found.append(Item(step.name, arrays, float(sums if blocks > 1 else 0)))
    return tuple(found)


def program_links(program: Program) -> tuple[Link, ...]:
    """Bytes from layer to layer, through whatever digital fragments lie between them."""
    graph = dataflow(program)
    steps = {step.name: step for step in program.crossbar_steps}
    found = []
    for step in program.crossbar_steps:
        for name in _makers(graph, step.name, steps):
            source = steps[name]
            made = _positions(source) * source.groups * source.outputs
            read = prod(step.input_shape or (0,))
            # A pool or a flatten between two layers makes less of a result, a padding more: what
            # the reader needs cannot exceed what was made.
            found.append(Link(name, step.name, min(made, read) * step.input_bits / 8))
    return tuple(found)


def _makers(graph: object, name: str, steps: Mapping[str, CrossbarStep]) -> tuple[str, ...]:
    """The layers whose results reach a layer without another layer between, sorted."""
    predecessors = getattr(graph, "predecessors")  # noqa: B009  # networkx has no types
    todo, seen, found = list(predecessors(name)), set(), set()
    while todo:
        one = str(todo.pop())
        if one in steps:
            found.add(one)
        elif one not in seen:
            seen.add(one)
            todo.extend(predecessors(one))
    return tuple(sorted(found))


def _positions(step: CrossbarStep) -> int:
    grid = input_grid(step)
    return 0 if grid is None else prod(vector_grid(step, grid)[0])


def placement(program: Program, copies: Mapping[str, int], memo: Memo) -> MeshPlacement | None:
    """Places on the mesh; None where the target has none, or no layer's shape is known."""
    tree = program.target.hierarchy
    steps = program.crossbar_steps
    if tree.network == "none" or not steps or all(input_grid(step) is None for step in steps):
        return None
    capacity = tree.arrays_per_macro * tree.macros_per_tile
    asked = (
        program_items(program, copies),
        program_links(program),
        capacity,
        tree.tiles_per_chip,
    )
    return memo.recall(("mesh", *asked), lambda: place(*asked))
