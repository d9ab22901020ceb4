"""Levels of columns: optimal on every small case, exact where they can be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xbarc.mapping.forests import MID, Forest, RowEncoder, encode, encode_exact
from xbarc.mapping.forests import forest as forest_module
from xbarc.mapping.forests import levels_needed as needed
from xbarc.mapping.forests.forest import Levels
from xbarc.numerics.types import AnyArray, Float64Array, IntArray


@st.composite
def forests(draw: st.DrawFn, most: int = 6) -> Forest:
    """Any forest: vertices in random order, each joined to an earlier one or to none."""
    vertices = draw(st.integers(1, most))
    name = draw(st.permutations(range(vertices)))
    ends = []
    for vertex in range(1, vertices):
        other = draw(st.integers(-1, vertex - 1))
        pair = (name[vertex], name[other])
        ends += [] if other < 0 else [pair if draw(st.booleans()) else pair[::-1]]
    ends = draw(st.permutations(ends))
    plain = Forest(np.array([p for p, _ in ends]), np.array([m for _, m in ends]), vertices)
    pins = {}
    for vertex in draw(st.lists(st.integers(0, vertices - 1), max_size=2)):
        pins[int(plain.component[vertex])] = (vertex, draw(st.sampled_from([MID, 0, 1])))
    return Forest(plain.plus, plain.minus, vertices, tuple(pins.values()))


@dataclass(frozen=True, eq=False)
class Case:
    forest: Forest
    targets: Float64Array
    levels: Levels
    weights: Float64Array


@st.composite
def cases(draw: st.DrawFn, most: int = 6, top: int = 5) -> Case:
    """Sixteenths, so that costs are exact and ties are ties."""
    forest = draw(forests(most))
    count = draw(st.integers(2, top))
    levels: Levels = count
    if draw(st.booleans()):
        steps = draw(st.lists(st.integers(1, 30), min_size=count, max_size=count))
        levels = np.cumsum(np.array(steps)) / 16.0
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = draw(st.integers(1, 3))
    spread = draw(st.sampled_from([8, 32, 200]))
    targets = rng.integers(-spread, spread + 1, (rows, forest.edges)) / draw(
        st.sampled_from([1.0, 2.0, 16.0])
    )
    weights = rng.integers(0, 4, (rows, forest.edges)).astype(np.float64)
    return Case(forest, targets, levels, weights)


def _costs(case: Case, assignments: IntArray) -> Float64Array:
    """Axes: row, assignment."""
    g = np.arange(case.levels) if isinstance(case.levels, int) else case.levels
    values = g[assignments[:, case.forest.plus]] - g[assignments[:, case.forest.minus]]
    errors = case.targets[:, None] - values
    return np.asarray((case.weights[:, None] * errors**2).sum(axis=2))


def _assignments(case: Case) -> IntArray:
    """Every assignment of levels that keeps the pins; axes: assignment, vertex."""
    count = case.levels if isinstance(case.levels, int) else len(case.levels)
    pins = {v: count // 2 if level == MID else level for v, level in case.forest.pinned}
    choices = [[pins[v]] if v in pins else range(count) for v in range(case.forest.vertices)]
    return np.array(list(product(*choices)), dtype=np.int64)


def _differences(case: Case, levels: IntArray) -> AnyArray:
    g = np.arange(case.levels) if isinstance(case.levels, int) else case.levels
    return np.asarray(g[levels[:, case.forest.plus]] - g[levels[:, case.forest.minus]])


@given(cases())
@settings(max_examples=250)
def test_no_assignment_has_less_error(case: Case) -> None:
    every = _assignments(case)
    fitted = encode(case.forest, case.targets, case.levels, case.weights)
    assert np.array_equal(fitted.values, _differences(case, fitted.levels))
    found = _costs(case, fitted.levels).diagonal()
    assert np.array_equal(found, _costs(case, every).min(axis=1))
    for row in fitted.levels:
        assert (every == row).all(axis=1).any()


@given(cases(most=12, top=40))
def test_every_way_of_computing_agrees(case: Case) -> None:
    """All pairs of levels, thresholds, and the closed form of single edges; with ties."""
    ways = []
    for plain in (1, 1 << 20):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(forest_module, "_PLAIN_LEVELS", plain)
            ways.append(encode(case.forest, case.targets, case.levels, case.weights))
            patch.setattr(Forest, "is_matching", False)
            f = case.forest
            again = Forest(f.plus, f.minus, f.vertices, f.pinned)  # nothing cached
            ways.append(encode(again, case.targets, case.levels, case.weights))
    for way in ways[1:]:
        assert np.array_equal(way.levels, ways[0].levels)
        assert np.array_equal(way.values, ways[0].values)


@pytest.mark.parametrize("levels", [17, 64, 300])
def test_thresholds_cost_no_more_than_all_pairs(
    levels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On any real numbers, up to rounding of the sums."""
    rng = np.random.default_rng(levels)
    forest = Forest.path(40)
    targets = rng.normal(scale=levels / 3, size=(6, 40))
    weights = rng.gamma(0.3, size=(6, 40))
    costs = []
    for plain in (1, 1 << 20):
        monkeypatch.setattr(forest_module, "_PLAIN_LEVELS", plain)
        values = encode(forest, targets, levels, weights).values
        costs.append((weights * (targets - values) ** 2).sum(axis=1))
    assert np.allclose(costs[0], costs[1], rtol=1e-12, atol=0)


