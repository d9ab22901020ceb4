"""Extreme numbers of a program: `verify` refuses them with 2, or every command works."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import pytest
import typer.main

from tests.fuzz.extremes import Extreme, arrays, fields
from tests.fuzz.kind import Result
from tests.fuzz.programs import judge_whole
from tests.fuzz.worker import try_case

QUICK = {"fields": 61, "arrays": 293}
"""One of so many in the quick lane; primes, so that each value and each field has its turn."""


@pytest.fixture(autouse=True)
def one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line is built once, not for every command."""
    monkeypatch.setattr(typer.main, "get_command", cache(typer.main.get_command))


def _faults(extremes: Iterable[Extreme], place: Path) -> dict[str, str]:
    found = {}
    for number, extreme in enumerate(extremes):
        folder = place / str(number)
        folder.mkdir()
        verdict = try_case(judge_whole, extreme.write(folder / "p.xbar"))
        shutil.rmtree(folder)
        # `run` may refuse an input that does not fit, or what no memory holds
        late = not verdict.detail.startswith(("verify: ", "run: "))
        if verdict.result is not Result.EQUAL and (verdict.result is Result.FINDING or late):
            found[extreme.name] = verdict.detail
    return found


@pytest.mark.parametrize("draw", [fields, arrays])
def test_some_extremes(draw: Callable[[], Iterable[Extreme]], tmp_path: Path) -> None:
    every = list(draw())
    assert not _faults(every[:: QUICK[draw.__name__]], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("draw", [fields, arrays])
def test_all_extremes(draw: Callable[[], Iterable[Extreme]], tmp_path: Path) -> None:
    assert not _faults(draw(), tmp_path)
