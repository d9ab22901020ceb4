"""How long a search for savings takes, as far as the sizes of layers tell."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from xbarc.mapping.converter_savings.centring import most_tried
from xbarc.mapping.converter_savings.savings import held_above
from xbarc.options import AdcSaving, Effort

# Seconds a million weights: where work on each weight is not held down, and where it is. Measured
# on the layers of `fashion-vgg` (2-bit cells, 9 k to 74 k weights) with one thread of a Xeon; the
# other savings took no time that could be told from none. Machines differ by a factor of two, and
# so do layers: what is told is rounded to one digit.
_SECONDS: Mapping[str, tuple[float, float]] = {
    "recode": (38.0, 3.2),
    "centre": (59.0, 14.0),
    "distribute": (20.0, 9.7),
}


def search_seconds(
    weights: Iterable[int], adc_savings: Collection[AdcSaving], effort: Effort
) -> float:
    """About how many CPU seconds savings search.

    Args:
        weights: of each layer, how many it has.
        adc_savings: which are applied.
        effort: how long may be searched.
    """
    quick = effort == "low"
    total = 0.0
    for size in weights:
        tried = min(size, most_tried(quick=quick))
        held = size > held_above(effort)
        counted = {"recode": (size, held), "centre": (tried, quick), "distribute": (size, held)}
        for name in counted.keys() & set(adc_savings):
            number, cheaply = counted[name]
            total += _SECONDS[name][cheaply] * number / 1e6
    return total
