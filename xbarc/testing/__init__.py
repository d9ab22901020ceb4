"""Conformance kit: whether a method of your own keeps what its protocol promises.

    from xbarc.testing import EncodingConformance

    class TestMyEncoding(EncodingConformance):
        encoding = MyEncoding()

runs under pytest (with hypothesis) and covers lossless products, extremes, every geometry, both
engines, files and reports. `check_encoding(MyEncoding())` runs seeded cases without either, and
`check_device(MyDevice())` checks a device model and gives mean and deviation of its levels,
`check_cost_law(MyLaw())` a cost law and gives its prices, `check_placement(MyPlacement())` a
placement and gives what its orders lose to wires, `check_converters(MyPolicy())` a converter policy
and gives its bits and errors. To add a check of encodings, write it in
`encodings.py` and call it from `check_encoding` and from the class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xbarc.testing.cases import Case
from xbarc.testing.converters import ConvertedLayer, check_converters
from xbarc.testing.costs import ConverterPrice, check_cost_law
from xbarc.testing.devices import LevelSpread, check_device
from xbarc.testing.encodings import ConformanceError, check_encoding
from xbarc.testing.placements import PlacedLayer, check_placement

if TYPE_CHECKING:
    from xbarc.testing.suites import EncodingConformance

__all__ = [
    "Case",
    "ConformanceError",
    "ConvertedLayer",
    "ConverterPrice",
    "EncodingConformance",
    "LevelSpread",
    "PlacedLayer",
    "check_converters",
    "check_cost_law",
    "check_device",
    "check_encoding",
    "check_placement",
]


def __getattr__(name: str) -> object:
    """What needs pytest and hypothesis loads on first use."""
    if name != "EncodingConformance":
        raise AttributeError(f"module 'xbarc.testing' has no attribute '{name}'")
    from xbarc.testing import suites  # noqa: PLC0415  # the kit does without pytest

    return getattr(suites, name)
