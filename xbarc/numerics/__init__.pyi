from .blas_threads import ordered_sums
from .compiling import WARM_MARK, compiled, kept_loops, loops_folder
from .cores import THREADS, available_cores
from .digests import Digest, digest_of
from .exact import FLOAT32_EXACT, FLOAT64_EXACT, exact_matmul, exact_type
from .formats import IntFormat, bits_for, magnitude_bits, narrowest_format
from .joining import ByteTables
from .memory import ANOTHER_LIMIT, limit_in_words, memory_limit, show_size
from .packing import (
    PackedCells,
    WeightCodes,
    count_levels,
    is_worth_loops,
    pack_cells,
    packed_bytes,
    sum_columns,
    unpack_cells,
)
from .rounding import Rounding, round_to_int
from .showing import short_repr
from .slices import shift_add, slice_count, slice_inputs, slice_weights
from .types import (
    AnyArray,
    BoolArray,
    Float32Array,
    Float64Array,
    FloatArray,
    Int8Array,
    Int64Array,
    IntArray,
    UInt8Array,
)

__all__ = [
    "ANOTHER_LIMIT",
    "FLOAT32_EXACT",
    "FLOAT64_EXACT",
    "THREADS",
    "WARM_MARK",
    "AnyArray",
    "BoolArray",
    "ByteTables",
    "Digest",
    "Float32Array",
    "Float64Array",
    "FloatArray",
    "Int8Array",
    "Int64Array",
    "IntArray",
    "IntFormat",
    "PackedCells",
    "Rounding",
    "UInt8Array",
    "WeightCodes",
    "available_cores",
    "bits_for",
    "compiled",
    "count_levels",
    "digest_of",
    "exact_matmul",
    "exact_type",
    "is_worth_loops",
    "kept_loops",
    "limit_in_words",
    "loops_folder",
    "magnitude_bits",
    "memory_limit",
    "narrowest_format",
    "ordered_sums",
    "pack_cells",
    "packed_bytes",
    "round_to_int",
    "shift_add",
    "short_repr",
    "show_size",
    "slice_count",
    "slice_inputs",
    "slice_weights",
    "sum_columns",
    "unpack_cells",
]
