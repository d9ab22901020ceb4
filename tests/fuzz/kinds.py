"""Every kind of fuzzing, by the name that the command line takes."""

from __future__ import annotations

from typing import Final

from tests.fuzz import models, npz, programs, targets
from tests.fuzz.kind import Kind

KINDS: Final = {
    "models": Kind(models.build, models.judge, salt=1),
    "programs": Kind(programs.build, programs.judge, salt=2),
    "npz": Kind(npz.build, npz.judge, salt=3),
    "targets": Kind(targets.build, targets.judge, salt=4),
}
