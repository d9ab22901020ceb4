from .curves import SIGMOID, SOFTPLUS, error_function
from .finding import OPERATORS, find, find_by_name
from .record import EVERY, Array, Curve, Form, Kernels, Matrix, Operator, ScaleRule

__all__ = [
    "EVERY",
    "OPERATORS",
    "SIGMOID",
    "SOFTPLUS",
    "Array",
    "Curve",
    "Form",
    "Kernels",
    "Matrix",
    "Operator",
    "ScaleRule",
    "error_function",
    "find",
    "find_by_name",
]
