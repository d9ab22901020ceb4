"""Whole studies, beside a loop that anybody would write."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tests.explore.conftest import MakeStudy, write_flat_net, write_net
from xbarc.api import compile as compile_program
from xbarc.circuit import Chip, Effects, program_faults
from xbarc.errors import InputError
from xbarc.evaluate import evaluate
from xbarc.executor import Executor
from xbarc.explore import Study, StudyResult, explore, render_explanation, render_result
from xbarc.explore.goals import read_goals
from xbarc.explore.work import Answers, Conditions, Question
from xbarc.explore.work import answer as run_samples
from xbarc.ir import read_npz
from xbarc.oracle import Oracle
from xbarc.target import load_target


def by_hand(study: Study, values: dict[str, Any]) -> dict[str, float]:
    """One design, compiled, reported and checked as a user would."""
    model = study.models[0]
    settings = [f"{name}={value}" for name, value in values.items() if "." in name]
    options = {name: value for name, value in values.items() if "." not in name}
    assert study.calibrate is not None
    assert study.data is not None
    made = compile_program(
        model,
        load_target(study.target, settings),
        calibration=read_npz(study.calibrate),
        **options,
    )
    totals = made.report().totals
    found = evaluate(made.program, read_npz(study.data), model)
    assert found.agreement is not None
    assert found.top1_crossbar is not None
    assert totals.energy_uj is not None
    assert totals.area_mm2 is not None
    return {
        "agreement": found.agreement,
        "top1": found.top1_crossbar,
        "energy_uj": totals.energy_uj,
        "area_mm2": totals.area_mm2,
        "sqnr_db": found.output_sqnr_db or float("inf"),
    }


def test_figures_are_those_of_a_loop_over_compile_and_check(study: MakeStudy) -> None:
    made = study(search={"images": ("all",)})
    result = explore(made)
    assert len(result.rows) == 7
    for row in result.rows:
        wanted = by_hand(made, dict(row.values))
        for name, value in wanted.items():
            assert row.figures[name] == pytest.approx(value, rel=1e-12), (row.values, name)
    assert {row.proof for row in result.rows} == {"measured", "proved"}


def test_giving_up_changes_no_front(study: MakeStudy) -> None:
    knobs = {"weight_bits": [8, 4], "adc": ["lossless", 5, 4, 3, 2, 1]}
    whole = explore(study(knobs=knobs, search={"images": ("all",)}))
    halved = explore(study(knobs=knobs, search={"images": (20, 60, "all")}))
    assert [row.values for row in halved.front] == [row.values for row in whole.front]
    assert any(row.state == "given up" for row in halved.rows)
    assert halved.executed < whole.executed


def test_a_knob_moves_accuracy_on_samples_that_all_answered(study: MakeStudy) -> None:
    """A design that is given up has another accuracy than on all samples, and not by its knob."""
    knobs: dict[str, list[Any]] = {"weight_bits": [8, 4], "adc": ["lossless", 5, 4, 3, 2, 1]}
    first = explore(study(knobs=knobs, search={"images": (60,)}))
    halved = explore(study(knobs=knobs, search={"images": (60, "all")}))
    assert any(row.state == "given up" for row in halved.rows)
    assert halved.effect == first.effect
    for knob, choices in knobs.items():
        for goal, moved in first.effect[knob].items():
            means = []
            for choice in choices:
                found = [r.figures[goal] or 0 for r in first.rows[1:] if r.values[knob] == choice]
                means.append(np.mean(found))
            assert moved == pytest.approx(max(means) - min(means), abs=1e-15)


class Counted:
    """Does the work here, counts it, and stops after so much of it."""

    def __init__(self, most: int = 10**9) -> None:
        self.done: list[Any] = []
        self.most = most

    def __call__(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            if len(self.done) == self.most:
                raise KeyboardInterrupt
            self.done.append(item)
            yield function(item)


def test_nothing_is_computed_twice(study: MakeStudy, tmp_path: Path) -> None:
    made, path = study(), tmp_path / "s.db"
    whole = Counted()
    wanted = explore(made, share=whole)
    for most in (0, 3, len(whole.done) - 1):
        path = tmp_path / f"{most}.db"
        broken = Counted(most)
        with pytest.raises(KeyboardInterrupt):
            explore(made, store=path, share=broken)
        again = Counted()
        found = explore(made, store=path, share=again)
        assert plain(found) == plain(wanted)
        # A result that was handed over is kept: the one that was interrupted is all that is lost.
        assert len(broken.done) + len(again.done) <= len(whole.done) + 1
    last = Counted()
    explore(made, store=path, share=last)
    assert not last.done


def plain(result: StudyResult) -> dict[str, Any]:
    return result.as_json()


def test_processes_change_nothing(study: MakeStudy) -> None:
    made = study()
    assert plain(explore(made, jobs=2)) == plain(explore(made))


def test_cells_that_are_shared_change_no_figure(
    study: MakeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fields of a target that only cost something take over cells: the same as compiled anew."""
    knobs = {
        "hierarchy.arrays_per_macro": [4, 16],
        "duplicate": ["none", "balance"],
    }
    shared = explore(study(knobs=knobs))
    monkeypatch.setattr("xbarc.explore.work._PRICED", ())
    monkeypatch.setattr("xbarc.explore.work.REPORTED", frozenset())
    apart = explore(study(knobs=knobs))
    assert plain(shared) == plain(apart)
    assert len({json.dumps(dict(row.figures)) for row in shared.rows}) > 1


