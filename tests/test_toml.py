"""TOML from outside: one kind of error, whoever reads it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from xbarc.errors import XbarcError
from xbarc.explore import read_study, read_value
from xbarc.options import read_options
from xbarc.target import load_target
from xbarc.toml import parse_toml

HOSTILE = {
    "list in a list": "a = " + "[" * 100_000,
    "lists that end": "a = " + "[" * 200 + "]" * 200,
    "dotted keys": "a" + ".a" * 5_000 + " = 1",
    "more digits than Python takes": "a = " + "9" * 5_000,
    "more than 64 bits": "a = " + "9" * 400,
    "in a table in a list": "a = [{b = " + "9" * 400 + "}]",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_no_reader_takes_is_one_error(text: str, tmp_path: Path) -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        parse_toml(text)
    path = tmp_path / "file.toml"
    path.write_text(text)
    for read in (read_study, read_options, load_target):
        with pytest.raises(XbarcError, match=r"file\.toml: .*TOML"):
            read(path)


@pytest.mark.parametrize("value", ["9" * 5_000, "9" * 400, "[" * 5_000])
def test_a_setting_of_the_command_line_is_no_number_then(value: str) -> None:
    assert read_value(value) == value
    with pytest.raises(XbarcError, match=r"array\.rows"):
        load_target("rram128", [f"array.rows={value}"])


def test_what_files_hold_is_read() -> None:
    text = f"a.b = [1, {{c = 'x'}}]\nlow = {-(2**63)}\nhigh = {2**63 - 1}"
    assert parse_toml(text) == tomllib.loads(text)
