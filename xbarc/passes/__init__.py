"""Passes from `Network` to `Network`, and the per-layer functions of quantisation.

A pass over the whole network is a function in a file of its own; call it from a stage of the
compiler (`compiler/stages.py`). What looks at data takes statistics as values and works on one
layer at a time, so that memory holds one layer's weights.
"""

from xbarc.passes.activations import choose_range, quantize_input
from xbarc.passes.binary import widen_binary
from xbarc.passes.dead import remove_dead_layers
from xbarc.passes.input_facts import Facts, fed_alike
from xbarc.passes.prune import prune_weights
from xbarc.passes.weights import quantize_weights

__all__ = [
    "Facts",
    "choose_range",
    "fed_alike",
    "prune_weights",
    "quantize_input",
    "quantize_weights",
    "remove_dead_layers",
    "widen_binary",
]
