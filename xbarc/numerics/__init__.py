"""Exact integer arithmetic that several rooms share: formats, slices, packing, rounding, products.

Everything here is plain numpy and raises `ValueError`; the room that knows a layer's name turns
that into an `XbarcError`. A new helper goes into the file of its subject, with a property test.
"""

from xbarc.numerics.exact import FLOAT32_EXACT, FLOAT64_EXACT, exact_matmul
from xbarc.numerics.formats import IntFormat, bits_for, holding, magnitude_bits
from xbarc.numerics.ordered import ordered_sums
from xbarc.numerics.packing import PackedCells, pack_cells, unpack_cells
from xbarc.numerics.rounding import Rounding, round_to_int
from xbarc.numerics.slices import shift_add, slice_count, slice_inputs, slice_weights

__all__ = [
    "FLOAT32_EXACT",
    "FLOAT64_EXACT",
    "IntFormat",
    "PackedCells",
    "Rounding",
    "bits_for",
    "exact_matmul",
    "holding",
    "magnitude_bits",
    "ordered_sums",
    "pack_cells",
    "round_to_int",
    "shift_add",
    "slice_count",
    "slice_inputs",
    "slice_weights",
    "unpack_cells",
]
