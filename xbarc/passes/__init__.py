"""Passes from `Network` to `Network`, and the per-layer functions of quantisation.

A pass over the whole network is a function in a file of its own; call it from a stage of the
compiler (`compiler/stages.py`). What looks at data takes statistics as values and works on one
layer at a time, so that memory holds one layer's weights.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
