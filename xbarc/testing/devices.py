"""What every device model must keep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.circuit import (
    CellModel,
    DeviceModel,
    Effects,
    cell_model,
    draw_numbers,
    load_device,
    program_cells,
)
from xbarc.numerics import Float64Array, IntArray
from xbarc.options import Method
from xbarc.testing.cases import small_target
from xbarc.testing.encodings import require

# Not square, so that swapped axes show.
_SHAPE = (64, 48)
# Two levels, and cells of several.
_CELL_BITS = (1, 2, 4)


@dataclass(frozen=True)
class LevelSpread:
    """What cells of one level hold after programming, in level units.

    Attributes:
        cell_bits: of the cells.
        level: what was written.
        mean, deviation: over the cells of one array.
    """

    cell_bits: int
    level: int
    mean: float
    deviation: float


def check_device(device: str | Method) -> tuple[LevelSpread, ...]:
    """Program arrays of 1-, 2- and 4-bit cells whole, row by row and in another order.

    Args:
        device: an object, or a name that an installed package registers.

    Returns:
        Mean and standard deviation of each level, to compare with what was measured.

    Raises:
        ConformanceError: a cell depends on more than its own level and numbers.
        MappingError: the model lacks methods.
        InputError: it gives another shape, no finite numbers, or conductances below zero.
    """
    loaded = load_device(device)
    return tuple(spread for bits in _CELL_BITS for spread in _check_cells(loaded, bits))


def _check_cells(device: DeviceModel, bits: int) -> list[LevelSpread]:
    effects = Effects(frozenset({"variation"}), device=device)
    cell = cell_model(small_target(cell__bits=bits), effects)
    levels = np.random.default_rng(bits).integers(0, 1 << bits, _SHAPE)
    drawn = draw_numbers(device, 0, (0, 0), _SHAPE)
    # Arrays are handed out as they are: a model that wrote to them would change the program of
    # every later chip.
    kept = levels.copy(), drawn.copy()
    whole = program_cells(device, levels, cell, drawn)
    where = f"{device.name}, {bits}-bit cells"
    same = np.array_equal(levels, kept[0]) and np.array_equal(drawn, kept[1])
    require(same, f"{where}: it changes what it is given")
    again = program_cells(device, levels, cell, drawn)
    require(np.array_equal(whole, again), f"{where}: the same cells come out differently")
    for name, found in _other_ways(device, levels, cell, drawn).items():
        require(np.array_equal(whole, found), f"{where}: {name}, cells come out differently")
    held = [whole[levels == level] for level in range(1 << bits)]
    return [LevelSpread(bits, n, float(x.mean()), float(x.std())) for n, x in enumerate(held)]


def _other_ways(
    device: DeviceModel, levels: IntArray, cell: CellModel, drawn: Float64Array
) -> dict[str, Float64Array]:
    """The array programmed in other ways, in its own order."""
    rows = [
        program_cells(device, levels[row], cell, drawn[:, row]) for row in range(levels.shape[0])
    ]
    # Programs are written whole, and row by row where each row is read back before the next: a cell
    # must come out the same.
    backward = program_cells(device, levels[::-1], cell, drawn[:, ::-1])[::-1]
    turned = program_cells(device, levels.T, cell, drawn.transpose(0, 2, 1)).T
    return {"row by row": np.stack(rows), "in another order": backward, "turned": turned}
