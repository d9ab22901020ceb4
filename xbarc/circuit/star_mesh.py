# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""The exact solution of an array with wires, by nested dissection, compiled.

A rectangle of cells is known by what it conducts between the ends of its wires, its ports: a square
matrix of conductances. Two neighbours become one rectangle when the wires that they share are
eliminated, so an array of side n takes about 40 n**3 multiplications (George, "Nested dissection of
a regular finite element mesh", 1973), whatever its cells and wires are.

A node is eliminated by the star-mesh transform: it leaves `g_i g_j / sum(g)` between any two of its
neighbours. The sum is taken from the conductances themselves, never from a diagonal that was
updated (Grassmann, Taksar and Heyman, 1985). So nothing is ever subtracted, and every result is
exact to rounding, even where wires conduct a billion times better than cells.

`lines.py` is the typed face, and the only caller. Ports are in the order drivers, far ends of
wordlines, senses, far ends of bitlines; far ends at the edge of the array are ports only where a
terminal stands there.
"""

from __future__ import annotations

import numpy as np

from xbarc.numerics import compiled

_compiled = compiled(error_model="numpy", fastmath={"contract"})

# Columns that are worked on at once, and the fixed distance between rows in memory: with both known
# to the compiler it vectorises, where a distance known at run time left it with scalar code (18 to
# 22 against 8 to 10 G operations per second; 128 and 256 were slower on small rectangles).
TILE = 64
# Number of a tile and place in it, for columns counted through: `>> _SHIFT`, `& _MASK`.
_SHIFT, _MASK = 6, 63
# Side of a rectangle that is made node by node. One of side 4 has 24 inner nodes in a dense mesh,
# most of which do not see each other.
LEAF = 2
# Ports of both halves up to which nodes are eliminated one by one, where tiles would be half empty:
# a tenth less time at side 128. 16 and 48 are no worse and no better beyond noise.
_SMALL = 32


@_compiled
def split(span):
    """The two halves of a rectangle along its longer side, and whether they lie side by side."""
    top, bottom, left, right = span
    if right - left >= bottom - top:
        middle = (left + right) // 2
        return (top, bottom, left, middle), (top, bottom, middle, right), True
    middle = (top + bottom) // 2
    return (top, middle, left, right), (middle, bottom, left, right), False


@_compiled
def _ends(shape, span, wires):
    """Where each kind of port begins among those of a rectangle, and where the last one ends."""
    top, bottom, left, right = span
    far_row = bottom - top if right < shape[1] or wires[4] > 0 else 0
    far_column = right - left if bottom < shape[0] or wires[5] > 0 else 0
    found = np.zeros(5, np.int64)
    found[1] = bottom - top
    found[2] = found[1] + far_row
    found[3] = found[2] + right - left
    found[4] = found[3] + far_column
    return found


@_compiled
def _link(mesh, i, j, conductance):
    mesh[i, j] = conductance
    mesh[j, i] = conductance


@_compiled
def _nodes(shape, span, ends):
    """Numbers of the wordline and bitline node of every cell of a leaf, and the count of nodes.

    Inside the array a far end is the node of the last cell itself; all others come after the ports.
    """
    top, bottom, left, right = span
    found = np.empty((2, bottom - top, right - left), np.int64)
    count = ends[4]
    for i in range(bottom - top):
        for j in range(right - left):
            for line in range(2):
                last = j == right - left - 1 if line == 0 else i == bottom - top - 1
                inside = right < shape[1] if line == 0 else bottom < shape[0]
                if last and inside:
                    found[line, i, j] = ends[1] + i if line == 0 else ends[3] + j
                else:
                    found[line, i, j] = count
                    count += 1
    return found, count


@_compiled
def _leaf(cells, span, wires):
    """Conductances between the ports of a few cells."""
    top, bottom, left, right = span
    ends = _ends(cells.shape, span, wires)
    nodes, count = _nodes(cells.shape, span, ends)
    mesh = np.zeros((count, count))
    for i in range(bottom - top):
        for j in range(right - left):
            a, b = nodes[0, i, j], nodes[1, i, j]
            before = nodes[0, i, j - 1] if j else i
            _link(mesh, before, a, wires[0] if left + j else wires[2])
            before = nodes[1, i - 1, j] if i else ends[2] + j
            _link(mesh, before, b, wires[1] if top + i else wires[3])
            _link(mesh, a, b, cells[top + i, left + j])
        if right == cells.shape[1] and ends[2] > ends[1]:
            _link(mesh, ends[1] + i, nodes[0, i, right - left - 1], wires[4])
    if bottom == cells.shape[0] and ends[4] > ends[3]:
        for j in range(right - left):
            _link(mesh, ends[3] + j, nodes[1, bottom - top - 1, j], wires[5])
    _eliminate(mesh, ends[4])
    return mesh[: ends[4], : ends[4]].copy()


@_compiled
def _eliminate(mesh, kept):
    """Star-mesh transform of the last node, down to those that are kept."""
    for node in range(mesh.shape[0] - 1, kept - 1, -1):
        total = 0.0
        for j in range(node):
            total += mesh[node, j]
        if total == 0.0:  # all conductances underflowed
            continue
        for i in range(node):
            share = mesh[node, i] / total
            if share != 0.0:
                for j in range(node):
                    mesh[i, j] += share * mesh[node, j]


@_compiled
def _sum_products(rows, shares, pair):
    """Two sums over rows of a tile, each row times its share, into `pair`.

    Args:
        rows: rows of `TILE` columns, one after another; a multiple of four.
        shares: axes: sum, row.
        pair: filled; both sums, one after another.
    """
    pair[:] = 0.0
    for k in range(0, shares.shape[1], 4):
        own = rows[k * TILE :]
        f0, f1, f2, f3 = shares[0, k], shares[0, k + 1], shares[0, k + 2], shares[0, k + 3]
        h0, h1, h2, h3 = shares[1, k], shares[1, k + 1], shares[1, k + 2], shares[1, k + 3]
        # Four rows at once, so that sums are loaded and stored a fourth as often.
        for j in range(TILE):
            w0, w1, w2, w3 = own[j], own[TILE + j], own[2 * TILE + j], own[3 * TILE + j]
            pair[j] += f0 * w0 + f1 * w1 + f2 * w2 + f3 * w3
            pair[TILE + j] += h0 * w0 + h1 * w1 + h2 * w2 + h3 * w3


@_compiled
def _fill_shares(shared, inverse, count, first, shares):
    """Share of each eliminated node's current that goes to some columns; axes: column, node."""
    for row in range(shares.shape[0]):
        column = first + row
        if column >> _SHIFT < shared.shape[0]:
            for k in range(count):
                value = shared[column >> _SHIFT, k * TILE + (column & _MASK)]
                shares[row, k] = value * inverse[k]


@_compiled
def _invert_total(shared, node, width):
    """One over all that a node conducts to what is left."""
    total = 0.0
    for column in range(node + 1, width):
        total += shared[column >> _SHIFT, node * TILE + (column & _MASK)]
    return 1.0 / total if total > 0.0 else 0.0  # all conductances underflowed


@_compiled
def _eliminate_shared(shared, width, inverse):
    """Eliminate shared nodes two by two; a row is brought up to date when its turn comes.

    Args:
        shared: as `_gather_shared` gives it; changed.
        width: columns that are filled.
        inverse: filled, one over what each node conducts when it is eliminated.
    """
    count = inverse.size
    pair, shares = np.empty(2 * TILE), np.zeros((2, (count + 3) // 4 * 4))
    for node in range(0, count, 2):
        _fill_shares(shared, inverse, node, node, shares)
        for tile in range(node >> _SHIFT, shared.shape[0]):
            _sum_products(shared[tile], shares[:, : (node + 3) // 4 * 4], pair)
            own = shared[tile, node * TILE :]
            for j in range(2 * TILE):
                own[j] += pair[j]
        inverse[node] = _invert_total(shared, node, width)
        if node + 1 == count:
            return
        place = ((node + 1) >> _SHIFT, node * TILE + ((node + 1) & _MASK))
        share = shared[place] * inverse[node]
        for tile in range(node >> _SHIFT, shared.shape[0]):
            own = shared[tile, node * TILE :]
            for j in range(TILE):
                own[TILE + j] += share * own[j]
        inverse[node + 1] = _invert_total(shared, node + 1, width)


@_compiled
def _segments(ends_a, ends_b, beside):
    """The ports of two neighbours in their new order: which of the two, first port, last port."""
    found = np.empty((6, 3), np.int64)
    number = 0
    for kind in range(4):
        for block in range(2):
            shared = (1 if block == 0 else 0) if beside else (3 if block == 0 else 2)
            if kind != shared:
                ends = ends_a if block == 0 else ends_b
                found[number, 0] = block
                found[number, 1] = ends[kind]
                found[number, 2] = ends[kind + 1]
                number += 1
    return found


@_compiled
def _gather_shared(a, b, shared_a, shared_b, segments):
    """What shared nodes conduct to each other, then to the ports that stay; in tiles.

    Returns:
        Axes: tile, node and column in the tile (joined). Rows beyond the last node are room for
        products of four at once.
    """
    count = shared_a[1] - shared_a[0]
    width = count
    for number in range(6):
        width += segments[number, 2] - segments[number, 1]
    rows = (count + 3) // 4 * 4
    found = np.zeros(((width >> _SHIFT) + 1, rows * TILE))
    for k in range(count):
        one, two = a[shared_a[0] + k], b[shared_b[0] + k]
        for j in range(count):
            value = one[shared_a[0] + j] + two[shared_b[0] + j]
            found[j >> _SHIFT, k * TILE + (j & _MASK)] = value
        column = count
        for number in range(6):
            own = one if segments[number, 0] == 0 else two
            for port in range(segments[number, 1], segments[number, 2]):
                found[column >> _SHIFT, k * TILE + (column & _MASK)] = own[port]
                column += 1
    return found, width


@_compiled
def _lay_out(a, b, segments, size):
    """What both neighbours conduct between the ports that stay, before anything is eliminated."""
    found = np.zeros((size, size))
    row = 0
    for number in range(6):
        block = a if segments[number, 0] == 0 else b
        for port in range(segments[number, 1], segments[number, 2]):
            column = 0
            for other in range(6):
                if segments[other, 0] == segments[number, 0]:
                    for at in range(segments[other, 1], segments[other, 2]):
                        found[row, column] = block[port, at]
                        column += 1
                else:
                    column += segments[other, 2] - segments[other, 1]
            row += 1
    return found


@_compiled
def _join_small(a, b, shared_a, shared_b, segments):
    """`join` of a few cells, all nodes in one mesh."""
    count = shared_a[1] - shared_a[0]
    size = 0
    for number in range(6):
        size += segments[number, 2] - segments[number, 1]
    mesh = _lay_out(a, b, segments, size + count)
    for k in range(count):
        one, two = a[shared_a[0] + k], b[shared_b[0] + k]
        for j in range(count):
            mesh[size + k, size + j] = one[shared_a[0] + j] + two[shared_b[0] + j]
        column = 0
        for number in range(6):
            own = one if segments[number, 0] == 0 else two
            for port in range(segments[number, 1], segments[number, 2]):
                _link(mesh, size + k, column, own[port])
                column += 1
    _eliminate(mesh, size)
    return mesh[:size, :size].copy()


@_compiled
def _add_eliminated(shared, inverse, found, rows, start):
    """Add what the shared nodes leave between `rows` ports and those from `start` on."""
    size, count = found.shape[0], inverse.size
    pair, shares = np.empty(2 * TILE), np.zeros((rows + 1, (count + 3) // 4 * 4))
    _fill_shares(shared, inverse, count, count, shares)
    for row in range(0, rows, 2):
        for tile in range((count + max(row, start)) >> _SHIFT, shared.shape[0]):
            # Cut like the other caller's, so that it is compiled once.
            _sum_products(shared[tile], shares[row : row + 2, : shares.shape[1]], pair)
            first = (tile << _SHIFT) - count
            for own in range(min(2, rows - row)):
                for column in range(max(0, first), min(size, first + TILE)):
                    found[row + own, column] += pair[own * TILE + column - first]


@_compiled
def join(halves, shape, span, wires):
    """Conductances between the ports of a rectangle from those of its two halves.

    Of the whole array only those between drivers and senses are filled: nothing else is asked for.

    Args:
        halves: as `reduce` gives them, in the order of `split`.
        shape: rows and columns of the array.
        span: the rectangle.
        wires: as in `reduce`.
    """
    a, b = halves
    one, two, beside = split(span)
    ends_a, ends_b = _ends(shape, one, wires), _ends(shape, two, wires)
    segments = _segments(ends_a, ends_b, beside)
    kind = 0 if beside else 2
    shared_a, shared_b = ends_a[kind + 1 : kind + 3], ends_b[kind : kind + 2]
    if a.shape[0] + b.shape[0] <= _SMALL:
        return _join_small(a, b, shared_a, shared_b, segments)
    shared, width = _gather_shared(a, b, shared_a, shared_b, segments)
    inverse = np.empty(shared_a[1] - shared_a[0])
    _eliminate_shared(shared, width, inverse)
    size = width - inverse.size
    found = _lay_out(a, b, segments, size)
    if span == (0, shape[0], 0, shape[1]):
        drivers = _ends(shape, span, wires)[2]
        _add_eliminated(shared, inverse, found, drivers, drivers)
        return found
    _add_eliminated(shared, inverse, found, size, 0)
    for i in range(size):
        for j in range(i):
            found[i, j] = found[j, i]
    return found


@_compiled
def reduce(cells, span, wires):
    """Conductances between the ports of a rectangle of cells.

    Args:
        cells: siemens; drivers stand at column 0, senses at row 0; axes: row, column.
        span: first row, row behind the last, and the same of columns.
        wires: siemens of a segment of a wordline, of a bitline, of the path from a driver to the
            first cell, of the path to a sense terminal, and of both paths at the other ends; 0
            where no terminal stands there.

    Returns:
        Axes: port, port; the diagonal means nothing.
    """
    if span[1] - span[0] <= LEAF and span[3] - span[2] <= LEAF:
        return _leaf(cells, span, wires)
    one, two, _ = split(span)
    halves = (reduce(cells, one, wires), reduce(cells, two, wires))
    return join(halves, cells.shape, span, wires)
