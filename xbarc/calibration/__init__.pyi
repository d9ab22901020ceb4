from .budget import check_judge, fit_budget
from .cells import CalibrationCells, ChipCells, IdealCells
from .comparators import SenseWalk
from .converters import Choose, calibrate_converters, uniform
from .encoding_choice import choose_encoding
from .folds import FOLDS
from .prefix import Prefix
from .shared_settings import Request, Whole, make_request, plan_whole

__all__ = [
    "FOLDS",
    "CalibrationCells",
    "ChipCells",
    "Choose",
    "IdealCells",
    "Prefix",
    "Request",
    "SenseWalk",
    "Whole",
    "calibrate_converters",
    "check_judge",
    "choose_encoding",
    "fit_budget",
    "make_request",
    "plan_whole",
    "uniform",
]