@given(cases(most=10, top=20))
def test_a_row_alone_is_the_row_among_others(case: Case) -> None:
    whole = encode(case.forest, case.targets, case.levels, case.weights[0])
    encoder = RowEncoder(case.forest, case.levels, case.weights[0])
    for row, target in enumerate(case.targets):
        values = encoder.encode_row(target)
        assert values.dtype == whole.values.dtype
        assert np.array_equal(values, whole.values[row])
        assert np.array_equal(encoder.levels, whole.levels[row])


def test_values_of_a_row_survive_the_next_row() -> None:
    encoder = RowEncoder(Forest.path(3), 4)
    first = encoder.encode_row(np.array([1.0, 2.0, -1.0]))
    encoder.encode_row(np.array([-1.0, 0.0, 0.0]))
    assert first.tolist() == [1, 2, -1]


@pytest.mark.parametrize("levels", [3, 40, "conductances"])
def test_threads_change_nothing(levels: int | str) -> None:
    rng = np.random.default_rng(7)
    forest = Forest.cut_path(301, 7)
    targets = rng.normal(scale=3, size=(257, 301))
    chosen: Levels = levels if isinstance(levels, int) else np.array([0.1, 0.9, 1.3, 5.0])
    alone = encode(forest, targets, chosen, threads=1)
    for threads in (2, 3, 500):
        shared = encode(forest, targets, chosen, threads=threads)
        assert np.array_equal(shared.levels, alone.levels)
        assert np.array_equal(shared.values, alone.values)


def test_many_threads_may_encode_at_once() -> None:
    forest = Forest.star(20)
    targets = np.random.default_rng(1).normal(size=(30, 4, 20))
    alone = [encode(forest, t, 4, threads=1).levels for t in targets]
    with ThreadPoolExecutor(8) as pool:
        at_once = list(pool.map(lambda t: encode(forest, t, 4, threads=1).levels, targets))
    assert np.array_equal(alone, at_once)


