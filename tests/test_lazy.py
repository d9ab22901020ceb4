"""Modules that load on first use: once, whole for every thread, and with their own errors."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from types import ModuleType

import pytest

from xbarc.lazy import is_loaded, lazy_module


class _Gate(ModuleType):
    """What a module waits for in the middle of its body."""

    def __init__(self) -> None:
        super().__init__("lazy_gate")
        self.entered, self.opened, self.loads = Event(), Event(), 0


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Gate]:
    made = _Gate()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "lazy_gate", made)
    (tmp_path / "lazy_slow.py").write_text(
        "import lazy_gate\nlazy_gate.loads += 1\nfirst = 1\nlazy_gate.entered.set()\n"
        "lazy_gate.opened.wait(30)\nimport lazy_slow\nlast = lazy_slow.first + 1\n"
    )
    (tmp_path / "lazy_broken.py").write_text("raise ZeroDivisionError('as it says')\n")
    yield made
    for name in ("lazy_slow", "lazy_broken"):
        sys.modules.pop(name, None)


def test_no_thread_sees_half_a_module(gate: _Gate) -> None:
    module = lazy_module("lazy_slow")
    found: list[int] = []

    def read() -> None:
        found.append(module.last)

    threads = [Thread(target=read) for _ in range(3)]
    threads[0].start()
    assert gate.entered.wait(30)
    for thread in threads[1:]:
        thread.start()
    threads[1].join(0.1)
    assert threads[1].is_alive()  # it waits; half a module would have failed at once
    gate.opened.set()
    for thread in threads:
        thread.join(30)
    assert found == [2, 2, 2]
    assert gate.loads == 1


def test_nothing_loads_before_it_is_used(gate: _Gate) -> None:
    gate.opened.set()
    module = lazy_module("lazy_slow")
    assert lazy_module("lazy_slow") is module
    assert importlib.import_module("lazy_slow") is module  # an import is no use of it yet
    assert not is_loaded(module)
    assert gate.loads == 0
    assert module.first == 1
    assert type(module) is ModuleType
    assert is_loaded(module)
    with pytest.raises(AttributeError, match="absent"):
        _ = module.absent


def test_a_module_that_fails_says_why_each_time(gate: _Gate) -> None:
    gate.opened.set()
    module = lazy_module("lazy_broken")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match="as it says"):
            _ = module.anything


def test_a_missing_module_is_told_at_once() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        lazy_module("xbarc.no_such_module")


def test_packages_around_a_module_load_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "lazy_outer" / "inner").mkdir(parents=True)
    (tmp_path / "lazy_outer" / "__init__.py").write_text("")
    (tmp_path / "lazy_outer" / "inner" / "__init__.py").write_text("")
    (tmp_path / "lazy_outer" / "inner" / "leaf.py").write_text("from .. import inner\nvalue = 3\n")
    try:
        leaf = lazy_module("lazy_outer.inner.leaf")
        assert "lazy_outer" not in sys.modules
        assert leaf.value == 3
        assert sys.modules["lazy_outer"].inner.leaf is leaf
    finally:
        for name in ("lazy_outer.inner.leaf", "lazy_outer.inner", "lazy_outer"):
            sys.modules.pop(name, None)


def test_a_part_of_the_compiler_loads_after_the_places_of_tiles() -> None:
    """A lazy numba was found half loaded by files that import a part of it."""
    code = "import numpy; from xbarc.cost.mesh import tabu_search; tabu_search._Search; "
    done = subprocess.run(
        [sys.executable, "-c", f"{code}from numba.core import types; types.boolean"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
