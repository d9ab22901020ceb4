"""Order and sign of outputs on chains of adjacent columns.

On a chain an output's weights are the difference of two neighbouring columns, so the columns hold
prefix sums of the weights along the chain: what is small there fits few levels. The outputs may
stand in any order, and each may be negated, since both are undone digitally.

**Criterion.** Cells `m` of a row fit weights `t` of a chain with the error `|t - D m|**2`, where D
takes differences. Levels are charged for their distance from the middle, with a price `r`: the
least `|t - D m|**2 + r |m|**2` over real m is `r t' (D D' + r)**-1 t`. The cost is therefore
`sum t' (D D' + r)**-1 t` over rows and chains. With r = 0 it is the energy of the prefix sums about
their mean, for `(D D')**-1 [i, j] = min(i, j) (n - max(i, j)) / n` on n columns (a constant for
each row and chain is free). With r > 0 prefix sums are forgotten after about `1 / sqrt(r)` outputs,
and rightly so: an encoder that runs out of levels shifts the rest of the chain at the price of
one error. The price that suits L levels is the ratio of the variances of a rounding error of a
difference, 1/6, and of a level, (L**2 - 1)/12: `r = 2 / (L**2 - 1)`.

**Search.** Greedy choice of the next output, then exchanges of two outputs with all their signs,
each in constant time from fields that are kept up to date, then disturbances of short runs. A
count of operations limits it, never the clock, and the Gram matrix is exact: the same weights give
the same arrangement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from xbarc.lazy import lazy_module
from xbarc.numerics import Float64Array, FloatArray, Int64Array, IntArray

if TYPE_CHECKING:
    from xbarc.mapping.chains import order_kernels as kernels
else:
    kernels = lazy_module("xbarc.mapping.chains.order_kernels")

# Positions searched together. A window holds five float64 matrices of its size squared (10 MiB),
# and a round looks at all pairs: twice the size takes four times the time.
_WINDOW: Final = 512
# Outputs arranged at once: the Gram matrix takes 4096**2 float64 = 128 MiB.
_LARGEST: Final = 4096
_OPERATIONS: Final = 300_000
"""Of the search, for each output."""
# Share of the trace of the Gram matrix. Fields are kept up to date by additions, which round: a
# gain within their rounding could be undone and found again for ever.
_LEAST_GAIN: Final = 1e-9
# Smaller entries of the kernel are 0, so that `_put` skips their rows; they are far below what
# `_LEAST_GAIN` asks for.
_FORGOTTEN: Final = 1e-12
# Eigenvalues of a matrix of this size take a second or two, and time grows with the cube.
_BOUND_SIZE: Final = 1024


@dataclass(frozen=True, eq=False)
class Arrangement:
    """Outputs on chains: position j holds output `order[j]` times `signs[j]`.

    Attributes:
        order: output at each position.
        signs: +1 or -1 at each position.
        cost: of this arrangement, by the criterion.
        greedy_cost: of appending what leaves the least prefix energy.
        natural_cost: of the outputs as they come.
        bound: what no arrangement can be below, from eigenvalues; None where these take too long.
    """

    order: Int64Array
    signs: IntArray
    cost: float
    greedy_cost: float
    natural_cost: float
    bound: float | None

    @property
    def gain(self) -> float:
        """Share of the greedy cost that the search saved."""
        return 1.0 - self.cost / self.greedy_cost if self.greedy_cost > 0 else 0.0


def plain_arrangement(order: IntArray) -> Arrangement:
    """An order that nobody searched for, no output negated."""
    signs = np.ones(len(order), dtype=np.int8)
    return Arrangement(order.astype(np.int64), signs, 0.0, 0.0, 0.0, None)


def arrange(
    weights: FloatArray,
    cut: int,
    *,
    signs: bool = True,
    levels: int | None = None,
    effort: float = 1.0,
) -> Arrangement:
    """Order and signs for chains that restart after every `cut` outputs.

    Args:
        weights: axes: row, output; scale rows by the root of their importance, if it differs.
        cut: outputs of a chain; the last may be shorter.
        signs: whether outputs may be negated.
        levels: of a cell, which sets how far prefix sums are remembered; None means for ever.
        effort: of the search after greedy; 1 takes about a second for 512 outputs.

    More than 4096 outputs go piece by piece, and each piece begins a chain.

    Raises:
        ValueError: weights that are not finite or no matrix, `cut` below 1, `levels` below 2.
    """
    wide = weights.astype(np.float64)
    _check(wide, cut, levels)
    count = wide.shape[1]
    if count <= _LARGEST:
        return _arrange(wide, cut, signs, levels, effort)
    piece = _LARGEST // cut * cut or _LARGEST
    parts = [
        _arrange(wide[:, begin : begin + piece], min(cut, piece), signs, levels, effort)
        for begin in range(0, count, piece)
    ]
    return _join(parts, piece)


def _check(weights: Float64Array, cut: int, levels: int | None) -> None:
    if weights.ndim != 2 or not np.isfinite(weights).all():
        raise ValueError(f"weights of shape {weights.shape} that are not a matrix, or not finite")
    if cut < 1:
        raise ValueError(f"chains of {cut} outputs")
    if levels is not None and levels < 2:
        raise ValueError(f"{levels} levels")


def _join(parts: list[Arrangement], piece: int) -> Arrangement:
    """Arrangements of very many outputs, piece by piece."""
    bounds = [part.bound for part in parts if part.bound is not None]
    return Arrangement(
        np.concatenate([part.order + piece * i for i, part in enumerate(parts)]),
        np.concatenate([part.signs for part in parts]),
        sum(part.cost for part in parts),
        sum(part.greedy_cost for part in parts),
        sum(part.natural_cost for part in parts),
        None if len(bounds) < len(parts) or len(parts) > 1 else sum(bounds),
    )


def _arrange(
    weights: Float64Array, cut: int, signs: bool, levels: int | None, effort: float
) -> Arrangement:
    count = weights.shape[1]
    price = 0.0 if levels is None else 2.0 / (levels * levels - 1)
    gram, unit = _gram(weights)
    chains = _Chains(count, min(cut, max(count, 1)), price)
    natural = (np.arange(count), np.ones(count))
    greedy = chains.greedy(gram, 1.0, signs)
    # Greedy with and without forgetting, and the order as it came: none is best on all matrices,
    # and each takes far less time than the search.
    starts = [greedy, chains.greedy(gram, chains.keep, signs), natural]
    costs = [chains.cost(gram, *start) for start in starts]
    order, turned = starts[int(np.argmin(costs))]
    budget = int(effort * _OPERATIONS * count)
    order, turned = _improve(gram, chains, order, turned, signs, budget)
    return Arrangement(
        order,
        turned.astype(np.int8),
        chains.cost(gram, order, turned) * unit,
        costs[0] * unit,
        costs[2] * unit,
        _bound(weights, chains),
    )


def _gram(weights: Float64Array) -> tuple[Float64Array, float]:
    """Inner products of the outputs after rounding to whole numbers, and the unit of the products.

    All sums stay below 2**53, so that no order of adding changes a bit.
    """
    top = float(np.abs(weights).max(initial=0.0))
    # Products of two numbers of `bits` bits, summed over the rows, stay below 2**53: exact in
    # float64 in whatever order BLAS adds.
    bits = min(24, (53 - len(weights).bit_length()) // 2)
    _, exponent = np.frexp(top)
    shift = bits - int(exponent)
    whole = np.rint(np.ldexp(weights, shift))
    return whole.T @ whole, float(np.ldexp(1.0, -2 * shift))


class _Chains:
    """Where positions stand in their chains, and the kernel of the cost as three tables."""

    def __init__(self, count: int, cut: int, price: float) -> None:
        self.count, self.cut, self.price = count, cut, price
        position = np.arange(count)
        self.begin = position // cut * cut
        columns = np.minimum(cut, count - self.begin) + 1.0
        place = position - self.begin + 1.0
        if price == 0:
            self.keep, self.rise, self.fall = 1.0, place, (columns - place) / columns
            return
        # `D D' + r` is a tridiagonal Toeplitz matrix; its inverse is a product of sinh of this
        # decay.
        decay = float(np.arccosh(1.0 + price / 2.0))
        self.keep = float(np.exp(-decay))
        # expm1, because 1 - exp(-x) loses all digits for the small decay of many levels.
        self.rise = -np.expm1(-2.0 * decay * place)
        whole = -np.expm1(-2.0 * decay * columns) * 2.0 * np.sinh(decay)
        self.fall = -np.expm1(-2.0 * decay * (columns - place)) / whole

    def greedy(
        self, gram: Float64Array, keep: float, signs: bool
    ) -> tuple[Int64Array, Float64Array]:
        """Order and signs."""
        order, turned = np.empty(self.count, dtype=np.int64), np.empty(self.count)
        kernels.greedy(gram, self.cut, keep, signs, order, turned)
        return order, turned

    def cost(self, gram: Float64Array, order: Int64Array, signs: Float64Array) -> float:
        """The criterion, in units of the Gram matrix."""
        return float(kernels.energy(gram, self.cut, self.decay(), order, signs))

    def decay(self) -> kernels.Decay:
        """The kernel as the compiled loops take it."""
        return kernels.Decay(self.rise, np.asarray(self.fall, np.float64), self.keep)

    def kernel(self, positions: Int64Array) -> Float64Array:
        """The matrix between ascending positions; 0 between chains and where it is forgotten."""
        apart = np.abs(positions[:, None] - positions[None])
        first = np.minimum(positions[:, None], positions[None])
        last = np.maximum(positions[:, None], positions[None])
        same = self.begin[first] == self.begin[last]
        out = self.rise[first] * self.keep ** apart.astype(np.float64) * self.fall[last]
        return np.where(same & (out > _FORGOTTEN), out, 0.0)

    def eigenvalues(self) -> Float64Array:
        """Of the matrix between all positions, known in closed form, ascending."""
        out = []
        for begin in range(0, self.count, self.cut):
            columns = min(self.cut, self.count - begin) + 1
            waves = np.arange(1, columns) * (np.pi / (2 * columns))
            out.append(1.0 / (self.price + 4.0 * np.sin(waves) ** 2))
        return np.sort(np.concatenate(out)) if out else np.zeros(0)


def _improve(
    gram: Float64Array,
    chains: _Chains,
    order: Int64Array,
    turned: Float64Array,
    signs: bool,
    budget: int,
) -> tuple[Int64Array, Float64Array]:
    """Search in windows of positions, twice over differing windows where there are several."""
    order, turned = order.copy(), turned.copy()
    rounds = [_windows(chains, 0), _windows(chains, 1)]
    # One window has no borders over which outputs could not move.
    rounds = rounds[: 1 if len(rounds[0]) == 1 else 2]
    # Windows share the budget evenly, so that the last is searched as well as the first.
    share = budget // max(1, sum(len(windows) for windows in rounds))
    seed = 0
    for windows in rounds:
        for positions in windows:
            seed += 1
            _search(gram, chains, order, turned, signs, positions, share, seed)
    return order, turned


def _windows(chains: _Chains, turn: int) -> list[Int64Array]:
    """Ascending positions. At turn 0 neighbours; at turn 1 shifted, or chains from far apart."""
    positions = np.arange(chains.count)
    if chains.count <= _WINDOW:
        return [positions]
    if turn == 0 or chains.cut > _WINDOW // 2:
        size = _WINDOW if chains.cut > _WINDOW // 2 else _WINDOW // chains.cut * chains.cut
        edges = range(size // 2 if turn else size, chains.count, size)
        return np.split(positions, list(edges))
    count = -(-chains.count // (_WINDOW // chains.cut * chains.cut))
    number = positions // chains.cut % count
    return [np.flatnonzero(number == window) for window in range(count)]


def _search(
    gram: Float64Array,
    chains: _Chains,
    order: Int64Array,
    turned: Float64Array,
    signs: bool,
    positions: Int64Array,
    budget: int,
    seed: int,
) -> None:
    """Improve the outputs and signs at some positions, in place."""
    items, sign = order[positions], turned[positions]
    fields = np.empty((len(positions), len(positions)))
    kernels.window_fields(gram, chains.cut, chains.decay(), order, turned, positions, fields)
    inner = np.ascontiguousarray(gram[np.ix_(items, items)])
    at = np.arange(len(positions))
    least = _LEAST_GAIN * float(np.trace(inner))
    window = kernels.SearchWindow(chains.kernel(positions), inner, fields, at, sign)
    kernels.iterate(window, signs, least, budget, seed)
    order[positions], turned[positions] = items[at], sign


def _bound(weights: Float64Array, chains: _Chains) -> float | None:
    """Products of the eigenvalues of both matrices, the largest with the least.

    An arrangement multiplies the Gram matrix by a signed permutation from both sides, which is
    orthogonal; the trace of a product is least over all orthogonal matrices where both have the
    same eigenvectors, in opposite order.
    """
    if min(weights.shape) > _BOUND_SIZE:
        return None
    small = weights if weights.shape[0] < weights.shape[1] else weights.T
    found = np.linalg.eigvalsh(small @ small.T)[::-1]
    kernel = chains.eigenvalues()
    products = np.maximum(found, 0.0) * kernel[: len(found)]
    # Eigenvalues are rounded; a bound must not lie above what was found because of that.
    return float(products.sum()) * (1.0 - 1e-6)
