"""What the entries of a tensor can be: intervals through ONNX operators, never too narrow.

Every rule gives bounds that hold for every input there is. Float results are widened by more than
their operator can round by; an operator without a rule can give anything. To add an operator, write
its rule in `elementwise.py`, `moving.py` or `quantising.py` and name it in the table there.
"""

from xbarc.intervals.bounds import Bounds, anything, from_array, of_type
from xbarc.intervals.fragment import fragment_bounds

__all__ = ["Bounds", "anything", "fragment_bounds", "from_array", "of_type"]
