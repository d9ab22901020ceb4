"""What a full array does: the encoding itself says it, and mapping agrees."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest

from tests.builders import int_layer, mapped, small_target
from xbarc.cost import FullLoad, chip_cost
from xbarc.errors import TargetError
from xbarc.mapping import encoding_names
from xbarc.mapping.whole_chip import full_load
from xbarc.report import chip_report, source_rows
from xbarc.target import Target, load_target

NAMES = (*encoding_names(), "segmented:3", "segmented:7-analog")


def _without_peak(encoding: str, **fields: int) -> Target:
    return small_target("iot4", precision__encoding=encoding, **fields)


def _load(target: Target) -> FullLoad:
    found = full_load(target)
    assert found is not None
    return found


@pytest.mark.parametrize("columns", [5, 64])
@pytest.mark.parametrize("bits", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_a_full_load_is_what_mapping_puts_into_one_array(
    name: str, bits: int, columns: int
) -> None:
    """So many outputs take one array and so many conversions; one more takes two arrays."""
    target = _without_peak(
        name, cell__bits=bits, array__columns=columns, array__rows=6, array__active_rows=6
    )
    load = _load(target)
    if load.outputs < 1:
        return
    wide = np.full((1, 6, int(load.outputs) + 1), 7)
    wide[:, 0] = 6  # no common factor that a digital shift could take
    wide[:, ::2, ::2] *= -1  # both signs in every output, and neighbours that differ
    wide[:, 1::2, 1::2] *= -1
    full = mapped(int_layer(wide[:, :, :-1], weight_bits=4), target, encoding=name)
    more = mapped(int_layer(wide, weight_bits=4), target, encoding=name)
    assert (full.tiling.array.size, full.conversions) == (1, load.conversions)
    assert more.tiling.array.size > 1


@pytest.mark.parametrize("name", NAMES)
def test_the_chip_at_full_load_follows_from_the_encoding(name: str) -> None:
    target = _without_peak(name)
    load = _load(target)
    cost = chip_cost(target, "array", load=load)
    assert cost.macs == target.array.rows * load.outputs
    slices = ceil(target.precision.activation_bits / target.input.dac_bits)
    segments = ceil(target.array.rows / target.array.active_rows)
    assert cost.counts.all_conversions == load.conversions * slices * segments


@pytest.mark.parametrize("suffix", ["", "-analog"])
def test_centred_pairs_are_pairs(suffix: str) -> None:
    """A centre is digital: the columns of a weight are those of the pair."""
    pairs, centred = (_without_peak(name + suffix) for name in ("differential", "centre"))
    assert _load(pairs) == _load(centred)
    levels = [chip_report(t, source_rows(t), full_load(t)).levels for t in (pairs, centred)]
    assert levels[0] == levels[1]


def test_what_the_target_states_comes_first() -> None:
    """A chip that publishes its columns a weight is rolled up by them."""
    target = load_target("isaac")
    assert chip_cost(target, load=_load(target)).macs == chip_cost(target).macs


def test_an_encoding_by_layer_has_no_full_load() -> None:
    target = _without_peak("auto")
    assert full_load(target) is None
    with pytest.raises(TargetError, match=r"precision\.encoding: encoding auto"):
        chip_report(target, source_rows(target), full_load(target))
