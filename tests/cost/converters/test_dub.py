"""D.U.B. arithmetic on the histograms its authors logged, and on cells."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given

from tests.builders import int_layer, mapped, small_target
from tests.strategies import Case, cases
from xbarc.cost.converters.dub_rule import block_bits, energy_ratio, sparsity_level, tile_bits
from xbarc.cost.converters.sizing_rules import RULES, converter_widths
from xbarc.errors import MappingError
from xbarc.ir.effective import cell_ranges, input_tops


def test_authors_histograms_give_the_headlines() -> None:
    vgg11 = dict(enumerate([61, 646, 827, 86, 767, 5481, 1134]))
    assert energy_ratio(vgg11, 32) == Fraction(45010, 6309)
    assert round(float(energy_ratio(vgg11, 32)), 3) == 7.134
    resnet18 = {0: 6, 1: 1964, 2: 757}
    assert energy_ratio(resnet18, 64) == Fraction(16362, 12884)
    assert round(float(energy_ratio(resnet18, 64)), 3) == 1.270


def test_levels_and_bits_of_a_tile() -> None:
    found = [sparsity_level(n, 32) for n in (32, 17, 16, 9, 8, 4, 2, 1, 0)]
    assert found == [0, 0, 1, 1, 2, 3, 4, 5, 6]
    assert [tile_bits(level, 32) for level in range(7)] == [5, 4, 3, 2, 1, 0, 0]
    with pytest.raises(ValueError, match="power of two"):
        sparsity_level(3, 24)
    with pytest.raises(ValueError, match="every tile is empty"):
        energy_ratio({6: 4}, 32)


@given(cases())
def test_the_rule_never_saturates_and_cells_never_need_more(case: Case) -> None:
    try:
        step = mapped(case.layer, case.target, **case.options)
    except MappingError:  # weights that an encoding cannot hold
        return
    bits = block_bits(step)
    low, high = cell_ranges(step)
    span = (high - low) * int(input_tops(step).max())
    block = np.searchsorted(step.tiling.conversion_bounds, np.arange(step.conversions), "right") - 1
    assert (span < (np.int64(1) << bits[:, :, block])).all()
    rules = {item.rule: item for item in converter_widths(step)}
    assert list(rules) == list(RULES)
    assert rules["from cells"].levels <= rules["D.U.B."].levels <= rules["worst case"].levels
    assert rules["from cells"].bits <= rules["D.U.B."].bits <= rules["worst case"].bits


def test_early_stopping_gives_each_column_its_own_width() -> None:
    weights = np.zeros((1, 64, 2), dtype=np.int64)
    weights[0, :, 1], weights[0, 0, 0] = 3, 3
    early = mapped(int_layer(weights), small_target(adc__stops_early="true"))
    rules = {item.rule: item for item in converter_widths(early)}
    assert rules["as set"] == type(rules["as set"])("as set", rules["from cells"].histogram)
    shared = mapped(int_layer(weights), small_target())
    assert converter_widths(shared)[0].bits > converter_widths(early)[0].bits
