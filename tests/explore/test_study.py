"""Study files: what they may say, and all that is wrong with one at once."""

from __future__ import annotations

import datetime
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from xbarc.errors import InputError
from xbarc.explore import Study, make_study, read_study, read_value, vary
from xbarc.explore.knobs import all_designs, count_designs, settings_of
from xbarc.explore.recipe import make_recipe

GOOD: dict[str, Any] = {
    "models": ["a.onnx"],
    "knobs": {"array.rows": [64, 128]},
    "objectives": {"energy_uj": "min"},
}


def made(**fields: Any) -> Study:
    return make_study({**GOOD, **fields})


def test_every_wrong_field_is_named() -> None:
    bad = {**GOOD, "format": 2, "objective": {}, "search": {"imagse": [1], "seeds": 0}}
    with pytest.raises(InputError) as caught:
        make_study(bad)
    text = str(caught.value)
    for part in ("format", "no field 'objective' (did you mean objectives?)", "seeds", "imagse"):
        assert part in text


@pytest.mark.parametrize(
    ("knobs", "parts"),
    [
        ({"array.rows": []}, ("array.rows", "list of values")),
        ({"weight_bit": [4]}, ("no option 'weight_bit'", "weight_bits")),
        ({"weight_bits": {"from": 4}}, ("from, to and step",)),
        ({"weight_bits": {"from": 8, "to": 4}}, ("from <= to",)),
        ({"weight_bits": {"from": 0, "to": 1e9}}, ("at most",)),
        ({"adc": [{"value": 4, "sett": {}}]}, ("value, set or both",)),
        ({"adc": [4], "x": [{"set": {"adc": 5}}]}, ("'adc' is changed by adc and by x",)),
        ({"array.rows": [1], "tied": [["a.b", "c.d"]]}, ("0 of them have values",)),
        ({"array.rows; DROP": [1]}, ("is not a field",)),
        ({"array.rows": [1], "tied": 5}, ("tied: 5 found", "list of lists")),
        ({"weight_bits": {"from": 1, "to": 10**400}}, ("at most",)),
        ({"cell.bits": {"from": -1e308, "to": 1e308}}, ("at most",)),
        ({"cell.bits": {"from": 0, "to": 1e308, "step": 5e-324}}, ("at most",)),
        ({"adc": [4, {"value": 5, "set": {"adc": 6}}]}, ("adc: 5 sets 'adc' twice",)),
        ({"adc": [4, 5, 4]}, ("adc: 4 is there twice",)),
        ({"adc": [{"value": 4, "set": {"a.b": 1}}], "tied": [["adc", "a.b"]]}, ("'a.b' twice",)),
        ({"a.b": [{"set": {"a.c": 1}}], "tied": [["a.b", "a.d"]]}, ("no value", "a.d")),
        (
            {"cells": [{"set": {"a.c": 1}}], "tied": [["cells", "a.d"]]},
            ("cells: a.c=1", "no value"),
        ),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], parts: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        make_study({**GOOD, "knobs": knobs})
    for part in parts:
        assert part in str(caught.value)


def test_knobs_fields_and_what_follows_them() -> None:
    study = make_study(
        {
            **GOOD,
            "knobs": {
                "array.rows": [64, 128],
                "cell.bits": [2, {"value": 1, "set": {"cell": {"stuck": 0}}}],
                "weight-bits": {"from": 4, "to": 8, "step": 2},
                "tied": [["array.rows", "array.active_rows"]],
            },
        }
    )
    knobs = study.variables()
    assert count_designs(knobs) == len(list(all_designs(knobs))) == 12
    assert settings_of(knobs, (1, 1, 2)) == {
        "array.rows": 128,
        "array.active_rows": 128,
        "cell.bits": 1,
        "cell.stuck": 0,
        "weight_bits": 8,
    }


def test_what_is_fixed_is_no_knob() -> None:
    with pytest.raises(InputError, match="'adc' is both fixed and varied"):
        make_study({**GOOD, "fixed": {"adc": 4}, "knobs": {"adc": [5]}})


def test_values_of_a_command_line() -> None:
    assert vary(["array.rows=64,128", "adc=4..6,lossless", "uniform=true", "x=8..6"]) == {
        "array.rows": [64, 128],
        "adc": [4, 5, 6, "lossless"],
        "uniform": [True],
        "x": [8, 7, 6],
    }
    with pytest.raises(InputError, match="NAME=VALUE"):
        vary(["array.rows"])


def test_paths_are_those_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "sub" / "s.toml"
    file.parent.mkdir()
    file.write_text(
        'models = ["a.onnx"]\ndata = "d.npz"\n[knobs]\nadc = [4]\n[objectives]\narea_mm2 = "min"\n'
        '[search]\nbudget = "90min"\n'
    )
    study = read_study(file)
    assert study.models == (file.parent / "a.onnx",)
    assert study.data == file.parent / "d.npz"
    assert study.search.budget == 1.5
    file.write_text("models = [")
    with pytest.raises(InputError, match="no TOML"):
        read_study(file)
    with pytest.raises(InputError, match="no such file"):
        read_study(tmp_path / "none.toml")


def test_tables_without_quotes_are_fields() -> None:
    """To TOML `array.rows = [64]` is a table in a table, under knobs and under what is fixed."""
    study = made(
        knobs={"array": {"rows": [64, 128]}, "adc": {"from": 4, "to": 5}},
        fixed={"cell": {"bits": 2}, "weight-bits": 4, "shapes": {"x": [1, 3]}},
    )
    assert [knob.name for knob in study.variables()] == ["array.rows", "adc"]
    assert study.settings() == {"cell.bits": 2, "weight_bits": 4, "shapes": {"x": [1, 3]}}


@pytest.mark.parametrize(
    "fields",
    [
        {"fixed": {"adcc": 8}},
        {"fixed": {"weight-bits": 4, "weight_bits": 5}},
        {"knobs": {"rows_latency": [float("nan")]}},
        {"knobs": {"cell.bits": [float("inf")]}},
        {"knobs": {"adc": [datetime.date(2020, 1, 1)]}},
        {"knobs": {"encoding": [object()]}},
        {"knobs": {"adc": [{"set": {"cell.bits": float("nan")}}]}},
    ],
)
def test_settings_are_checked_before_any_work(fields: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        made(**fields)


def test_steps_are_decimals() -> None:
    choices = made(knobs={"rows_latency": {"from": 1.1, "to": 1.5, "step": 0.1}}).variables()
    assert [choice.value for choice in choices[0].choices] == [1.1, 1.2, 1.3, 1.4, 1.5]


def test_files_of_targets_lie_beside_the_study(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(
        'models = ["net.onnx"]\nobjectives = {energy_uj = "min"}\ntarget = "a.toml"\n'
        '[knobs]\ntarget = ["isaac", "my chip.toml", {value = "b.toml"}]\n'
    )
    study = read_study(path)
    assert study.target == str(tmp_path / "a.toml")
    values = [choice.value for choice in study.variables()[0].choices]
    assert values == ["isaac", str(tmp_path / "my chip.toml"), str(tmp_path / "b.toml")]


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({"constraints": {"sqnr_db": ">= float - 3"}}, ("sqnr_db of the float model",)),
        ({"search": {"effects": "variation,foo"}}, ("no effect 'foo'",)),
        ({"search": {"seeds": 3}}, ("search.seeds: 3 chips without effects", "variation")),
        ({"search": {"budget": float("nan")}}, ("budget", "finite")),
        ({"search": {"budget": -1}}, ("budget", "0")),
        ({"search": {"images": [True]}}, ("images.0: True found, expected a number",)),
        ({"search": {"images": ["all", 64]}}, ("search.images: ['all', 64] found",)),
        ({"models": ["a.onnx", "./a.onnx"]}, ("models", "once")),
        ({"objectives": {"energy": "min"}}, ("no figure 'energy'",)),
        (
            {"constraints": {"chips": "few"}, "knobs": {"adcc": [1]}, "search": {"effects": "x"}},
            ("no effect 'x'", "chips = 'few'", "no option 'adcc'"),
        ),
    ],
)
def test_what_no_design_could_meet_is_told_at_once(
    fields: dict[str, Any], parts: tuple[str, ...]
) -> None:
    """With `--dry-run` too, and not by a table in which every design fails."""
    with pytest.raises(InputError) as caught:
        made(**fields)
    for part in parts:
        assert part in str(caught.value)


@settings(max_examples=100)
@given(
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(),
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(),
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(-2, 3),
)
@example(0, 1, 1 / 3)
@example(0, 1e308, 1e-308)
def test_a_range_is_its_values_or_an_error(first: float, last: float, step: float) -> None:
    try:
        study = made(knobs={"cell.bits": {"from": first, "to": last, "step": step}})
    except InputError:
        return
    values = [choice.value for choice in study.variables()[0].choices]
    assert values[0] == first
    assert values == sorted(values)
    assert -1e-6 * step <= last - values[-1] <= step


@pytest.mark.parametrize("text", ["adc=1.." + "9" * 5_000, "adc=4..", "adc=1..1000000000"])
def test_ranges_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match="--vary"):
        vary([text])


