# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Alternating exact solutions of all wordlines and all bitlines of an array, compiled.

A line is a ladder: walking to its open end, `Y` is the admittance seen and `c = 1 / (1 + r Y)` what
one segment passes on. Currents are gathered towards the terminal with `c`, voltages are handed back
with the same `c`. Nothing is ever subtracted, so resistances of zero and of any ratio do no harm.

The right-hand sides, one a sense terminal, are the innermost axis, where the compiler finds them
side by side. One step of the iteration `b <- B(W(b))` is symmetric in the energy of the circuit
with eigenvalues from 0 to `rho` < 1, so Chebyshev's weights apply; `rho` is bounded from above by
the largest quotient of a positive vector and its image.

`lines.py` is the typed face, and the only caller.
"""

from __future__ import annotations

import numpy as np

from xbarc.numerics import compiled

_compiled = compiled(error_model="numpy", fastmath={"contract"})


@_compiled
def ladders(cells, segment, far, admittance, passed):
    """Admittance towards the open end, cell included, and what a segment passes on.

    Args:
        cells: axes: line, place along it, the terminal at place 0.
        segment: ohm between two places.
        far: conductance of a second terminal at the other end; 0 where it is open.
        admittance: filled; axes as `cells`.
        passed: filled, `1 / (1 + segment * admittance)`.
    """
    lines, places = cells.shape
    for i in range(lines):
        seen = far
        for j in range(places - 1, -1, -1):
            total = cells[i, j] + seen
            admittance[i, j] = total
            passed[i, j] = 1.0 / (1.0 + segment * total)
            seen = total * passed[i, j]


@_compiled
def _wordline(cells, passed, b, wire, terminal, current, a):
    """Currents gathered and voltages of one wordline for given bitlines."""
    places, lanes = a.shape
    last = places - 1
    for v in range(lanes):
        current[last, v] = cells[last] * b[last, v]
    for j in range(last - 1, -1, -1):
        g, c = cells[j], passed[j + 1]
        for v in range(lanes):
            current[j, v] = g * b[j, v] + c * current[j + 1, v]
    for v in range(lanes):
        a[0, v] = terminal * current[0, v]
    for j in range(1, places):
        c = passed[j]
        for v in range(lanes):
            a[j, v] = c * (a[j - 1, v] + wire * current[j, v])


@_compiled
def _gather(cells, passed, a, before, into):
    """One row of currents, towards the sense side."""
    places, lanes = a.shape
    for j in range(places):
        g, c = cells[j], passed[j]
        for v in range(lanes):
            into[j, v] = g * a[j, v] + c * before[j, v]


@_compiled
def _hand_back(passed, below, wire, gathered, weights, b, older):
    """One row of bitline voltages, and Chebyshev's step; the new row replaces `older`."""
    omega, gamma = weights
    places, lanes = b.shape
    for j in range(places):
        c = passed[j]
        for v in range(lanes):
            found = c * (below[j, v] + wire * gathered[j, v])
            below[j, v] = found
            change = gamma * (found - b[j, v]) + b[j, v] - older[j, v]
            older[j, v] = omega * change + older[j, v]


@_compiled
def sweep(cells, word, bit, wires, fields, source, weights):
    """One step: all wordlines for the bitlines of `fields[0]`, then all bitlines.

    Args:
        cells: axes: row, column; drivers stand at column 0, senses at row 0.
        word: what segments of wordlines pass on (axes as `cells`), and of each row the voltage and
            the current at its driver for each unit of current gathered.
        bit: what segments of bitlines pass on, with ones as a last row, and what the path of the
            sense side passes on; axis: column.
        wires: ohm of a segment of a wordline, of a bitline, and of the path to a sense terminal.
        fields: b, the b before it, which is replaced by the next b, and room for currents; axes:
            row, column, lane.
        source: voltages of the sense terminals, and currents of those at the other end; axes:
            column, lane.
        weights: omega and gamma of Chebyshev; with both 1 the next b is the plain step.
    """
    b, older, gathered = fields
    rows, columns, lanes = b.shape
    current, a = np.empty((columns, lanes)), np.empty((columns, lanes))
    before = source[1]
    for i in range(rows - 1, -1, -1):
        _wordline(cells[i], word[0][i], b[i], wires[0], word[1][i], current, a)
        _gather(cells[i], bit[0][i + 1], a, before, gathered[i])
        before = gathered[i]
    below = source[0].copy()
    _hand_back(bit[1], below, wires[2], gathered[0], weights, b[0], older[0])
    for i in range(1, rows):
        _hand_back(bit[0][i], below, wires[1], gathered[i], weights, b[i], older[i])


@_compiled
def start(bit, volt, b):
    """Bitline voltages with every wordline at zero; axes of volt: column, lane; of b: row first."""
    rows, columns, lanes = b.shape
    for j in range(columns):
        for v in range(lanes):
            b[0, j, v] = bit[1][j] * volt[j, v]
    for i in range(1, rows):
        for j in range(columns):
            for v in range(lanes):
                b[i, j, v] = bit[0][i, j] * b[i - 1, j, v]


@_compiled
def driver_currents(cells, word, wire, b, far, out):
    """Currents into the drivers for given bitlines.

    Args:
        cells: as in `sweep`.
        word: as in `sweep`.
        wire: ohm of a segment of a wordline.
        b: axes: row, column, lane.
        far: conductance of the path to a second driver at the other end; 0 where there is none.
        out: filled; axes: row, lane.
    """
    rows, columns, lanes = b.shape
    current, a = np.empty((columns, lanes)), np.empty((columns, lanes))
    for i in range(rows):
        _wordline(cells[i], word[0][i], b[i], wire, word[1][i], current, a)
        for v in range(lanes):
            out[i, v] = word[2][i] * current[0, v] + far * a[columns - 1, v]
