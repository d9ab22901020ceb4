"""Trained files of other people: each compiles, and with 16 bits it is all but exact."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.real_files import row_of
from models.fetch import CACHE, REAL_FILES

LEAST_DB = 45.0
"""With 16 bits; the SQNR with 8 bits stands in docs/reference/real-files.md."""
LARGE = ("traceforge", "rapidocr", "MiniLM", "minilm")
"""Files that take a minute or more: `benchmarks/real_files.py` runs them."""

FILES = sorted(path for name in REAL_FILES for path in (CACHE / name).rglob("*.onnx"))
SMALL = [path for path in FILES if not any(part in str(path) for part in LARGE)]


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not SMALL, reason="no real files: run python models/fetch.py real-files")
@pytest.mark.parametrize("path", SMALL, ids=[path.name for path in SMALL])
def test_real_files(path: Path) -> None:
    row = row_of(path)
    assert not row.refused
    assert row.precise is None or row.precise >= LEAST_DB
    assert row.decibels is None or row.precise is None or row.precise >= row.decibels
