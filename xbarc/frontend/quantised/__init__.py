"""Integers that a model declares: seen as views, carried through operators, and where they end."""

from xbarc.frontend.quantised.integer_view import (
    WIDEST,
    IntegerView,
    integer_format,
    scalar_of,
    stays_finite,
)
from xbarc.frontend.quantised.lost_integers import lost_input, lost_weights
from xbarc.frontend.quantised.views import Views

__all__ = [
    "WIDEST",
    "IntegerView",
    "Views",
    "integer_format",
    "lost_input",
    "lost_weights",
    "scalar_of",
    "stays_finite",
]
