"""Passes from `Network` to `Network`, and the per-layer functions of quantisation.

A pass over the whole network subclasses `Pass` and stands in one file; add it to the tuple in
`compiler.py`. What looks at data takes statistics as values and works on one layer at a time, so
that memory holds one layer's weights.
"""

from xbarc.passes.activations import RangeMethod, choose_range, quantize_input
from xbarc.passes.binary import widen_binary
from xbarc.passes.dead import RemoveDeadLayers
from xbarc.passes.input_facts import Facts, fed_alike
from xbarc.passes.prune import Pruning, parse_pruning, prune_weights
from xbarc.passes.weights import quantize_weights

__all__ = [
    "Facts",
    "Pruning",
    "RangeMethod",
    "RemoveDeadLayers",
    "choose_range",
    "fed_alike",
    "parse_pruning",
    "prune_weights",
    "quantize_input",
    "quantize_weights",
    "widen_binary",
]
