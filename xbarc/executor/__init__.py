"""Executing a program: every ADC code that the chip must give, and the values that follow.

`reference` is the definition in plain integers, `fast` gives the same bits sooner, `plain` is the
product that a lossless program must equal, `analog` runs the real-valued cells of a chip. An engine
is a class below `Accumulate`; to add one, write its file and let `run.StepRunner` choose it. `walk`
takes steps in order and forgets values that nobody reads any more, `tap` shows what passes a layer
to those who look: `xbarc.instruments`.
"""

from xbarc.executor.analog import AnalogLayer, Noise
from xbarc.executor.fast import FastLayer
from xbarc.executor.layer import LayerFrame, run_layer
from xbarc.executor.plain import PlainLayer
from xbarc.executor.reference import ReferenceLayer
from xbarc.executor.run import (
    Engine,
    Executor,
    StepRunner,
    check_feeds,
    layer_engine,
    layer_frame,
)

__all__ = [
    "AnalogLayer",
    "Engine",
    "Executor",
    "FastLayer",
    "LayerFrame",
    "Noise",
    "PlainLayer",
    "ReferenceLayer",
    "StepRunner",
    "check_feeds",
    "layer_engine",
    "layer_frame",
    "run_layer",
]
