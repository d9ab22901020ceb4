import sys
import textwrap
from importlib import import_module, invalidate_caches
from pathlib import Path
from types import ModuleType

import pytest

from xbarc.numerics import compiling

_LOOP = """
    from xbarc.numerics import compiled

    @compiled()
    def add(pair):
        return pair.first + pair.second
"""


def _pair(name: str) -> str:
    return f"""
        from typing import NamedTuple

        class {name}(NamedTuple):
            first: int
            second: int
    """


def _write(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.py").write_text(textwrap.dedent(text))


def _forget() -> None:
    for name in ("pairs_of_test", "loop_of_test"):
        sys.modules.pop(name, None)
    invalidate_caches()


@pytest.mark.parametrize("is_writable", [True, False])
def test_kept_code_survives_classes_that_are_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_writable: bool
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    _write(tmp_path, "loop_of_test", _LOOP)
    for number, name in enumerate(("Pair", "Both", "Both")):
        _write(tmp_path, "pairs_of_test", _pair(name))
        _forget()
        kind = getattr(import_module("pairs_of_test"), name)
        add = import_module("loop_of_test").add
        if number and not is_writable:
            monkeypatch.setattr(type(add._cache), "flush", _refuse)
        assert add(kind(2, 3)) == 5
        hits = sum(add.stats.cache_hits.values())
        assert hits == (number == 2 and is_writable)  # the third time it was kept
    _forget()


_FROZEN = """
    from xbarc.constants_of_test import ADDED
    from xbarc.numerics import compiled

    @compiled()
    def add(value):
        return value + ADDED
"""


def test_kept_code_is_made_again_when_an_imported_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A constant of another file is frozen into the code: the function's own file says nothing."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(compiling, "_PACKAGE", tmp_path)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    _write(tmp_path, "loop_of_test", _FROZEN)
    for added, hits in ((1, 0), (2, 0), (2, 1)):
        constants = ModuleType("constants_of_test")
        constants.ADDED = added  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "xbarc.constants_of_test", constants)
        _write(tmp_path, "constants_of_test", f"ADDED = {added}")
        _forget()
        compiling._digest_sources.cache_clear()
        add = import_module("loop_of_test").add
        assert add(5) == 5 + added
        assert sum(add.stats.cache_hits.values()) == hits
    _forget()


def _refuse(cache: object) -> None:
    raise PermissionError(13, f"{cache} lies in a folder that cannot be written")
