"""Whole chip: what concerns all layers of a network at once, and not one layer's arrays.

`phases` divides a network that is larger than the chip, `worst_load` says what an array full of
weights does.
"""

from xbarc.mapping.whole_chip.phases import Load, Phases, choose_phases, fewest_phases, loads_of
from xbarc.mapping.whole_chip.worst_load import full_load

__all__ = ["Load", "Phases", "choose_phases", "fewest_phases", "full_load", "loads_of"]
