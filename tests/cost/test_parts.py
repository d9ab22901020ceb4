from __future__ import annotations

import pytest

from tests.report.programs import small_target
from xbarc.cost import (
    Counts,
    adc_area_um2,
    adc_energy_pj,
    area_parts,
    energy_parts,
    full_chip,
    full_steps,
    total,
    widths,
    write_parts,
)
from xbarc.cost.converters.adc_models import (
    energy_band,
    further_opinions,
    neurosim_sar_pj,
    zigzag_pj,
    zigzag_um2,
)
from xbarc.target import energy_factor, load_target

# One cycle of a whole ISAAC macro (8 arrays), everything busy.
IMA = Counts(
    array_reads=8,
    wordline_drives=1024,
    samples=1024,
    conversions=widths({8: 1024}),
    bit_steps=full_steps({8: 1024}),
    shift_adds=1024,
    register_bytes=144,
)


def known(value: float | None) -> float:
    assert value is not None
    return value


def test_isaac_macro_power_closes() -> None:
    energy = known(total(energy_parts(IMA, load_target("isaac"))))
    assert energy / 100 == pytest.approx(24.08, rel=1e-3)  # pJ / 100 ns = mW


def test_isaac_areas_close() -> None:
    isaac = load_target("isaac")
    ima = Counts(arrays=8, adcs=widths({8: 8}), macros=1)
    assert known(total(area_parts(ima, isaac))) / 1e6 == pytest.approx(0.01312, rel=5e-3)
    chip = known(total(area_parts(full_chip(isaac), isaac))) / 1e6
    assert chip == pytest.approx(85.4, rel=5e-3)


def test_isaac_adc_power_from_activity() -> None:
    conversions = 16128 * 128 / 100e-9
    watts = conversions * adc_energy_pj(8, load_target("isaac").costs.adc) * 1e-12
    assert watts == pytest.approx(32.256, rel=5e-3)


def test_a_multiplier_of_columns_is_priced_where_there_is_one() -> None:
    counts = Counts(column_scalings=100, adcs=widths({1: 8}))
    plain = load_target("rram128")
    assert not any("column scale" in part.name for part in energy_parts(counts, plain))
    assert not any("column scale" in part.name for part in area_parts(counts, plain))
    unknown = load_target("rram128", ["adc.scale_bits=4"])
    assert total(energy_parts(counts, unknown)) is None
    assert total(area_parts(counts, unknown)) is None
    priced = load_target(
        "rram128",
        [
            "adc.scale_bits=4",
            "costs.column_scale_energy=0.03",
            "costs.column_scale_area=25.0",
        ],
    )
    more = known(total(energy_parts(counts, priced))) - known(total(energy_parts(counts, plain)))
    assert more == pytest.approx(100 * 0.03)
    more = known(total(area_parts(counts, priced))) - known(total(area_parts(counts, plain)))
    assert more == pytest.approx(8 * 25.0)
    # a layer without factors multiplies nothing
    assert known(total(energy_parts(Counts(array_reads=1), unknown))) > 0


@pytest.mark.parametrize(
    ("bits", "energy", "area"),
    [
        (4, 0.79, 361.04),
        (5, 0.99, 476.91),
        (6, 1.20, 626.91),
        (7, 1.42, 845.18),
        (8, 1.6667, 1200),
        (9, 1.969, 1827.91),
        (10, 2.379, 3002.008),
    ],
)
def test_the_adc_law_meets_its_table(bits: int, energy: float, area: float) -> None:
    costs = load_target("rram128").costs.adc
    assert adc_energy_pj(bits, costs) == pytest.approx(energy, abs=6e-3)
    assert adc_area_um2(bits, costs) == pytest.approx(area, rel=1e-4)


def test_one_bit_is_a_comparator_and_never_free() -> None:
    costs = load_target("bnn128").costs.adc
    assert adc_energy_pj(1, costs) == costs.comparator_energy.value > 0
    assert adc_area_um2(1, costs) == costs.comparator_area.value > 0
    assert adc_energy_pj(0, costs) == 0


def test_doubling_counts_doubles_every_part() -> None:
    target = small_target("hierarchy.tiles_per_chip=1")
    counts = IMA + Counts(
        buffer_bytes=3, router_bytes=5, digital_macs=7, tile_time_ns=11, link_time_ns=2
    )
    for once, twice in zip(
        energy_parts(counts, target), energy_parts(counts.times(2), target), strict=True
    ):
        assert twice.total == pytest.approx(2 * known(once.total))
    hardware = full_chip(target)
    for once, twice in zip(
        area_parts(hardware, target), area_parts(hardware.times(2), target), strict=True
    ):
        assert twice.total == pytest.approx(2 * known(once.total))


def test_an_unknown_figure_makes_the_total_unknown() -> None:
    target = small_target()
    parts = write_parts(Counts(cells_written=10), target)
    assert parts[0].total is None
    assert total(parts) is None


def test_a_total_is_the_sum_of_its_parts() -> None:
    parts = energy_parts(IMA, small_target())
    assert total(parts) == pytest.approx(sum(part.count * known(part.unit_cost) for part in parts))


def test_other_tools_converters_are_printed_beside_the_band() -> None:
    """Check values of both models at their own nodes, and the band without them."""
    assert zigzag_pj(8) == pytest.approx(0.701, abs=0.001)
    assert zigzag_um2(8) == pytest.approx(2085, rel=0.001)
    assert neurosim_sar_pj(8, 32) == pytest.approx(0.1614, abs=0.0001)
    target = load_target("rram128")
    found = {opinion.model: opinion for opinion in further_opinions(8, target)}
    assert found["zigzag"].node_factor == pytest.approx(energy_factor(28, 32))
    assert found["NeuroSim SAR"].energy_pj == pytest.approx(0.1614, abs=0.0001)
    assert energy_band(8, target)[0] > neurosim_sar_pj(8, 32)
    assert further_opinions(1, target) == ()
    with pytest.raises(ValueError, match="no figures at 28 nm"):
        neurosim_sar_pj(8, 28)
