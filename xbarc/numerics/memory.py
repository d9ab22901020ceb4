"""How much memory one array may take: what the machine has, or what the user says."""

from __future__ import annotations

import os
import re
from pathlib import Path

MEMORY = "XBARC_MEMORY"
"""Environment variable that replaces the machine's memory, such as `8G`; `--memory` sets it."""

ANOTHER_LIMIT = f"another limit with {MEMORY}=SIZE or --memory SIZE"
"""What messages about the limit advise."""

# Binary, whether written `8G` or `8GiB`: limits of control groups are told in them.
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_GROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_UNKNOWN = 1 << 36  # where the system does not tell: 64 GiB, so that absurd sizes are refused


def memory_limit() -> int:
    """Bytes that the arrays of one step may take.

    The least of the machine's memory and the limit of the control group, or `XBARC_MEMORY`.

    Raises:
        ValueError: `XBARC_MEMORY` is not a size.
    """
    asked = os.environ.get(MEMORY)
    return _machine() if asked is None else parse_size(asked)


def parse_size(text: str) -> int:
    """Bytes of `512M`, `8G`, `8GiB` or a plain number.

    Raises:
        ValueError: it is none of these.
    """
    found = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    size = 0 if found is None else int(float(found[1]) * _UNITS[found[2].upper()])
    if size < 1:
        raise ValueError(f"'{text}' is not a size; expected something like 512M or 8G")
    return size


def show_size(size: int) -> str:
    """Bytes for people."""
    for unit in ("T", "G", "M", "K"):
        if size >= _UNITS[unit]:
            return f"{size / _UNITS[unit]:,.1f} {unit}iB"
    return f"{size} bytes"


def limit_in_words() -> str:
    """What a message says of the limit: whose it is, and how large."""
    whose = (
        "this machine has" if MEMORY not in os.environ else f"the limit of --memory ({MEMORY}) is"
    )
    return f"{whose} {show_size(memory_limit())}"


def _machine() -> int:
    limits = [limit for name in _GROUPS if (limit := _group(Path(name)))]
    try:
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        limits.append(_UNKNOWN)
    # A control group without a limit of its own may report zero, or more than the machine has.
    return min(limit for limit in limits if limit > 0)


def _group(path: Path) -> int | None:
    """The limit of a control group; None where there is none, or it says `max`."""
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
