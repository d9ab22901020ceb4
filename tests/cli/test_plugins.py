"""Encodings from elsewhere: by object, path or installed name; programs do without them."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import xbarc as xbarc_api
from tests.cli.conftest import Run, tree
from xbarc.errors import InputError, MappingError
from xbarc.mapping.encodings import load_encoding
from xbarc.options.files import read_options

SOURCE = '''
import numpy as np
import xbarc
from xbarc.mapping.encodings import Differential, Pattern

class Mine(Differential):
    name = "mine"

MADE = Mine()

class Lacking:
    name = "lacking"
    def slices(self, low, high, weight_bits, cell_bits): return 4

class Abstract(xbarc.Encoding):
    name = "abstract"

class Arguments(Mine):
    name = "arguments"
    def __init__(self, needed): pass

class Narrow(Mine):
    name = "narrow"
    def width(self): return 1

class Taken(Mine):
    name = "acm"

class Upper(Mine):
    name = "Mine two"

class Fails(Mine):
    name = "fails"
    def encode(self, weights, row_bounds, weight_bits, cell_bits, slices):
        return weights[0, 0, 0, 9999]

class Few(Mine):
    name = "few"
    def width(self, outputs, slices): return 7

class Full(Mine):
    name = "full"
    def encode(self, *given):
        piece = super().encode(*given)
        return type(piece)(piece.cells + np.uint8(4), piece.r_value)

class Outside(Mine):
    name = "outside"
    def pattern(self, outputs, slices):
        p = super().pattern(outputs, slices)
        return Pattern(p.conversions, p.a_conversion, p.a_column, p.a_sign,
                       p.r_output + 1, p.r_conversion)

class Wide(Mine):
    """Right on small blocks, fails on wide ones."""
    name = "wide"
    def encode(self, weights, *given):
        if weights.shape[1] > 4:
            raise KeyError("no such row")
        return super().encode(weights, *given)

class Quits(Mine):
    name = "quits"
    def pattern(self, outputs, slices):
        raise SystemExit(0)

class Halves(Mine):
    name = "halves"
    def width(self, outputs, slices): return super().width(outputs, slices) / 2

class Ragged(Wide):
    """Cells of another shape where blocks are wide."""
    name = "ragged"
    def encode(self, weights, *given):
        piece = Mine.encode(self, weights, *given)
        if weights.shape[1] > 4:
            piece = type(piece)(piece.cells[..., :1], piece.r_value)
        return piece

class Makes(Mine):
    name = "makes"
    def __init__(self): self.table = {}["table"]

class Wrong(Mine):
    """Right on small blocks, wrong on wide ones."""
    name = "wrong"
    def encode(self, *given):
        piece = super().encode(*given)
        if piece.cells.shape[1] > 4:
            piece.cells[0, 0, 0, :2] = [1, 0] if piece.cells[0, 0, 0, 1] else [0, 1]
        return piece
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Puts a package on the path, under a name of its own; with entry points it is installed."""

    def make(name: str, *points: str, version: str = "1.2") -> str:
        folder = tmp_path / f"{name}-site"
        folder.mkdir()
        (folder / f"{name}.py").write_text(SOURCE, encoding="utf-8")
        if points:
            info = folder / f"{name}-{version}.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n", "utf-8")
            lines = "\n".join(("[xbarc.encodings]", *points))
            (info / "entry_points.txt").write_text(lines, encoding="utf-8")
        monkeypatch.syspath_prepend(folder)
        importlib.invalidate_caches()
        return name

    return make


