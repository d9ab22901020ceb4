"""Targets that differ from another one: chains of files, and whose the figures are."""

from __future__ import annotations

import contextlib
import re
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbarc.errors import TargetError
from xbarc.mapping.whole_chip import full_load
from xbarc.target import (
    Target,
    describe,
    figures,
    load_target,
    new_target,
    target_folder,
    target_names,
)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(f'name = "{name}"\n{text}')
    return path


def own(folder: Path, text: str, base: str = "rram128") -> Target:
    return load_target(write(folder, "mine", f'base = "{base}"\n{text}'))


def test_all_but_the_differences_is_that_of_the_base(tmp_path: Path) -> None:
    mine, base = own(tmp_path, ""), load_target("rram128")
    assert (mine.name, mine.base, mine.changed, mine.kind) == ("mine", "rram128", (), "assumed")
    same = {"name": "rram128", "base": "", "changed": ()}
    assert mine.model_copy(update=same) == base


def test_a_file_of_differences_alone_is_called_after_itself(tmp_path: Path) -> None:
    path = tmp_path / "lab-7.toml"
    path.write_text('base = "rram128"\n')
    assert load_target(path).name == "lab-7"
    path.write_text('base = "rram128"\nname = "mine"\n')
    assert load_target(path).name == "mine"
    path.rename(odd := tmp_path / "lab 7.toml")
    odd.write_text('base = "rram128"\n')
    with pytest.raises(TargetError, match="name: "):
        load_target(odd)


@pytest.mark.parametrize("text", ["costs.cycle = 50", "costs.cycle = { value = 50.0 }"])
def test_a_changed_figure_is_assumed(tmp_path: Path, text: str) -> None:
    cycle = own(tmp_path, text).costs.cycle
    assert (cycle.value, cycle.unit, cycle.source, cycle.via) == (50.0, "ns", "assumed", "assumed")
    assert not cycle.confirmed
    assert "instead of 100 ns of isaac2016" in cycle.note
    assert (cycle.low, cycle.high) == (None, None)


def test_a_changed_figure_may_name_its_source(tmp_path: Path) -> None:
    text = """
costs.cycle = { value = 50.0, source = "lab", via = "direct", confirmed = true, note = "bench" }
sources.lab = { kind = "manual", cite = "our notebook" }
"""
    mine = own(tmp_path, text)
    assert (mine.costs.cycle.source, mine.costs.cycle.note) == ("lab", "bench")
    assert mine.sources["lab"].cite == "our notebook"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('costs.cycle = { value = 50.0, source = "isaac2016" }', "costs.cycle.via"),
        ('costs.cycle = { value = 50.0, source = "lab", via = "direct", confirmed = true }', "lab"),
        ('costs.cycle = "fast"', "costs.cycle"),
        ('costs.cycle = { value = 50.0, unit = "us" }', "costs.cycle"),
        ("costs.cycel = 1.0", "perhaps costs.cycle"),
        ("array.row = 1", "array.row: unknown field, perhaps array.rows"),
        ("array = 1", "array"),
        ("cell.bits = 3", "3 bits need 8 conductances, found 4"),
        ("array.active_rows = 200", "active_rows 200 exceeds rows 128"),
    ],
)
def test_wrong_differences_are_named(tmp_path: Path, text: str, path: str) -> None:
    with pytest.raises(TargetError, match=re.escape(path)):
        own(tmp_path, text)


def test_every_wrong_field_is_named_at_once(tmp_path: Path) -> None:
    text = "array.rows = 0\ncosts.cycle = { value = -1.0 }\ninput.dac_bit = 1\n"
    with pytest.raises(TargetError, match="3 wrong fields") as caught:
        own(tmp_path, text)
    assert all(path in str(caught.value) for path in ("array.rows", "costs.cycle", "dac_bit"))


