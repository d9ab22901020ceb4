"""Experiments with programs on chips as they are made: cells that deviate, wires, stuck cells.

`robustness` runs one program on many chips, `programming` adapts a program to cells as they were
written, `study` sweeps the resistance of wires.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
