"""Study files: what they may say, and all that is wrong with one at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from xbarc.errors import InputError
from xbarc.explore import make_study, read_study, vary
from xbarc.explore.knobs import all_designs, count_designs, settings_of

GOOD: dict[str, Any] = {
    "models": ["a.onnx"],
    "knobs": {"array.rows": [64, 128]},
    "objectives": {"energy_uj": "min"},
}


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
        ({"fault_map": ["f.npz"]}, ("no option 'fault_map'",)),
        ({"array.rows": [1], "tied": [["a.b", "c.d"]]}, ("0 of them have values",)),
        ({"array.rows; DROP": [1]}, ("is not a field",)),
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
    with pytest.raises(InputError, match="changed by fixed and by adc"):
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
