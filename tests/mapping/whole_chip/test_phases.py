from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xbarc.cost import Link
from xbarc.errors import MappingError
from xbarc.mapping.whole_chip import Load, choose_phases, fewest_phases, loads_of


def chain(sizes: list[int]) -> tuple[list[Load], list[Link]]:
    loads = list(loads_of([(f"l{i}", n) for i, n in enumerate(sizes)], 10**6))
    return loads, [Link(f"l{i}", f"l{i + 1}", 10.0 + i) for i in range(len(sizes) - 1)]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=2, max_size=5), st.integers(6, 14))
def test_least_is_written_and_then_least_waits(sizes: list[int], capacity: int) -> None:
    loads, links = chain(sizes)
    phases = min(3, fewest_phases(loads, capacity) + 1)
    best = None
    for stays in product([False, True], repeat=len(sizes)):
        for at in product(range(phases), repeat=len(sizes)):
            if list(at) != sorted(at):
                continue
            held = [
                sum(n for n, s, a in zip(sizes, stays, at, strict=True) if s or a == phase)
                for phase in range(phases)
            ]
            if max(held) <= capacity:
                written = sum(n for n, s in zip(sizes, stays, strict=True) if not s)
                waiting = sum(link.size for i, link in enumerate(links) if at[i] < at[i + 1])
                best = min(best or (written, waiting), (written, waiting))
    if best is None:
        with pytest.raises(MappingError, match="do not hold"):
            choose_phases(loads, links, capacity, phases)
        return
    found = choose_phases(loads, links, capacity, phases)
    assert (found.written, found.waiting) == best
    assert found.bound <= found.written


def test_a_layer_larger_than_the_chip_falls_into_parts() -> None:
    loads = loads_of([("a", 3), ("fc", 25)], 10)
    assert [(load.name, load.arrays) for load in loads] == [
        ("a", 3),
        ("fc 1/3", 8),
        ("fc 2/3", 8),
        ("fc 3/3", 9),
    ]
    found = choose_phases(loads, [Link("a", "fc", 5.0)], 10, 4)
    assert found.written == 28  # beside its largest part there is no room for the first layer
    assert found.stays == ()
    assert found.phases[1:] == (("fc 1/3",), ("fc 2/3",), ("fc 3/3",))
    found = choose_phases(loads_of([("a", 1), ("fc", 25)], 10), [Link("a", "fc", 5.0)], 10, 4)
    assert found.stays == ("a",)


def test_what_fits_stays() -> None:
    loads, links = chain([2, 3, 4])
    found = choose_phases(loads, links, 9, 1)
    assert found.stays == ("l0", "l1", "l2")
    assert found.written == 0
    assert found.waiting == 0


def test_too_few_phases_are_refused() -> None:
    loads, links = chain([6, 6, 6])
    with pytest.raises(MappingError, match="2 phases do not hold 18 arrays on a chip of 8"):
        choose_phases(loads, links, 8, 2)
