from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from xbarc.errors import TargetError
from xbarc.target import (
    Figure,
    describe,
    figures,
    load_target,
    parse_target,
    target_folder,
    target_names,
)
from xbarc.target.files import read_toml

Data = dict[str, Any]


def raw(name: str = "rram128") -> Data:
    """A target as plain data, with its sources, ready to be broken."""
    return copy.deepcopy(_read(name))


@cache
def _read(name: str) -> Data:
    data: Data = tomllib.loads((target_folder() / f"{name}.toml").read_text())
    data["sources"] = {key: s.model_dump() for key, s in load_target(name).sources.items()}
    return data


def set_at(data: Data, path: str, value: Any) -> Data:
    *parents, last = path.split(".")
    node: Any = data
    for parent in parents:
        node = node[parent]
    node[last] = value
    return data


@pytest.mark.parametrize("name", target_names())
def test_shipped_targets_load_under_their_name(name: str) -> None:
    target = load_target(name)
    assert target.name == name
    assert describe(target)
    found = [figure for _, figure in figures(target)]
    laws = {f.scaled.source for f in found if isinstance(f, Figure) and f.scaled}
    assert ({f.source for f in found} | laws) - {"assumed"} == set(target.sources)


def test_the_presets_are_there() -> None:
    assert {"rram128", "isaac", "bnn128"} <= set(target_names())


def test_the_shared_table_holds_only_sources_in_use() -> None:
    shared = tomllib.loads((target_folder() / "sources.toml").read_text())["sources"]
    used = {source for name in target_names() for source in load_target(name).sources}
    assert set(shared) == used


def test_isaac_is_what_the_paper_says() -> None:
    isaac = load_target("isaac")
    assert (isaac.array.rows, isaac.array.columns, isaac.array.spare_columns) == (128, 128, 1)
    assert (isaac.cell.bits, isaac.input.dac_bits, isaac.adc.max_bits) == (2, 1, 8)
    assert (isaac.precision.weight_bits, isaac.precision.activation_bits) == (16, 16)
    assert isaac.costs.adc.energy_scale.value == 0.9375


def test_three_wrong_fields_are_reported_at_once() -> None:
    data = set_at(set_at(raw(), "array.rows", 0), "input.dac_bits", "one")
    data = set_at(data, "costs.cycle.unit", "us")
    with pytest.raises(TargetError) as caught:
        parse_target(data, where="mine.toml")
    text = str(caught.value)
    assert "3 wrong fields" in text
    for path in ("array.rows", "input.dac_bits", "costs.cycle"):
        assert path in text
    assert "(found 'one')" in text


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("array.active_rows", 129, "active_rows 129 exceeds rows 128"),
        ("cell.bits", 3, "3 bits need 8 conductances, found 4"),
        ("cell.conductance.values", [1.0, 3.0, 2.0, 4.0], "conductances rise"),
        ("cell.stuck_on.value", 1.5, "value 1.5 is above 1"),
        ("cell.stuck_off.value", 0.995, "add up to more than 1"),
        ("cell.variation.kind", "proportional", "in fraction"),
        ("adc.kind", "sense-amplifier", "has max_bits = 1, not 10"),
        ("adc.rate.value", 0.0, "is below 1e-06"),
        ("costs.cycle.value", -1.0, "value -1 is below 0"),
        ("costs.cell_area.low", 1.0, "is not from low 1 to high 0.06144"),
        ("costs.cell_area.note", "", "says in its note who disagrees"),
        ("costs.cycle.source", "nobody", "source 'nobody' is not in the table"),
        ("costs.cycle.source", "assumed", "via = 'assumed'"),
        ("costs.cycle.via", "recalled", "cannot be confirmed"),
        ("wires.driver.note", "", "says in its note why"),
        ("format", 2, "Input should be 1"),
        ("name", "a/b", "String should match pattern"),
        ("array.rows", True, "valid integer"),
        ("costs.cycle.value", float("inf"), "finite number"),
    ],
)
def test_wrong_fields_are_refused(path: str, value: Any, message: str) -> None:
    with pytest.raises(TargetError, match=re.escape(message)):
        parse_target(set_at(raw(), path, value), where="mine")


@pytest.mark.parametrize("path", ["speed", "array.depth", "costs.cycle.error", "costs.adc.power"])
def test_unknown_keys_are_refused(path: str) -> None:
    with pytest.raises(
        TargetError, match=rf"{re.escape(path)}: unknown field.*remove unknown keys"
    ):
        parse_target(set_at(raw(), path, 1), where="mine")


def leaves(node: Data, prefix: str = "") -> Iterator[str]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def remove_at(data: Data, path: str) -> Data:
    *parents, last = path.split(".")
    node: Any = data
    for parent in parents:
        node = node[parent]
    del node[last]
    return data


