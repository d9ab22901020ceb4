"""Leftovers of killed processes go; what is alive, or somebody else's, stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from xbarc.ir.files import folder as folders
from xbarc.ir.files.folder import whole_directory
from xbarc.ir.files.partial import PARTIAL, locked_file, locked_folder, remove_leftovers


def left_over(place: Path, word: str = "abcdefgh", name: str = "program.json") -> Path:
    """What a killed compile leaves."""
    folder = place.parent / f".{place.name}.{word}{PARTIAL}"
    (folder / "digital").mkdir(parents=True)
    (folder / name).write_text("half")
    return folder


def save(place: Path) -> None:
    with whole_directory(place) as folder:
        (folder / "program.json").write_text("whole")


def test_the_next_one_tidies_up(tmp_path: Path) -> None:
    place = tmp_path / "out.xbar"
    left_over(place)
    save(place)
    assert [item.name for item in tmp_path.iterdir()] == ["out.xbar"]


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    place = tmp_path / "out.xbar"
    users = left_over(place, name="thesis.txt")
    others = left_over(tmp_path / "other.xbar")
    longer = left_over(place, word="abcdefghi")
    link = tmp_path / f".out.xbar.12345678{PARTIAL}"
    link.symlink_to(others)
    save(place)
    assert all(item.exists() for item in (users / "thesis.txt", others, longer, link))


def test_what_is_alive_stays(tmp_path: Path) -> None:
    place = tmp_path / "out.xbar"
    with locked_folder(place, PARTIAL) as folder:
        (folder / "program.json").write_text("half")
        child = os.fork()
        if not child:  # a lock belongs to the file that is open, so only another process is stopped
            save(place)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert (folder / "program.json").read_text() == "half"
        assert (place / "program.json").read_text() == "whole"
    assert [item.name for item in tmp_path.iterdir()] == ["out.xbar"]


def test_files_too(tmp_path: Path) -> None:
    place = tmp_path / "out.npz"
    dead, folder = (tmp_path / f".out.npz.{token * 8}{PARTIAL}" for token in "ab")
    dead.write_bytes(b"half")
    folder.mkdir()
    with locked_file(place) as (path, _):
        remove_leftovers(place, PARTIAL, ours=Path.is_file)
        assert path.exists()
    assert [item.name for item in tmp_path.iterdir()] == [folder.name]


def test_an_old_program_between_two_renames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where names cannot be swapped; killed in between, it is whole, and goes with the next."""
    monkeypatch.setattr(folders, "exchange", lambda *_: False)
    place = tmp_path / "out.xbar"
    old = tmp_path / ".out.xbar.abcdefgh.old" / "program"
    old.mkdir(parents=True)
    (old / "program.json").write_text("old")
    with pytest.raises(KeyboardInterrupt), whole_directory(place):
        raise KeyboardInterrupt
    assert (old / "program.json").read_text() == "old"
    save(place)
    save(place)
    assert [item.name for item in tmp_path.iterdir()] == ["out.xbar"]


def test_a_long_name(tmp_path: Path) -> None:
    for name in ("x" * 250, "ß" * 125):
        save(tmp_path / name)
        assert (tmp_path / name / "program.json").is_file()