def test_figures_that_are_left_alone_are_carried_to_the_new_array(tmp_path: Path) -> None:
    text = "array = { rows = 256, active_rows = 256, columns = 256 }\ncosts.driver_energy = 9\n"
    mine = own(tmp_path, text)
    by_set = load_target("rram128", [f"array.{f}=256" for f in ("rows", "active_rows", "columns")])
    assert mine.costs.array_energy == by_set.costs.array_energy
    assert mine.costs.array_energy.value == 120.0
    assert (mine.costs.driver_energy.value, mine.costs.driver_energy.carried) == (9.0, None)


def test_chains_keep_the_array_that_each_figure_was_given_for(tmp_path: Path) -> None:
    write(tmp_path, "wide", 'base = "rram128"\narray.columns = 256\ncosts.driver_energy = 1.0\n')
    far = own(tmp_path, "array.columns = 512", base="wide.toml")
    assert (far.base, far.changed) == ("wide.toml", ("array.columns",))
    assert far.costs.array_energy.value == 120.0  # from 128 columns
    assert far.costs.driver_energy.value == 2.0  # from 256
    assert "instead of 0.391 pJ of isaac2016" in far.costs.driver_energy.note


def test_paths_of_bases_start_at_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write(tmp_path, "wide", 'base = "rram128"\narray.columns = 256\n')
    path = write(tmp_path / "deep", "mine", 'base = "../wide.toml"\n')
    assert load_target(path).array.columns == 256


def test_bases_in_a_circle_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a", 'base = "b.toml"\n')
    write(tmp_path, "b", 'base = "c.toml"\n')
    write(tmp_path, "c", 'base = "./b.toml"\n')
    loop = re.escape("a.toml -> b.toml -> c.toml -> b.toml")
    with pytest.raises(TargetError, match=f"based on each other: {loop}"):
        load_target(tmp_path / "a.toml")


def test_a_long_chain_is_refused(tmp_path: Path) -> None:
    for index in range(40):
        write(tmp_path, f"t{index}", f'base = "t{index + 1}.toml"\n')
    with pytest.raises(TargetError, match="more than 16 files"):
        load_target(tmp_path / "t0.toml")


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ('"nope"', "base 'nope': unknown target; hint: one of"),
        ('"nope.toml"', "base 'nope.toml': no such file"),
        ('"../../../etc/passwd"', "unknown target"),
        ("3", "base: expected a name or a path (found 3)"),
    ],
)
def test_bases_that_are_not_there(tmp_path: Path, base: str, message: str) -> None:
    with pytest.raises(TargetError, match=re.escape(message)):
        load_target(write(tmp_path, "mine", f"base = {base}\n"))


def test_the_load_of_the_base_goes_where_weights_take_other_columns(tmp_path: Path) -> None:
    peak = own(tmp_path, 'precision.encoding = "offset"\n').peak
    assert peak is not None
    assert peak.columns_per_weight is None
    assert peak.buffer_rate == getattr(load_target("rram128").peak, "buffer_rate", None)
    stated = "peak = { columns_per_weight = 4, columns_per_conversion = 1 }\n"
    kept = own(tmp_path, f'precision.encoding = "offset"\n{stated}').peak
    assert kept is not None
    assert kept.columns_per_weight == 4
    by_set = load_target("rram128", ["precision.weight_bits=4"]).peak
    assert by_set is not None
    assert by_set.columns_per_weight is None
    two = full_load(load_target("rram128", ["precision.weight_bits=4"]))
    assert two is not None
    assert two.outputs == 128 // 4


def test_no_words_of_the_base_are_taken_over(tmp_path: Path) -> None:
    mine = own(tmp_path, "array.active_rows = 64\nprecision.weight_bits = 4\n", base="isaac")
    assert (mine.description, mine.kind) == ("", "assumed")
    text = describe(mine)
    assert "ISAAC-CE" not in text
    assert "64 rows at once" in text
    assert "4-bit weights" in text
    assert text.endswith("isaac but for array.active_rows, precision.weight_bits")


