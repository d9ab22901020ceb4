"""Placement and compensations of whole programs, on a net that is trained here in a moment."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from tests.models.places import MODELS, shipped_images
from xbarc.chips.program_fit import FitOptions, fit_program, replace_step
from xbarc.chips.responses import divergence
from xbarc.chips.sensitivity import gather_moments, importance_of
from xbarc.circuit import Chip, Effects, random_faults
from xbarc.compiler import CompileOptions, compile_model
from xbarc.errors import InputError, MappingError
from xbarc.executor.run import Executor
from xbarc.experiments.study import Sweep, held_back, picture, scaled_wires, study_lines, top1
from xbarc.ir.effective import is_lossless
from xbarc.ir.program import CrossbarStep, Program
from xbarc.mapping.place.layer import PlacementJob, place_layer
from xbarc.target import load_target

SETTINGS = (
    "array.rows=64",
    "array.columns=64",
    "array.active_rows=64",
    "cell.bits=4",
    f"cell.conductance.values={[50 * level / 15 for level in range(16)]}",
    "input.dac_bits=4",
    "adc.max_bits=16",
    "wires.wordline.value=15.0",
    "wires.bitline.value=15.0",
)
LINES = Effects(frozenset({"lines"}), converters=False)


@cache
def _program(encoding: str = "differential", adc: str = "lossless") -> Program:
    options = CompileOptions(weight_bits=5, activation_bits=8, encoding=encoding, adc=adc)
    calibration = {"image": shipped_images(1000)["image"][800:]}
    return compile_model(
        MODELS / "fashion-mlp.onnx",
        load_target("rram128", SETTINGS),
        options=options,
        calibration=calibration,
    )


def _data() -> dict[str, Any]:
    held = shipped_images(1000)
    return {"image": held["image"][800:900], "labels": held["labels"][800:900]}


def _outputs(program: Program, effects: Effects | None = None) -> Any:
    chip = None if effects is None else Chip(program, effects)
    return Executor(program, chip=chip).run({"image": shipped_images(60)["image"]})[0]


@cache
def _fit(placement: str, compensations: frozenset[str] = frozenset()) -> Any:
    return fit_program(_program(), _data(), FitOptions(placement, compensations, LINES, swaps=2))


@pytest.mark.slow
@pytest.mark.parametrize("placement", ["heaviest", "srs", "optimal"])
def test_placement_never_changes_the_plain_program(placement: str) -> None:
    assert all(is_lossless(step) for step in _program().crossbar_steps)
    assert np.array_equal(_outputs(_fit(placement).program), _outputs(_program()))


@pytest.mark.slow
def test_the_exact_matrix_is_no_worse_than_any_sorting() -> None:
    """By its own measure, layer by layer: what `optimal` sets out from."""
    program = _program()
    moments = gather_moments(program, _data())
    found = []
    for step in program.crossbar_steps:
        importance = importance_of(step, moments[step.name], None)

        def wired(changed: CrossbarStep) -> Any:
            return Chip(replace_step(program, changed), LINES).levels(changed)

        job = PlacementJob(step, program.target, importance, wired)
        best = place_layer(job, "optimal", 2)
        assert best.after <= min(best.before, place_layer(job, "rows").after)
        found.append(best)
    assert sum(best.after for best in found) < 0.8 * sum(best.before for best in found)


@pytest.mark.slow
def test_optimal_is_nearer_to_the_plain_answers_than_what_it_sets_out_from() -> None:
    """By executed answers, which squared errors of layers do not add up to."""
    searched = _fit("optimal").searched
    assert searched.after < 0.8 * searched.before


def _distance(program: Program) -> float:
    plain, wired = _outputs(_program()), _outputs(program, LINES)
    return float(np.square(wired - plain).sum() / np.square(plain).sum())


@pytest.mark.slow
def test_compensations_bring_outputs_back() -> None:
    as_is = _distance(_program())
    gain = _distance(_fit("none", frozenset({"gain"})).program)
    outputs = _distance(_fit("none", frozenset({"outputs"})).program)
    levels = _distance(_fit("none", frozenset({"predistort", "gain"})).program)
    assert gain < 0.5 * as_is
    assert outputs < 0.5 * as_is
    assert levels < 0.2 * as_is


@pytest.mark.slow
def test_an_order_does_not_spoil_the_gain_that_follows() -> None:
    """On images that nothing was fitted to; searched without the gain, the order is worse."""
    test = {"image": shipped_images(400)["image"]}
    plain = np.asarray(Executor(_program()).run(test)[0], dtype=np.float64)

    def far(program: Program) -> float:
        found = Executor(program, chip=Chip(program, LINES)).run(test)[0]
        return divergence(plain, np.asarray(found, dtype=np.float64))

    gain = frozenset({"gain"})
    alone, both = (far(_fit(placement, gain).program) for placement in ("none", "optimal"))
    blind = _fit("optimal").program
    late = fit_program(blind, _data(), FitOptions("none", gain, LINES, judged=False)).program
    assert both < 1.05 * alone
    assert both < far(late)


@pytest.mark.slow
def test_the_ranking_is_deterministic() -> None:
    again = fit_program(_program(), _data(), FitOptions("srs", effects=LINES))
    assert again.as_json() == _fit("srs").as_json()
    assert set(again.as_json()["sensitivity"]) == {step.name for step in _program().crossbar_steps}


def test_unlabelled_data_is_enough() -> None:
    data = {"image": _data()["image"][:40]}
    found = fit_program(_program(), data, FitOptions("srs", effects=LINES))
    one = next(iter(found.sensitivities.values()))
    assert one.fisher is None
    assert one.price is one.scores
    assert (one.scores >= 0).all()


@pytest.mark.slow
def test_known_faults_are_made_up_for() -> None:
    program = _program()
    known = random_faults(program.target, program.arrays, seed=3, rates=(0.005, 0.02))
    effects = Effects(frozenset({"faults"}), fault_map=known, converters=False)
    options = FitOptions("faults", frozenset({"partner"}), effects)
    fitted = fit_program(program, _data(), options).program
    plain = _outputs(program)

    def far(other: Program) -> float:
        return float(np.square(_outputs(other, effects) - plain).sum())

    assert far(fitted) < 0.05 * far(program)


@pytest.mark.slow
def test_pairs_are_needed_where_levels_change() -> None:
    with pytest.raises(MappingError, match="no weights on pairs"):
        fit_program(
            _program("offset", "16"), _data(), FitOptions("none", frozenset({"predistort"}), LINES)
        )


@pytest.mark.parametrize(
    ("placement", "compensations", "text"),
    [
        ("nowhere", frozenset(), "not available"),
        ("none", frozenset({"luck"}), "no compensation"),
        ("faults", frozenset(), "--fault-map"),
    ],
)
def test_unknown_names_are_refused(
    placement: str, compensations: frozenset[str], text: str
) -> None:
    with pytest.raises(InputError, match=text):
        FitOptions(placement, compensations)


@pytest.mark.slow
def test_a_study_tells_what_wires_take() -> None:
    sweep = Sweep((0.01, 8.0), ("none",), (frozenset(), frozenset({"gain"})), converters=False)
    held = shipped_images(200)
    study = study_lines(_program(), _data(), held, sweep)
    by_case = {(p.scale, p.compensations): p.top1 for p in study.points}
    assert abs(by_case[0.01, "none"] - study.ideal) < 0.02
    assert by_case[8.0, "none"] < study.ideal - 0.05
    assert by_case[8.0, "gain"] > by_case[8.0, "none"]
    drawn = picture(study)
    assert drawn.count("<polyline") == 2
    assert study.as_json()["samples"] == 200


def test_what_calibrates_does_not_judge() -> None:
    data = {"image": np.arange(40.0).reshape(20, 2), "labels": np.arange(20)}
    known, judged = held_back(data)
    assert sorted(known) == ["image"]
    assert np.array_equal(np.concatenate([known["image"], judged["image"]]), data["image"])
    assert judged["labels"].tolist() == list(range(5, 20))
    many = {"image": np.zeros((4000, 1)), "labels": np.zeros(4000, dtype=np.int64)}
    assert len(held_back(many)[0]["image"]) == 256


@pytest.mark.parametrize("count", [0, 3])
def test_too_few_samples_to_hold_back(count: int) -> None:
    data = {"image": np.zeros((count, 2)), "labels": np.zeros(count, dtype=np.int64)}
    with pytest.raises(InputError, match="samples"):
        held_back(data)


def test_a_study_needs_labels() -> None:
    with pytest.raises(InputError, match="labels"):
        study_lines(_program(), _data(), {"image": _data()["image"]}, Sweep())


def test_scaled_wires_change_nothing_else() -> None:
    target = _program().target
    scaled = scaled_wires(target, 2.0)
    assert scaled.wires.wordline.value == 30.0
    assert scaled.cell == target.cell
    again = replace(_program(), target=scaled)
    assert top1(again, shipped_images(50), Effects()) == top1(
        _program(), shipped_images(50), Effects()
    )
