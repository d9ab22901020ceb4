"""Forests: outputs as edges between shared columns, and the levels of all columns found together.

The weight of an output is the difference of two columns. Where outputs share columns, the columns
of a row cannot be chosen one by one: `forest` finds the levels of least error by a dynamic
programme over the graph (`graph`), in an order that `plan` sets; `kernels` are its compiled loops.
"""

from xbarc.mapping.forests.forest import RowEncoder, encode, encode_exact, levels_needed
from xbarc.mapping.forests.graph import MID, Forest

__all__ = ["MID", "Forest", "RowEncoder", "encode", "encode_exact", "levels_needed"]
