"""The one form that recognisers read: calls inlined, branches taken, QONNX and Gemm rewritten.

`normalise` applies the rewrites in their order. To add one, write its function in a file of its own
and call it there.
"""

from xbarc.frontend.canonical.constant_branches import condition_inputs
from xbarc.frontend.canonical.fixed_inputs import fixed_arrays
from xbarc.frontend.canonical.gemm import is_output_vector, transposes
from xbarc.frontend.canonical.normalise import Normal, normalise

__all__ = [
    "Normal",
    "condition_inputs",
    "fixed_arrays",
    "is_output_vector",
    "normalise",
    "transposes",
]
