"""A progress bar on stderr, only where a person looks at it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from xbarc.cli.messages import is_quiet, is_verbose, tell
from xbarc.errors import visible

Advance = Callable[[str, int, int], None]


@contextlib.contextmanager
def progress_bar(title: str) -> Iterator[Advance]:
    """A function that takes what is worked on, how much is done, and how much there is."""
    # Before rich, whose import takes .1 CPU seconds.
    if is_quiet() or not sys.stderr.isatty():
        yield _steps(title) if is_verbose() else lambda _name, _done, _total: None
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
        yield lambda _name, _done, _total: None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    # Transient: what remains on the screen is the result.
    with Progress(*columns, *times, console=console, transient=True) as bars:
        task = bars.add_task(title, total=None)

        def advance(name: str, done: int, total: int) -> None:
            bars.update(task, description=f"{title} {visible(name)}", completed=done, total=total)

        yield advance


def _steps(title: str) -> Advance:
    """A line for each new step, where a log is kept and nobody looks at a bar."""
    last = ""

    def advance(name: str, done: int, total: int) -> None:
        nonlocal last
        if name != last:
            last = name
            tell(f"{title} {name}: {done} of {total}" if total else f"{title} {name}")

    return advance
