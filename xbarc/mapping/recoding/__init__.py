"""Recoding: signed digits of differential pairs, chosen so that converters need few bits.

A weight has many spellings in signed digits. `digits` chooses among them for a whole layer,
`encoding` is the encoding that programs them, and the two files of kernels hold compiled loops:
`digit_kernels` chooses digits at given prices, `width_kernels` the widths to aim at.
"""

from xbarc.mapping.recoding.digits import (
    MANY_WEIGHTS,
    Spelling,
    digit_sums,
    layer_start,
    promising_starts,
    recode,
    simple_digits,
)
from xbarc.mapping.recoding.encoding import Recoded

__all__ = [
    "MANY_WEIGHTS",
    "Recoded",
    "Spelling",
    "digit_sums",
    "layer_start",
    "promising_starts",
    "recode",
    "simple_digits",
]
