"""Trained files of other people: each compiles, and with 16 bits it is all but exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.real_files import row_of
from models.fetch import CACHE, REAL_FILES
from xbarc.api import compile as compile_program
from xbarc.evaluate import evaluate
from xbarc.runtime import OnnxSession

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


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not SMALL, reason="no real files: run python models/fetch.py real-files")
@pytest.mark.parametrize("path", SMALL, ids=[path.name for path in SMALL])
def test_real_files_come_back_from_their_exports(path: Path, tmp_path: Path) -> None:
    made = compile_program(path)
    first, second = tmp_path / "first.onnx", tmp_path / "second.onnx"
    made.export(first)
    OnnxSession(first, where="export")
    again = compile_program(first, carried_mapping="require")
    for one, other in zip(made.program.crossbar_steps, again.program.crossbar_steps, strict=True):
        assert np.array_equal(one.cells.data, other.cells.data)
    again.export(second)
    assert first.read_bytes() == second.read_bytes()


SILERO = CACHE / "silero-vad" / "silero_vad" / "data" / "silero_vad.onnx"


@pytest.mark.data
@pytest.mark.skipif(not SILERO.is_file(), reason="no real files: run python models/fetch.py")
@pytest.mark.parametrize(("rate", "samples"), [(16000, 576), (8000, 288)])
def test_a_voice_detector_at_one_sample_rate(rate: int, samples: int) -> None:
    """The net of each rate is a branch of an If; four voices with a state each."""
    fixed = {"sr": rate}
    program = compile_program(SILERO, weight_bits=16, activation_bits=16, fix_input=fixed).program
    assert [value.name for value in program.inputs] == ["input", "state"]
    assert len(program.crossbar_steps) == 6
    rng = np.random.default_rng(0)
    sound = rng.normal(scale=0.1, size=(4, samples)).astype(np.float32)
    state = rng.normal(scale=0.1, size=(2, 4, 128)).astype(np.float32)
    found = evaluate(program, {"input": sound, "state": state}, SILERO)
    assert found.samples == 4
    assert found.output_sqnr_db is not None
    assert found.output_sqnr_db > LEAST_DB
