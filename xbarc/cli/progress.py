"""A progress bar on stderr, only where a person looks at it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from xbarc.errors import visible

Advance = Callable[[str, int, int], None]


@contextlib.contextmanager
def progress_bar(title: str) -> Iterator[Advance]:
    """A function that takes what is worked on, how much is done, and how much there is."""
    if not sys.stderr.isatty():  # before rich, whose import takes .1 CPU seconds
        yield lambda _name, _done, _total: None
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
