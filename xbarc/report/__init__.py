"""Reports: one collector, and one small renderer a format.

`collect` turns a program into a `Report`, plain values that every renderer prints; `inspect` shows
where the cells of a layer or of a block stand. A renderer is a function from those values to text,
JSON, CSV or HTML. To add a format, write its file and name its function here. To add a section,
write its file (`section` says how) and give it a field of `Report`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
