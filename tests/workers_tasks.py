"""What workers do in tests of workers; they load this file and nothing of the tests."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from xbarc.errors import InputError
from xbarc.numerics import available_cores


def square(number: int) -> int:
    time.sleep(0.02 * (number % 3))  # later items may be done first
    return number * number


def refuse(number: int) -> int:
    if number == 3:
        raise InputError(f"{number} is too much", where="number", hint="take less")
    return number


def name_threads(_: int) -> tuple[str, int]:
    return os.environ["OMP_NUM_THREADS"], available_cores()


@dataclass(frozen=True)
class Die:
    """Kills its process when it meets the number 2, the first `times` times."""

    folder: Path
    times: int

    def __call__(self, number: int) -> int:
        deaths = len(list(self.folder.iterdir()))
        if number == 2 and deaths < self.times:
            (self.folder / str(deaths)).touch()
            os._exit(9)
        return number


def wait(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    time.sleep(120)


def return_local(number: int) -> Callable[[], int]:
    return lambda: number
