"""Line resistance as another matrix: what an array with wires computes for any drive.

The circuit is linear, so the currents into the sense terminals are a matrix times the driven
voltages. Row `i` and column `j` of that matrix is what driver `i` must deliver when sense terminal
`j` alone is at one volt (reciprocity), and one right-hand side a column gives all of it.

Convention, as badcrossbar has it: a segment of wire lies before the first and after the last cell
of a line, and driver and sense resistances follow it in series.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import acosh, ceil
from typing import TYPE_CHECKING

import numpy as np

from xbarc.lazy import lazy_module
from xbarc.numerics import AnyArray, Float64Array
from xbarc.target import Target

if TYPE_CHECKING:
    from xbarc.circuit import sweeps
else:
    sweeps = lazy_module("xbarc.circuit.sweeps")

LANES = 16
TOLERANCE = 1e-7
_FEWEST_OHM = 1e-9
_MOST_STEPS = 100_000
_FEW_STEPS = 3
_POWER_STEPS = 1000
_POWER_ROUND = 16
_WORTH_A_ROUND = 1.03
_WEAK = 0.9


@dataclass(frozen=True)
class LineModel:
    """Resistances in ohm.

    Attributes:
        wordline: a segment between two cells of a row.
        bitline: a segment between two cells of a column.
        driver: in series with the first segment of a wordline.
        sense: in series with the last segment of a bitline.
        both_drivers: whether wordlines are driven at both ends.
        both_senses: whether bitlines are sensed at both ends, their currents added.
    """

    wordline: float
    bitline: float
    driver: float = 0.0
    sense: float = 0.0
    both_drivers: bool = False
    both_senses: bool = False

    def __post_init__(self) -> None:
        values = (self.wordline, self.bitline, self.driver, self.sense)
        if not all(np.isfinite(value) and value >= 0 for value in values):
            raise ValueError(f"resistances are finite and not negative, not {values}")

    @property
    def driver_path(self) -> float:
        """Ohm from a driver to the first cell."""
        return self.driver + self.wordline

    @property
    def sense_path(self) -> float:
        """Ohm from the last cell to a sense terminal."""
        return self.sense + self.bitline

    def transpose(self) -> LineModel:
        """Rows and columns, drivers and senses exchanged."""
        return LineModel(
            *(self.bitline, self.wordline, self.sense, self.driver),
            *(self.both_senses, self.both_drivers),
        )


def line_model(
    target: Target, *, both_drivers: bool = False, both_senses: bool = False
) -> LineModel:
    """The wires of a target."""
    w = target.wires
    values = (w.wordline.value, w.bitline.value, w.driver.value, w.sense.value)
    return LineModel(*values, both_drivers=both_drivers, both_senses=both_senses)


def effective_conductance(
    cells: AnyArray,
    lines: LineModel,
    *,
    tolerance: float = TOLERANCE,
    threads: int = 1,
    active: float = 1.0,
) -> Float64Array:
    """Currents into the sense terminals for one volt at each driver, all others at zero.

    Args:
        cells: conductances in siemens, not negative; row 0 is the farthest from the sense side,
            column 0 the nearest to the drivers; axes: row, column, or array, row, column.
        lines: the wires.
        tolerance: on the bitline voltages, relative to those of the first step.
        threads: share the columns; the result does not depend on it.
        active: 1 where a row that reads 0 is driven to zero volt: exact. Where its cells are cut
            off (1T1R rows gated by their input), the share of rows that read 1: an approximation,
            in which each row meets the bitlines of an array that conducts `active` times as much.

    Returns:
        Siemens; axes as `cells`.
    """
    if cells.size and not (np.isfinite(cells).all() and cells.min() >= 0):
        raise ValueError("conductances are finite and not negative")
    how = partial(_solve_oriented, lines=lines, tolerance=tolerance, threads=threads, active=active)
    if cells.ndim == 2:
        return how(cells)
    return np.stack([how(one) for one in cells]) if len(cells) else np.zeros(cells.shape)


def effective_column(
    cells: Float64Array, lines: LineModel, column: int, *, tolerance: float = TOLERANCE
) -> Float64Array:
    """One column of `effective_conductance` of an array, at the cost of one right-hand side.

    Returns:
        Siemens; axis: row.
    """
    ladders = prepare(np.ascontiguousarray(cells, dtype=np.float64), lines)
    steps = chebyshev(contraction(ladders), tolerance)
    found = np.empty(cells.shape)
    _columns((ladders, ladders), steps, found, slice(column, column + 1))
    return found[::-1, column]


def _solve_oriented(
    cells: AnyArray, lines: LineModel, tolerance: float, threads: int, active: float
) -> Float64Array:
    """The shorter side gives the right-hand sides: by reciprocity an array may be turned round."""
    if cells.shape[0] >= cells.shape[1] or active != 1.0:
        upright = np.ascontiguousarray(cells, dtype=np.float64)
        return _solve(upright, lines, tolerance, threads, active)
    turned = np.ascontiguousarray(cells.T[::-1, ::-1], dtype=np.float64)
    found = _solve(turned, lines.transpose(), tolerance, threads, active)
    return np.ascontiguousarray(found[::-1, ::-1].T)


@dataclass(frozen=True, eq=False)
class _Ladders:
    """An array ready for sweeps; drivers stand at column 0, senses at row 0."""

    cells: Float64Array
    word: tuple[AnyArray, AnyArray, AnyArray]
    bit: tuple[AnyArray, AnyArray]
    wires: tuple[float, float, float]
    far_driver: float
    far_sense: float


def prepare(cells: Float64Array, lines: LineModel) -> _Ladders:
    """Ladders of all lines of an array."""
    flipped = np.ascontiguousarray(cells[::-1])
    path = max(lines.driver_path, _FEWEST_OHM if lines.both_drivers else 0.0)
    end = max(lines.sense_path, _FEWEST_OHM if lines.both_senses else 0.0)
    far_driver = 1 / path if lines.both_drivers else 0.0
    far_sense = 1 / end if lines.both_senses else 0.0
    seen, passed = np.empty_like(flipped), np.empty_like(flipped)
    sweeps.ladders(flipped, lines.wordline, far_driver, seen, passed)
    taken = 1 / (1 + path * seen[:, 0])
    word = (passed, path * taken, taken)
    seen, passed = np.empty(flipped.T.shape), np.empty(flipped.T.shape)
    sweeps.ladders(np.ascontiguousarray(flipped.T), lines.bitline, far_sense, seen, passed)
    down = np.concatenate([passed.T, np.ones((1, flipped.shape[1]))])
    bit = (np.ascontiguousarray(down), 1 / (1 + end * seen[:, 0]))
    return _Ladders(flipped, word, bit, (lines.wordline, lines.bitline, end), far_driver, far_sense)


def _solve(
    cells: Float64Array, lines: LineModel, tolerance: float, threads: int, active: float
) -> Float64Array:
    """One array; a right-hand side for each column."""
    if not cells.size:
        return np.zeros(cells.shape)
    ladders = prepare(cells * active, lines)
    driven = ladders if active == 1.0 else prepare(cells, lines)
    steps = chebyshev(contraction(ladders), tolerance)
    found = np.empty(cells.shape)
    columns = cells.shape[1]
    spans = [slice(at, min(columns, at + LANES)) for at in range(0, columns, LANES)]
    _share(partial(_columns, (ladders, driven), steps, found), spans, threads)
    return found[::-1]


def _share(work: Callable[[slice], None], spans: list[slice], threads: int) -> None:
    if threads < 2 or len(spans) < 2:
        for span in spans:
            work(span)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, spans))


def _columns(
    both: tuple[_Ladders, _Ladders],
    steps: list[tuple[float, float]],
    found: Float64Array,
    span: slice,
) -> None:
    """Some sense terminals at one volt, one after another side by side."""
    ladders, driven = both
    rows, columns = ladders.cells.shape
    lanes = span.stop - span.start
    volt = np.zeros((columns, lanes))
    volt[np.arange(span.start, span.stop), np.arange(lanes)] = 1.0
    source = (volt, volt * ladders.far_sense)
    b, older, room = (np.zeros((rows, columns, lanes)) for _ in range(3))
    sweeps.start(ladders.bit, volt, b)
    for weights in steps:
        sweeps.sweep(
            *(ladders.cells, ladders.word, ladders.bit, ladders.wires),
            *((b, older, room), source, weights),
        )
        b, older = older, b
    out = np.empty((rows, lanes))
    sweeps.driver_currents(driven.cells, driven.word, driven.wires[0], b, driven.far_driver, out)
    found[:, span] = out


def contraction(ladders: _Ladders) -> float:
    """An upper bound of the factor by which one plain step shrinks an error.

    The more steps of a power iteration, the nearer it is; where it is small, a few will do, and
    where some more would hardly save a step of the solution, no more are taken.
    """
    shape = (*ladders.cells.shape, 1)
    b, older, room = np.ones(shape), np.zeros(shape), np.zeros(shape)
    nothing = np.zeros(shape[1:])
    bound = before = 1.0
    for number in range(1, _POWER_STEPS + 1):
        sweeps.sweep(
            *(ladders.cells, ladders.word, ladders.bit, ladders.wires),
            *((b, older, room), (nothing, nothing), (1.0, 1.0)),
        )
        bound = min(bound, float((older[b > 0] / b[b > 0]).max(initial=0.0)))
        if bound == 0.0 or (number > _FEW_STEPS and bound < _WEAK):
            break
        if number % _POWER_ROUND == 0:
            if 1 - bound < _WORTH_A_ROUND * (1 - before):
                break
            before = bound
        b, older = older / older.max(), b
    return bound


def chebyshev(rho: float, tolerance: float) -> list[tuple[float, float]]:
    """Weights omega and gamma of each step, for eigenvalues from 0 to `rho`."""
    rho = min(max(rho, 1e-12), 1 - 1e-12)
    sigma, gamma = rho / (2 - rho), 2 / (2 - rho)
    count = ceil(acosh(max(1.0, 1 / tolerance)) / acosh(1 / sigma))
    if count > _MOST_STEPS:
        raise ValueError("the wires hardly conduct next to the cells: no array works like this")
    weights = [(1.0, gamma)]
    omega = 1.0
    for number in range(1, count):
        omega = 1 / (1 - sigma**2 / 2) if number == 1 else 1 / (1 - sigma**2 * omega / 4)
        weights.append((omega, gamma))
    return weights