def test_a_design_that_does_not_map_is_a_result(study: MakeStudy) -> None:
    result = explore(study(knobs={"array.rows": [64, 128], "array.active_rows": [128]}))
    states = {row.values.get("array.rows"): row for row in result.rows}
    assert states[64].state == "does not map"
    assert "active_rows" in states[64].reason
    assert states[128].state != "does not map"
    with io.StringIO() as text:
        Console(file=text, width=200).print(render_result(result))
        assert "2 designs: 1 front, 1 do not map" in text.getvalue()
        assert "1 do not map: " in text.getvalue()


def test_constraints_and_an_unknown_figure(study: MakeStudy) -> None:
    result = explore(study(constraints={"agreement": ">= float - 0.03", "arrays": "<= 3"}))
    for row in result.rows:
        if row.state == "breaks":
            assert "agreement" in row.reason or "arrays" in row.reason
        elif row.state == "front":
            assert (row.figures["agreement"] or 0) >= 0.97
    assert any(row.state == "breaks" for row in result.rows)
    none = explore(study(constraints={"write_energy_uj": "<= 3"}))
    assert not none.front  # rram128 has no figure of it
    for bad in ({"energy": "<= 3"}, {"energy_uj": "less"}, {"energy_uj": "<= float"}):
        with pytest.raises(InputError, match="constraints"):
            explore(study(constraints=bad))


def test_data_that_cannot_judge(study: MakeStudy, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="need samples"):
        explore(study(data=None))
    np.savez(tmp_path / "bare.npz", x=np.ones((4, 12), np.float32))
    with pytest.raises(InputError, match="needs an array `labels`"):
        explore(study(data=tmp_path / "bare.npz", objectives={"top1": "max"}))
    costs = explore(study(data=None, objectives={"energy_uj": "min"}))
    assert costs.conditions == "costs only; no sample ran"
    assert costs.front


def test_samples_that_judge_and_set_ranges_are_told(study: MakeStudy, tmp_path: Path) -> None:
    knobs = {"adc": ["lossless"]}
    data = tmp_path / "cal.npz"
    goals = {"agreement": "max"}
    both = explore(study(knobs=knobs, data=data, objectives=goals))
    assert "the same samples set ranges" in both.conditions
    assert "set ranges" not in explore(study(knobs=knobs, objectives=goals)).conditions


def test_chips_that_deviate_share_nothing(study: MakeStudy) -> None:
    knobs = {"array.columns": [64, 128]}
    search = {"images": ("all",), "effects": "variation", "seeds": 2}
    result = explore(study(knobs=knobs, search=search))
    assert "2 chips with variation" in result.conditions
    digests = [row.answered_by for row in result.rows]
    assert digests[1] != digests[2]


def test_one_chip_for_several_models(study: MakeStudy, tmp_path: Path) -> None:
    nets = (write_net(tmp_path / "one.onnx", 1), write_net(tmp_path / "two.onnx", 2, hidden=90))
    rows, result = {}, explore(study(models=nets))
    for across in ("worst", "mean", "each"):
        result = explore(study(models=nets, across=across))
        rows[across] = result.rows[1]
        assert set(result.rows[1].by_model) == {"one", "two"}
    proved = next(row for row in result.rows if row.proof == "proved")
    text = render_explanation(result, proved.number)
    assert "\n  one: no converter can lose anything" in text
    assert "\n  two: no converter can lose anything" in text
    each = [one["energy_uj"] for one in rows["worst"].by_model.values()]
    known = [value for value in each if value is not None]
    assert rows["worst"].figures["energy_uj"] == max(known)
    assert rows["mean"].figures["energy_uj"] == pytest.approx(np.mean(known))


