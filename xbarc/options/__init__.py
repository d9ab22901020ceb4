"""Options: each written once, as a field of a frozen model, for every way to give it.

`compiling.py` holds the options of a compilation, `values.py` what they are read into, `base.py`
what an option is, `keywords.py` their types for `xbarc.compile`, `files.py` the TOML file. Nothing
here loads numpy, for `xbarc --help` reads it. To add an option, see `compiling.py`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
