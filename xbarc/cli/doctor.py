"""`xbarc doctor` and `xbarc --version`: what this installation is made of, and what it lacks."""

from __future__ import annotations

import json as json_format
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from xbarc.errors import EXIT_DONE, EXIT_NO, say_count
from xbarc.version import VERSION

# Every part that computes, or reads and writes files.
_PARTS = ("numpy", "onnx", "onnxruntime", "onnx-ir", "numba", "llvmlite", "scipy", "ortools")
_READERS = ("pydantic", "safetensors", "networkx", "rich", "typer")
_EXTRAS = {
    "torch": "xbarc train: pip install 'xbarc[train]'",
    "pandas": "tables as data frames: pip install 'xbarc[tables]'",
    "pyarrow": "tables as Parquet: pip install 'xbarc[tables]'",
}
# What the compiled loops use where the CPU has it; the results are the same without.
_FEATURES = ("avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vnni", "amx-int8", "neon", "sve")
_OK, _MISSING, _PROBLEM = "ok", "missing", "PROBLEM"


def versions_text() -> str:
    """Versions of xbarc, of Python and of every part, a line each."""
    rows = [("xbarc", VERSION), ("python", platform.python_version())]
    rows += [(name, _version(name) or "not installed") for name in (*_PARTS, *_EXTRAS)]
    return "\n".join(f"{name} {found}" for name, found in rows)


def doctor_command(
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> int:
    """Check this installation: versions, CPU, cache, memory, extras.

    Leaves with 1 when something is wrong that xbarc needs.
    """
    rows = [*_packages(), *_machine(), _cache(), *_extras()]
    if json:
        keys = ("name", "state", "found")
        print(json_format.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=1))
    else:
        from xbarc.cli.reporting import emit_tables
        from xbarc.rows import TableData

        emit_tables(TableData("", ("part", "state", "what was found"), tuple(rows)))
    return EXIT_NO if any(state == _PROBLEM for _, state, _ in rows) else EXIT_DONE


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _packages() -> list[tuple[str, str, str]]:
    place = Path(__file__).resolve().parents[1]
    rows = [
        ("xbarc", _OK, f"{VERSION} in {place}"),
        ("python", _OK, f"{platform.python_version()} in {sys.prefix}"),
    ]
    for name in (*_PARTS, *_READERS):
        found = _version(name)
        rows.append(
            (name, _OK if found else _PROBLEM, found or "not installed; install xbarc anew")
        )
    return rows


def _machine() -> list[tuple[str, str, str]]:
    import llvmlite.binding as llvm

    from xbarc.numerics import available_cores, limit_in_words

    features = llvm.get_host_cpu_features()
    seen = ", ".join(name for name in _FEATURES if features.get(name)) or "no vector features"
    cores = available_cores()
    return [
        ("machine", _OK, f"{platform.system()} {platform.machine()}, {llvm.get_host_cpu_name()}"),
        ("vectors", _OK, seen),
        (
            "threads",
            _OK,
            f"{say_count(cores, 'core')} may be used; --threads and --jobs take fewer",
        ),
        ("memory", _OK, limit_in_words()),
    ]


def _cache() -> tuple[str, str, str]:
    """Where compiled loops are kept; without such a place every process compiles them again."""
    from xbarc.numerics import loops_folder

    folder = loops_folder()
    if folder is None:
        return "cache", _MISSING, "no folder can be written; NUMBA_CACHE_DIR names one"
    return "cache", _OK, f"compiled loops in {folder}"


def _extras() -> list[tuple[str, str, str]]:
    """What can be installed beside."""
    found = [(name, _version(name), use) for name, use in _EXTRAS.items()]
    return [(name, _OK if has else _MISSING, has or use) for name, has, use in found]
