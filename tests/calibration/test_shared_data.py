"""What designs share of calibration data: kept under all that it was made from, and no more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.calibration.test_refit import STATIC, narrow_layer, some_vectors
from xbarc.calibration.cells import IdealCells
from xbarc.calibration.converters import _LosslessData, observe_layer
from xbarc.calibration.prefix import Prefix
from xbarc.ir import InputFacts, ModelSource, Network
from xbarc.memo import Memo


def test_where_bins_lie_is_part_of_what_was_observed() -> None:
    """Two layers of the same cells, and of one more is known: its sums span less."""
    step = replace(narrow_layer(STATIC, 16, 1), facts=None)
    codes = some_vectors(40, 0)[:, 0]
    codes[:, ::2] = 0
    low = np.zeros((1, step.inputs), dtype=np.int64)
    told = replace(step, facts=InputFacts(low, np.where(np.arange(step.inputs) % 2, 255, low)))
    scale = np.float32(STATIC.scale)
    values = [{step.input: (codes.astype(np.float32) - STATIC.zero_point) * scale}]
    memo, widths = Memo(1 << 24), []
    for own in (step, told):
        found = _LosslessData([own], values, IdealCells(), memo).observe(own).statistics
        wanted = observe_layer(own, values).statistics
        assert (found.low, found.width) == (wanted.low, wanted.width)
        assert np.array_equal(found.counts, wanted.counts)
        widths.append(found.counts.shape[-1])
    assert widths[1] < widths[0]


def test_a_size_is_asked_only_of_what_is_kept() -> None:
    def refuse(_: int) -> int:
        raise AssertionError("asked for a size")

    prefix = Prefix(Network("none", ModelSource("none.onnx", ""), (), (), ()), [], exact=False)
    assert prefix.recall("key", lambda: 1, refuse) == 1
