"""What cells and wires do to a program: variation, faults, noise, drift and line resistance.

Everything here is a pure function of a program, its target's figures and a seed. A `Chip` is one
manufactured sample: its `levels` are real numbers where the program holds whole ones, and the
analog engine converts their sums. To add an effect, name it in `options.running.Effect`, give
`CellModel` its figure in level units, and apply it in `chip.py` in the order of physics.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
