import ast
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from importlib import import_module, invalidate_caches
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest
from numba.core import caching

from xbarc.numerics import compiling

_LOOP = """
    from xbarc.numerics import WARM_MARK, compiled

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
    from xbarc.numerics import WARM_MARK, compiled

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


_TRIPLE = """
    from xbarc.numerics import WARM_MARK, compiled
    {lines}
    @compiled()
    def triple(number):
        return 3 * number
"""


def test_a_function_that_moved_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    kept = tmp_path / "__pycache__"
    kept.mkdir()
    others = ("loop_of_test.triple-9.py2.nbi", "loop_of_test.triple_of-2.py311.nbi", "notes.txt")
    for name in others:
        (kept / name).touch()
    counts = []
    for lines in (1, 4):
        _write(tmp_path, "loop_of_test", _TRIPLE.format(lines="\n" * lines))
        _forget()
        assert import_module("loop_of_test").triple(2) == 6
        counts.append(len(list(kept.iterdir())))
    assert counts[0] == counts[1] == len(others) + 2  # an index, and the code of one signature
    assert all((kept / name).is_file() for name in others)
    _forget()


_HELPED = """
    from xbarc.numerics import compiled

    @compiled()
    def _multiply(number, factor):
        return number * factor

    @compiled()
    def scale(number):
        return _multiply(number, 2) + _multiply(number, 3) + _multiply(number, number)
"""


def test_helpers_are_for_loops_alone_and_constants_are_no_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    _write(tmp_path, "loop_of_test", _HELPED)
    for hits in (0, 1):
        _forget()
        loops = import_module("loop_of_test")
        for _ in range(2):
            # A call that went through would end the process.
            with pytest.raises(TypeError, match="_multiply can be called by compiled functions"):
                loops._multiply(7, 2)
            assert loops.scale(7) == 84
        assert len(loops._multiply.signatures) == 1 - hits  # a kept loop holds its helpers
        assert sum(loops.scale.stats.cache_hits.values()) == hits
    _forget()


def _find_loops(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            calls = (ast.unparse(item).partition("(")[0] for item in node.decorator_list)
            if "compiled" in calls:
                yield node


def test_no_helper_is_called_from_python() -> None:
    """In the package and in benchmarks: it would be a TypeError, and few of these run in tests."""
    helpers, called = 0, []
    root = Path(compiling.__file__).parents[2]
    for path in (*root.glob("xbarc/**/*.py"), *root.glob("benchmarks/*.py")):
        text = path.read_text(encoding="utf-8")
        if "@compiled(" not in text:
            continue
        tree = ast.parse(text)
        loops = [*_find_loops(tree)]
        names = {loop.name for loop in loops if loop.name.startswith("_")}
        helpers += len(names)
        inside = {id(node) for loop in loops for node in ast.walk(loop)}
        called += [
            f"{path.name}: {node.func.id}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and id(node) not in inside
            if isinstance(node.func, ast.Name) and node.func.id in names
        ]
    assert helpers > 50
    assert called == []


_LONG = """
    import sys
    from loop_of_test import triple
    assert triple(int(sys.argv[1])) == 3 * int(sys.argv[1])
    print(sum(triple.stats.cache_misses.values()), sum(triple.stats.cache_hits.values()))
"""


def test_processes_that_start_together_compile_a_loop_once(tmp_path: Path) -> None:
    pytest.importorskip("fcntl", reason="no locks of files here")
    _write(tmp_path, "loop_of_test", _TRIPLE.format(lines="\n"))
    _write(tmp_path, "use_of_test", _LONG)
    path = os.pathsep.join((str(tmp_path), str(Path(__file__).parents[2])))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("NUMBA_CACHE_DIR", None)
    command = [sys.executable, str(tmp_path / "use_of_test.py"), "7"]
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = sorted(process.communicate(timeout=60)[0].split() for process in started)
    assert said == [["0", "1"], ["0", "1"], ["1", "0"]]
    assert not list(tmp_path.rglob("*.lock"))


def test_nobody_waits_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was stopped by hand holds its lock."""
    fcntl = pytest.importorskip("fcntl", reason="no locks of files here")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(compiling, "_PATIENCE", 0.1)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    _write(tmp_path, "loop_of_test", _TRIPLE.format(lines="\n"))
    _forget()
    triple = import_module("loop_of_test").triple
    with triple._cache._lock_file.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert triple(2) == 6
    assert len(list(tmp_path.rglob("*.nbi"))) == 1  # and what it made is kept
    _forget()


def test_a_package_that_cannot_be_written_keeps_code_with_its_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise OSError("read-only file system")

    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    for name in (name for name in vars(caching) if "InTreeCacheLocator" in name):
        monkeypatch.setattr(getattr(caching, name), "ensure_cache_path", refuse)
    for hits in (0, 1):
        _write(tmp_path, "loop_of_test", _TRIPLE.format(lines="\n"))
        _forget()
        triple = import_module("loop_of_test").triple
        assert triple(2) == 6
        assert Path(triple.stats.cache_path).is_relative_to(tmp_path / "user")
        assert sum(triple.stats.cache_hits.values()) == hits
    _forget()


def test_a_warm_folder_is_read_where_it_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image is filled by root and run by others."""

    def refuse(self: object) -> None:
        raise OSError("read-only file system")

    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    _write(tmp_path, "loop_of_test", _TRIPLE.format(lines="\n"))
    _forget()
    assert import_module("loop_of_test").triple(2) == 6
    kept = tmp_path / "__pycache__"
    before = sorted(kept.iterdir())
    for name in (name for name in vars(caching) if "CacheLocator" in name):
        monkeypatch.setattr(getattr(caching, name), "ensure_cache_path", refuse)
    (kept / compiling.WARM_MARK).touch()
    _forget()
    triple = import_module("loop_of_test").triple
    assert triple(2) == 6
    assert sum(triple.stats.cache_hits.values()) == 1
    assert sorted(kept.iterdir()) == sorted([*before, kept / compiling.WARM_MARK])
    _forget()


@pytest.mark.parametrize("library", ["numba", "llvmlite"])
def test_the_newest_allowed_compiler_is_the_tested_one(library: str) -> None:
    """Where it is installed, every test of a loop runs with it."""
    project = Path(__file__).parents[2] / "pyproject.toml"
    needs = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    bound = re.search(rf"^{library}>=[\d.]+,<(\d+)\.(\d+)$", "\n".join(needs), re.MULTILINE)
    assert bound is not None
    major, minor = map(int, version(library).split(".")[:2])
    below = (int(bound[1]), int(bound[2]))
    assert (major, minor) < below
    if (major, minor + 1) != below:
        pytest.skip(f"{library} {major}.{minor} is older than what is allowed")
