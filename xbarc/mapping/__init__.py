"""Mapping: a layer's integer weights onto arrays of non-negative cells.

`map_layer` is a plain function from a `MatrixLayer` and a `Target` to a `CrossbarStep`. Encodings
live in `encodings/`, cutting in `tiling.py`, physical places in `pack.py`, converters in `adc.py`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
