"""What designs share, and must not: cells, answers and stored results."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.helper as oh
import onnx.numpy_helper as on
import pytest

from tests.explore.conftest import MakeStudy, write_net
from xbarc.api import compile as compile_program
from xbarc.compiler import compile_model
from xbarc.cost import parse_policy, program_cost
from xbarc.errors import InputError, XbarcError
from xbarc.evaluate import evaluate
from xbarc.explore import Study, explore, make_study, meaning_of
from xbarc.explore.batches import Batches, group_recipes
from xbarc.explore.digests import method_digest
from xbarc.explore.figures import totals_of
from xbarc.explore.recipe import Recipe, make_recipe
from xbarc.explore.work import REPORTED, Conditions, DesignCosts, _program_of, price
from xbarc.ir import Program, read_npz
from xbarc.numerics import digest_of
from xbarc.report import Totals
from xbarc.rows import facts_of
from xbarc.target import load_target

LAW = """
class Law:
    name = "law"
    def conversion_energy(self, bits, target): return {energy}
    def converter_area(self, bits, target): return 5.0
    def conversion_time(self, bits, target): return 1.0
    def figure(self, path, value, target): return value
"""


@pytest.fixture
def write_law(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], str]:
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(energy: float) -> str:
        (tmp_path / "law_of_a_test.py").write_text(LAW.format(energy=energy))
        sys.modules.pop("law_of_a_test", None)
        method_digest.cache_clear()
        return "law_of_a_test:Law"

    return write


def test_a_cost_law_prices_designs(study: MakeStudy, write_law: Callable[[float], str]) -> None:
    law = write_law(50.0)
    made = study(data=None, objectives={"energy_uj": "min"}, knobs={"cost_law": [law], "adc": [5]})
    row = explore(made).rows[1]
    wanted = compile_program(
        made.models[0], calibration=read_npz(made.calibrate or Path()), cost_law=law, adc=5
    ).report()
    assert row.figures["energy_uj"] == wanted.totals.energy_uj
    assert row.figures["area_mm2"] == wanted.totals.area_mm2


def test_code_of_others_is_part_of_a_result(
    study: MakeStudy, tmp_path: Path, write_law: Callable[[float], str]
) -> None:
    energies = []
    for energy in (50.0, 60.0):
        law = write_law(energy)
        made = study(data=None, objectives={"energy_uj": "min"}, knobs={"cost_law": [law]})
        energies.append(explore(made, store=tmp_path / "s.db").rows[1].figures["energy_uj"])
    assert energies[0] != energies[1]


def test_choices_by_price_share_no_cells(study: MakeStudy) -> None:
    """An encoding that the target, and no option, leaves to be chosen."""
    knobs = {"costs.adc.energy_exponential": [0.0, 9.0]}
    fixed = {"precision.encoding": "auto"}
    made = study(data=None, objectives={"energy_uj": "min"}, knobs=knobs, fixed=fixed)
    for row in explore(made).rows[1:]:
        texts = [f"{name}={value}" for name, value in {**fixed, **row.values}.items()]
        wanted = compile_program(
            made.models[0],
            load_target("rram128", texts),
            calibration=read_npz(made.calibrate or Path()),
        ).report()
        assert row.figures["energy_uj"] == wanted.totals.energy_uj


def test_every_total_is_that_of_the_report(study: MakeStudy) -> None:
    made = study(data=None, objectives={"energy_uj": "min"})
    recipe = _recipe_of(made, {"duplicate": "balance", "adc": 4})
    found = price(Conditions(None), recipe).totals
    wanted = compile_program(
        made.models[0],
        calibration=read_npz(made.calibrate or Path()),
        duplicate="balance",
        adc=4,
    ).report()
    for fact in facts_of(Totals):
        if fact.name != "unknown":
            assert found[fact.name] == getattr(wanted.totals, fact.name), fact.name


def _recipe_of(study: Study, settings: dict[str, Any]) -> Recipe:
    return make_recipe(study.models[0], study.calibrate, study.target, settings)


def test_models_that_are_one_program_have_their_own_float_answers(
    study: MakeStudy, tmp_path: Path
) -> None:
    """Weights a little apart: the same integers, other float outputs."""
    first = write_net(tmp_path / "a.onnx")
    model = onnx.load(first)
    for tensor in model.graph.initializer:
        values = on.to_array(tensor).copy()
        inside = np.abs(values) < np.abs(values).max(axis=0)
        # Less than half a step of 4 bits, so that most weights round as before.
        values[inside] *= 1 + 1e-6
        tensor.CopyFrom(on.from_array(values, tensor.name))
    second = tmp_path / "b.onnx"
    onnx.save(model, second)
    made = study(
        models=(first, second),
        knobs={"adc": ["lossless"]},
        fixed={"weight_bits": 4, "feedback": "off"},
        objectives={"sqnr_db": "max"},
        search={"images": ("all",)},
    )
    digests = [
        price(Conditions(None), _recipe_of(made.model_copy(update={"models": (m,)}), made.fixed))
        for m in made.models
    ]
    assert digests[0].digest == digests[1].digest
    each = explore(made).rows[1].by_model
    for path in made.models:
        program = compile_program(
            path, calibration=read_npz(made.calibrate or Path()), weight_bits=4, feedback="off"
        ).program
        wanted = evaluate(program, read_npz(made.data or Path()), path).output_sqnr_db
        assert each[path.stem]["sqnr_db"] == pytest.approx(wanted, rel=1e-13)
    assert each["a"]["sqnr_db"] != each["b"]["sqnr_db"]


def test_an_input_that_is_fixed_is_fixed_in_the_float_model_too(
    study: MakeStudy, tmp_path: Path
) -> None:
    """Lists are what an input holds; designs with other constants have other float answers."""
    path = tmp_path / "two.onnx"
    weight = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
    graph = oh.make_graph(
        [
            oh.make_node("MatMul", ["x", "w"], ["a"], name="first"),
            oh.make_node("Mul", ["a", "gain"], ["y"]),
        ],
        "net",
        [oh.make_tensor_value_info("x", 1, ["N", 12]), oh.make_tensor_value_info("gain", 1, [5])],
        [oh.make_tensor_value_info("y", 1, ["N", 5])],
        [on.from_array(weight, "w")],
    )
    model = oh.make_model(graph, opset_imports=[oh.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    gains = [[1, 1, 1, 1, 1], [9, 1, 1, 1, 1]]
    made = study(
        models=(path,),
        knobs={"fix_input": [{"set": {"fix_input": {"gain": gain}}} for gain in gains]},
        fixed={},
        search={"images": ("all",)},
    )
    rows = explore(made).rows
    assert [row.proof for row in rows[1:]] == ["measured", "measured"]
    assert all((row.figures["agreement"] or 0) > 0.9 for row in rows[1:])
    assert "--fix-input gain=9,1,1,1,1" in rows[2].commands[0]


def test_rungs_need_not_fill_the_batch_of_a_model(study: MakeStudy, tmp_path: Path) -> None:
    model = onnx.load(write_net(tmp_path / "fixed.onnx"))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 8
    onnx.save(model, tmp_path / "fixed.onnx")
    fields = {"knobs": {"adc": [4]}, "search": {"images": (20, 64, "all")}}
    free = explore(study(**fields))
    fixed = explore(study(models=(tmp_path / "fixed.onnx",), **fields))
    for one, other in zip(free.rows, fixed.rows, strict=True):
        assert one.figures["agreement"] == other.figures["agreement"]
        assert one.figures["top1"] == other.figures["top1"]


def test_labels_are_judged_as_check_judges_them(study: MakeStudy, tmp_path: Path) -> None:
    data = read_npz(tmp_path / "test.npz")
    made = study(objectives={"top1": "max"}, knobs={"adc": [4]})
    program = compile_program(
        made.models[0], calibration=read_npz(made.calibrate or Path()), adc=4
    ).program
    wanted = evaluate(program, data, made.models[0])
    assert explore(made).rows[1].figures["top1"] == wanted.top1_crossbar
    for by, said in ((1, "labels reach from 1 to 5, expected 0 to 4"), (-1, "from -1 to 3")):
        path = tmp_path / f"moved{by}.npz"
        np.savez(path, x=data["x"], labels=data["labels"] + by)
        assert said in explore(made.model_copy(update={"data": path})).common_failure
        with pytest.raises(InputError, match=said):
            evaluate(program, read_npz(path), made.models[0])
    for labels in (data["labels"].astype(np.float32), np.eye(5)[data["labels"]]):
        np.savez(tmp_path / "bad.npz", x=data["x"], labels=labels)
        for goal in ("top1", "agreement"):
            bad = study(data=tmp_path / "bad.npz", objectives={goal: "max"})
            with pytest.raises(InputError, match="labels are float"):
                explore(bad)


def test_nothing_is_given_up_where_worse_answers_are_better(study: MakeStudy) -> None:
    for fields in (
        {"objectives": {"agreement": "min", "energy_uj": "min"}},
        {"constraints": {"agreement": "<= 0.9"}},
    ):
        knobs = {"adc": ["lossless", 3, 1]}
        result = explore(study(knobs=knobs, search={"images": (40, "all")}, **fields))
        whole = explore(study(knobs=knobs, search={"images": ("all",)}, **fields))
        assert [row.state for row in result.rows] == [row.state for row in whole.rows]


def test_a_list_in_a_choice_by_price(study: MakeStudy) -> None:
    savings = [["recode", "centre"], "recode,centre"]
    made = study(data=None, objectives={"energy_uj": "min"}, knobs={"adc_savings": savings})
    _, *rows = explore(made).rows
    assert rows[0].figures == rows[1].figures
    assert all("--adc-savings recode,centre" in row.commands[0] for row in rows)


# What turns a design into another one; a few of each meet in one process, and share what they can.
KNOBS: dict[str, list[Any]] = {
    "array.rows": [16, 64, 128],
    "array.columns": [16, 48, 128],
    "hierarchy.arrays_per_macro": [2, 16],
    "input.dac_bits": [1, 2],
    "adc": ["lossless", "worst-case", 8, 5, 3, "calibrated:4", "calibrated"],
    "encoding": ["differential", "offset", "acm", "bias-column", "auto"],
    "weight_bits": [8, 5, 4],
    "activation_bits": [8, 6],
    "ranges": ["mse", "minmax"],
    "feedback": ["auto", "on", "off"],
    "range_analysis": ["all", "structure", "none"],
    "tile": ["fill", "even"],
    "pack": ["layer", "network"],
    "duplicate": ["none", "balance"],
    "equalise": ["none", "layer"],
    "prune": ["none", "0.5"],
    "adc_savings": ["none", "recode,centre"],
    "weight_slices": [None, 4],
}


def _draw_recipe(study: Study, rng: np.random.Generator) -> Recipe:
    """A few knobs turned, the others as they are."""
    names = rng.choice(list(KNOBS), size=rng.integers(1, 6), replace=False)
    settings = {name: KNOBS[name][rng.integers(len(KNOBS[name]))] for name in names.tolist()}
    if "array.rows" in settings:
        settings["array.active_rows"] = settings["array.rows"]
    return _recipe_of(study, settings)


def _check_shared(recipe: Recipe) -> bool:
    """Compare a design with the same one compiled alone; False where it does not map."""
    found = price(Conditions(None), recipe)
    alone = _compile_alone(recipe)
    if isinstance(alone, str):
        assert found.error == alone
        return False
    assert not found.error, found.error
    shared = _program_of(recipe)
    own = {name: value for name, value in alone.settings if name not in REPORTED}
    assert dict(shared.settings) == own
    for one, other in zip(shared.steps, alone.steps, strict=True):
        assert digest_of(one) == digest_of(other), recipe
    assert found.digest == price_digest(alone)
    policy = parse_policy(recipe.compile_options().duplicate, alone.target)
    assert found.totals == totals_of(alone, program_cost(alone, policy))[0]
    return True


def _compile_alone(recipe: Recipe) -> Program | str:
    """A program that shares nothing, or why there is none."""
    calibration = None if recipe.calibrate is None else read_npz(recipe.calibrate)
    try:
        target, options = recipe.load_target(), recipe.compile_options()
        return compile_model(recipe.model, target, options=options, calibration=calibration)
    except XbarcError as error:
        return str(error)


def price_digest(program: Program) -> str:
    return digest_of(meaning_of(program).digest, {})


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
)
def test_designs_that_share_work_are_what_they_are_alone(study: MakeStudy, seed: int) -> None:
    made, rng = study(), np.random.default_rng(seed)
    assert sum(_check_shared(_draw_recipe(made, rng)) for _ in range(12)) > 4


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_designs_of_a_real_network_share_work(seed: int) -> None:
    folder, rng = Path(__file__).parents[2] / "models", np.random.default_rng(seed)
    made = make_study(
        {
            "models": [folder / "fashion-mlp.onnx"],
            "calibrate": folder / "fashion-calibration-256.npz",
            "knobs": {"adc": [5]},
            "objectives": {"energy_uj": "min"},
        }
    )
    assert sum(_check_shared(_draw_recipe(made, rng)) for _ in range(12)) > 4


def test_designs_of_one_program_go_to_one_worker(study: MakeStudy) -> None:
    made = study()
    settings = [
        {"array.columns": columns, "hierarchy.arrays_per_macro": arrays, "duplicate": copies}
        for columns in (64, 128)
        for arrays in range(1, 12)
        for copies in ("none", "balance")
    ]
    recipes = {str(n): _recipe_of(made, one) for n, one in enumerate(settings)}
    groups = group_recipes(recipes)
    assert sorted(key for group in groups for key in group) == sorted(recipes)
    for group in groups:
        assert len({settings[int(key)]["array.columns"] for key in group}) == 1
    assert sorted(map(len, groups)) == [6, 6, 16, 16]


def test_a_worker_gets_a_run_of_designs_that_share(study: MakeStudy) -> None:
    """Those of one network together, in batches of about a second."""
    made = study()
    settings: list[dict[str, Any]] = [
        {"array.columns": columns, "activation_bits": bits, "adc": adc}
        for columns in range(32, 64, 2)
        for adc in ("lossless", 5, 4)
        for bits in (8, 6)
    ]
    recipes = {str(n): _recipe_of(made, one) for n, one in enumerate(settings)}
    batches, keys, sizes = Batches(recipes, 2), list[str](), list[int]()
    lanes: dict[int, set[Any]] = {0: set(), 1: set()}
    for batch in batches:
        lanes[batch.lane] |= {settings[int(key)]["activation_bits"] for key in batch.keys}
        keys += batch.keys
        sizes.append(len(batch.keys))
        batches.learn([DesignCosts(seconds=0.1)] * len(batch.keys))
    assert sorted(keys) == sorted(recipes)
    assert sorted(map(len, lanes.values())) == [1, 1]
    assert sizes[0] == 1
    assert max(sizes) == 10
    # Whoever works alone goes through all of them in their order.
    assert len([*Batches(recipes, 1)]) == len(recipes)


def test_a_study_sees_files_as_they_are_now(study: MakeStudy, net: Path) -> None:
    """Files of one name change between two studies of one process: models, data, targets."""
    chip = net.parent / "chip.toml"
    chip.write_text('base = "rram128"\n')
    asked = {"target": str(chip), "objectives": {"sqnr_db": "max", "energy_uj": "min"}}
    explore(study(**asked))
    write_net(net, seed=5)
    moved = read_npz(net.parent / "test.npz")
    np.savez(net.parent / "test.npz", x=2 * moved["x"][::-1], labels=moved["labels"])
    chip.write_text('base = "rram128"\ncell.bits = 1\n[cell.conductance]\nvalues = [2.0, 50.0]\n')
    made = study(**asked)
    after = explore(made)
    alone = _in_a_new_process(made)
    assert {row.number: dict(row.figures) for row in after.rows} == alone


def test_another_order_of_samples_is_compared_with_its_own_float_outputs(study: MakeStudy) -> None:
    asked = {"objectives": {"sqnr_db": "max"}, "knobs": {"adc": ["lossless", 5]}}
    explore(study(**asked, search={"images": (20,), "seed": 0}))
    made = study(**asked, search={"images": (20,), "seed": 5})
    found = {row.number: dict(row.figures) for row in explore(made).rows}
    assert found == _in_a_new_process(made)


def _in_a_new_process(made: Study) -> dict[int, dict[str, float | None]]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_figures_of, made).result()


def _figures_of(made: Study) -> dict[int, dict[str, float | None]]:
    return {row.number: dict(row.figures) for row in explore(made).rows}
