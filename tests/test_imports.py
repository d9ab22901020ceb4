"""Files import each other one way, and other rooms through their front door.

Both hold where only types or a function ask for something too. What a room exports stands in its
`__init__.pyi`, or in `__init__.py` where that has code of its own.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import networkx

from tests.test_house import parse

ROOT = Path(__file__).resolve().parents[1]


def _files() -> dict[str, Path]:
    """Every file of the package by the name of its module."""
    found = {}
    for path in (ROOT / "xbarc").rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def _exports() -> dict[str, str]:
    """Module of every name that a room passes on, by the room's name and its own."""
    found: dict[str, str] = {}
    for stub in (ROOT / "xbarc").glob("*/__init__.pyi"):
        room = f"xbarc.{stub.parent.name}"
        for node in ast.parse(stub.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom):
                names = (alias.name for alias in node.names)
                found |= {f"{room}.{name}": f"{room}.{node.module}" for name in names}
    return found


EXPORTS = _exports()


@cache
def _find_imports(text: str) -> list[ast.Import | ast.ImportFrom]:
    """All imports of a file, wherever they stand."""
    return [n for n in ast.walk(parse(text)) if isinstance(n, ast.Import | ast.ImportFrom)]


def _imported(text: str, files: dict[str, Path]) -> Iterator[str]:
    """Modules of the package that a file imports, anywhere in it, behind front doors too."""
    for node in _find_imports(text):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)
        elif node.module is not None:
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            inside = [EXPORTS.get(name, name) for name in inside]
            yield from (name if name in files else node.module for name in inside)


def circles(sources: dict[str, str], files: dict[str, Path]) -> list[list[str]]:
    """Groups of files of which each imports every other, by some way."""
    graph = networkx.DiGraph()
    for name, text in sources.items():
        graph.add_edges_from((name, other) for other in _imported(text, files) if other in files)
    return sorted(
        sorted(group) for group in networkx.strongly_connected_components(graph) if len(group) > 1
    )


def test_no_import_runs_in_a_circle() -> None:
    files = _files()
    assert len(files) > 300
    sources = {name: path.read_text(encoding="utf-8") for name, path in files.items()}
    assert circles(sources, files) == []


def test_a_circle_is_found_in_a_function_and_behind_a_check_of_types() -> None:
    files = dict.fromkeys(("xbarc", "xbarc.a", "xbarc.b", "xbarc.c"), ROOT)
    sources = {
        "xbarc.a": "def f():\n    from xbarc.b import g",
        "xbarc.b": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from xbarc import c",
        "xbarc.c": "import xbarc.a",
    }
    assert circles(sources, files) == [["xbarc.a", "xbarc.b", "xbarc.c"]]
    assert circles({**sources, "xbarc.c": "import numpy"}, files) == []


def _past_front_doors(name: str, text: str, files: dict[str, Path]) -> Iterator[str]:
    """What a file takes from the inside of another room, or of another room within its own."""
    for module in _written(text):
        rooms = [module[:place] for place, sign in enumerate(module) if sign == "."]
        for room in rooms[1:]:
            is_room = files.get(room, ROOT).name == "__init__.py"
            if is_room and name != room and not name.startswith(f"{room}."):
                yield module
                break


def _written(text: str) -> Iterator[str]:
    """Modules as imports name them."""
    for node in _find_imports(text):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif node.module is not None:
            yield node.module


def test_rooms_are_entered_by_their_front_door() -> None:
    files = _files()
    past = {
        name: list(_past_front_doors(name, path.read_text(encoding="utf-8"), files))
        for name, path in files.items()
        if "." in name
    }
    assert {name: found for name, found in past.items() if found} == {}
    inside = "from xbarc.ir.program import Program"
    assert list(_past_front_doors("xbarc.cost.parts", inside, files)) == ["xbarc.ir.program"]
    assert list(_past_front_doors("xbarc.ir.files", inside, files)) == []
    deep = "from xbarc.mapping.fitting.grids import Alone"
    assert list(_past_front_doors("xbarc.mapping.job", deep, files)) == [
        "xbarc.mapping.fitting.grids"
    ]
    assert list(_past_front_doors("xbarc.mapping.fitting.fit", deep, files)) == []


def test_what_a_room_exports_is_there() -> None:
    for name, home in EXPORTS.items():
        room, _, own = name.rpartition(".")
        module = importlib.import_module(room)
        assert own in module.__all__
        assert getattr(module, own) is getattr(importlib.import_module(home), own), name
