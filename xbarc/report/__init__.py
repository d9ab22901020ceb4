"""Reports: one collector, and one small renderer a format.

`collect` turns a program into a `Report`, plain values that every renderer prints. `sections/`
holds a file for each section, `formats/` a function from those values to text, JSON, CSV or HTML,
`pages/` what HTML pages are made of; `inspection/` shows where the cells of a layer or of a block
stand. To add a section, write its file in `sections/` (`section` says how) and give it a field of
`Report`. To add a format, write its file in `formats/` and name its function here.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
