from __future__ import annotations

import numpy as np
import pytest

from xbarc.cost import device_estimates
from xbarc.target import Target, load_target

LEVELS = np.array([100, 0, 0, 100])


def values(target: Target, levels: object = LEVELS) -> dict[str, float | None]:
    found = device_estimates(target, np.asarray(levels))
    assert len({item.name for item in found}) == len(found)
    return {item.name: item.value for item in found}


def test_estimates_by_hand() -> None:
    found = values(load_target("rram128"))
    assert found["mean cell conductance"] == pytest.approx(20.5)
    assert found["array power while it reads"] == pytest.approx(0.04 * 20.5e-6 * 16384 * 1e3)
    assert found["cells stuck at 0"] == pytest.approx(18)
    assert found["sigma of a column sum, variation"] == pytest.approx(128**0.5 * 2.28 / 13)
    assert found["cell area"] == pytest.approx(48, rel=1e-3)


def test_nothing_to_estimate_from_is_unknown() -> None:
    found = values(load_target("rram128"), [0, 0, 0, 0])
    assert found["mean cell conductance"] is None
    assert found["array power while it reads"] is None


def test_uneven_levels_show() -> None:
    target = load_target("rram128", ["cell.conductance=[1.0, 14.0, 33.5, 40.0]"])
    assert values(target)["worst error of a level's spacing"] == pytest.approx(0.5)


def test_proportional_variation_scales_with_the_level() -> None:
    found = values(load_target("isaac"))
    sigma = 128**0.5 * 0.1 * 500 / (499.5 / 3)
    assert found["sigma of a column sum, variation"] == pytest.approx(sigma)
