"""Files import each other one way, also where only types or a function ask for it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import networkx

ROOT = Path(__file__).resolve().parents[1]


def _files() -> dict[str, Path]:
    """Every file of the package by the name of its module."""
    found = {}
    for path in (ROOT / "xbarc").rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def _imported(tree: ast.AST, files: dict[str, Path]) -> Iterator[str]:
    """Modules of the package that a file imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in files else node.module for name in inside)


def circles(sources: dict[str, str], files: dict[str, Path]) -> list[list[str]]:
    """Groups of files of which each imports every other, by some way."""
    graph = networkx.DiGraph()
    for name, text in sources.items():
        graph.add_edges_from(
            (name, other) for other in _imported(ast.parse(text), files) if other in files
        )
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
