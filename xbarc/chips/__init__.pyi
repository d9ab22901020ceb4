from .chip_converters import ConverterCalibration
from .program_fit import FitOptions, fit_program

__all__ = [
    "ConverterCalibration",
    "FitOptions",
    "fit_program",
]
