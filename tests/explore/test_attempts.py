"""Designs at which workers die: rows of the answer, while the others go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.explore.conftest import MakeStudy
from tests.workers_tasks import Die
from xbarc.compiler import compile_model
from xbarc.errors import WorkerError
from xbarc.explore import batches, driver, explore, work
from xbarc.explore.attempts import try_each
from xbarc.explore.batches import Batch, price_batch
from xbarc.explore.recipe import Recipe
from xbarc.explore.work import Answers, Conditions, DesignCosts, Question
from xbarc.workers import worker_map


def _share_ahead(ahead: int) -> Any:
    """Takes so many items beyond the one that it works at."""

    def share(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        left = iter(items)
        waiting = list(islice(left, ahead + 1))
        while waiting:
            yield function(waiting.pop(0))
            waiting += islice(left, 1)

    return share


@given(st.integers(0, 12), st.sets(st.integers(0, 11)), st.integers(0, 4))
def test_every_item_but_those_that_kill_has_its_result(
    count: int, deadly: set[int], ahead: int
) -> None:
    met: Counter[int] = Counter()

    def work_at(item: int) -> int:
        met[item] += 1
        if item in deadly:
            raise WorkerError(f"died at {item}")
        return item * item

    found = list(try_each(_share_ahead(ahead), work_at, range(count)))
    assert [one if isinstance(one, int) else str(one) for one in found] == [
        f"died at {item}" if item in deadly else item * item for item in range(count)
    ]
    assert all(times == 1 for times in met.values())


def test_workers_that_are_not_there_end_it() -> None:
    def share(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        raise WorkerError("nobody is there")
        yield from map(function, items)

    with pytest.raises(WorkerError, match="nobody"):
        list(try_each(share, str, [1]))


@pytest.mark.slow
def test_a_process_that_always_dies_costs_its_own_item_alone(tmp_path: Path) -> None:
    with worker_map(2) as share:
        found = list(try_each(share, Die(tmp_path, 99), range(6)))
    assert isinstance(found[2], WorkerError)
    assert found[:2] + found[3:] == [0, 1, 3, 4, 5]


def _is_large(recipe: Recipe) -> bool:
    return "array.columns=128" in recipe.overrides


def _price_no_large(conditions: Conditions, batch: Batch) -> list[DesignCosts]:
    if any(map(_is_large, batch.recipes)):
        raise WorkerError("died")
    return price_batch(conditions, batch)


def _answer_no_five(conditions: Conditions, question: Question) -> Answers:
    if ("adc", 5) in question.recipe.options:
        raise WorkerError("died")
    return work.answer(conditions, question)


def test_a_design_at_which_workers_die_is_a_row_and_is_tried_again(
    study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Both sizes are one group: the whole of it dies first, then each of its designs is alone.
    made = study(knobs={"array.columns": [64, 128], "adc": ["lossless", 5]})
    monkeypatch.setattr(driver, "price_batch", _price_no_large)
    monkeypatch.setattr(batches, "group_recipes", lambda recipes: [list(recipes)])
    hurt = explore(made, store=tmp_path / "s.db")
    monkeypatch.undo()
    after, whole = explore(made, store=tmp_path / "s.db"), explore(made)
    for row, wanted in zip(hurt.rows, whole.rows, strict=True):
        # The target as it is has 128 columns, but says so itself: nothing overrides it.
        if row.values.get("array.columns") == 128:
            assert (row.state, row.reason, row.figures) == ("not judged", "died", {})
        else:
            assert row.figures == wanted.figures
    assert after.as_json() == whole.as_json()


def test_a_design_at_whose_samples_workers_die_is_a_row(
    study: MakeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "answer", _answer_no_five)
    states = {
        row.values.get("adc"): row.state for row in explore(study(knobs={"adc": [5, 3]})).rows
    }
    assert states[5] == "fails on a sample"
    assert states[3] in ("front", "beaten", "given up")


def test_no_memory_for_a_design_is_no_end(
    study: MakeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compile_small(path: Any, target: Any, **rest: Any) -> Any:
        if target.array.columns == 64:
            raise MemoryError("no 64 GiB")
        return compile_model(path, target, **rest)

    work._forget_all()
    monkeypatch.setattr(work, "compile_model", compile_small)
    rows = explore(study(data=None, objectives={"energy_uj": "min"})).rows
    lost = [row for row in rows if row.state == "not judged"]
    assert {row.values["array.columns"] for row in lost} == {64}
    assert all("out of memory: no 64 GiB" in row.reason for row in lost)
    assert sum(row.state == "front" for row in rows) > 0
