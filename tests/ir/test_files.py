"""Programs survive the disk, whole or not at all."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from tests.builders import int_layer, mapped, program_of, small_target
from tests.sealing import seal
from tests.strategies import Case, cases
from xbarc.errors import MappingError, ProgramError
from xbarc.ir.files import load_program, save_program
from xbarc.ir.files import programs as files
from xbarc.ir.files.views import open_arrays
from xbarc.ir.program import Program
from xbarc.ir.text import program_text


def _program(seed: int = 0) -> Program:
    target = small_target()
    weights = np.random.default_rng(seed).integers(-127, 128, (1, 200, 9))
    return program_of([mapped(int_layer(weights), target)], target, [None, 200])


def _same(left: Any, right: Any, path: str = "program") -> None:
    """Equal in every field, arrays included."""
    if isinstance(left, np.ndarray):
        assert left.dtype == right.dtype, path
        assert np.array_equal(left, right), path
    elif isinstance(left, tuple):
        assert len(left) == len(right), path
        for index, (a, b) in enumerate(zip(left, right, strict=True)):
            _same(a, b, f"{path}[{index}]")
    elif is_dataclass(left) and not isinstance(left, type):
        assert type(left) is type(right), path
        for item in fields(left):
            _same(getattr(left, item.name), getattr(right, item.name), f"{path}.{item.name}")
    else:
        assert left == right, path


@given(cases())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_programs_round_trip(tmp_path: Path, case: Case) -> None:
    try:
        step = mapped(case.layer, case.target, **case.options)
    except MappingError:
        return
    program = program_of([step], case.target, [None] * case.tensor.ndim)
    place = tmp_path / "case.xbar"
    save_program(program, place)
    _same(load_program(place), program)


def test_same_program_same_bytes(tmp_path: Path) -> None:
    for name in ("a.xbar", "b.xbar"):
        save_program(_program(), tmp_path / name, {"report.json": b"{}"})
    first, second = (
        {p.name: p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()}
        for name in ("a.xbar", "b.xbar")
    )
    assert first == second
    assert program_text(_program()) == program_text(load_program(tmp_path / "a.xbar"))


def test_an_older_program_is_replaced_and_nothing_is_left_behind(tmp_path: Path) -> None:
    place = tmp_path / "p.xbar"
    save_program(_program(0), place)
    save_program(_program(1), place)
    _same(load_program(place), _program(1))
    assert [p.name for p in tmp_path.iterdir()] == ["p.xbar"]


def test_a_failure_leaves_the_old_program_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "p.xbar"
    save_program(_program(0), place)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "save_file", full)
    with pytest.raises(ProgramError, match="cannot be written: No space left on device"):
        save_program(_program(1), place)
    _same(load_program(place), _program(0))
    assert [p.name for p in tmp_path.iterdir()] == ["p.xbar"]


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_is_no_program_is_never_replaced(tmp_path: Path, what: str) -> None:
    place = tmp_path / "precious"
    if what == "file":
        place.write_text("mine")
    else:
        place.mkdir()
        (place / "mine").write_text("mine")
    with pytest.raises(ProgramError, match="choose another -o"):
        save_program(_program(), place)
    assert "mine" in (place if what == "file" else place / "mine").read_text()


def test_damage_is_named(tmp_path: Path) -> None:
    place = tmp_path / "p.xbar"
    save_program(_program(), place)
    data = bytearray((place / "cells.safetensors").read_bytes())
    data[-1] ^= 1
    (place / "cells.safetensors").write_bytes(bytes(data))
    with pytest.raises(ProgramError, match=r"cells.safetensors: is damaged"):
        load_program(place)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 99}, "has format 99, this xbarc reads 4"),
        ({"arrays": -1}, "arrays: Input should be greater than or equal to 0"),
        ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
        ({"files": {"../../etc/passwd": "0" * 64}}, "gives no checksum of 'cells.safetensors'"),
        ({"arrays": 7}, "breaks the rule arrays_counted"),
    ],
)
def test_hostile_manifests_are_refused(tmp_path: Path, change: Any, words: str) -> None:
    place = tmp_path / "p.xbar"
    save_program(_program(), place)
    seal(place, lambda data: data.update(change))
    with pytest.raises(ProgramError, match=words):
        load_program(place)


def test_absurd_widths_never_allocate(tmp_path: Path) -> None:
    place = tmp_path / "p.xbar"
    save_program(_program(), place)
    seal(place, lambda data: data["steps"][0].update(columns=1 << 60))
    with pytest.raises(ProgramError, match="cells have the wrong width"):
        load_program(place)


def test_unknown_kinds_of_step_are_refused(tmp_path: Path) -> None:
    program = _program()
    with pytest.raises(AttributeError):
        save_program(replace(program, steps=(object(),)), tmp_path / "p.xbar")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_program_that_is_replaced_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another compile may finish between any two files that a load opens."""
    place = tmp_path / "p.xbar"
    save_program(_program(1), place)
    plain, turns = open_arrays, iter(range(2))

    def replaced(path: Path) -> Any:
        if next(turns, None) is not None:
            save_program(_program(2), place)
        return plain(path)

    monkeypatch.setattr(files, "open_arrays", replaced)
    _same(load_program(place), _program(2))
    monkeypatch.setattr(files, "_TRIES", 1)
    turns = iter(range(2))
    with pytest.raises(ProgramError, match="was replaced 1 times while it was read"):
        load_program(place)


@pytest.mark.parametrize(
    ("bits", "shown"), [([5, 3, 4], "3 to 5"), ([7], "7 to 7"), ([], "0 to 0")]
)
def test_text_shows_the_narrowest_and_the_widest_conversion(bits: list[int], shown: str) -> None:
    program = _program()
    step = program.crossbar_steps[0]
    widths = np.array(bits, dtype=np.uint8).reshape(1, 1, -1, 1)
    changed = replace(program, steps=(replace(step, adc=replace(step.adc, bits=widths)),))
    assert f"adc {step.adc.policy}, {shown} bits" in program_text(changed)
