"""What each ONNX operator does, once: every room that has a question about operators asks here.

A row of `table.ROWS` is pure data: where entries of the result come from, whether they are moved or
computed and by which function, which factors pass, what bounds the result, which integers ONNX
Runtime runs it on. Readers of positions (`cost.flow`), of ranges (`intervals`), of scales, levels
and integers (`frontend`) act on those answers and on no names.

To add an operator, add its row. What follows from the row works at once, ranges included. Where an
answer takes more than the row can say, such as a range that depends on an attribute, write the rule
in the room that needs it: `intervals`, `frontend.scale_equivariant` or `frontend.carried`.
"""

from xbarc.operators.curves import SIGMOID, SOFTPLUS, error_function
from xbarc.operators.find import OPERATORS, find, named
from xbarc.operators.record import (
    EVERY,
    Array,
    Curve,
    Form,
    Kernels,
    Matrix,
    Operator,
    Scaling,
)

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