def test_the_sentence_follows_what_is_set() -> None:
    text = describe(load_target("rram128", ["array.rows=512", "adc.max_bits=8"]))
    assert text.startswith("512x128 array of 2-bit rram-1t1r cells, 128 rows at once, 1-bit DAC")
    assert text.endswith(
        "an 8-bit ADC for 8 columns, 8-bit weights and 8-bit inputs, 32 nm costs; "
        "rram128 but for adc.max_bits, array.rows"
    )
    assert len({describe(load_target(name)) for name in target_names()}) == len(target_names())


def _paths(node: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key, value in node.items():
        found.append(f"{prefix}{key}")
        found += _paths(value, f"{prefix}{key}.") if isinstance(value, dict) else []
    return found


PATHS = _paths(tomllib.loads((target_folder() / "isaac.toml").read_text()))
VALUES = ("true", "-1", "0", "1e999", "nan", '"x"', "[]", "[1, 'a']", "{}", "{ value = [1] }", "3")
NESTED = ("{ unit = 3 }", "{ given_for = 3 }", "{ given_for = { rows = 0 } }", "1979-05-27")


@given(st.lists(st.sampled_from(PATHS), min_size=1, max_size=2), st.data())
def test_whatever_a_file_changes_it_loads_or_is_refused(
    paths: list[str], data: st.DataObject
) -> None:
    values = [data.draw(st.sampled_from((*VALUES, *NESTED))) for _ in paths]
    lines = "\n".join(f"{p} = {v}" for p, v in zip(paths, values, strict=True) if "." in p)
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(TargetError):
        assert own(Path(folder), lines, base="isaac").name == "mine"
    with contextlib.suppress(TargetError):
        load_target("isaac", [f"{p}={v}" for p, v in zip(paths, values, strict=True)])


def test_sources_of_figures_that_were_changed_go_with_them(tmp_path: Path) -> None:
    mine = own(tmp_path, "input.read_voltage = 0.3\n")
    used = {figure.source for _, figure in figures(mine)} - {"assumed"}
    assert "liu2020" not in mine.sources
    assert used <= set(mine.sources)


def test_a_new_file_is_a_valid_target(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    sets = ["array.columns=256", "costs.cycle=.5e2", "precision.encoding=offset"]
    path.write_text(new_target("mine", "rram128", path, sets))
    mine = load_target(path)
    assert (mine.array.columns, mine.costs.cycle.value, mine.precision.encoding) == (
        *(256, 50.0),
        "offset",
    )
    assert mine.changed == ("array.columns", "costs.cycle", "precision.encoding")
    # what the comments offer works
    text = path.read_text()
    offered = [line[2:].strip() for line in text.splitlines() if re.match(r"# +[a-z_.]+ = ", line)]
    lines = [line for line in text.splitlines() if not line.startswith("costs.cycle")]
    plain = [line for line in offered if not line.endswith("= 50.0")]
    path.write_text("\n".join([*lines, *plain]))
    assert load_target(path).costs.cycle.source == "mychip"


def test_a_new_file_names_a_base_of_ones_own_by_its_way_there(tmp_path: Path) -> None:
    write(tmp_path, "wide", 'base = "rram128"\narray.columns = 256\n')
    (tmp_path / "deep").mkdir()
    path = tmp_path / "deep" / "mine.toml"
    path.write_text(new_target("mine", str(tmp_path / "wide.toml"), path))
    assert 'base = "../wide.toml"' in path.read_text()
    assert load_target(path).array.columns == 256


@pytest.mark.parametrize(
    ("name", "base", "message"),
    [
        ("isaac", "rram128", "a target that comes with xbarc has this name"),
        ("mine", "nope", "unknown target"),
        ("my chip", "rram128", "names are letters, digits"),
        ("../mine", "rram128", "names are letters, digits"),
    ],
)
def test_new_files_that_cannot_be(name: str, base: str, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        new_target(name, base, Path("mine.toml"))
