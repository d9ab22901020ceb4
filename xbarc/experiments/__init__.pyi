from .programming import can_read_back, program_chip
from .robustness import MonteCarlo, Spread, monte_carlo
from .running import Chips, run_chips, samples_meet
from .sharing import Work, share_work
from .study import LineStudy, StudyPoint, Sweep, held_back, picture, study_lines

__all__ = [
    "Chips",
    "LineStudy",
    "MonteCarlo",
    "Spread",
    "StudyPoint",
    "Sweep",
    "Work",
    "can_read_back",
    "held_back",
    "monte_carlo",
    "picture",
    "program_chip",
    "run_chips",
    "samples_meet",
    "share_work",
    "study_lines",
]
