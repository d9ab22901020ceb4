"""Target files: where they lie, and reading one with the files that it is based on."""

from __future__ import annotations

import tomllib
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from xbarc.errors import TargetError
from xbarc.toml import parse_toml

SHARED_SOURCES = "sources.toml"
TargetName = Literal[
    "bnn128",
    "bnn256",
    "bnn512",
    "hermes256",
    "iot2",
    "iot4",
    "isaac",
    "neurram256",
    "puma",
    "rram128",
]
"""Shipped targets, which an editor offers; a test holds them equal to the files."""
# Targets that ship have 12 KiB at most; nothing larger than 1 MiB is read into memory.
_LARGEST_FILE = 1 << 20
_LONGEST_CHAIN = 16  # files; nobody builds a target of more, and an error names them all


def target_folder() -> Path:
    """The folder of shipped targets: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parents[1]
    # A checkout has no copy inside the package, and a wheel has nothing beside it.
    packaged = package / "targets"
    return packaged if packaged.is_dir() else package.parent / "targets"


def target_names() -> tuple[str, ...]:
    """Names that `--target` takes, sorted."""
    paths = target_folder().glob("*.toml")
    return tuple(sorted(path.stem for path in paths if path.name != SHARED_SOURCES))


def read_chain(name: str | Path) -> list[tuple[str, dict[str, Any]]]:
    """A target's file, after the one that it is based on, and so on: label and data of each.

    A file that has a base and no name is called after itself.

    Raises:
        TargetError: a file is not there or cannot be read, or the files are based on each other.
    """
    chain: list[tuple[str, dict[str, Any]]] = []
    seen: list[Path] = []
    wanted, folder = str(name), Path()
    while True:
        # A base is sought from the file that names it, not from where the command runs: a folder of
        # targets can be moved as a whole.
        path = find(wanted, folder, named_by=str(seen[-1]) if seen else "")
        # Resolved, or two spellings and links of one file would go round until the limit.
        seen.append(path.resolve())
        if seen[-1] in seen[:-1] or len(seen) > _LONGEST_CHAIN:
            raise TargetError(_loop(seen), where=str(name))
        data = read_toml(path)
        chain.insert(0, (wanted, data))
        base = data.get("base")
        if base is None:
            return chain
        if not isinstance(base, str):
            raise TargetError(f"base: expected a name or a path (found {base!r})", where=wanted)
        # Only of a file with a base: a root without a name is incomplete, and the schema says so.
        data.setdefault("name", path.stem)
        wanted, folder = base, path.parent


def _loop(seen: list[Path]) -> str:
    names = " -> ".join(path.name for path in seen)
    if seen[-1] in seen[:-1]:
        return f"base: the files are based on each other: {names}"
    return f"base: more than {_LONGEST_CHAIN} files are based on each other: {names}"


def find(text: str, folder: Path = Path(), named_by: str = "") -> Path:
    """The file of a target.

    Args:
        text: its name, or a path that ends in `.toml`.
        folder: what a path starts from.
        named_by: the file whose `base` it is; empty where the user named it.

    Raises:
        TargetError: there is none.
    """
    # Shipped names first, so that a file in the working folder cannot change what `--target
    # rram128` means.
    if text in target_names():
        return target_folder() / f"{text}.toml"
    path = folder / text
    where = f"{named_by}: base '{text}'" if named_by else text
    if path.suffix != ".toml":
        known = ", ".join(target_names())
        raise TargetError(
            "unknown target", where=where, hint=f"one of {known}, or a path to a .toml"
        )
    if not path.is_file():
        raise TargetError("no such file", where=where, hint="check the path")
    return path


# A target is read together with its base and the shared sources, and again for every design of a
# study: `load_target("rram128")` takes 1.5 ms, and took 3.4 where it parsed them each time.
@lru_cache(maxsize=32)  # three times as many files as there are targets
def _parse(text: str) -> dict[str, Any]:
    """The tables of a text."""
    return parse_toml(text)


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        TargetError: it cannot be read, or is far larger than a target.
    """
    try:
        # Before it is read: a path may point to anything.
        if path.stat().st_size > _LARGEST_FILE:
            raise TargetError("file is over 1 MiB, no target is", where=str(path))
        return deepcopy(_parse(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TargetError(f"cannot be read as TOML: {error}", where=str(path)) from error
