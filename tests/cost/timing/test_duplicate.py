from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.programs import small_program, small_target
from xbarc.cost import Policy, parse_policy, program_cost
from xbarc.cost.timing.duplication import (
    Stand,
    arrays_of,
    at_rate,
    balance_copies,
    copies_for,
    interval_of,
    within_budget,
)
from xbarc.errors import InputError, MappingError

LAYERS = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 5)), min_size=1, max_size=4
).map(lambda rows: [Stand(f"l{i}", a, p, t, p) for i, (a, p, t) in enumerate(rows)])


@given(LAYERS, st.integers(0, 25))
def test_a_budget_is_spent_as_well_as_any_choice_spends_it(layers: list[Stand], more: int) -> None:
    budget = sum(layer.arrays for layer in layers) + more
    found = within_budget(layers, budget)
    assert arrays_of(layers, found) <= budget
    best = interval_of(layers, found)
    for choice in product(*(range(1, layer.most + 1) for layer in layers)):
        copies = {layer.name: n for layer, n in zip(layers, choice, strict=True)}
        if arrays_of(layers, copies) <= budget:
            assert interval_of(layers, copies) >= best
            if interval_of(layers, copies) == best:
                assert arrays_of(layers, copies) >= arrays_of(layers, found)


@given(LAYERS, st.floats(1e9, 1e12))
def test_a_rate_is_reached_with_fewest_arrays(layers: list[Stand], rate: float) -> None:
    limit = 1e12 / rate
    options = [
        arrays_of(layers, {x.name: n for x, n in zip(layers, choice, strict=True)})
        for choice in product(*(range(1, layer.most + 1) for layer in layers))
        if interval_of(layers, {x.name: n for x, n in zip(layers, choice, strict=True)}) <= limit
    ]
    if not options:
        with pytest.raises(MappingError, match="out of reach"):
            at_rate(layers, rate)
        return
    found = at_rate(layers, rate)
    assert interval_of(layers, found) <= limit
    assert arrays_of(layers, found) == min(options)


def test_balance_is_isaacs_ratio_of_positions() -> None:
    sizes = {"a": 224**2, "b": 112**2, "c": 56**2, "fc": 1}
    layers = [Stand(name, 1, count, 1600, count) for name, count in sizes.items()]
    assert balance_copies(layers) == {"a": 16, "b": 4, "c": 1, "fc": 1}


def test_layers_that_share_arrays_stand_once_and_bound_the_rate() -> None:
    layers = [Stand("a", 1, 8, 1, 8), Stand("b", 1, 6, 1, 1, least=9), Stand("c", 1, 3, 1, 1, 9)]
    found = within_budget(layers, 50)
    assert found == {"a": 1, "b": 1, "c": 1}
    assert interval_of(layers, found) == 9
    with pytest.raises(MappingError, match="does at most"):
        at_rate(layers, 1e12 / 8)


def test_too_small_a_budget_says_by_how_much() -> None:
    with pytest.raises(MappingError, match="needs 5 arrays, 2 more than the budget of 3"):
        within_budget([Stand("a", 5, 8, 1, 8)], 3)


def test_policies_are_read_and_printed() -> None:
    target = small_target()
    for text in ("none", "balance", "throughput=1000", "budget=40"):
        assert str(parse_policy(text, target)) == text
    assert parse_policy("budget=chip", target) == Policy("budget", 8)
    for text in ("", "budget", "budget=-1", "throughput=inf", "throughput=x", "most"):
        with pytest.raises(InputError, match="is not available"):
            parse_policy(text, target)


def test_copies_cost_area_and_writing_but_no_energy_of_reading() -> None:
    program = small_program("costs.write_energy=2.0")
    once = program_cost(program)
    more = program_cost(program, Policy("budget", 13))
    assert more.counts.arrays == 9  # a third copy would still need two rounds for four vectors
    assert [layer.copies for layer in more.layers] == [2, 1]
    assert more.arrays_once == once.counts.arrays == 5
    assert once.interval_ns is not None
    assert more.interval_ns is not None
    assert more.interval_ns < once.interval_ns
    for name in ("array_reads", "wordline_drives", "conversions", "bit_steps", "buffer_bytes"):
        assert getattr(more.counts, name) == getattr(once.counts, name)
    assert more.counts.cells_written == 2 * 30 + 8
    assert more.counts.all_adcs == 2 * 9
    shares = [layer.counts.arrays for layer in more.layers]
    assert shares == [8, 1]


def test_no_policy_is_one_copy_each() -> None:
    layers = [Stand("a", 2, 8, 1, 8)]
    assert copies_for(layers, Policy(), 2) == {"a": 1}
    assert copies_for(layers, Policy("balance"), 2) == {"a": 1}
