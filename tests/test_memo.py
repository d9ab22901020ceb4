"""A memo gives what was made before, for equal keys alone, and drops the oldest first."""

from __future__ import annotations

import gc

import pytest

from xbarc.memo import Memo, Same


class Counted:
    """Says how often it was called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        return self.calls


def test_equal_keys_are_made_once() -> None:
    memo, make = Memo(1 << 20), Counted()
    assert [memo.recall(("a", 1), make), memo.recall(("a", 1), make)] == [1, 1]
    assert memo.recall(("a", 2), make) == 2


def test_a_memo_of_nothing_computes_everything() -> None:
    memo, make = Memo(), Counted()
    assert [memo.recall("a", make), memo.recall("a", make)] == [1, 2]
    assert [memo.of(make, "n", make), memo.of(make, "n", make)] == [3, 4]
    assert not memo.keeps


def test_an_object_is_equal_to_itself_alone() -> None:
    memo, make = Memo(1 << 20), Counted()
    one, other = [1], [1]
    assert memo.recall(Same(one), make) == memo.recall(Same(one), make) == 1
    assert memo.recall(Same(other), make) == 2


def test_keys_below_others_are_apart() -> None:
    memo, make = Memo(1 << 20), Counted()
    found = [memo.under(place).recall("a", make) for place in ("x", "y", "x")]
    assert found == [1, 2, 1]
    assert memo.under("x").under("y").root.recall("a", make) == memo.recall("a", make) == 3


def test_the_oldest_goes_first() -> None:
    memo, make = Memo(10 << 10), Counted()
    for name in ("a", "b"):
        memo.recall(name, make, lambda _: 4 << 10)
    memo.recall("a", make)  # used again, so that `b` is the oldest
    memo.recall("c", make, lambda _: 4 << 10)
    assert memo.recall("a", make) == 1
    assert memo.recall("b", make) == 4


def test_what_raises_is_not_kept() -> None:
    def fail() -> int:
        raise ValueError("no")

    memo = Memo(1 << 20)
    with pytest.raises(ValueError, match="no"):
        memo.recall("a", fail)
    assert memo.recall("a", Counted()) == 1


def test_what_was_made_of_an_object_goes_with_it() -> None:
    memo, thing, make = Memo(1 << 20), Counted(), Counted()
    assert [memo.of(thing, "n", make), memo.of(thing, "n", make)] == [1, 1]
    assert memo.of(thing, "m", make) == 2
    del thing
    gc.collect()
    assert not memo._shelf.by_object
