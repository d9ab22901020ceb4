"""What every cost law must keep."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from xbarc.cost import CostLaw, LawCosts, adc_area_um2, load_law, with_law
from xbarc.options import Method
from xbarc.report import collect
from xbarc.target import Target, load_target
from xbarc.testing.cases import int_layer, mapped, program_of, small_target
from xbarc.testing.encodings import require

# What a law may be asked: comparisons with lossless converters go beyond what targets build.
_MOST_BITS = 48
_TARGETS = ("rram128", "isaac", "neurram256")
_SLACK = 1e-9  # rounding of sums


@dataclass(frozen=True)
class ConverterPrice:
    """What a law says of a converter.

    Attributes:
        target: name of the target that it was asked for.
        bits: width.
        energy_pj, area_um2, time_ns: of a conversion, of a converter, of a conversion.
    """

    target: str
    bits: int
    energy_pj: float
    area_um2: float
    time_ns: float


def check_cost_law(law: str | Method) -> tuple[ConverterPrice, ...]:
    """Ask for converters of 1 to 48 bits on several targets, and report a program by them.

    Args:
        law: an object, or a name that an installed package registers.

    Returns:
        The prices up to the widest converter of each target, to compare with what was published.

    Raises:
        ConformanceError: a price falls with the bits or changes when it is asked for again, or the
            parts of a report do not follow from them.
        MappingError: the law lacks methods, fails, or gives something that is no price.
    """
    loaded = load_law(law)
    prices = tuple(p for name in _TARGETS for p in _check_target(loaded, load_target(name)))
    _check_report(loaded)
    return prices


def _check_target(law: CostLaw, target: Target) -> tuple[ConverterPrice, ...]:
    costs = with_law(target, law).costs.adc
    # Sense amplifiers have no converters to price.
    if not isinstance(costs, LawCosts):
        return ()
    prices = [_price(target, costs, bits) for bits in range(1, _MOST_BITS + 1)]
    # In the other order, so that a law that remembers what it was asked before is found.
    again = [_price(target, costs, bits) for bits in range(_MOST_BITS, 0, -1)]
    where = f"{law.name} on {target.name}"
    require(prices == again[::-1], f"{where}: asked again, it gives other prices")
    for member in ("energy_pj", "area_um2", "time_ns"):
        values = [getattr(price, member) for price in prices]
        falls = [bits for bits in range(1, _MOST_BITS) if values[bits] < values[bits - 1]]
        require(not falls, f"{where}: {member} falls from {falls[:1]} bits to the next")
    return tuple(prices[: target.adc.max_bits])


def _price(target: Target, costs: LawCosts, bits: int) -> ConverterPrice:
    return ConverterPrice(
        target.name, bits, costs.energy_pj(bits), costs.area_um2(bits), costs.time_ns(bits)
    )


def _check_report(law: CostLaw) -> None:
    # Small arrays: a report solves their wires.
    small = small_target(array__rows=16, array__active_rows=16, array__columns=16)
    target = with_law(small, law)
    weights = np.random.default_rng(0).integers(-8, 8, (1, 19, 7))
    step = mapped(int_layer(weights, weight_bits=4), target)
    report = collect(program_of([step], target, [1, 19]))
    source, costs = f"cost law {law.name}", target.costs.adc
    areas = {f"ADC, {bits} bit": adc_area_um2(bits, costs) for bits in range(_MOST_BITS)}
    for part in report.components.area:
        if part.name in areas:
            same = part.unit_cost == areas[part.name] and part.figure == source
            require(same, f"{law.name}: the area of {part.name} is not the law's")
    parts = [part.total or 0.0 for part in report.components.area]
    area = report.totals.area_mm2
    same = area is None or math.isclose(math.fsum(parts) / 1e6, area, rel_tol=_SLACK)
    require(same, f"{law.name}: the area is not the sum of its parts")
