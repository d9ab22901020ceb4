"""What the entries of a tensor can be: intervals through ONNX operators, never too narrow.

Every rule gives bounds that hold for every input there is. Float results are widened by more than
their operator can round by; an operator without a rule can give anything. To add an operator, write
its rule in the file of its kind and name it in the table there; a test then asks for an example of
it, from which random graphs are drawn. `Bounds` alone decides how ends lie along axes, so that no
rule can make ends of another rank than their tensor has.
"""

from xbarc.intervals.bounds import Bounds, along, anything, from_array
from xbarc.intervals.fragment import fragment_bounds

__all__ = ["Bounds", "along", "anything", "fragment_bounds", "from_array"]
