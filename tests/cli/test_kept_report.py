"""`xbarc report` prints the report that a program keeps, where that is what it is counted as."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.sealing import seal
from xbarc import version
from xbarc.ir import load_program, read_kept_report
from xbarc.ir.files.manifest import file_digest, read_manifest, write_manifest


def _lie(program: Path) -> None:
    """Change a figure of the report, and its checksum."""
    file = program / "report.json"
    data = json.loads(file.read_text("utf-8"))
    data["totals"]["arrays"] += 1
    file.write_text(json.dumps(data), encoding="utf-8")
    seal(program)


def test_no_array_is_read_and_every_format_is_that_of_a_new_count(
    xbarc: Run, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    formats = ("text", "json", "csv", "html")
    kept = [xbarc("report", own, "--format", name).out for name in formats]
    brief = [xbarc("inspect", own, *more).out for more in ((), ("--json",))]
    with monkeypatch.context() as patch:
        patch.setattr(version, "VERSION", "another")
        assert read_kept_report(own, version.VERSION) is None
        assert [xbarc("report", own, "--format", name).out for name in formats] == kept
        assert [xbarc("inspect", own, *more).out for more in ((), ("--json",))] == brief
    cells = own / "cells.safetensors"
    broken = bytearray(cells.read_bytes())
    broken[-1] ^= 1
    cells.write_bytes(bytes(broken))
    assert [xbarc("report", own, "--format", name).out for name in formats] == kept
    xbarc("report", own, "--duplicate", "none").refused("cells.safetensors", "is damaged")


def test_a_report_that_nothing_vouches_for_is_counted_again(xbarc: Run, own: Path) -> None:
    true = xbarc("report", own).out
    _lie(own)
    assert read_kept_report(own, version.VERSION) is None
    assert xbarc("report", own).out == true
    assert xbarc("verify", own).code == 0


def test_verify_finds_a_report_that_lies(xbarc: Run, own: Path) -> None:
    _lie(own)
    record = read_manifest(own)
    digests = {**record.files, "report.json": file_digest(own / "report.json")}
    write_manifest(record.model_copy(update={"files": digests}), own, version.VERSION)
    assert read_kept_report(own, version.VERSION) is not None
    assert load_program(own).arrays
    done = xbarc("verify", own)
    assert "broken  report counted: report.json is not what" in done.out
    assert (done.code, "claims what is not so" in done.err) == (2, True)


def test_a_damaged_report_is_named(xbarc: Run, own: Path) -> None:
    (own / "report.json").write_bytes(b"{}")
    xbarc("report", own).refused("report.json", "is damaged: its checksum differs")
