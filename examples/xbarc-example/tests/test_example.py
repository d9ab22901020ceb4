"""The example under the conformance kit; `pip install -e .[test]`, then `pytest`."""

from typing import ClassVar

import pytest

from xbarc.testing import EncodingConformance, check_device, check_placement


class TestNegativeBase(EncodingConformance):
    encoding: ClassVar[str] = "negative-base"  # by its registered name
    examples: ClassVar[int] = 5


def test_heavy_first() -> None:
    found = check_placement("heavy-first")
    assert sum(one.after for one in found) < sum(one.before for one in found)


def test_two_populations() -> None:
    for spread in check_device("two-populations"):
        assert spread.mean == pytest.approx(spread.level, abs=0.1)
        assert 0.03 < spread.deviation < 0.2
