from .curves import SIGMOID, SOFTPLUS, error_function
from .finding import OPERATORS, find, named
from .record import EVERY, Array, Curve, Form, Kernels, Matrix, Operator, Scaling

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
    "Scaling",
    "error_function",
    "find",
    "named",
]
