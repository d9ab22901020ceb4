"""Exact integer arithmetic that several rooms share: formats, slices, packing, rounding, products.

Everything here is plain numpy and raises `ValueError`; the room that knows a layer's name turns
that into an `XbarcError`. A new helper goes into the file of its subject, with a property test.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