def _forget(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """As on a machine that never had the package."""
    monkeypatch.delitem(sys.modules, name, raising=False)
    left = [path for path in sys.path if not path.endswith(f"{name}-site")]
    monkeypatch.setattr(sys, "path", left)
    importlib.invalidate_caches()


def _said(path: Path) -> str:
    data = json.loads((path / "program.json").read_text(encoding="utf-8"))
    return str(dict(data["settings"])["encoding"])


def test_three_ways_give_equal_bytes_and_name_the_package(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path, package: Callable[..., str]
) -> None:
    source, name = model(), package("registers", "mine = registers:Mine")
    places = [tmp_path / f"{number}.xbar" for number in range(4)]
    assert xbarc("compile", source, "-o", places[0], "--encoding", "mine").code == 0
    assert xbarc("compile", source, "-o", places[1], "--encoding", f"{name}:Mine").code == 0
    assert xbarc("compile", source, "-o", places[2], "--encoding", f"{name}:MADE").code == 0
    mine = importlib.import_module(name).Mine()
    xbarc_api.compile(source, encoding=mine).save(places[3])
    assert all(tree(place) == tree(places[0]) for place in places[1:])
    assert _said(places[0]) == "mine (registers:Mine, registers 1.2)"


def test_a_program_runs_without_the_package(
    xbarc: Run,
    model: Callable[..., Path],
    npz: Callable[..., Path],
    tmp_path: Path,
    package: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, name, place = model(), package("vanishes"), tmp_path / "v.xbar"
    assert xbarc("compile", source, "-o", place, "--encoding", f"{name}:Mine").code == 0
    assert _said(place) == "mine (vanishes:Mine, unversioned)"
    _forget(monkeypatch, name)
    data = npz(x=np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32))
    assert xbarc("verify", place).code == 0
    assert xbarc("check", place, "--data", data).code == 0
    assert "mine (vanishes:Mine" in xbarc("report", place).out
    assert name not in sys.modules
    xbarc("compile", source, "-o", place, "--encoding", f"{name}:Mine").refused(
        f"--encoding {name}:Mine: cannot be imported: No module named '{name}'", "PYTHONPATH"
    )


FAILS = [
    "--encoding faulty:Fails (unversioned): does not work on a block of 2 inputs: ",
    "encode() failed: IndexError",
    "(faulty.py, line ",
    "xbarc.testing.check_encoding",
]


@pytest.mark.parametrize(
    ("encoding", "parts"),
    [
        ("nowhere_at_all:Mine", ["cannot be imported", "install the package"]),
        ("faulty:None_such", ["faulty has no 'None_such'", "a class with base xbarc.Encoding"]),
        ("faulty:Lacking", ["faulty:Lacking: lacks", "width, ", "encode", "derive the class from"]),
        ("faulty:Abstract", ["cannot be made", "abstract method"]),
        ("faulty:Arguments", ["cannot be made", "needs no arguments"]),
        ("faulty:np", ["lacks name, unit"]),
        ("faulty:Narrow", ["expected width(outputs, slices)"]),
        ("faulty:Taken", ["its name 'acm' is one of ours"]),
        ("faulty:Upper", ["its name is 'Mine two', expected small letters"]),
        (
            "faulty:Fails",
            [
                "--encoding faulty:Fails (unversioned): does not work on a block",
                "encode() failed: IndexError",
                "faulty.py, line ",
                "testing",
            ],
        ),
        ("faulty:Few", ["cells are uint8 of shape (1, 2, 1, 8), expected uint8 of shape"]),
        ("faulty:Full", ["a cell is", "one of 2 bits holds less"]),
        ("faulty:Outside", ["r_output of the pattern goes from 1 to 1, expected 0 to 0"]),
        ("faulty:Wrong", ["encoding wrong: ", "weights have cells that mean another number"]),
        (
            "faulty:Wide",
            [
                "--encoding faulty:Wide (unversioned): encode() failed: KeyError: 'no such row'",
                "(faulty.py, line ",
                "xbarc.testing.check_encoding helps",
            ],
        ),
        ("faulty:Quits", ["pattern() failed: SystemExit: 0 (faulty.py, line "]),
        ("faulty:Halves", ["width() gives", "expected int"]),
        ("faulty:Ragged", ["faulty:Ragged (unversioned): mapping layer ", "cells are uint8"]),
        ("faulty:Makes", ["cannot be made: KeyError: 'table' (faulty.py, line "]),
        ("nowhere", ["no encoding 'nowhere'", "differential", "or package:Name"]),
        ("segmented:x", ["no encoding 'segmented:x'"]),
        ("a b:c", ["no encoding 'a b:c'"]),
    ],
)
def test_what_does_not_work_is_refused(
    xbarc: Run,
    model: Callable[..., Path],
    tmp_path: Path,
    package: Callable[..., str],
    encoding: str,
    parts: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    package("faulty")
    done = xbarc("compile", model(), "-o", tmp_path / "f.xbar", "--encoding", encoding)
    done.refused(*parts)
    assert not (tmp_path / "f.xbar").exists()
    _forget(monkeypatch, "faulty")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def (:", "cannot be imported: SyntaxError: invalid syntax (broken.py, line 1)"),
        ("import sys; sys.exit(0)", "cannot be imported: SystemExit: 0 (broken.py, line 1)"),
        ("\n1 / 0", "cannot be imported: ZeroDivisionError: division by zero (broken.py, line 2)"),
        ("import no_such_thing", "cannot be imported: No module named 'no_such_thing'"),
        ("raise RuntimeError('x' * 9999)", "cannot be imported: RuntimeError: xxx"),
        ("def __getattr__(n): return {}[n]", "cannot be imported: KeyError: 'Mine' (broken.py"),
    ],
)
def test_a_module_that_cannot_be_imported_is_told_with_its_version(
    xbarc: Run,
    model: Callable[..., Path],
    package: Callable[..., str],
    text: str,
    says: str,
    tmp_path: Path,
) -> None:
    package("broken", "breaks = broken:Mine", version="3.4")
    (tmp_path / "broken-site" / "broken.py").write_text(text, encoding="utf-8")
    for asked in ("breaks", "broken:Mine"):
        done = xbarc("compile", model(), "--encoding", asked)
        done.refused("(broken 3.4): ", says)
        assert len(done.err) < 900
        sys.modules.pop("broken", None)


def test_a_class_in_place_of_an_object_is_refused(package: Callable[..., str]) -> None:
    lacking = importlib.import_module(package("classy")).Lacking
    with pytest.raises(MappingError, match=r"classy:Lacking: lacks .*not its class"):
        load_encoding(lacking)


def test_two_packages_with_one_name(package: Callable[..., str]) -> None:
    package("twin_a", "shared = twin_a:Mine")
    package("twin_b", "shared = twin_b:Mine")
    with pytest.raises(MappingError, match="several packages register 'shared': twin_a:Mine, twin"):
        load_encoding("shared")
    assert load_encoding("twin_b:Mine").name == "mine"


def test_files_never_name_code(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path, package: Callable[..., str]
) -> None:
    """A file of options may name what is installed; a target only what is ours."""
    name = package("imported", "own = imported:Mine")
    file = tmp_path / "o.toml"
    file.write_text(f'[cells]\nencoding = "{name}:Mine"', encoding="utf-8")
    with pytest.raises(InputError, match="names code, which only the command line may"):
        read_options(file)
    for asked in (f"{name}:Mine", "own"):
        done = xbarc("compile", model(), "--set", f"precision.encoding={asked}")
        done.refused(f"no encoding '{asked}'", "one of differential")
    assert name not in sys.modules
    file.write_text('[cells]\nencoding = "own"', encoding="utf-8")
    assert xbarc("compile", model(), "-o", tmp_path / "o.xbar", "--options", file).code == 0
    assert "imported 1.2" in _said(tmp_path / "o.xbar")


def test_compare_takes_them_beside_ours(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], package: Callable[..., str]
) -> None:
    """Also on deviating chips, whose rows are chosen by the encoding itself."""
    name = package("compared")
    data = npz(x=np.random.default_rng(1).normal(size=(12, 5)).astype(np.float32))
    asked = ("--encodings", f"differential,{name}:Mine", "--calibrate", data)
    more = ("--noise", "0.05", "--seeds", "1", "--weight-slices", "1", "--json")
    done = xbarc("compare", model(), "--data", data, *asked, *more)
    assert done.code == 0, done.err
    ours, mine = json.loads(done.out)["rows"]
    assert (ours["encoding"], mine["encoding"]) == ("differential", "mine")
    assert {**ours, "encoding": ""} == {**mine, "encoding": ""}
    assert [one["variant"] for one in mine["noise"]] == ["blind", "refitted", "read-back"]