MAY_BE_LEFT_OUT = (".node_nm", ".note", ".url", ".low", ".high", ".flash_bits")
OPTIONAL = ("peak", "costs.read_pulse", "costs.adc.thermal", "wires.capacitance")
NEEDED = [
    path
    for path in leaves(raw())
    if not path.endswith(MAY_BE_LEFT_OUT)
    and ".given_for." not in path
    and path.rpartition(".")[0] not in OPTIONAL
]


@pytest.mark.parametrize("path", NEEDED)
def test_no_field_has_a_default_that_hides_it(path: str) -> None:
    with pytest.raises(TargetError, match="Field required"):
        parse_target(remove_at(raw(), path), where="mine")


def test_overrides_keep_units_and_name_their_source() -> None:
    target = load_target("rram128", ["array.rows=64", "array.active_rows=64", "costs.cycle=50"])
    assert target.array.rows == 64
    cycle = target.costs.cycle
    assert (cycle.value, cycle.unit, cycle.source, cycle.confirmed) == (50, "ns", "assumed", False)
    assert "--set costs.cycle=50" in cycle.note


def test_overrides_fill_in_figures_that_a_target_leaves_out() -> None:
    write = load_target("rram128", ["costs.write_energy=12.5"]).costs.write_energy
    assert write is not None
    assert (write.value, write.unit, write.via) == (12.5, "pJ", "assumed")


def test_overrides_take_numbers_as_they_are_typed() -> None:
    target = load_target("rram128", ["wires.wordline=.25", "wires.bitline=+2e+0"])
    assert (target.wires.wordline.value, target.wires.bitline.value) == (0.25, 2.0)


def test_overrides_take_text_and_lists() -> None:
    values = "[1.0, 2.0, 3.0, 5.0]"
    target = load_target("rram128", ["precision.encoding=offset", f"cell.conductance={values}"])
    assert target.precision.encoding == "offset"
    assert target.cell.conductance.values == (1.0, 2.0, 3.0, 5.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("array.rows", "is not key.path=value"),
        ("array.rows.deep=1", "is not a field of the target"),
        ("nothing.rows=1", "is not a field of the target"),
        ("array.row=1", "array.row: unknown field, perhaps array.rows"),
        ("costs.cycel=1", "costs.cycel: unknown field, perhaps costs.cycle"),
        ("rows=1", "rows: unknown field, perhaps array.rows"),
        ("costs.adc.energy_linea=1", "perhaps costs.adc.energy_linear"),
        ("arry.rows=1", "is not a field of the target; hint: perhaps array.rows"),
        ("qqq=1", "qqq: unknown field; hint"),
        ("costs.cycle=fast", "expected a number in ns"),
        ("array.rows=many", "valid integer"),
    ],
)
def test_wrong_overrides_are_refused(text: str, message: str) -> None:
    with pytest.raises(TargetError, match=re.escape(message)):
        load_target("rram128", [text])


def test_a_target_of_ones_own(tmp_path: Path) -> None:
    text = (target_folder() / "rram128.toml").read_text()
    own = text.replace('name = "rram128"', 'name = "mine"').replace('"liu2020"', '"lab"')
    path = tmp_path / "mine.toml"
    path.write_text(own + '\n[sources.lab]\nkind = "manual"\ncite = "our notebook"\n')
    target = load_target(path)
    assert target.name == "mine"
    assert target.sources["lab"].cite == "our notebook"


def unreadable(path: Path) -> None:
    path.write_bytes(b"\xff\xfe")


def no_toml(path: Path) -> None:
    path.write_text("[array\nrows = 1")


def huge(path: Path) -> None:
    path.write_text("# " + "x" * (1 << 20))


def deep(path: Path) -> None:
    path.write_text("a = " + "[" * 100_000)


@pytest.mark.parametrize("damage", [unreadable, no_toml, huge, deep])
def test_damaged_files_give_one_error(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "bad.toml"
    damage(path)
    with pytest.raises(TargetError, match=r"bad\.toml"):
        load_target(path)


def test_unknown_names_list_those_there_are() -> None:
    with pytest.raises(TargetError, match=r"nope: unknown target; hint: one of .*rram128"):
        load_target("nope")
    with pytest.raises(TargetError, match="no such file"):
        load_target("nope.toml")


def test_a_file_is_read_as_it_is_now_and_as_it_was_written(tmp_path: Path) -> None:
    """Parsed tables are kept: neither an older text nor what a reader changed may come back."""
    path = tmp_path / "mine.toml"
    path.write_text("[array]\nrows = 4\nlist = [{ a = 1 }]\n")
    read = read_toml(path)
    read["array"]["list"][0]["a"] = 2
    read["array"]["rows"] = 5
    assert read_toml(path) == {"array": {"rows": 4, "list": [{"a": 1}]}}
    path.write_text("[array]\nrows = 6\n")
    assert read_toml(path) == {"array": {"rows": 6}}
