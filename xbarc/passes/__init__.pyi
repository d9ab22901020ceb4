from .activations import choose_range, quantize_input
from .binary import widen_binary
from .dead import remove_dead_layers
from .equalise import apply_scales, balance_weights
from .given_steps import LayerSteps, with_input_step, with_weight_step
from .one_range import Bits, OneRange, choose_one_range
from .prune import prune_weights
from .range_analysis import Facts, with_codes_of
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
    "prune_weights",
    "quantize_input",
    "quantize_weights",
    "remove_dead_layers",
    "widen_binary",
    "with_codes_of",
    "with_input_step",
    "with_weight_step",
]
