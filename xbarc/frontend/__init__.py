"""From an ONNX file to a `Network`: the only room that changes and writes models.

`read_network` loads and checks the file (`load`, `checks`, `tensors`), brings it into one form
(`normalise`, `qonnx`, `gemm`), finds the matrix layers (`matching`, `convolutions`, `products`,
`fold`), and cuts what is left into digital fragments (`partition`, `fragments`). Constants are
looked at when a layer asks for them (`constants`, `views`), so memory holds one layer at a time.

To add a matrix operator, write a function `(node, context) -> Matched` beside its relatives and put
it into `matching.RECOGNISERS`; raise `StaysDigital` with the reason where a crossbar cannot take
the node. To add a notation of integers, give `views.Views` a way to see it.
"""

from xbarc.frontend.binary import BinaryOptions
from xbarc.frontend.classifier import read_classifier, with_classifier, with_features
from xbarc.frontend.reader import fixed_feeds, read_network, runnable_model, source_digest
from xbarc.frontend.split_export import read_split, split_model

__all__ = [
    "BinaryOptions",
    "fixed_feeds",
    "read_classifier",
    "read_network",
    "read_split",
    "runnable_model",
    "source_digest",
    "split_model",
    "with_classifier",
    "with_features",
]
