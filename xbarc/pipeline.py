"""Passes: pure functions from a subject to a subject, run and verified in order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from xbarc.errors import VerifyError

T = TypeVar("T")


class Pass(ABC, Generic[T]):
    """One step of the compiler. Options and the target are fields of the subclass.

    `run` returns a new subject, or the same object when nothing applies.
    """

    name: str

    @abstractmethod
    def run(self, subject: T) -> T:
        """Transform the subject without changing it."""


def run_passes(
    subject: T,
    passes: Sequence[Pass[T]],
    verify: Callable[[T], None],
    observe: Callable[[str, T], None] | None = None,
) -> T:
    """Run passes in order; each result is verified, and an error names the pass.

    Raises:
        VerifyError: a pass broke a rule of the representation.
    """
    for item in passes:
        result = item.run(subject)
        if result is not subject:
            try:
                verify(result)
            except VerifyError as error:
                raise VerifyError(
                    error.message, where=f"after {item.name}: {error.where}"
                ) from error
        subject = result
        if observe is not None:
            observe(item.name, subject)
    return subject
