"""Converter policies from elsewhere: told of the sums of a layer, checked, executed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pytest

import xbarc as xbarc_api
from xbarc.errors import InputError, MappingError
from xbarc.mapping.converters import (
    ConverterPolicy,
    ConverterSettings,
    ConverterSums,
    load_converters,
)
from xbarc.options.files import read_options
from xbarc.testing import ConformanceError, check_converters


@dataclass(frozen=True)
class MinMax(ConverterPolicy):
    """From the least to the largest sum that was seen."""

    bits: int = 4
    name: str = "min-max"

    def choose(self, sums: ConverterSums) -> ConverterSettings:
        """Steps that reach both ends."""
        seen = sums.shares > 0
        low = np.where(seen, sums.sums, sums.sums[-1]).min(axis=-1)
        high = np.where(seen, sums.sums, sums.sums[0]).max(axis=-1)
        bits = min(self.bits, sums.most_bits)
        return ConverterSettings(bits, low, np.maximum(1, -(-(high - low) // ((1 << bits) - 1))))


@dataclass(frozen=True)
class Best(ConverterPolicy):
    """What sums offer for the most bits: xbarc's own policy."""

    name: str = "best"

    def choose(self, sums: ConverterSums) -> ConverterSettings:
        """The fewest bits of no error, else the most."""
        free = sums.error <= 0
        free[..., -1] = True
        bits = free.argmax(axis=-1)
        lo, step = (
            np.take_along_axis(a, bits[..., None], -1)[..., 0] for a in (sums.lo, sums.step)
        )
        return ConverterSettings(bits, lo, step)


def _writes(sums: ConverterSums) -> ConverterSettings:
    sums.lo[:] = 0
    return ConverterSettings(1, 0, 1)


FAULTS: dict[str, Callable[[ConverterSums], object]] = {
    "wide": lambda sums: ConverterSettings(sums.most_bits + 1, 0, 1),
    "below": lambda _: ConverterSettings(-1, 0, 1),
    "still": lambda _: ConverterSettings(4, 0, 0),
    "floats": lambda _: ConverterSettings(4, np.array(0.5), 1),
    "shape": lambda _: ConverterSettings(4, np.zeros((7, 7, 7), dtype=np.int64), 1),
    "far": lambda _: ConverterSettings(4, 1 << 40, 1),
    "reach": lambda _: ConverterSettings(4, 0, 1 << 30),
    "writes": _writes,
    "nothing": lambda _: None,
    "raises": lambda _: dict[str, object]()["sums"],
    "clock": lambda sums: ConverterSettings(
        4, np.random.default_rng().integers(0, 99, sums.lo.shape[:3]), 1
    ),
}


@dataclass(frozen=True)
class Faulty(ConverterPolicy):
    """Goes wrong in one way."""

    fault: str = "raises"
    name: str = "faulty"

    def choose(self, sums: ConverterSums) -> ConverterSettings:
        """As its fault has it."""
        return cast(ConverterSettings, FAULTS[self.fault](sums))


def test_sound_ones_pass_and_wider_converters_lose_less() -> None:
    few, more = (check_converters(MinMax(bits)) for bits in (2, 4))
    assert sum(one.error for one in more) < sum(one.error for one in few)
    assert {one.bits for one in few} == {2.0}


def test_what_sums_offer_is_our_policy() -> None:
    """Bits, ranges and steps: the layer gives the same."""
    assert all(one.error == one.own_error for one in check_converters(Best()))


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("wide", MappingError, "bits goes from 5 to 5, expected 0 to 4"),
        ("below", MappingError, "bits goes from -1 to -1"),
        ("still", MappingError, "step goes from 0 to 0, expected 1 to"),
        ("floats", MappingError, "lo holds float64, expected whole numbers"),
        ("shape", MappingError, r"lo has shape \(7, 7, 7\), expected"),
        ("far", MappingError, "lo goes from 1099511627776"),
        ("reach", MappingError, "beyond 32 bits"),
        ("writes", MappingError, r"choose\(\) failed: ValueError: assignment destination is read"),
        ("nothing", MappingError, "the converters of layer layer failed: AttributeError"),
        ("raises", MappingError, r"choose\(\) failed: KeyError: 'sums' \(test_foreign_conv"),
        ("clock", ConformanceError, "asked again, it gives other settings"),
    ],
)
def test_faults_are_found(fault: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        check_converters(Faulty(fault))


def test_what_is_no_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"'morse' is not available.*or package:Name"):
        xbarc_api.compile("none.onnx", adc="morse")
    with pytest.raises(MappingError, match="its name 'calibrated:4' is one of ours"):
        load_converters(MinMax(name="calibrated:4"))
    with pytest.raises(MappingError, match="so does --adc min-max"):
        xbarc_api.compile("none.onnx", adc=MinMax(), adc_budget=1)
    file = tmp_path / "o.toml"
    file.write_text(f'[converters]\nadc = "{__name__}:MinMax"', encoding="utf-8")
    with pytest.raises(InputError, match="names code"):
        read_options(file)
