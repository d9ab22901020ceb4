"""Layers whose integers lie on chains, in an order and with signs that nobody knows any more."""

from __future__ import annotations

import numpy as np
import pytest

from tests.builders import int_layer, small_target
from tests.mapping.chains.test_chain_search import chains
from xbarc.ir import effective_weights
from xbarc.mapping import ArrayPool, fit_layer, map_layer
from xbarc.options import MapOptions


@pytest.mark.parametrize("outputs", [64, 127])
@pytest.mark.parametrize(
    ("bits", "slices", "rows"),
    [(1, 1, 150), (2, 1, 150), (2, 2, 150), (1, 1, 27), (2, 1, 27), (2, 2, 27)],
)
def test_integers_of_a_chain_are_mapped_as_they_are(
    outputs: int, bits: int, slices: int, rows: int
) -> None:
    weights, _ = chains(outputs, rows, 1 << (bits * slices), outputs, seed=outputs + slices)
    layer = int_layer(weights[None].astype(np.int8), weight_bits=bits * slices + 1)
    target = small_target(cell__bits=bits)
    options = MapOptions(encoding="acm", weight_slices=slices)
    fitted = fit_layer(layer, target, options, layer, None)
    pool = ArrayPool(target.array, options.pack)
    step = map_layer(fitted.layer, target, options, pool, fitted.arrangement, fitted.record)
    assert step.weight_slices == slices
    assert np.array_equal(effective_weights(step)[0], weights)