def test_single_edges_agree_with_the_programme(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = np.arange(-90, 91).reshape(1, -1) / 16
    weights = (np.arange(181) % 5).astype(np.float64)
    closed = encode(Forest.matching(181), targets, 5, weights)
    monkeypatch.setattr(Forest, "is_matching", False)
    programme = encode(Forest.matching(181), targets, 5, weights)
    assert np.array_equal(closed.levels, programme.levels)


def test_ties_go_to_smaller_levels() -> None:
    halves = np.array([[0.5, -0.5, 1.5, -1.5, 0.0]])
    assert encode(Forest.matching(5), halves, 4).values.tolist() == [[0, 0, 1, -1, 0]]
    one = np.array([[1.0]])
    assert encode(Forest.path(1), one, 4).levels.tolist() == [[1, 0]]
    assert encode(Forest.path(1), -one, 4).levels.tolist() == [[0, 1]]
    nothing = np.zeros(5)
    assert not encode(Forest.path(5), halves, 4, nothing).levels.any()
    assert not encode(Forest.matching(5), halves, 4, nothing).levels.any()


def test_shapes_of_the_known_encodings() -> None:
    pair, star, path = Forest.matching(3), Forest.star(3), Forest.path(3)
    assert (pair.plus.tolist(), pair.minus.tolist(), pair.vertices) == ([0, 2, 4], [1, 3, 5], 6)
    assert (star.plus.tolist(), star.minus.tolist(), star.vertices) == ([0, 1, 2], [3, 3, 3], 4)
    assert (path.plus.tolist(), path.minus.tolist(), path.vertices) == ([0, 1, 2], [1, 2, 3], 4)
    cut = Forest.cut_path(5, 2)
    assert (cut.plus.tolist(), cut.minus.tolist(), cut.vertices) == (
        [0, 1, 3, 4, 6],
        [1, 2, 4, 5, 7],
        8,
    )
    assert Forest.cut_path(0, 3).edges == Forest.path(0).edges == Forest.star(0).edges == 0


def test_what_a_row_of_each_encoding_reaches() -> None:
    """Four levels: pairs reach 3 either way, a free bias a range of 3, adjacent ones in turn."""
    target = np.array([[3.0, -3.0, 3.0]])
    assert encode(Forest.matching(3), target, 4).values.tolist() == [[3, -3, 3]]
    assert encode(Forest.path(3), target, 4).values.tolist() == [[3, -3, 3]]
    assert encode(Forest.star(3), np.array([[3.0, 0, 1]]), 4).levels.tolist() == [[3, 0, 1, 0]]
    assert encode(Forest.star(3, pinned=MID), target, 4).values.tolist() == [[1, -2, 1]]
    assert encode(Forest.star(3, pinned=0), target, 4).values.tolist() == [[3, 0, 3]]


@given(
    forests(9),
    st.integers(1, 300) | st.sampled_from([1 << 16, (1 << 16) + 1, 1 << 24]),
    st.integers(0, 2**32 - 1),
)
def test_what_is_exact_comes_back(forest: Forest, levels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pins = {v: levels // 2 if level == MID else level for v, level in forest.pinned}
    if max(pins.values(), default=0) >= levels:
        with pytest.raises(ValueError, match="is pinned at level"):
            encode_exact(forest, np.zeros((1, forest.edges), dtype=int), levels)
        return
    drawn = rng.integers(0, levels, (4, forest.vertices))
    for vertex, level in pins.items():
        drawn[:, vertex] = level
    values = drawn[:, forest.plus] - drawn[:, forest.minus]
    out = encode_exact(forest, values, levels)
    assert out.max(initial=0) < levels
    again = out.astype(np.int64)
    assert np.array_equal(again[:, forest.plus] - again[:, forest.minus], values)
    for component in range(len(forest.plan.components)):
        members = np.flatnonzero(forest.component == component)
        if not set(members.tolist()) & set(pins):
            assert not again[:, members].min(axis=1).any()
    if levels <= 300:  # the programme takes time for every level, and refuses more than 2**16
        fitted = encode(forest, values.astype(np.float64), levels)
        assert np.array_equal(fitted.values, values)


@given(forests(7), st.integers(0, 2**32 - 1))
def test_one_level_less_is_too_few(forest: Forest, seed: int) -> None:
    values = np.random.default_rng(seed).integers(-4, 5, (3, forest.edges))
    try:
        least = needed(forest, values)
    except ValueError:
        for levels in (2, 9, 100):
            with pytest.raises(ValueError, match=r"levels; there are|is pinned at level"):
                encode_exact(forest, values, levels)
        return
    encode_exact(forest, values, least)
    if least > 1:
        with pytest.raises(ValueError, match=r"levels; there are|is pinned at level"):
            encode_exact(forest, values, least - 1)


def test_what_does_not_fit_is_named() -> None:
    values = np.array([[1, -1, 2, 0], [3, 3, 0, -1]])
    with pytest.raises(ValueError, match=r"row 1, edges 0 to 3: .* 7 levels; there are 4"):
        encode_exact(Forest.path(4), values, 4)
    with pytest.raises(ValueError, match=r"row 1, edge 0: .* 4 levels; there are 3"):
        encode_exact(Forest.matching(4), values, 3)
    with pytest.raises(ValueError, match="with vertex 4 pinned"):
        encode_exact(Forest.star(4, pinned=MID), values, 4)
    assert needed(Forest.path(4), values) == 7
    assert needed(Forest.matching(4), values) == 4
    assert needed(Forest.star(4), values) == 5
    assert needed(Forest.star(4, pinned=MID), values) == 7


@pytest.mark.parametrize(
    ("plus", "minus", "vertices", "pinned", "message"),
    [
        ([0, 1, 2], [1, 2, 0], 3, (), "close a cycle"),
        ([0, 1], [1, 0], 3, (), "close a cycle"),
        ([0], [0], 2, (), "to itself"),
        ([0], [2], 2, (), "with 2 vertices"),
        ([-1], [0], 2, (), "with 2 vertices"),
        ([0, 1], [1], 3, (), "shapes"),
        ([0], [1], 2, ((0, 1), (1, 1)), "both pinned"),
        ([0], [1], 2, ((2, 1),), "vertex 2 of 2"),
        ([0], [1], 2, ((1, -2),), "level -2"),
    ],
)
def test_no_forest(
    plus: list[int],
    minus: list[int],
    vertices: int,
    pinned: tuple[tuple[int, int], ...],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        Forest(np.array(plus), np.array(minus), vertices, pinned)


def test_wrong_arguments() -> None:
    forest, fine = Forest.path(2), np.zeros((1, 2))
    with pytest.raises(ValueError, match="shape"):
        encode(forest, np.zeros((1, 3)), 4)
    with pytest.raises(ValueError, match="not finite"):
        encode(forest, np.array([[0, np.nan]]), 4)
    with pytest.raises(ValueError, match="negative"):
        encode(forest, fine, 4, np.array([1.0, -1.0]))
    with pytest.raises(ValueError, match="weights of shape"):
        encode(forest, fine, 4, np.ones((3, 2)))
    with pytest.raises(ValueError, match="ascending"):
        encode(forest, fine, np.array([0.0, 1.0, 1.0]))
    with pytest.raises(ValueError, match="0 levels"):
        encode(forest, fine, 0)
    with pytest.raises(ValueError, match="integers are expected"):
        encode_exact(forest, fine, 4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a path of 0"):
        Forest.cut_path(3, 0)
    with pytest.raises(ValueError, match="pinned at level 7 of 4"):
        encode(Forest.star(2, pinned=7), fine, 4)


@pytest.mark.parametrize("rows", [0, 2])
def test_nothing_to_encode(rows: int) -> None:
    for forest in (Forest.path(0), Forest.matching(0), Forest.star(0, pinned=MID)):
        fitted = encode(forest, np.zeros((rows, 0)), 5)
        assert fitted.levels.shape == (rows, forest.vertices)
        assert fitted.values.shape == (rows, 0)
        empty = np.zeros((rows, 0), dtype=np.int64)
        assert encode_exact(forest, empty, 5).shape == (rows, forest.vertices)
        assert needed(forest, empty) == 1


def test_inputs_are_not_changed() -> None:
    plus = np.array([0, 1])
    forest = Forest(plus, plus + 1, 3)
    plus[0] = 2
    assert forest.plus.tolist() == [0, 1]
    targets = np.array([[0.3, 2.0]])
    encode(forest, targets, 3)
    assert targets.tolist() == [[0.3, 2.0]]
    with pytest.raises(ValueError, match="read-only"):
        forest.plus[0] = 1


def test_costs_in_use_grow_with_the_logarithm() -> None:
    """A path needs one row of costs, a star one, a binary tree its depth."""
    assert Forest.path(1000).plan.slots == 2
    assert Forest.star(1000).plan.slots == 2
    child = np.arange(1, 1023)
    assert Forest(child, (child - 1) // 2, 1023).plan.slots <= 12