def test_a_design_is_beaten_on_every_model_that_counts(study: MakeStudy, tmp_path: Path) -> None:
    """Where each model counts, the worst of both says nothing of who beats whom."""
    nets = (write_net(tmp_path / "one.onnx", 1), write_net(tmp_path / "two.onnx", 2, hidden=90))
    goals = {"energy_uj": "min"}
    result = explore(study(models=nets, across="each", objectives=goals, data=None))
    assert result.as_json()["across"] == "each"
    energies = {1: (1.0, 3.0), 2: (2.0, 2.0), 3: (1.0, 2.5)}  # the worst: 3, 2 and 2.5
    rows = tuple(
        replace(
            result.row(number),
            state="beaten" if number == 1 else "front",
            figures={"energy_uj": max(two)},
            by_model={"one": {"energy_uj": two[0]}, "two": {"energy_uj": two[1]}},
        )
        for number, two in energies.items()
    )
    assert "beaten by 3\n" in render_explanation(replace(result, rows=rows), 1)
    worst = replace(result, rows=rows, across="worst")
    assert "beaten by 2, 3\n" in render_explanation(worst, 1)


@pytest.mark.parametrize("known", [(1.0, None), (None, 1.0), (None, None)])
@pytest.mark.parametrize("across", ["worst", "mean", "each"])
def test_what_is_unknown_of_one_model_is_unknown(
    study: MakeStudy, known: tuple[float | None, ...], across: str
) -> None:
    goals = read_goals(study(objectives={"energy_uj": "min"}, across=across))
    values = goals.values([{"energy_uj": value} for value in known])
    assert np.isnan(values).any()


def test_designs_of_which_an_objective_is_unknown_are_no_answer(
    study: MakeStudy, tmp_path: Path
) -> None:
    result = explore(study(objectives={"write_energy_uj": "min"}, data=None))
    assert {row.state for row in result.rows} == {"unknown"}  # rram128 has no figure of it
    assert result.rows[1].reason.startswith("write_energy_uj is unknown: ")
    assert result.common_failure == result.rows[1].reason
    model = write_flat_net(tmp_path / "flat.onnx")
    result = explore(study(models=(model,), objectives={"agreement": "max"}))
    assert result.common_failure.startswith("agreement is unknown: the first output has no scores")
    rules = {"agreement": ">= 0.9"}
    result = explore(study(models=(model,), objectives={"arrays": "min"}, constraints=rules))
    assert result.rows[1].state == "breaks"
    assert "agreement >= 0.9: agreement is unknown: the first" in result.rows[1].reason


def test_one_number_a_sample_is_no_choice_among_classes(study: MakeStudy, tmp_path: Path) -> None:
    """Its largest number is itself: such outputs agreed wholly, whatever the design computed."""
    model = write_flat_net(tmp_path / "one.onnx", keep=True)
    goals = {"agreement": "max", "energy_uj": "min"}
    made = study(models=(model,), objectives=goals, knobs={"adc": ["lossless", 2]})
    result = explore(made)
    assert {row.state for row in result.rows} == {"unknown"}
    program = compile_program(str(model), calibration=read_npz(tmp_path / "cal.npz")).program
    arrays = {"x": read_npz(tmp_path / "test.npz")["x"]}
    checked = evaluate(program, arrays, model)
    assert checked.agreement is None
    assert checked.output_sqnr_db == pytest.approx(result.rows[0].figures["sqnr_db"], rel=1e-12)


def test_what_surely_breaks_a_rule_is_given_up_for_that(study: MakeStudy) -> None:
    knobs = {"adc": ["lossless", 1]}
    search = {"images": (100, "all")}
    rules = {"agreement": ">= 0.9"}
    result = explore(
        study(knobs=knobs, objectives={"arrays": "min"}, constraints=rules, search=search)
    )
    assert result.rows[2].state == "given up"
    assert result.rows[2].reason == "after 100 samples: surely not agreement >= 0.9"


def test_samplers_find_designs_of_the_grid(study: MakeStudy) -> None:
    knobs = {"array.columns": [64, 128], "adc": ["lossless", 5, 4, 3], "weight_bits": [8, 4]}
    grid = {row.number: row for row in explore(study(knobs=knobs)).rows}
    by_values = {json.dumps(dict(row.values)): row.figures for row in grid.values()}
    for sampler in ("random", "tpe", "nsga2"):
        if sampler != "random":
            pytest.importorskip("optuna", reason="pip install 'xbarc[explore]'")
        search = {"images": (20, "all"), "sampler": sampler, "designs": 6}
        found = explore(study(knobs=knobs, search=search))
        assert sum(bool(row.values) for row in found.rows) == 6
        if sampler == "tpe":
            assert plain(found) == plain(explore(study(knobs=knobs, search=search)))
        for row in found.rows:
            assert by_values[json.dumps(dict(row.values))]["energy_uj"] == row.figures["energy_uj"]


