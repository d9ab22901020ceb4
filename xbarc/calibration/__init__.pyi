from .budget import fit_budget
from .cells import Cells, ChipCells, IdealCells
from .choosing import choose_encoding
from .comparators import SenseWalk
from .converters import Choose, calibrate_converters, uniform
from .folds import PARTS
from .prefix import Prefix
from .shared_settings import Request, Whole, make_request, plan_whole

__all__ = [
    "PARTS",
    "Cells",
    "ChipCells",
    "Choose",
    "IdealCells",
    "Prefix",
    "Request",
    "SenseWalk",
    "Whole",
    "calibrate_converters",
    "choose_encoding",
    "fit_budget",
    "make_request",
    "plan_whole",
    "uniform",
]
