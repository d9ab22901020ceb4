"""The floor plan: which array lies in which tile, and what tiles send each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil, sqrt
from typing import Any

import numpy as np

from xbarc.cost import MeshPlacement, ProgramCost, program_items, program_links
from xbarc.ir import CrossbarStep, Program
from xbarc.numerics import Int64Array
from xbarc.viewer.tensors import as_text, tensor_bytes


def floor_plan(program: Program, cost: ProgramCost) -> dict[str, Any]:
    """Tiles in their places, with the arrays in each; what the page draws."""
    tree = program.target.hierarchy
    capacity = tree.arrays_per_macro * tree.macros_per_tile
    arrays = np.array(list(_slots(program, cost)), dtype=np.int64).reshape(-1)
    mesh = cost.placement
    tiles = np.arange(arrays.size) // capacity
    places = tiles if mesh is None else _tile_places(mesh)[tiles]
    grid = _plain_grid(int(tiles.max(initial=0)) + 1) if mesh is None else mesh.grid
    # The page draws the part of the mesh that is in use, and says how large all of it is.
    links = [] if mesh is None else program_links(program)
    return {
        "grid": list(grid),
        "mesh": mesh is not None,
        "capacity": capacity,
        "tiles_per_chip": tree.tiles_per_chip,
        "slots": as_text(tensor_bytes({"place": places, "array": arrays})),
        "links": [[link.source, link.target, link.size] for link in links],
        "byte_hops": {} if mesh is None else dict(mesh.byte_hops),
    }


def _slots(program: Program, cost: ProgramCost) -> Iterator[int]:
    """The array in each slot of the tiles, one slot after another; copies repeat their arrays.

    Tiles fill as the cost model fills them: layer by layer, a shared array with its first layer.
    """
    copies: Mapping[str, int] = {layer.step.name: layer.copies for layer in cost.layers}
    seen: set[int] = set()
    for step, item in zip(program.crossbar_steps, program_items(program, copies), strict=True):
        own = [number for number in _arrays(step) if number not in seen]
        seen.update(own)
        for slot in range(item.arrays):
            # A layer whose arrays are all shared still holds a slot of the cost model.
            yield own[slot % len(own)] if own else -1


def _arrays(step: CrossbarStep) -> list[int]:
    found: list[int] = np.unique(np.asarray(step.tiling.array)).tolist()
    return found


def _tile_places(mesh: MeshPlacement) -> Int64Array:
    """Place of each tile on the mesh; axis: tile, in the order in which they fill."""
    places: dict[int, None] = {}
    for tiles in mesh.tiles.values():
        # The last tile of a layer may be the first of the next.
        places |= dict.fromkeys(place for place, _ in tiles)
    return np.array(list(places), dtype=np.int64)


def _plain_grid(tiles: int) -> tuple[int, int]:
    columns = ceil(sqrt(tiles))
    return ceil(tiles / columns), columns
