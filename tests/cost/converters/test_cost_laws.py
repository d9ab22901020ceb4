"""Cost laws of other people: asked wherever converters are priced, and named as the source."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.builders import int_layer, mapped, program_of, small_target
from xbarc.cost import area_parts, energy_parts, full_chip, total
from xbarc.cost.converters.adc_models import adc_area_um2, adc_energy_pj
from xbarc.cost.converters.cost_law import CostLaw, price_program, with_law, without_law
from xbarc.errors import MappingError, XbarcError
from xbarc.ir.program import Program
from xbarc.mapping.converters import costs_by_law
from xbarc.report import collect
from xbarc.report.model import Report
from xbarc.target import Target, load_target, target_names
from xbarc.testing import ConformanceError, check_cost_law


@dataclass(frozen=True)
class Same(CostLaw):
    """The target's own figures, times a factor; `fault` is what goes wrong."""

    factor: float = 1.0
    fault: str = ""
    name: str = "same"

    def conversion_energy(self, bits: int, target: Target) -> float:
        match self.fault:
            case "negative":
                return -1.0
            case "nan":
                return float("nan")
            case "text":
                return "much"  # type: ignore[return-value]
            case "raises":
                raise KeyError(bits)
            case "falls":
                return 100.0 - bits
            case "clock":
                return bits + float(np.random.default_rng().random())
            case _:
                return self.factor * adc_energy_pj(bits, target.costs.adc)

    def converter_area(self, bits: int, target: Target) -> float:
        return self.factor * adc_area_um2(bits, target.costs.adc)

    def figure(self, path: str, value: float, target: Target) -> float:
        del target
        if self.fault == "figure" and path == "costs.driver_energy":
            return 3 * value
        return value if self.fault != "minus" else -value


def _small(name: str = "rram128") -> Target:
    """Reports of small arrays take less time: their wires are solved."""
    return small_target(name, array__rows=16, array__columns=16, array__active_rows=16)


def _program(target: Target) -> Program:
    weights = np.random.default_rng(0).integers(-128, 128, (1, 40, 9))
    layer = replace(int_layer(weights), input_shape=(1, 40))
    return program_of([mapped(layer, target, adc="8")], target, [1, 40])


def _numbers(report: Report) -> dict[str, object]:
    """Totals but for their bands and how far they are confirmed."""
    found = vars(report.totals)
    return {k: v for k, v in found.items() if not k.endswith(("_confirmed", "_mm2", "_uj"))} | {
        "area_mm2": found["area_mm2"],
        "energy_uj": found["energy_uj"],
    }


@pytest.mark.parametrize("name", ["rram128", "isaac", "neurram256", "hermes256"])
def test_a_law_that_says_what_the_target_says_changes_no_number(name: str) -> None:
    """Areas, energies and times are equal."""
    program = _program(_small(name))
    own, law = collect(program), collect(price_program(program, Same()))
    assert _numbers(own) == _numbers(law)
    assert own.chip.area_mm2 == law.chip.area_mm2
    assert own.schedule == law.schedule
    assert [row.energy_uj for row in own.converters] == [row.energy_uj for row in law.converters]


@pytest.mark.parametrize("name", target_names())
def test_whole_chips_of_every_target_cost_the_same(name: str) -> None:
    """Sense amplifiers too."""
    target = load_target(name)
    counts, law = full_chip(target), with_law(target, Same())
    assert total(area_parts(counts, target)) == total(area_parts(counts, law))
    assert total(energy_parts(counts, target)) == total(energy_parts(counts, law))


def test_parts_follow_the_law_and_name_it() -> None:
    program = _program(_small())
    own, law = collect(program), collect(price_program(program, Same(2.0)))
    pairs = zip(own.components.energy, law.components.energy, strict=True)
    for before, after in pairs:
        is_adc = before.name.startswith("ADC")
        assert after.total == (2 if is_adc else 1) * (before.total or 0.0)
        assert after.figure == ("cost law same" if is_adc else before.figure)
    said = f"same ({__name__}:Same, unversioned)"
    assert law.settings["cost_law"] == said
    assert [row.cite for row in law.sources if row.path == "costs.adc"] == [said]
    assert not [row.path for row in law.sources if row.path.startswith("costs.adc.")]
    assert law.adc_models[0].model == "same"
    assert "target" in [row.model for row in law.adc_models if not row.in_band]
    assert law.totals.energy_confirmed < own.totals.energy_confirmed
    assert "cost_law" not in own.settings


def test_other_figures_can_be_changed() -> None:
    program = _program(_small())
    own, law = collect(program), collect(price_program(program, Same(fault="figure")))
    driver = [[p.total for p in r.components.energy if "driver" in p.name] for r in (own, law)]
    assert driver[1] == [pytest.approx(3 * (value or 0.0)) for value in driver[0]]
    (row,) = [row for row in law.sources if row.path == "costs.driver_energy"]
    assert row.source == "assumed"
    assert "by the cost law same" in row.note


def test_choices_by_price_follow_the_law() -> None:
    target = small_target()
    costs = [
        costs_by_law("target", with_law(target, Same(f))).of_bits(np.arange(9)) for f in (1, 3)
    ]
    assert np.abs(costs[1] - 3 * costs[0]).max() <= 2
    assert without_law(with_law(target, Same())) is target
    assert with_law(with_law(target, Same()), None) is target


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("negative", MappingError, r"conversion_energy\(1\) gives -1, expected a finite number"),
        ("nan", MappingError, r"conversion_energy\(1\) gives nan"),
        ("text", MappingError, r"conversion_energy\(\) gives 'much', expected float"),
        ("raises", MappingError, r"conversion_energy\(\) failed: KeyError: 1 \(test_cost_laws.py"),
        ("minus", MappingError, r"figure\('costs.*'\) gives -"),
        ("falls", ConformanceError, "energy_pj falls from"),
        ("clock", ConformanceError, "asked again, it gives other prices"),
    ],
)
def test_faults_are_found(fault: str, error: type[XbarcError], words: str) -> None:
    with pytest.raises(error, match=words):
        check_cost_law(Same(fault=fault))


def test_the_kit_gives_prices() -> None:
    found = check_cost_law(Same(2.0))
    target = load_target("isaac")
    (price,) = [one for one in found if one.target == "isaac" and one.bits == 8]
    assert price.energy_pj == 2 * adc_energy_pj(8, target.costs.adc)
    assert price.time_ns == pytest.approx(1 / target.adc.rate.value)
