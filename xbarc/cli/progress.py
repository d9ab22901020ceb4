"""A progress bar on stderr, only where a person looks at it."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from xbarc.cli.messages import is_quiet, is_verbose, tell
from xbarc.errors import visible

Advance = Callable[[str, int, int], None]


_EVERY_S = 20.0
"""Seconds from one line of a log to the next: an hour of work leaves 180 of them."""


@contextlib.contextmanager
def progress_bar(title: str, *, logs: bool = False) -> Iterator[Advance]:
    """A function that takes what is worked on, how much is done, and how much there is.

    Args:
        title: of the work.
        logs: whether a pipe gets a line now and then too, for work of minutes to days.
    """
    # Before rich, whose import takes .1 CPU seconds.
    if is_quiet() or not sys.stderr.isatty():
        yield _log(title, logs=logs)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _ignore
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    # Transient: what remains on the screen is the result.
    with Progress(*columns, *times, console=console, transient=True) as bars:
        task = bars.add_task(title, total=None)

        def advance(name: str, done: int, total: int) -> None:
            bars.update(task, description=f"{title} {visible(name)}", completed=done, total=total)

        yield advance


def _log(title: str, *, logs: bool) -> Advance:
    """What a log gets: nothing, each step, or a line now and then."""
    if is_quiet() or not (logs or is_verbose()):
        return _ignore
    return _steps(title) if is_verbose() else log_lines(title)


def _ignore(name: str, done: int, total: int) -> None:
    """For whoever wants no progress."""


def _steps(title: str) -> Advance:
    """A line for each new step, where a log is kept and nobody looks at a bar."""
    last = ""

    def advance(name: str, done: int, total: int) -> None:
        nonlocal last
        if name != last:
            last = name
            tell(f"{title} {name}: {done} of {total}" if total else f"{title} {name}")

    return advance


def log_lines(title: str, clock: Callable[[], float] = time.monotonic) -> Advance:
    """A line every `_EVERY_S` seconds, so that a log shows that work goes on.

    Args:
        title: of the work.
        clock: in seconds.
    """
    begin = last = clock()

    def advance(name: str, done: int, total: int) -> None:
        nonlocal last
        now = clock()
        if now - last < _EVERY_S:
            return
        last = now
        many = f": {done:,} of {total:,}" if total else ""
        tell(f"{title} {name}{many}, {now - begin:,.0f} s")

    return advance
