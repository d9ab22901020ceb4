"""The benchmark of few-bit cells measures what it says; its full table takes hours."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.models.places import MODELS, ROOT, fashion_training

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def few_bits() -> ModuleType:
    spec = importlib.util.spec_from_file_location("few_bits", ROOT / "benchmarks" / "few_bits.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys  # noqa: PLC0415  # dataclasses look their module up

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_training_images_are_drawn_with_the_seed() -> None:
    one, same, other = (fashion_training(20, seed)["image"] for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert one.shape == (20, 1, 28, 28)
    assert 0 <= one.min() < one.max() <= 1


@pytest.mark.slow
def test_a_small_table(
    few_bits: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rounding only, few images: the columns are right and more bits lose less."""
    table, record = tmp_path / "table.md", tmp_path / "rows.json"
    options = ["--images", "60", "--calibration", "64", "--bits", "1,4", "--feedback", "off"]
    options += ["--encodings", "differential,unipolar", "--markdown", str(table)]
    assert few_bits.main([*options, "--json", str(record), "fashion-mlp"]) == 0
    assert capsys.readouterr().out == table.read_text()
    rows = json.loads(record.read_text())["rows"]
    found = {(row["encoding"], row["bits"]): row for row in rows}
    assert len(found) == 4
    for encoding, columns in (("differential", 1.0), ("unipolar", 0.5)):
        assert found[encoding, 4]["columns"] == columns
        assert found[encoding, 4]["top1_crossbar"] >= found[encoding, 1]["top1_crossbar"]
        assert found[encoding, 1]["fed_back"] == 0
    assert {row["images"] for row in rows} == {60}
    lines = table.read_text().splitlines()
    assert "60 test images; 64 unlabelled training images, seed 0" in lines[0]
    assert lines[2] == "| net | float | encoding | columns | 1 bit | 4 bit |"
    assert lines[4].startswith("| fashion-mlp | ")


@pytest.mark.slow
def test_feedback_at_two_bits(few_bits: ModuleType) -> None:
    test = few_bits.fashion_test()
    data = ({name: array[:1000] for name, array in test.items()}, fashion_training(500))
    row = few_bits.measure("fashion-mlp", "acm", 2, data, "auto")
    assert row.fed_back == row.layers
    assert row.lost < 1.5
    assert (MODELS / f"{row.net}.onnx").is_file()
