"""Line resistance as another matrix: what an array with wires computes for any drive.

The circuit is linear, so the currents into the sense terminals are a matrix times the driven
voltages. `star_mesh` gives all of it at once and exactly, by eliminating the nodes of the array.

Where rows are gated, `sweeps` iterate instead: row `i` and column `j` of the matrix is what driver
`i` must deliver when sense terminal `j` alone is at one volt (reciprocity), so that each column is
a right-hand side of its own.

Convention, as badcrossbar has it: a segment of wire lies before the first and after the last cell
of a line, and driver and sense resistances follow it in series.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from math import acosh, ceil
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from xbarc.lazy import lazy_module
from xbarc.numerics import AnyArray, Float64Array
from xbarc.target import Target

if TYPE_CHECKING:
    from xbarc.circuit import star_mesh, sweeps
else:
    star_mesh = lazy_module("xbarc.circuit.star_mesh")
    sweeps = lazy_module("xbarc.circuit.sweeps")

TOLERANCE = 1e-7
"""Of sweeps: a tenth of 2**-20 of a level unit, which is the grid of the analog engine."""

# A wire of no resistance, for the elimination: it has no conductance that could be written down.
# An array of 1024 cells a side that conduct 1 mS loses 1e-12 to such wires, and since nothing is
# subtracted their conductance of 1e15 S costs no digits.
_LEAST_OHM = 1e-15
# Solved arrays that are kept: 128 of side 256, or 512 of side 128. A program that is fitted to its
# wires executes the same arrays as placed, as corrected and as judged: of `fashion-mlp` (129 arrays
# of side 128), 84 % are met again with `rows` and `gain`, 81 % with `optimal` and `outputs`.
_KEPT_BYTES = 1 << 26
# Columns that are swept side by side: two registers of 512 bits, four of 256. Their voltages in an
# array of side 128 take 2 MiB.
_LANES = 16
# As `_LEAST_OHM`, for sweeps, and only where lines end in two terminals: what the far one conducts
# is added to what the cells conduct, which would vanish beside 1e15 S.
_FEWEST_OHM = 1e-9
# A bound on hostile wires: only those that resist far more than cells need as many.
_MOST_STEPS = 100_000
# Power steps before a bound is believed to be weak: the first ones still show the start.
_FEW_STEPS = 3
# A step of the power iteration costs one of `_LANES` lanes of one step of the solution. Another
# round of 16 is taken as long as the last one moved the bound by 3 %.
_POWER_STEPS = 1000
_POWER_ROUND = 16  # as above
_WORTH_A_ROUND = 1.03  # as above
# Bound below which no more power steps are taken: at 0.9 a solution takes 26 steps, and a better
# bound would save few of them.
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
        tolerance: of gated rows, on the bitline voltages, relative to those of the first step.
            Otherwise the solution is exact to rounding.
        threads: share an array; the result does not depend on it.
        active: 1 where a row that reads 0 is driven to zero volt: exact. Where its cells are cut
            off (1T1R rows gated by their input), the share of rows that read 1: an approximation,
            in which each row meets the bitlines of an array that conducts `active` times as much.

    Returns:
        Siemens; axes as `cells`.
    """
    if cells.size and not (np.isfinite(cells).all() and cells.min() >= 0):
        raise ValueError("conductances are finite and not negative")
    if active == 1.0:
        solve = partial(_solve_once, lines=lines, threads=threads)
    else:
        solve = partial(
            solve_by_sweeps, lines=lines, tolerance=tolerance, threads=threads, active=active
        )
    if cells.ndim == 2:
        return solve(np.asarray(cells, dtype=np.float64))
    found = [solve(np.asarray(one, dtype=np.float64)) for one in cells]
    return np.stack(found) if found else np.zeros(cells.shape)


