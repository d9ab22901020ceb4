"""Interactive pages that stand alone: one palette, light and dark, and nothing leaves them.

A page is a `WebPage`: its own style, script and data, beside `base.css` and `base.js`, which all
pages share. What one page alone needs stays with that page.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
