"""Stuck cells: a map of a chip, measured or drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from xbarc.circuit.random import uniforms
from xbarc.errors import InputError
from xbarc.ir import Program
from xbarc.numerics import AnyArray, Int64Array
from xbarc.target import Target

FIELDS = ("array", "row", "column", "level")


@dataclass(frozen=True, eq=False)
class FaultMap:
    """Cells that keep a level whatever is written, sorted by array; each array has the axis cell.

    Attributes:
        array: physical array, counted as in the program.
        row: wordline in the array.
        column: bitline in the array.
        level: 0 where the cell is stuck off, the highest level where it is stuck on.
    """

    array: Int64Array
    row: Int64Array
    column: Int64Array
    level: Int64Array

    def of(self, array: int) -> tuple[Int64Array, Int64Array, Int64Array]:
        """Row, column and level of the stuck cells of one array."""
        part = slice(*np.searchsorted(self.array, [array, array + 1]))
        return self.row[part], self.column[part], self.level[part]

    def arrays(self) -> dict[str, AnyArray]:
        """What an npz file holds."""
        return {name: getattr(self, name) for name in FIELDS}


def fault_map(arrays: Mapping[str, AnyArray], target: Target) -> FaultMap:
    """Read a map of stuck cells.

    Raises:
        InputError: fields are missing, or a cell lies outside its array or has no such level.
    """
    missing = [name for name in FIELDS if name not in arrays]
    if missing:
        raise InputError(
            f"'{missing[0]}' is missing", where="fault map", hint=f"it holds {', '.join(FIELDS)}"
        )
    columns = target.array.columns + target.array.spare_columns
    # Arrays beyond those of a program are refused where the program is known.
    most = (1 << 40, target.array.rows, columns, 1 << target.cell.bits)
    sizes = {arrays[name].shape for name in FIELDS}
    if len(sizes) > 1 or len(next(iter(sizes))) != 1:
        raise InputError(
            f"shapes {sorted(sizes)}, expected one axis, of equal lengths", where="fault map"
        )
    for name, limit in zip(FIELDS, most, strict=True):
        _check(name, arrays[name], limit)
    order = np.argsort(arrays["array"], kind="stable")
    return FaultMap(*(arrays[name][order].astype(np.int64) for name in FIELDS))


def program_faults(arrays: Mapping[str, AnyArray], program: Program, where: str) -> FaultMap:
    """Stuck cells in arrays that a program has.

    Raises:
        InputError: it is no map of stuck cells, or one of another chip.
    """
    found = fault_map(arrays, program.target)
    most = int(found.array.max(initial=-1))
    if most >= program.arrays:
        raise InputError(
            f"names array {most}, the program has {program.arrays}, counted from 0", where=where
        )
    return found


def _check(name: str, values: AnyArray, limit: int) -> None:
    if values.dtype.kind not in "iu":
        raise InputError(f"{name} is {values.dtype}, expected integers", where="fault map")
    if values.size and (int(values.min()) < 0 or int(values.max()) >= limit):
        span = f"{values.min()} to {values.max()}"
        raise InputError(f"{name} spans {span}, expected 0 to {limit - 1}", where="fault map")


def stuck_grid(
    shape: tuple[int, int], rates: tuple[float, float], seed: int, place: tuple[int, int]
) -> AnyArray:
    """Draw one array: 1 where a cell is stuck on, -1 where stuck off; axes: row, column.

    Args:
        shape: rows and columns of the array.
        rates: shares of cells stuck on and stuck off.
        seed: of the run.
        place: array and sample.
    """
    drawn = uniforms(seed, "faults", place, shape[0] * shape[1]).reshape(shape)
    on, off = rates
    # One number for both kinds, so that no cell is stuck twice.
    return np.where(drawn < on, 1, np.where(drawn < on + off, -1, 0)).astype(np.int8)


def random_faults(
    target: Target,
    arrays: int,
    seed: int = 0,
    sample: int = 0,
    rates: tuple[float, float] | None = None,
) -> FaultMap:
    """The map of a chip as `--effects faults` draws it.

    Args:
        target: gives the size of an array and the rates.
        arrays: physical arrays of the chip.
        seed: as `--seed`.
        sample: which chip.
        rates: shares stuck on and stuck off; None takes the target's.
    """
    shape = (target.array.rows, target.array.columns + target.array.spare_columns)
    on_off = rates or (target.cell.stuck_on.value, target.cell.stuck_off.value)
    top = (1 << target.cell.bits) - 1
    found: list[AnyArray] = [np.zeros((4, 0), dtype=np.int64)]
    for array in range(arrays):
        grid = stuck_grid(shape, on_off, seed, (array, sample))
        row, column = np.nonzero(grid)
        level = np.where(grid[row, column] > 0, top, 0)
        found.append(np.stack([np.full(len(row), array), row, column, level]))
    return FaultMap(*np.concatenate(found, axis=1).astype(np.int64))