class _SolvedArrays:
    """Effective matrices of arrays by the digest of their cells and wires, the last used ones."""

    def __init__(self, most: int) -> None:
        self._most, self._size = most, 0
        self._lock = Lock()
        self._found: OrderedDict[bytes, Float64Array] = OrderedDict()

    def get(self, key: bytes) -> Float64Array | None:
        """What was kept; not to be written to."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
            return self._found.get(key)

    def put(self, key: bytes, found: Float64Array) -> None:
        """Keep a matrix, and drop those that were not used for longest."""
        with self._lock:
            if key in self._found or found.nbytes > self._most:
                return
            self._found[key] = found
            self._size += found.nbytes
            while self._size > self._most:
                self._size -= self._found.popitem(last=False)[1].nbytes


_solved = _SolvedArrays(_KEPT_BYTES)


def _solve_once(cells: Float64Array, lines: LineModel, threads: int) -> Float64Array:
    """One array by elimination, or as it was solved before."""
    key = blake2b(repr((cells.shape, lines)).encode(), digest_size=32)
    key.update(np.ascontiguousarray(cells).data)
    kept = _solved.get(key.digest())
    if kept is None:
        kept = solve_by_elimination(cells, lines, threads)
        _solved.put(key.digest(), kept)
    return kept.copy()


def solve_by_elimination(cells: Float64Array, lines: LineModel, threads: int) -> Float64Array:
    """`effective_conductance` of an array, exactly.

    Args:
        cells: siemens; axes: row, column.
        lines: the wires.
        threads: two halves of the array side by side where there is more than one.
    """
    if not cells.size:
        return np.zeros(cells.shape)
    rows, columns = cells.shape
    ohm = (lines.wordline, lines.bitline, lines.driver_path, lines.sense_path)
    word, bit, driver, sense = (1 / max(value, _LEAST_OHM) for value in ohm)
    far = driver if lines.both_drivers else 0.0, sense if lines.both_senses else 0.0
    wires = (word, bit, driver, sense, *far)
    upright, whole = np.ascontiguousarray(cells[::-1]), (0, rows, 0, columns)
    if cells.size == 1:
        found = star_mesh.reduce(upright, whole, wires)
    else:
        halves = _reduce_halves(upright, star_mesh.split(whole)[:2], wires, threads)
        found = star_mesh.join(halves, cells.shape, whole, wires)
    drivers, senses = 1 + lines.both_drivers, 1 + lines.both_senses
    # Both terminals of a line are at one voltage, and their currents are added.
    between = found[: drivers * rows, drivers * rows :].reshape(drivers, rows, senses, columns)
    return np.asarray(between.sum(axis=(0, 2))[::-1])


def _reduce_halves(
    cells: Float64Array, spans: tuple[Any, Any], wires: tuple[float, ...], threads: int
) -> tuple[Float64Array, Float64Array]:
    """Both halves of an array, side by side where there are threads.

    With one thread as well: the same calls give the same machine code, and so the same last bits.
    """
    if threads < 2:
        return star_mesh.reduce(cells, spans[0], wires), star_mesh.reduce(cells, spans[1], wires)
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda span: star_mesh.reduce(cells, span, wires), spans)
    return one, two


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
    # Loops are made again for whole numbers.
    wordline, bitline = float(lines.wordline), float(lines.bitline)
    path = float(max(lines.driver_path, _FEWEST_OHM if lines.both_drivers else 0.0))
    end = float(max(lines.sense_path, _FEWEST_OHM if lines.both_senses else 0.0))
    far_driver = 1 / path if lines.both_drivers else 0.0
    far_sense = 1 / end if lines.both_senses else 0.0
    seen, passed = np.empty_like(flipped), np.empty_like(flipped)
    sweeps.ladders(flipped, wordline, far_driver, seen, passed)
    taken = 1 / (1 + path * seen[:, 0])
    word = (passed, path * taken, taken)
    seen, passed = np.empty(flipped.T.shape), np.empty(flipped.T.shape)
    sweeps.ladders(np.ascontiguousarray(flipped.T), bitline, far_sense, seen, passed)
    down = np.concatenate([passed.T, np.ones((1, flipped.shape[1]))])
    bit = (np.ascontiguousarray(down), 1 / (1 + end * seen[:, 0]))
    return _Ladders(flipped, word, bit, (wordline, bitline, end), far_driver, far_sense)


def solve_by_sweeps(
    cells: Float64Array, lines: LineModel, tolerance: float, threads: int, active: float
) -> Float64Array:
    """`effective_conductance` of an array, iterated; a right-hand side for each column.

    Args:
        cells: siemens; axes: row, column.
        lines: the wires.
        tolerance: on the bitline voltages, relative to those of the first step.
        threads: share the columns.
        active: share of rows that read 1.
    """
    if not cells.size:
        return np.zeros(cells.shape)
    ladders, driven = prepare(cells * active, lines), prepare(cells, lines)
    steps = chebyshev(contraction(ladders), tolerance)
    found = np.empty(cells.shape)
    columns = cells.shape[1]
    spans = [slice(at, min(columns, at + _LANES)) for at in range(0, columns, _LANES)]
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
