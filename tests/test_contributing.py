"""CONTRIBUTING names every room of the package, and none that is gone; the version is one."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import xbarc
from xbarc.version import VERSION

PACKAGE = Path(xbarc.__file__).parent
# Lines of a release in the changelog: a screen. The longest so far takes half of it.
_RELEASE = 50
TABLE = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_table_of_rooms_is_complete() -> None:
    rows = re.findall(r"^\| (`[a-z`, /_]+`) \|", TABLE, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([a-z_]+)/?`", row)]
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    files = {path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")}
    assert sorted(named) == sorted(rooms | files)


def test_folders_of_tests_are_those_of_rooms() -> None:
    tests = Path(__file__).parent
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    folders = {path.parent for room in rooms for path in (tests / room).rglob("test_*.py")}
    gone = {str(path.relative_to(tests)) for path in folders} - {
        str(path.parent.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py")
    }
    assert not gone, f"no such rooms in xbarc: {sorted(gone)}"


def test_files_that_the_package_names_are_there() -> None:
    """A name may carry as many of its folders as a reader needs: `train/test_digital.py`."""
    files = [
        "/" + path.relative_to(PACKAGE.parent).as_posix()
        for folder in (PACKAGE, PACKAGE.parent / "tests")
        for path in folder.rglob("*.py")
    ]
    named = {
        (path.name, name)
        for path in PACKAGE.rglob("*.py")
        for name in re.findall(r"`((?:\w+/)*\w+\.py)`", path.read_text(encoding="utf-8"))
    }
    gone = sorted(item for item in named if not any(file.endswith("/" + item[1]) for file in files))
    assert not gone, f"no such files: {gone}"


def test_the_version_is_the_same_wherever_it_stands() -> None:
    root = PACKAGE.parent
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    build = project["tool"]["hatch"]["version"]
    read = re.search(build["pattern"], (root / build["path"]).read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert read is not None
    assert read["version"] == VERSION
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [VERSION]
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\d\S*)", changes, re.MULTILINE)[0] == VERSION


def test_the_changelog_is_short() -> None:
    """A user reads a release in a minute; details have a page in the appendix."""
    changes = (PACKAGE.parent / "CHANGELOG.md").read_text(encoding="utf-8")
    for release in re.split(r"^## ", changes, flags=re.MULTILINE)[1:]:
        assert len(release.splitlines()) <= _RELEASE, release.splitlines()[0]
