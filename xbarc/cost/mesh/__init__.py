"""Where layers lie on the mesh of tiles, and the bytes that its routers carry."""

from xbarc.cost.mesh.places import MeshPlacement, distances
from xbarc.cost.mesh.tile_traffic import Item, Link
from xbarc.cost.mesh.traffic import placement, program_items, program_links

__all__ = [
    "Item",
    "Link",
    "MeshPlacement",
    "distances",
    "placement",
    "program_items",
    "program_links",
]
