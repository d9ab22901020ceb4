"""What a kind of fuzzing is, and what can come of one case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np


class Result(StrEnum):
    """What came of a case."""

    EQUAL = "fine and equal"
    REFUSED = "refused"
    REFUSED_BY_BOTH = "refused by both"
    UNJUDGED = "fine, and no reference can run it"
    FINDING = "finding"


@dataclass(frozen=True)
class Verdict:
    """The answer to one case.

    Attributes:
        detail: one line: why it was refused, or what is wrong.
    """

    result: Result
    detail: str = ""


@dataclass(frozen=True)
class Kind:
    """One kind of input.

    Attributes:
        build: draws one case and writes it into an empty folder; gives the path to judge. The same
            generator state gives the same bytes.
        judge: tries the case. It may write beside the case.
        salt: makes seeds of one kind differ from those of another.
    """

    build: Callable[[np.random.Generator, Path], Path]
    judge: Callable[[Path], Verdict]
    salt: int

    def case(self, seed: int, folder: Path) -> Path:
        """Write the case of a seed."""
        return self.build(np.random.default_rng([self.salt, seed]), folder)
