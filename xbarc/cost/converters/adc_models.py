"""What one converter costs, by the target's law and by others that are printed beside it.

A cost law of other people stands in place of the target's; see `laws`.

The target's law is a comparator at 1 bit, comparators side by side where those are cheaper, the
split SAR law above, and a thermal term beyond 10 bits. The others are fits to published parts; they
give the band of a report and never its headline.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

from xbarc.cost.converters.cost_law import TARGET, LawCosts, law_origin, without_law
from xbarc.rows import Row, fact
from xbarc.target import AdcCosts, Target, area_factor, energy_factor

# The linear and exponential terms describe converters up to here; a thermal term, four times a bit,
# is added beyond (docs: cost model).
_LARGEST_WITHOUT_NOISE = 10


class AdcOpinion(
    Row, form="AdcModelRow", title="Converters by several models; the target's own counts"
):
    """What one model says about converters of a width that is in use."""

    bits: int = fact("width of the converter, bits", head="ADC bits>", text=str)
    model: str = fact(
        "target: the figures of the target, or the name of a cost law; others beside it",
        head="model",
        of=lambda row: row.model if row.in_band else f"{row.model}, beside the band",
    )
    source: str = fact("id of the source", head="source")
    energy_pj: float | None = fact("one full conversion, pJ", head="pJ>")
    area_um2: float | None = fact("one converter, um2", head="um2>")
    node_factor: float | None = fact(
        "how many times the energy at the model's own node; null: no such factor",
        default=None,
        head="by node>",
        text="x {:.3g}",
        later=True,
    )
    in_band: bool = fact("whether the band of the totals holds it", default=True, later=True)


def adc_energy_pj(bits: int, costs: AdcCosts) -> float:
    """Energy of one full conversion of a converter of this width."""
    if isinstance(costs, LawCosts):
        return costs.energy_pj(bits)
    if bits <= 1:
        # For 1 bit one comparator, for 0 bits nothing.
        return bits * costs.comparator_energy.value
    law = costs.energy_linear.value * bits + costs.energy_exponential.value * 2.0**bits
    law = costs.energy_scale.value * law + _thermal(bits, costs)
    return _choose_circuit(bits, costs, law, costs.comparator_energy.value)


def adc_area_um2(bits: int, costs: AdcCosts) -> float:
    """Area of one converter of this width."""
    if isinstance(costs, LawCosts):
        return costs.area_um2(bits)
    if bits <= 1:
        return bits * costs.comparator_area.value
    law = costs.area_linear.value * bits + costs.area_exponential.value * 2.0**bits
    return _choose_circuit(bits, costs, law, costs.comparator_area.value)


def step_energy_pj(bits: int, costs: AdcCosts) -> float:
    """Energy of one bit of a conversion: a conversion that stops early pays for what it did."""
    return adc_energy_pj(bits, costs) / max(1, bits)


def is_comparators(bits: int, costs: AdcCosts) -> bool:
    """Say whether a converter of this width is priced as comparators side by side."""
    # By energy for the area as well: it is one circuit, whichever of its figures is asked for.
    if bits > costs.flash_bits:
        return bits <= 1
    linear, levels = costs.energy_linear.value, costs.energy_exponential.value
    law = costs.energy_scale.value * (linear * bits + levels * 2.0**bits)
    return bool((2**bits - 1) * costs.comparator_energy.value <= law)


def converter_figure(kind: Literal["energy", "area"], bits: int, costs: AdcCosts) -> str:
    """What a price comes from: the path of figures, or a cost law."""
    if isinstance(costs, LawCosts):
        return f"cost law {costs.law.name}"
    return f"costs.adc.{f'comparator_{kind}' if is_comparators(bits, costs) else f'{kind}_*'}"


def _thermal(bits: int, costs: AdcCosts) -> float:
    if bits <= _LARGEST_WITHOUT_NOISE or costs.thermal is None:
        return 0.0
    margin = 1.0 if costs.thermal_margin is None else costs.thermal_margin.value
    return float(margin * costs.thermal.value * 4.0**bits)


def _choose_circuit(bits: int, costs: AdcCosts, law: float, comparator: float) -> float:
    return float((2**bits - 1) * comparator) if is_comparators(bits, costs) else law


def survey_floor_pj(bits: float) -> float:
    """Best published converters of any node: nothing general-purpose is below."""
    return float(0.2672 + 0.14456e-6 * 4.0**bits)


def andrulis_pj(bits: int, node_nm: float, rate_hz: float) -> float:
    """Best-of-survey energy by regression; `bits` is taken as the effective number of bits.

    Raises:
        ValueError: below 4 bits, where the regression rises again.
    """
    if bits < 4:
        raise ValueError(f"the regression holds from 4 bits, not at {bits}")
    by_rate = 213.7806687348118 - 2.8719030399529957 * math.log(rate_hz)
    by_bits = 128.3068287398817 + 3.22051151097957 * bits
    sndr = 20 * bits * math.log10(2) + 10 * math.log10(1.5)
    correction = 26.0496215686518 + 1.8800369206815004 * math.log(node_nm)
    correction += -2.8291256050594527 * math.log(bits) - 1.4702022133784405
    energy: float = 10 ** ((sndr - min(by_rate, by_bits)) / 10) / 2 * math.exp(correction)
    return energy


def andrulis_um2(energy_pj: float, node_nm: float, rate_hz: float) -> float:
    """Area that goes with `andrulis_pj`."""
    area = 1.3461916439910742 + 0.9932794744745022 * math.log(node_nm)
    area += 0.18071538424508238 * math.log(rate_hz) + 0.29912426192653485 * math.log(energy_pj)
    return math.exp(area)


def _own(bits: int, costs: AdcCosts) -> AdcOpinion:
    """What the target's reports count with."""
    source = costs.energy_linear.source if bits > 1 else costs.comparator_energy.source
    name = TARGET
    if isinstance(costs, LawCosts):
        name, source = costs.law.name, law_origin(costs.law)
    return AdcOpinion(bits, name, source, adc_energy_pj(bits, costs), adc_area_um2(bits, costs))


