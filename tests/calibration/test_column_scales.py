"""Factors of columns, chosen so that accumulators come near to what they stand for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import xbarc
from tests.builders import float_result, int_layer, mapped, small_target
from tests.calibration.test_refit import STATIC, narrow_layer, some_vectors, values_of
from tests.frontend.onnx_models import model_file
from xbarc.calibration import column_scales
from xbarc.calibration.column_scales import scale_columns
from xbarc.calibration.refit import refit_step
from xbarc.evaluate import self_check
from xbarc.executor import FastLayer
from xbarc.ir import CrossbarStep, load_program
from xbarc.ir.quantizers import DynamicInput
from xbarc.mapping import encoding_names
from xbarc.numerics.types import AnyArray, Float64Array
from xbarc.report import collect


def _fit(step: CrossbarStep, bits: int | None, vectors: AnyArray, exact: FastLayer) -> CrossbarStep:
    wanted = exact.accumulate(vectors)
    if bits is None:
        return refit_step(step, vectors, wanted)
    scaled = scale_columns(step, vectors, wanted, bits)
    unit = scaled.unit.reshape(step.groups, step.outputs)
    return refit_step(scaled.step, vectors, wanted * unit)


def _error(step: CrossbarStep, vectors: AnyArray, exact: FastLayer) -> float:
    """Mean squared error of what the network goes on with; `STATIC` has a zero point."""
    off: Float64Array = values_of(step, vectors) - values_of(exact.step, vectors)
    return float((off**2).mean())


@pytest.mark.parametrize("encoding", ["differential", "differential-analog", "offset", "acm"])
@pytest.mark.parametrize("rows", [16, 128])
def test_factors_lower_the_error_of_inputs_that_chose_nothing(encoding: str, rows: int) -> None:
    rng = np.random.default_rng(3)
    weights = np.clip(np.rint(rng.normal(4, 30, (1, 60, 6))), -127, 127).astype(np.int64)
    layer = int_layer(weights, quantizer=STATIC, result=float_result(6, 0.25))
    target = small_target(array__rows=rows, array__active_rows=rows, array__spare_columns=1)
    plain = mapped(layer, target, encoding=encoding)
    adc = replace(
        plain.adc,
        bits=np.full((1, 1, 1, 1), 2, np.uint8),
        lo=np.full((1, 1, 1, 1), -rows // 4 if encoding.endswith("analog") else 2, np.int32),
        step=np.full((1, 1, 1, 1), max(2, rows // 8), np.int32),
    )
    coarse, exact = replace(plain, adc=adc), FastLayer(plain)
    seen, fresh = some_vectors(1500, 0), some_vectors(500, 1)
    errors = [_error(_fit(coarse, bits, seen, exact), fresh, exact) for bits in (None, 2, 4, 8)]
    assert errors[1] < 1.02 * errors[0]
    assert errors[2] < 0.95 * errors[0]
    assert errors[3] < 1.02 * errors[2]


def test_factors_are_whole_and_as_wide_as_the_multiplier() -> None:
    coarse, seen = narrow_layer(STATIC, 2, 12), some_vectors(500, 0)
    wanted = FastLayer(replace(coarse, adc=narrow_layer(STATIC, 16, 1).adc)).accumulate(seen)
    for bits in range(2, 9):
        scale = scale_columns(coarse, seen, wanted, bits).step.periphery.column_scale
        assert scale is not None
        assert scale.dtype == np.uint8
        assert scale.shape == (1, 1, coarse.conversions)
        assert 1 << (bits - 1) <= scale.max() < 1 << bits
    again = scale_columns(coarse, seen, wanted, 4).step.periphery.column_scale
    twice = scale_columns(coarse, seen, wanted, 4).step.periphery.column_scale
    assert np.array_equal(again, twice)  # type: ignore[arg-type]


def test_a_column_that_reads_the_same_whatever_comes_does_no_harm() -> None:
    coarse, seen = narrow_layer(STATIC, 2, 12), some_vectors(300, 0)
    exact = FastLayer(replace(coarse, adc=narrow_layer(STATIC, 16, 1).adc))
    bits = np.broadcast_to(coarse.adc.bits, (1, 1, coarse.conversions, 1)).copy()
    bits[:, :, ::3] = 0
    silent = replace(coarse, adc=replace(coarse.adc, bits=bits))
    scaled = _fit(silent, 4, seen, exact)
    assert np.isfinite(scaled.result.scale).all()  # type: ignore[union-attr]
    assert _error(scaled, seen, exact) <= 1.02 * _error(
        _fit(silent, None, seen, exact), seen, exact
    )
    nothing = replace(coarse, adc=replace(coarse.adc, bits=np.zeros((1, 1, 1, 1), np.uint8)))
    assert np.isfinite(_fit(nothing, 4, seen, exact).result.scale).all()  # type: ignore[union-attr]


def test_a_layer_whose_result_takes_no_scale_has_no_factors() -> None:
    dynamic = narrow_layer(DynamicInput(bits=8), 2, 12)
    integer = mapped(int_layer(np.ones((1, 60, 6))), small_target())
    seen = some_vectors(50, 0)
    for step in (dynamic, integer):
        scaled = scale_columns(step, seen, FastLayer(step).accumulate(seen), 4)
        assert scaled.step is step
        assert (scaled.unit == 1).all()


@pytest.mark.parametrize("encoding", encoding_names())
def test_a_program_with_factors_is_sound(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(column_scales, "_WORTH", np.inf)  # factors even where they help little
    rng = np.random.default_rng(0)
    path = model_file(
        tmp_path,
        """net (float[N, 40] x) => (float[N, 3] y) {
        h = MatMul (x, w) r = Relu (h) y = MatMul (r, v) }""",
        w=rng.normal(size=(40, 12)).astype(np.float32),
        v=rng.normal(size=(12, 3)).astype(np.float32),
    )
    x = rng.normal(size=(200, 40)).astype(np.float32)
    target = small_target(
        adc__scale_bits=8, array__rows=16, array__active_rows=16, array__spare_columns=1
    )
    made = xbarc.compile(
        path, target, calibration={"x": x}, encoding=encoding, adc="calibrated:1", weight_slices=2
    )
    assert all(step.periphery.column_scale is not None for step in made.program.crossbar_steps)
    assert not list(self_check(made.program))
    made.save(tmp_path / "net.xbar")
    again = load_program(tmp_path / "net.xbar")
    assert not list(self_check(again))
    figures = ["costs.column_scale_energy", "costs.column_scale_area"]
    assert all(figure in collect(again).model_dump_json() for figure in figures)
