"""`xbarc report` for other viewers: each file opens with the parser of its kind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import xbarc as xb
from tests.cli.conftest import Run
from xbarc.errors import InputError

MODEL = Path(__file__).parents[2] / "models" / "fashion-mlp.onnx"


@pytest.fixture
def beside(mlp: Path, tmp_path: Path) -> Path:
    """A program with its model in one folder."""
    shutil.copy(MODEL, tmp_path / MODEL.name)
    shutil.copytree(mlp, tmp_path / "net.xbar")
    return tmp_path / "net.xbar"


def test_a_model_with_notes_computes_the_same(xbarc: Run, beside: Path, tmp_path: Path) -> None:
    file = tmp_path / "notes.onnx"
    assert xbarc("report", beside, "--format", "onnx", "-o", file).code == 0
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    noted = {
        node.output[0]: {e.key: e.value for e in node.metadata_props} for node in model.graph.node
    }
    report = json.loads(xbarc("report", beside, "--format", "json").out)
    on_crossbars = [n for n in noted.values() if n.get("xbarc.runs") == "crossbar"]
    assert [n["xbarc.name"] for n in on_crossbars] == [row["name"] for row in report["layers"]]
    assert [int(n["xbarc.arrays"]) for n in on_crossbars] == [r["arrays"] for r in report["layers"]]
    assert all(n.get("xbarc.runs") for n in noted.values())
    x = {"image": np.load(MODEL.parent / "fashion-test-1000.npz")["image"][:3]}
    runs = [onnxruntime.InferenceSession(str(p)).run(None, x) for p in (MODEL, file)]
    assert np.array_equal(runs[0][0], runs[1][0])
    plain = onnx.load(MODEL)
    for node in model.graph.node:
        del node.metadata_props[:]
    assert model.graph == plain.graph


def test_the_model_of_a_program_is_never_written_over(
    xbarc: Run, beside: Path, tmp_path: Path
) -> None:
    before = (tmp_path / MODEL.name).read_bytes()
    xbarc("report", beside, "--format", "onnx", "-o", tmp_path / MODEL.name).refused(
        "the model that the program was compiled from"
    )
    assert (tmp_path / MODEL.name).read_bytes() == before
    other = MODEL.parent / "fashion-vgg.onnx"
    xbarc(
        "report", beside, "--format", "onnx", "--model", other, "-o", tmp_path / "x.onnx"
    ).refused("compiled from another model")
    assert not (tmp_path / "x.onnx").exists()


@pytest.mark.parametrize("name", ["perfetto", "model-explorer", "model-explorer:arrays", "parquet"])
def test_other_formats_are_files(xbarc: Run, beside: Path, tmp_path: Path, name: str) -> None:
    if name == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    xbarc("report", beside, "--format", name).refused(
        f"'{name}' needs a file; hint: for example -o"
    )
    files = [tmp_path / "a.out", tmp_path / "b.out"]
    for file in files:
        assert xbarc("report", beside, "--format", name, "-o", file).code == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    xb.load(beside).save_report(tmp_path / "c.out", name)
    assert (tmp_path / "c.out").read_bytes() == files[0].read_bytes()
    if name != "parquet":
        assert json.loads(files[0].read_bytes())


def test_copies_reach_the_trace(xbarc: Run, beside: Path, tmp_path: Path) -> None:
    texts = []
    for policy in ("none", "budget=400"):
        file = tmp_path / "t.json"
        words = ("report", beside, "--format", "perfetto", "--duplicate", policy, "-o", file)
        assert xbarc(*words).code == 0
        texts.append(json.loads(file.read_text(encoding="utf-8"))["otherData"]["duplicate"])
    assert texts == ["none", "budget=400"]


def test_wrong_formats_are_named(xbarc: Run, beside: Path, tmp_path: Path) -> None:
    xbarc("report", beside, "--format", "perfeto").refused("no format 'perfeto'", "perfetto")
    words = ("report", beside, beside, "--format", "perfetto")
    xbarc(*words, "-o", tmp_path / "x").refused("for several programs")
    with pytest.raises(InputError, match="no format 'htm'; hint: did you mean html"):
        xb.load(beside).save_report(tmp_path / "x", "htm")
    with pytest.raises(InputError, match="no format 'html:x'"):
        xb.load(beside).save_report(tmp_path / "x", "html:x")
    assert not (tmp_path / "x").exists()


def test_a_file_that_a_format_would_not_read_is_refused(
    xbarc: Run, beside: Path, tmp_path: Path
) -> None:
    """Figures without the data that was given look like figures with it."""
    none, place = tmp_path / "none.npz", tmp_path / "x"
    for name in ("parquet", "perfetto", "onnx", "model-explorer:energy_uj"):
        done = xbarc("report", beside, "--format", name, "--data", none, "-o", place)
        done.refused("--data: is not part of")
    for words in ((beside,), (beside, beside), (beside, "--format", "parquet")):
        xbarc("report", *words, "--model", "none.onnx", "-o", place).refused("--model: is for one")
    assert not place.exists()