def test_time_that_is_over_ends_a_study(study: MakeStudy) -> None:
    made = study()
    late = made.model_copy(update={"search": made.search.model_copy(update={"budget": 0.0})})
    result = explore(late)
    assert len(result.rows) <= 1


def test_an_explanation_names_the_proof_and_the_command(study: MakeStudy) -> None:
    result = explore(study())
    proved = next(row for row in result.rows if row.proof == "proved")
    text = render_explanation(result, proved.number)
    assert f"proved equal to design {proved.answered_by}" in text
    assert "xbarc compile" in text
    with pytest.raises(InputError, match="no design 99"):
        render_explanation(result, 99)


def test_a_design_that_fails_on_a_sample_is_a_result(study: MakeStudy, tmp_path: Path) -> None:
    x = np.full((8, 12), np.nan, dtype=np.float32)
    np.savez(tmp_path / "nan.npz", x=x, labels=np.zeros(8, np.int64))
    result = explore(study(data=tmp_path / "nan.npz"))
    assert {row.state for row in result.rows} == {"fails on a sample"}
    assert all("NaN" in row.reason and row.commands for row in result.rows)
    assert not result.front
    with io.StringIO() as text:
        Console(file=text, width=200).print(render_result(result))
        assert "6 designs: 6 fail on a sample" in text.getvalue()


def test_one_failure_leaves_the_other_designs(
    study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A target that is not there, a file that is none, and a class that fails after 20 samples."""
    (tmp_path / "bad.npz").write_text("no archive")
    knobs = {"target": ["rram128", "no-such-chip"], "split": ["strided", str(tmp_path / "bad.npz")]}
    rows = explore(study(knobs=knobs)).rows
    states = [row.state for row in rows[1:]]
    assert states.count("does not map") == 3, states
    wrong = [row for row in rows if row.values.get("target") == "no-such-chip"]
    assert all("no-such-chip" in row.reason for row in wrong)

    def answer(conditions: Conditions, question: Question) -> Answers:
        if dict(question.recipe.options).get("adc") == 3 and question.first >= 20:
            return Answers.failing("out of luck")
        return run_samples(conditions, question)

    monkeypatch.setattr("xbarc.explore.driver.answer", answer)
    result = explore(study())
    for row in result.rows[1:]:
        assert (row.state == "fails on a sample") == (row.values["adc"] == 3)
    assert result.front


def test_known_faults_are_those_of_the_chips(study: MakeStudy, tmp_path: Path) -> None:
    """The file is found beside the study, and its cells are stuck in what is executed."""

    def write_faults(count: int) -> None:
        array, row, column, level = (np.full(count, number) for number in (0, 3, 5, 3))
        np.savez(tmp_path / "faults.npz", array=array, row=row, column=column, level=level)

    write_faults(1)
    text = """
models = ["net.onnx"]
data = "test.npz"
calibrate = "cal.npz"
[knobs]
placement = ["faults"]
[fixed]
fault_map = "faults.npz"
[objectives]
sqnr_db = "max"
[search]
images = ["all"]
effects = "faults"
"""
    (tmp_path / "study.toml").write_text(text)
    first = explore(tmp_path / "study.toml", store=tmp_path / "s.db").rows[1]
    assert first.state == "front"
    program = compile_program(
        tmp_path / "net.onnx",
        calibration=read_npz(tmp_path / "cal.npz"),
        placement="faults",
        fault_map=tmp_path / "faults.npz",
    ).program
    known = program_faults(read_npz(tmp_path / "faults.npz"), program, "")
    chip = Chip(program, Effects(frozenset({"faults"}), fault_map=known))
    data = read_npz(tmp_path / "test.npz")
    floats = Oracle(tmp_path / "net.onnx").run({"x": data["x"]})["y"]
    found = Executor(program, chip=chip).run({"x": data["x"]})[0]
    sqnr = 10 * np.log10((floats**2).sum() / ((found - floats) ** 2).sum())
    assert first.figures["sqnr_db"] == pytest.approx(sqnr, rel=1e-4)
    write_faults(9)
    assert explore(tmp_path / "study.toml", store=tmp_path / "s.db").executed > 0