DEVICE = """
import numpy as np
import xbarc

class Tenth(xbarc.DeviceModel):
    name = "tenth"
    def program(self, levels, cell, drawn):
        return np.maximum(levels + 0.1 * drawn[0], -cell.floor)
"""


def test_compare_takes_a_device_model(
    xbarc: Run,
    model: Callable[..., Path],
    npz: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In place of --noise, and named in its output."""
    (tmp_path / "tenths.py").write_text(DEVICE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    data = npz(x=np.random.default_rng(1).normal(size=(12, 5)).astype(np.float32))
    asked = ("compare", model(), "--data", data, "--encodings", "acm", "--calibrate", data)
    more = ("--device", "tenths:Tenth", "--seeds", "2", "--weight-slices", "1")
    done = xbarc(*asked, *more, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    said = "tenth (tenths:Tenth, unversioned)"
    assert found["noise"]["device"] == said
    assert found["noise"]["sigma"] is None
    agreement = [one["agreement"] for one in found["rows"][0]["noise"]]
    assert agreement[0]["deviation"] > 0 or agreement[0]["mean"] < 1
    assert f"Cells deviate by {said}; seed 0, 2 chips" in xbarc(*asked, *more).out
    xbarc(*asked, *more, "--noise", "0.1").refused("--noise: also says how cells deviate")
    sys.modules.pop("tenths", None)
