"""What is written is whole or not there, and never over something else."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from tests.cli.conftest import Run, tree
from xbarc.ir.files import folder


def test_an_existing_file_is_not_replaced(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "out.xbar").write_text("mine")
    xbarc("compile", model(), "-o", tmp_path / "out.xbar").refused("exists and is not a program")
    assert (tmp_path / "out.xbar").read_text() == "mine"


def test_a_link_is_not_replaced(xbarc: Run, model: Callable[..., Path], own: Path) -> None:
    link = own.with_name("link.xbar")
    link.symlink_to(own)
    xbarc("compile", model(), "-o", link).refused("exists and is not a program")


def test_a_folder_of_other_things_is_not_replaced(
    xbarc: Run, model: Callable[..., Path], own: Path, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_text("mine")
    done = xbarc("compile", model(), "-o", tmp_path / "photos")
    done.refused("a folder that holds no program", "choose another -o")
    (own / "notes.txt").write_text("mine")
    done = xbarc("compile", model(), "-o", own)
    done.refused("holds 'notes.txt', which is not part of a program and would be lost")
    assert (own / "notes.txt").read_text() == "mine"


def test_an_empty_folder_becomes_a_program(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "out.xbar").mkdir()
    assert xbarc("compile", model(), "-o", tmp_path / "out.xbar").code == 0
    assert xbarc("verify", tmp_path / "out.xbar").code == 0


@pytest.mark.parametrize("place", ["none/out.xbar", "model.onnx/out.xbar", "x" * 300])
def test_places_that_cannot_be(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path, place: str
) -> None:
    xbarc("compile", model(), "-o", tmp_path / place).refused("cannot be written")
    assert [item.name for item in tmp_path.iterdir()] == ["model.onnx"]


def test_proc_is_read_only(xbarc: Run, model: Callable[..., Path]) -> None:
    xbarc("compile", model(), "-o", "/proc/out.xbar").refused("/proc/out.xbar: cannot be written")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes into read-only folders")
def test_a_read_only_folder(xbarc: Run, model: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    xbarc("compile", model(), "-o", tmp_path / "locked" / "o.xbar").refused("Permission denied")


def fails_with(number: int) -> Callable[..., NoReturn]:
    def fail(*_arguments: object, **_options: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize(
    "place",
    [
        "tempfile.mkdtemp",
        "xbarc.ir.files.programs.save_file",
        "pathlib.Path.write_bytes",
        "pathlib.Path.mkdir",
        "os.fsync",
        "pathlib.Path.rename",
    ],
)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_full_disk_and_a_read_only_one(
    xbarc: Run,
    model: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    number: int,
) -> None:
    path = model()
    monkeypatch.setattr(place, fails_with(number))
    done = xbarc("compile", path, "-o", tmp_path / "out.xbar")
    monkeypatch.undo()
    done.refused("out.xbar: cannot be written", os.strerror(number))
    assert [item.name for item in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize("place", ["os.fsync", "pathlib.Path.rename"])
def test_a_full_disk_leaves_the_old_program(
    xbarc: Run,
    model: Callable[..., Path],
    own: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    atomic: bool,
) -> None:
    path, before = model(), tree(own)
    if not atomic:
        monkeypatch.setattr(folder, "exchange", lambda *_: False)
    elif place.endswith("rename"):
        pytest.skip("nothing is renamed where names can be exchanged")
    monkeypatch.setattr(place, fails_with(errno.ENOSPC))
    done = xbarc("compile", path, "-o", own, "--weight-bits", 4)
    monkeypatch.undo()
    done.refused("No space left")
    assert tree(own) == before
    assert sorted(item.name for item in tmp_path.iterdir()) == ["model.onnx", "own.xbar"]


@pytest.mark.parametrize("moment", range(3))
def test_without_exchange_an_interrupted_swap_keeps_the_old_program(
    xbarc: Run,
    model: Callable[..., Path],
    own: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: int,
) -> None:
    path, before, renames = model(), tree(own), []
    rename = Path.rename

    def interrupted(source: Path, target: Path) -> Path:
        renames.append(target)
        if len(renames) == moment + 1:
            raise KeyboardInterrupt
        return rename(source, target)

    monkeypatch.setattr(folder, "exchange", lambda *_: False)
    monkeypatch.setattr(Path, "rename", interrupted)
    done = xbarc("compile", path, "-o", own, "--weight-bits", 4)
    monkeypatch.undo()
    if moment == 2:
        assert done.code == 0
        assert tree(own) != before
    else:
        done.refused("interrupted", code=130)
        assert tree(own) == before
    assert sorted(item.name for item in tmp_path.iterdir()) == ["model.onnx", "own.xbar"]


def test_names_are_exchanged_in_one_step(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not folder.exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this system or file system cannot exchange names")
    assert (tmp_path / "a" / "b").exists()
    assert (tmp_path / "b" / "a").exists()
    assert not folder.exchange(tmp_path / "a", tmp_path / "none")


@pytest.mark.parametrize("place", ["tempfile.mkstemp", "pathlib.Path.replace"])
def test_a_full_disk_leaves_no_file(
    xbarc: Run, dense: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    file = tmp_path / "report.html"
    file.write_text("old")
    monkeypatch.setattr(place, fails_with(errno.ENOSPC))
    done = xbarc("report", dense, "--format", "html", "-o", file)
    monkeypatch.undo()
    done.refused("report.html: cannot be written: No space left")
    assert [item.name for item in tmp_path.iterdir()] == ["report.html"]
    assert file.read_text() == "old"


def test_out_of_memory(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_options: object) -> NoReturn:
        raise MemoryError

    monkeypatch.setattr("xbarc.compiler.lowering.map_layer", fail)
    path = model()
    xbarc("compile", path, "-o", tmp_path / "out.xbar").refused("out of memory", "hint")
    assert [item.name for item in tmp_path.iterdir()] == ["model.onnx"]