def test_commas_in_quotes_and_brackets_belong_to_a_value() -> None:
    texts = ['adc_savings=none,"recode,centre",[\'recode\', "centre"]', "cell.read=0.1,true,a"]
    found = vary(texts)
    assert found["adc_savings"] == ["none", "recode,centre", ["recode", "centre"]]
    assert found["cell.read"] == [0.1, True, "a"]
    with pytest.raises(InputError, match="twice"):
        vary(["adc=4", "adc=5"])


@settings(max_examples=60)
@given(
    st.one_of(
        st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=12),
        st.sampled_from(["true", "inf", "nan", "1979-05-27", "0x10", "'", '"', "a\\b"]),
        st.booleans(),
        st.integers(-(10**12), 10**12),
        st.floats(allow_nan=False, allow_infinity=False),
        st.lists(st.floats(0, 9), max_size=3),
    )
)
def test_a_printed_setting_is_read_back_as_itself(value: Any) -> None:
    recipe = make_recipe(Path("a b.onnx"), None, "my chip.toml", {"cell.field": value})
    words = shlex.split(recipe.command())
    assert words[2:5] == ["a b.onnx", "--target", "my chip.toml"]
    text = words[words.index("--set") + 1].removeprefix("cell.field=")
    assert read_value(text) == value
    assert type(read_value(text)) is type(value)
