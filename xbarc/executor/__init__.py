"""Executing a program: every ADC code that the chip must give, and the values that follow.

`reference` is the definition in plain integers, `fast` gives the same bits sooner, `plain` is the
product that a lossless program must equal, `analog` runs the real-valued cells of a chip. An engine
is a class with `accumulate` and `convolve`; to add one, write its file and let `run.StepRunner`
choose it.
"""

from xbarc.executor.analog import AnalogLayer, Noise
from xbarc.executor.fast import FastLayer
from xbarc.executor.layer import LayerFrame, run_layer
from xbarc.executor.observe import observe_sums, pooled_bits, sum_shift
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
from xbarc.executor.samples import sample_vectors

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
    "observe_sums",
    "pooled_bits",
    "run_layer",
    "sample_vectors",
    "sum_shift",
]
