"""Names for the array types that cross rooms."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.integer[Any]]
Int64Array = NDArray[np.int64]
Int8Array = NDArray[np.int8]
UInt8Array = NDArray[np.uint8]
FloatArray = NDArray[np.floating[Any]]
Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
AnyArray = NDArray[Any]
