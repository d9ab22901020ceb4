"""From an ONNX file to a `Network`: the only room that changes and writes models.

`read_network` loads and checks the file (`load`, `checks`, `tensors`), brings it into one form
(`normalise`, `qonnx`, `gemm`), finds the matrix layers (`matching`, `convolutions`, `products`,
`fold`), and cuts what is left into digital fragments (`partition`, `fragments`). Constants are
looked at when a layer asks for them (`constants`, `views`), so memory holds one layer at a time.

To add a matrix operator, write a function `(node, context) -> Matched` beside its relatives and put
it into `matching.RECOGNISERS`; raise `StaysDigital` with the reason where a crossbar cannot take
the node. To add a notation of integers, give `views.Views` a way to see it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
