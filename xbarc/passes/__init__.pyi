from .activations import choose_range, quantize_input
from .alike import LayerSteps, input_alike, weights_alike
from .binary import widen_binary
from .dead import remove_dead_layers
from .equalise import apply_scales, balance_weights
from .input_facts import Facts, fed_alike
from .one_range import Bits, OneRange, choose_one_range
from .prune import prune_weights
from .weights import quantize_weights

__all__ = [
    "Bits",
    "Facts",
    "LayerSteps",
    "OneRange",
    "apply_scales",
    "balance_weights",
    "choose_one_range",
    "choose_range",
    "fed_alike",
    "input_alike",
    "prune_weights",
    "quantize_input",
    "quantize_weights",
    "remove_dead_layers",
    "weights_alike",
    "widen_binary",
]
