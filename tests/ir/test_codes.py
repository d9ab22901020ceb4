import numpy as np
import pytest

from xbarc.ir.codes import to_values
from xbarc.ir.quantizers import SignResult
from xbarc.numerics.types import AnyArray


@pytest.mark.parametrize("kind", ["int32", "int64", "float64"])
@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [
        (-1, 1, "float32"),
        (-0.1, 0.3, "float32"),
        (1e-30, 1e30, "float32"),
        (-3e38, 3e38, "float32"),
        (0, 1, "bool"),
        (-128, 127, "int8"),
        (3, 200, "uint8"),
        (-1, 1, "float16"),
    ],
)
def test_one_of_two_values(low: float, high: float, dtype: str, kind: str) -> None:
    """Whatever is quickest, it is the very number that the model goes on with."""
    threshold = np.array([2, -1, 1 << 40, 0])
    flip = np.array([0, 1, 0, 1], np.uint8)
    acc: AnyArray = np.arange(-6, 6, dtype=kind).reshape(3, 4)
    result = SignResult(threshold, flip, high, low, dtype)
    found = to_values(acc, result, np.ones((1, 1)))
    assert found.dtype == dtype
    for row, column in np.ndindex(acc.shape):
        fires = (acc[row, column] >= threshold[column]) != bool(flip[column])
        assert found[row, column] == np.dtype(dtype).type(high if fires else low)
