"""`xbarc view`: a program as one page of four linked panes, or served where it is large.

`overview` says what the page knows from the start, `arrays` what it shows of one physical array.
Both kinds of page take the same bytes: a page that stands alone holds them for every array, a
served one asks for them. To add an overlay, give it what it needs in `arrays.py` and a colour of
cells in `overlays.js`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
