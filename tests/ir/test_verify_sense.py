"""One broken rule of layers read by comparisons each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.binary_models import bnn_target
from tests.builders import int_layer, program_of
from xbarc.ir.program import CrossbarStep, Sense
from xbarc.ir.quantizers import BinaryInput, IntegerInput, SignResult
from xbarc.ir.verify import broken_rules
from xbarc.ir.verify.senses import SENSE_RULES
from xbarc.mapping import ArrayPool, map_senses
from xbarc.options import SenseOptions


def _step() -> CrossbarStep:
    target = bnn_target(8)
    weights = np.array([[[1, -1], [1, 1], [-1, 1], [1, 1], [-1, -1]]], np.int8)
    sign = SignResult(np.array([1, -1]), np.zeros(2, np.uint8))
    layer = int_layer(weights, weight_bits=2, quantizer=BinaryInput(-1, 1), result=sign)
    return map_senses(layer, target, SenseOptions(), ArrayPool(target.array, "layer"))


def _broken(step: CrossbarStep) -> set[str]:
    return {rule for rule, _ in broken_rules(program_of([step], bnn_target(8), (None, 5)))}


def _sense(step: CrossbarStep, **changes: object) -> CrossbarStep:
    assert isinstance(step.sense, Sense)
    return replace(step, sense=replace(step.sense, **changes))  # type: ignore[arg-type]


def _wrong() -> dict[str, CrossbarStep]:
    good = _step()
    assert good.sense is not None
    falling = np.repeat(good.sense.thresholds, 3, axis=3) * np.array([1, 0, 2], np.int32)
    return {
        "senses_read_binary_codes": replace(good, quantizer=IntegerInput(0, 1)),
        "two_values": replace(good, quantizer=BinaryInput(-1, 2)),
        "sense_rows": _sense(good, drive=good.sense.drive * 0),
        "sense_thresholds": _sense(good, thresholds=falling),
    }


def test_a_good_step_breaks_nothing() -> None:
    assert _broken(_step()) == set()


@pytest.mark.parametrize("rule", [rule.__name__ for rule in SENSE_RULES])
def test_sense_rule_broken_alone(rule: str) -> None:
    assert _broken(_wrong()[rule]) == {rule}


def test_an_input_may_stand_in_several_groups_but_in_none_more_than_elsewhere() -> None:
    step = _step()
    rows = np.array(step.tiling.row_input)
    first = slice(*(int(b) for b in step.tiling.segment_bounds[:2]))
    for old, new in ((rows[first][0], rows[first][1]), (rows.max(), step.inputs)):
        moved = rows.copy()
        moved[np.flatnonzero(moved == old)[0]] = new
        broken = replace(step, tiling=replace(step.tiling, row_input=moved))
        assert "sense_rows" in _broken(broken)
