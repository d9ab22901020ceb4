from .programming import can_read_back, program_chip
from .robustness import MonteCarlo, Spread, monte_carlo
from .study import LineStudy, StudyPoint, Sweep, held_back, picture, study_lines

__all__ = [
    "LineStudy",
    "MonteCarlo",
    "Spread",
    "StudyPoint",
    "Sweep",
    "can_read_back",
    "held_back",
    "monte_carlo",
    "picture",
    "program_chip",
    "study_lines",
]
