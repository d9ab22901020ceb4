from .converting import Converters
from .placing import FitOptions, fit_program

__all__ = [
    "Converters",
    "FitOptions",
    "fit_program",
]
