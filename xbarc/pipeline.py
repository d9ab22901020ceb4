"""A chain of named stages, run and timed in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Generic, TypeVar

from xbarc.errors import VerifyError

T = TypeVar("T")
Progress = Callable[[str, int, int], None]
"""Takes what is worked on, its number, and the count of its kind."""


@dataclass(frozen=True)
class Stage(Generic[T]):
    """One step of a chain: a pure function from a subject to a subject, and what it is for.

    Attributes:
        name: for `--print-after`, progress and errors.
        reads: what of the subject, the options and the data it depends on.
        makes: what it adds or changes.
        time: what its time grows with.
        run: gives a new subject, or the same object where nothing applies.
        wanted: whether there is anything to do; the stage is skipped otherwise.
        check: raises `VerifyError` where a new subject breaks a rule.
    """

    name: str
    reads: str
    makes: str
    time: str
    run: Callable[[T, Progress], T]
    wanted: Callable[[T], bool] = lambda _: True
    check: Callable[[T], None] = lambda _: None


Observer = Callable[[Stage[T], T, float | None], None]
"""Takes a stage, what it gave, and its seconds; None where it was skipped."""


def run_stages(
    subject: T,
    stages: Sequence[Stage[T]],
    progress: Progress | None = None,
    observe: Observer[T] | None = None,
) -> T:
    """Run stages in order; each new subject is checked, and an error names the stage.

    Raises:
        VerifyError: a stage broke a rule of the representation.
    """
    for stage in stages:
        seconds = None
        if stage.wanted(subject):
            start = perf_counter()
            subject = _run_stage(stage, subject, progress)
            seconds = perf_counter() - start
        if observe is not None:
            observe(stage, subject, seconds)
    return subject


def _run_stage(stage: Stage[T], subject: T, progress: Progress | None) -> T:
    def tell(name: str, number: int, count: int) -> None:
        if progress is not None:
            progress(f"{stage.name}: {name}" if name else stage.name, number, count)

    # Before the work: a stage without layers to count shows its name too.
    tell("", 0, 1)
    result = stage.run(subject, tell)
    # The same object means that nothing applied, so nothing can have broken.
    if result is not subject:
        try:
            stage.check(result)
        # The rule says what is broken, only the chain knows by whom.
        except VerifyError as error:
            raise VerifyError(error.message, where=f"after {stage.name}: {error.where}") from error
    return result
