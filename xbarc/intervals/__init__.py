"""What the entries of a tensor can be: intervals through ONNX operators, never too narrow.

Every rule gives bounds that hold for every input there is. Float results are widened by more than
their operator can round by; of an operator that the table of operators says nothing about, anything
is expected. Most rules follow from the table (`rules`); the others stand in the file of their kind,
named in `RULES` there. A test asks for an example of each, from which random graphs are drawn.
`Bounds` alone decides how ends lie along axes, so that no
rule can make ends of another rank than their tensor has.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
