"""The two data structures: `Network` says what is computed, `Program` where and with which cells.

Everything is frozen dataclasses, tuples and arrays; a layer's blocks are axes of arrays, never
objects. To add a field: put it here, into `verify.py` as a rule, into `files.py` and `schema.py`
with a new format number, and into `text.py`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
