"""Executing a program: every ADC code that the chip must give, and the values that follow.

`reference` is the definition in plain integers, `fast` gives the same bits sooner, `plain` is the
product that a lossless program must equal, `analog` runs the real-valued cells of a chip. An engine
is a class below `Accumulate`; to add one, write its file and let `run.StepRunner` choose it. `walk`
takes steps in order and forgets values that nobody reads any more, `tap` shows what passes a layer
to those who look: `xbarc.instruments`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
