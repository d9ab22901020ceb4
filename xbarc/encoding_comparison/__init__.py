"""Encodings side by side: the same network, target and data, a row per encoding.

`comparison` holds what is said of each encoding, and its tables; `compare` compiles, reports and
checks.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
