"""Questions about graphs that mapping answers with code of its own, held to networkx."""

from __future__ import annotations

import networkx
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mapping.forests.test_forest import forests
from xbarc.cost import Link
from xbarc.mapping.forests import Forest, encode_exact
from xbarc.mapping.whole_chip import choose_phases, fewest_phases, loads_of


def _graph(forest: Forest) -> networkx.Graph:
    graph = networkx.Graph()
    graph.add_nodes_from(range(forest.vertices))
    ends = zip(forest.plus.tolist(), forest.minus.tolist(), strict=True)
    graph.add_edges_from((p, m, {"edge": edge}) for edge, (p, m) in enumerate(ends))
    return graph


@given(forests(12))
def test_components_of_columns(forest: Forest) -> None:
    parts = sorted(networkx.connected_components(_graph(forest)), key=min)
    numbered = {vertex: number for number, part in enumerate(parts) for vertex in part}
    assert forest.component.tolist() == [numbered[v] for v in range(forest.vertices)]


@given(forests(12))
def test_the_dynamic_programme_goes_from_the_leaves_to_the_root(forest: Forest) -> None:
    """Its edges are those of the tree below each root, in a topological order of that tree."""
    graph, plan = _graph(forest), forest.plan
    for begin, end, root, _ in plan.components.tolist():
        steps = plan.steps[begin:end].tolist()
        below = networkx.bfs_tree(graph, root)
        assert {(step[0], step[1]) for step in steps} == {(c, p) for p, c in below.edges}
        place = {step[0]: number for number, step in enumerate(steps)} | {root: len(steps)}
        assert all(place[child] < place[parent] for parent, child in below.edges)
        for child, parent, edge, sign, *_ in steps:
            assert graph.edges[child, parent]["edge"] == edge
            assert (forest.plus if sign > 0 else forest.minus)[edge] == child


@given(forests(12), st.integers(0, 2**32 - 1))
def test_exact_levels_are_sums_along_paths(forest: Forest, seed: int) -> None:
    values = np.random.default_rng(seed).integers(-4, 5, (1, forest.edges))
    free = Forest(forest.plus, forest.minus, forest.vertices)
    levels = encode_exact(free, values, 1 << 10)[0].astype(int)
    graph = _graph(free)
    for first, paths in networkx.all_pairs_shortest_path(graph):
        for last, path in paths.items():
            rise = 0
            for here, there in networkx.utils.pairwise(path):
                edge = graph.edges[here, there]["edge"]
                rise += values[0, edge] if free.plus[edge] == there else -values[0, edge]
            assert levels[last] - levels[first] == rise


@st.composite
def layers_and_links(draw: st.DrawFn) -> tuple[list[tuple[str, int]], list[Link]]:
    """Layers in an order in which they can run, with any links from earlier to later ones."""
    count = draw(st.integers(2, 6))
    sizes = draw(st.lists(st.integers(1, 6), min_size=count, max_size=count))
    pairs = [(i, j) for j in range(count) for i in range(j)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, min_size=1))
    links = [Link(f"l{i}", f"l{j}", float(draw(st.integers(1, 50)))) for i, j in sorted(chosen)]
    return [(f"l{i}", size) for i, size in enumerate(sizes)], links


@settings(max_examples=25)
@given(layers_and_links(), st.integers(6, 12))
def test_phases_cut_the_network_where_nothing_runs_backwards(
    case: tuple[list[tuple[str, int]], list[Link]], capacity: int
) -> None:
    """All that the layers of the first phases read has run: the set is closed under ancestors."""
    arrays, links = case
    loads = loads_of(arrays, capacity)
    found = choose_phases(loads, links, capacity, fewest_phases(loads, capacity))
    graph = networkx.DiGraph([(link.source, link.target) for link in links])
    graph.add_nodes_from(name for name, _ in arrays)
    done: set[str] = set()
    phase = {}
    for number, names in enumerate(found.phases):
        done.update(names)
        phase.update(dict.fromkeys(names, number))
        assert all(networkx.ancestors(graph, name) <= done for name in names)
    assert done == set(graph)
    late = [link.size for link in links if phase[link.source] < phase[link.target]]
    assert found.waiting == sum(late)
