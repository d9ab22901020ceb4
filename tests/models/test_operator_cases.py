"""All single-operator cases of the onnx package: equal, or refused as ONNX Runtime refuses them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.models.operators import (
    TOTAL,
    VERSION,
    Outcome,
    all_cases,
    assert_close,
    case_data,
    reason_of,
    run_case,
    run_runtime,
)
from tests.models.variants import (
    FLOAT_SIDES,
    INTEGER_SIDES,
    Variant,
    quantisation_bound,
    variants,
    vector_feed,
)
from xbarc.compiler import compile_model
from xbarc.errors import XbarcError
from xbarc.executor import Executor
from xbarc.ir.program import Program

PARTS = 8
QUICK = 0
"""Parts that the quick lane compiles; it reads the network of every case elsewhere."""

Record = Callable[[str, object], None]


@pytest.mark.slow
@pytest.mark.skipif(onnx.__version__ != VERSION, reason=f"counts are those of onnx {VERSION}")
def test_no_case_is_missing() -> None:
    assert len(all_cases()) == TOTAL
    assert len({case.name for case in all_cases()}) == TOTAL


@pytest.mark.parametrize(
    "part",
    [part if part < QUICK else pytest.param(part, marks=pytest.mark.slow) for part in range(PARTS)],
)
def test_cases_are_equal_or_refused(part: int, tmp_path: Path, record_property: Record) -> None:
    outcomes = [run_case(case, tmp_path) for case in all_cases()[part::PARTS]]
    failed = [outcome for outcome in outcomes if outcome.kind in ("differs", "unjustified")]
    assert not failed
    for kind, count in Counter(_row(outcome) for outcome in outcomes).items():
        record_property("operator cases", f"{count} {kind}")


def _row(outcome: Outcome) -> str:
    if outcome.kind != "refused":
        return outcome.kind
    return f"refused: {reason_of(outcome.detail)}"


def test_float_cases_with_constant_weights(tmp_path: Path, record_property: Record) -> None:
    """Half a weight step and half an activation step are all that quantisation costs."""
    done = Counter[str]()
    for variant in variants(FLOAT_SIDES):
        program = _compiled(variant, tmp_path)
        if program is None:
            done[f"{variant.operator} refused"] += 1
            continue
        (found,) = Executor(program).run(vector_feed(variant))
        (wanted,) = case_data(variant.case)[1]
        if not program.crossbar_steps:
            assert_close([found], [wanted], variant.case.rtol, variant.case.atol)
            done[f"{variant.operator} digital: {program.digital_steps[0].notes}"] += 1
            continue
        bound = quantisation_bound(variant, 8, 8)
        assert found.shape == wanted.shape, variant.label
        assert found.dtype == wanted.dtype, variant.label
        error = np.abs(found.astype(np.float64) - wanted)
        assert np.all(error <= bound), variant.label
        done[f"{variant.operator} on crossbars"] += 1
    _book(done, record_property)


def test_integer_cases_with_constant_weights(tmp_path: Path, record_property: Record) -> None:
    done = Counter[str]()
    for variant in variants(INTEGER_SIDES):
        program = _compiled(variant, tmp_path)
        if program is None:
            done[f"{variant.operator} refused"] += 1
            continue
        (found,) = Executor(program).run(vector_feed(variant))
        (wanted,) = case_data(variant.case)[1]
        assert found.dtype == wanted.dtype, variant.label
        assert np.array_equal(found, wanted), variant.label
        notes = () if program.crossbar_steps else program.digital_steps[0].notes
        done[f"{variant.operator} {f'digital: {notes}' if notes else 'on crossbars'}"] += 1
    _book(done, record_property)


def _compiled(variant: Variant, folder: Path) -> Program | None:
    """The program, or None where both xbarc and ONNX Runtime refuse the variant."""
    path = folder / "variant.onnx"
    path.write_bytes(variant.model.SerializeToString())
    try:
        return compile_model(path)
    except XbarcError:
        with pytest.raises(Exception):  # noqa: B017, PT011  # whatever ONNX Runtime raises
            run_runtime(variant.model, vector_feed(variant))
        return None


def _book(done: Counter[str], record_property: Record) -> None:
    assert sum(count for kind, count in done.items() if "on crossbars" in kind)
    for kind, count in sorted(done.items()):
        record_property("operator cases", f"{count} constant {kind}")
