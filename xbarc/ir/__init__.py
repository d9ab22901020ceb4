"""The two data structures: `Network` says what is computed, `Program` where and with which cells.

Everything is frozen dataclasses, tuples and arrays; a layer's blocks are axes of arrays, never
objects. `network` and `program` are the structures, `geometry` and `quantizers` their parts; `text`
prints them, `codes`, `effective` and `value_ranges` say what their numbers mean. Two rooms within:

    verify   the rules that hold for both
    files    a program as a folder, and other files

To add a field: put it into its dataclass, into `verify/` as a rule, into `files/schema.py` with a
new format number, and into `text.py`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
