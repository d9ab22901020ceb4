"""The same bytes over hash seeds, cores and threads, for every value of every option."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import xbarc
from tests.load.digests import digests
from tests.load.variants import FIELDS, Variant, float_case, values_of, variants
from xbarc.numerics import ordered_sums

ROOT = Path(__file__).parents[2]
QUICK = ("split",)
IDLE = {"exact_weights", "allow_ternary", "refit"}
"""Options that leave these programs as they are: they refuse, allow, or gain nothing here."""
Programs = dict[str, dict[str, str]]


def blas_threads() -> set[int]:
    return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}


@contextmanager
def cores(count: int) -> Iterator[None]:
    """Children started meanwhile see so many cores: BLAS, ONNX Runtime and loops follow."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def start(options: Sequence[str], count: int, **environment: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "tests.load.digests", *options]
    own = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    with cores(count):
        return subprocess.Popen(
            words, env=own, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )


def finish(process: subprocess.Popen[str]) -> Mapping[str, Any]:
    text, _ = process.communicate()
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(text)
    return found


def programs(options: Sequence[str]) -> list[Programs]:
    """By processes with 1 core and with all, and other hash seeds."""
    processes = [
        start(options, 1, PYTHONHASHSEED="0"),
        start(options, len(os.sched_getaffinity(0)), PYTHONHASHSEED="1"),
    ]
    return [finish(process)["programs"] for process in processes]


def differing(first: Programs, second: Programs) -> dict[str, list[str]]:
    """Files that differ, by the variant's name."""
    assert first.keys() == second.keys()
    return {
        name: sorted(
            file
            for file in {*first[name], *second[name]}
            if first[name].get(file) != second[name].get(file)
        )
        for name in first
        if first[name] != second[name]
    }


def test_every_option_has_values_to_try() -> None:
    """A new option whose values cannot be read off its model goes into `variants.MORE`."""
    assert [name for name, option in FIELDS.items() if not values_of(name, option)] == []


@pytest.mark.slow
def test_processes_write_the_same_bytes() -> None:
    one, other = programs(QUICK)
    assert len(one) == 3
    assert differing(one, other) == {}


@pytest.mark.slow
def test_every_option_writes_the_same_bytes() -> None:
    one, other = programs(())
    refused = [name for name, files in one.items() if "refused" in files]
    print(
        f"{len(one)} variants of {len(FIELDS)} options, {len(refused)} of them refused: {refused}"
    )
    assert differing(one, other) == {}
    changed = {
        variant.option
        for variant in variants()
        if one[variant.name] != one[f"=defaults ({variant.network})"]
    }
    assert set(FIELDS) - changed <= IDLE


def test_blas_threads_do_not_change_a_fit(tmp_path: Path) -> None:
    """On a layer where one and two threads of BLAS do round otherwise, left alone."""
    case = float_case(tmp_path)
    variant = Variant("weight_slices", 1)
    found = []
    for count in (1, 2):
        with threadpool_limits(count, user_api="blas"):
            found.append(digests(variant, case, tmp_path / f"{count}.xbar"))
            assert blas_threads() == {count}
    assert found[0] == found[1]


def test_compilations_run_blas_on_one_thread(tmp_path: Path) -> None:
    seen = set()

    def look(_: str, __: int, ___: int) -> None:
        seen.update(blas_threads())

    case = float_case(tmp_path)
    with threadpool_limits(2, user_api="blas"):
        xbarc.compile(case.model, calibration=case.data, progress=look)
        assert blas_threads() == {2}
    assert seen == {1}


def test_the_last_of_several_restores_the_threads() -> None:
    """Compilations may overlap: the first to end must not let BLAS loose under the others."""
    with threadpool_limits(2, user_api="blas"):
        with ordered_sums():
            other = Thread(target=_enter_and_leave)
            other.start()
            other.join()
            assert blas_threads() == {1}
        assert blas_threads() == {2}


def _enter_and_leave() -> None:
    with ordered_sums():
        pass
