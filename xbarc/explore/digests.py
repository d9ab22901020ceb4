"""Digests of the code that results depend on: ours, and that of methods from other packages."""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib.machinery import PathFinder
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import xbarc
from xbarc.numerics import Digest
from xbarc.plugins import is_import_path
from xbarc.version import VERSION

# Rooms on which no program, no figure and no answer depends; what is left is the version of every
# stage. Totals are the report's, and proofs are this room's own.
_ASIDE = frozenset({"cli", "train", "testing", "experiments"})


@lru_cache(maxsize=1)
def code_digest() -> str:
    """The version of all code that a program or an answer depends on.

    Of the source itself: between two releases a changed rule would otherwise meet results that
    were stored under the old one.
    """
    root = Path(xbarc.__file__).parent
    digest = Digest()
    digest.add(VERSION)
    for path in sorted(root.rglob("*.py")):
        place = path.relative_to(root)
        if place.parts[0] not in _ASIDE:
            digest.add(place.as_posix())
            digest.add(path.read_bytes())
    return digest.text()


def changed_since(moment: float) -> bool:
    """Whether any of this code was installed or edited after a moment, in seconds of the clock.

    A process that began before may execute what stood there then, and `code_digest` reads what
    stands there now. The time of change of a file counts: its time of modification may be older,
    where a package is unpacked.
    """
    files = Path(xbarc.__file__).parent.rglob("*.py")
    return any(path.stat().st_ctime > moment for path in files)


@lru_cache(maxsize=64)
def method_digest(name: str) -> str:
    """The source behind a method of another package; empty for a name that is ours, or of nothing.

    Args:
        name: what an option was given: a registered name, or `package:Name`.
    """
    paths = [name] if is_import_path(name) else [one.value for one in _registered(name)]
    digest = Digest()
    for path in sorted(paths):
        spec = PathFinder.find_spec(path.partition(":")[0].partition(".")[0], sys.path)
        if spec is None:
            continue  # told when it is loaded
        folders = [Path(place) for place in spec.submodule_search_locations or ()]
        own = [] if folders or spec.origin is None else [Path(spec.origin)]
        for file in sorted([*own, *(one for folder in folders for one in folder.rglob("*.py"))]):
            digest.add(file.name)
            digest.add(file.read_bytes())
    return digest.text() if paths else ""


def _registered(name: str) -> list[Any]:
    return [point for point in entry_points(name=name) if point.group.startswith("xbarc.")]
