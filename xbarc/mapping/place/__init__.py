"""Where rows and columns of a block lie in their array.

A placement is an order of a step's wordlines and bitlines, so it can change neither the cells nor
what they mean: `permute.py` maps `row_input`, `R` and `A` along. `units.py` says which columns must
stay neighbours, `assign.py` solves the assignments, `faults.py` prices known stuck cells,
`foreign.py` asks placements of other people.
"""

from xbarc.mapping.place.assign import Assignment, assign, assign_sorted
from xbarc.mapping.place.foreign import Order, Placement, Sites
from xbarc.mapping.place.permute import permute_columns, permute_rows, to_sense_side
from xbarc.mapping.place.units import column_lines, column_units

__all__ = [
    "Assignment",
    "Order",
    "Placement",
    "Sites",
    "assign",
    "assign_sorted",
    "column_lines",
    "column_units",
    "permute_columns",
    "permute_rows",
    "to_sense_side",
]
