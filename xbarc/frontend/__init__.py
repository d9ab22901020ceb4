"""From an ONNX file to a `Network`: the only room that changes and writes models.

`reader` answers what the rest of xbarc asks of a file. `loading/` loads and checks it, `canonical/`
brings it into one form, `matching` finds the matrix layers with the recognisers of `layers/` and
`binary/`, and `fragments/` cuts what is left into digital fragments. `graph/` answers questions to
a graph, `quantised/` those for integers that a model declares, `scales/` those for scales of
channels; `export/` writes models. Constants are read when a layer asks for them, so memory holds
one layer at a time.

To add a matrix operator, write a function `(node, context) -> Matched` beside its relatives in
`layers/` and put it into `matching.RECOGNISERS`; raise `StaysDigital` with the reason where a
crossbar cannot take the node. To add a notation of integers, give `quantised.views.Views` a way to
see it.
"""

import contextlib

import lazy_loader

from xbarc.lazy import lazy_module

# onnx_ir imports sympy, .3 CPU seconds, for sums of symbolic sizes, of which xbarc forms none.
for _name in ("sympy", "onnx_ir._symbolic_shapes"):
    with contextlib.suppress(ModuleNotFoundError):  # a private module, which may be gone one day
        lazy_module(_name)

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
