"""Cores that a process works on."""

from __future__ import annotations

import os

THREADS = "XBARC_THREADS"
"""Environment variable: threads that a process takes where nothing else is said."""


def available_cores() -> int:
    """Cores that this process may run on, or as many of them as `XBARC_THREADS` says."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        cores = os.cpu_count() or 1
    asked = os.environ.get(THREADS, "")
    return min(cores, int(asked)) if asked.isdecimal() and int(asked) else cores