def adc_opinions(bits: int, target: Target) -> tuple[AdcOpinion, ...]:
    """What each model says about a converter of this width; the one that counts comes first."""
    rate = target.adc.rate.value * 1e9
    own = _own(bits, target.costs.adc)
    least = survey_floor_pj(bits) if bits >= 4 else None
    floor = AdcOpinion(bits, "survey floor", "murmann_survey", least, None)
    if bits < 4:
        return own, floor
    energy = andrulis_pj(bits, target.node_nm, rate)
    area = andrulis_um2(energy, target.node_nm, rate)
    return own, floor, AdcOpinion(bits, "andrulis2024", "adc_plugin", energy, area)


# NeuroSim's SAR converter, low standby power: microwatt a bit and at rest, by node in nm.
_NEUROSIM_SAR = {
    7: (0.1061, 0.8847),
    10: (0.1823, 1.5073),
    14: (0.3132, 2.5681),
    22: (0.538, 4.3753),
    32: (1.1294, 8.8998),
    45: (2.1691, 16.693),
    65: (3.7506, 25.844),
    90: (5.9869, 37.462),
    130: (8.4483, 65.243),
}
# Node and supply of the three macros that the fit below was made for.
_ZIGZAG_NM, _ZIGZAG_V = 28, 0.9


def zigzag_pj(bits: int) -> float:
    """Fit to converters of three SRAM macros at 28 nm and 0.9 V."""
    return float((100 * bits + 0.001 * 4.0**bits) * _ZIGZAG_V**2 / 1000)


def zigzag_um2(bits: int) -> float:
    """Area that goes with `zigzag_pj`; the fit's 0 for one bit is left out by those who call."""
    return float(10 ** (-0.0369 * bits + 1.206) * 2.0**bits)


def neurosim_sar_pj(bits: int, node_nm: int) -> float:
    """NeuroSim's SAR converter on a column of high resistance: no reference buffer, no calibration.

    Raises:
        ValueError: the tool has no such node.
    """
    if node_nm not in _NEUROSIM_SAR:
        raise ValueError(f"no figures at {node_nm} nm, only at {sorted(_NEUROSIM_SAR)}")
    slope, rest = _NEUROSIM_SAR[node_nm]
    return (slope * bits + rest) * (bits + 1) * 1e-3


def further_opinions(bits: int, target: Target) -> tuple[AdcOpinion, ...]:
    """Models of other tools that hold here; printed beside the band and no part of it."""
    own = without_law(target)
    # Beside a law from elsewhere the target's own figures are one more opinion.
    found = [] if own is target else [replace(_own(bits, own.costs.adc), in_band=False)]
    if bits >= 2 and 7 <= target.node_nm <= 130:
        factor = energy_factor(_ZIGZAG_NM, target.node_nm)
        area = zigzag_um2(bits) * area_factor(_ZIGZAG_NM, target.node_nm)
        energy = zigzag_pj(bits) * factor
        found.append(AdcOpinion(bits, "zigzag", "zigzag_imc", energy, area, factor, in_band=False))
        if target.node_nm in _NEUROSIM_SAR:
            energy = neurosim_sar_pj(bits, target.node_nm)
            found.append(
                AdcOpinion(bits, "NeuroSim SAR", "neurosim14", energy, None, in_band=False)
            )
    return tuple(found)


def energy_band(bits: int, target: Target) -> tuple[float, float]:
    """Least and largest energy of a conversion; 0 where the target has it elsewhere."""
    found = [o.energy_pj for o in adc_opinions(bits, target) if o.energy_pj is not None]
    return (min(found), max(found)) if found[0] else (0.0, 0.0)


def area_band(bits: int, target: Target) -> tuple[float, float]:
    """Least and largest area of a converter; 0 where the target has it elsewhere."""
    found = [o.area_um2 for o in adc_opinions(bits, target) if o.area_um2 is not None]
    return (min(found), max(found)) if found[0] else (0.0, 0.0)
