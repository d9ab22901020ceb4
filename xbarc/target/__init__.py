"""Targets: pydantic models of a chip, and the TOML files that fill them.

A target is data only, and every published number in it names its source. To add one, run
`xbarc targets new NAME --from rram128`, put new sources into `targets/sources.toml`, and run
`xbarc targets validate FILE`. `laws` says what each cost figure is given per and how it grows with
the array; `carrying` is the only place that applies those laws.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
