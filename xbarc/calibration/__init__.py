"""What compiling learns from calibration data, layer by layer, as the network will run.

`prefix` holds the compiled prefix and the exact network beside it, `comparators` the same for sense
amplifiers. `converters` and `refit` set converters and what follows them, `budget` chooses their
bits with `sensitivity` and `scores`, `encoding_choice` the encoding, `shared_settings` what all
layers share.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
