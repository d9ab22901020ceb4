"""Fitting a program to its chip at compile time: orders of rows and columns, and compensations.

`sensitivity` says what matters, `program_fit` finds orders of rows and columns (`placement_search`
by the executed network, from `responses`), `compensations` compensates for wires.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
