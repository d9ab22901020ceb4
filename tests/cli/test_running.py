"""`xbarc run` and `xbarc check` on programs that work."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.cli.conftest import DENSE, FASHION, MLP, Run, write_model
from tests.frontend.onnx_models import model_file, normal
from xbarc.api import compile as compile_program
from xbarc.cli.npz import write_npz
from xbarc.evaluate import evaluate
from xbarc.frontend import source_digest
from xbarc.ir.files import load_program
from xbarc.runtime import OnnxSession

Array = np.ndarray[Any, np.dtype[np.float32]]


def arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    with np.load(path, allow_pickle=False) as data:
        return dict(data.items())


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five images for the MLP."""
    path = tmp_path_factory.mktemp("images") / "images.npz"
    np.savez(path, image=arrays(FASHION)["image"][:5])
    return path


def test_trace_has_the_documented_axes(xbarc: Run, mlp: Path, images: Path, tmp_path: Path) -> None:
    out, trace = tmp_path / "out.npz", tmp_path / "trace.npz"
    done = xbarc("run", mlp, "--inputs", images, "--outputs", out, "--trace", trace)
    assert (done.code, done.out, done.err) == (0, "", "")
    assert arrays(out)["logits"].shape == (5, 10)
    found = arrays(trace)
    for step in load_program(mlp).crossbar_steps:
        segments = step.tiling.segment_bounds.size - 1
        codes = found[f"{step.name}/codes"]
        assert codes.shape == (5, step.groups, segments, step.input_slices, step.conversions)
        assert codes.dtype == np.uint16
        inputs = found[f"{step.name}/inputs"]
        assert inputs.shape == (5, step.groups, step.inputs)
        assert inputs.dtype == np.uint8
        assert found[f"{step.name}/conversions"] == codes.size
        assert found[f"{step.name}/saturated"] == 0
        assert np.all(codes < 1 << np.moveaxis(step.adc.bits.astype(np.int64), 3, 2)[None])


def test_trace_counts_are_those_of_the_report(xbarc: Run, mlp: Path, tmp_path: Path) -> None:
    data, out, trace = tmp_path / "in.npz", tmp_path / "out.npz", tmp_path / "trace.npz"
    np.savez(data, image=arrays(FASHION)["image"][:1])
    xbarc("run", mlp, "--inputs", data, "--outputs", out, "--trace", trace)
    report = xbarc("report", mlp, "--format", "json").json
    found = arrays(trace)
    counted = {row["name"]: row["conversions"] for row in report["layers"]}
    assert counted == {name: int(found[f"{name}/conversions"]) for name in counted}
    assert report["totals"]["conversions"] == sum(counted.values())


def test_engines_give_the_same_bytes(xbarc: Run, mlp: Path, images: Path, tmp_path: Path) -> None:
    for name in ("fast", "reference", "again"):
        engine = "fast" if name == "again" else name
        done = xbarc(
            *("run", mlp, "--inputs", images, "--engine", engine),
            *("--outputs", tmp_path / f"{name}.npz", "--trace", tmp_path / f"{name}-trace.npz"),
        )
        assert done.code == 0
    for kind in ("", "-trace"):
        fast = (tmp_path / f"fast{kind}.npz").read_bytes()
        assert fast == (tmp_path / f"reference{kind}.npz").read_bytes()
        assert fast == (tmp_path / f"again{kind}.npz").read_bytes()


def test_narrow_converters_saturate_alike(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], samples: Array, tmp_path: Path
) -> None:
    program, data = tmp_path / "a.xbar", npz(x=samples)
    assert xbarc("compile", model(), "-o", program, "--adc", 2).code == 0
    found = []
    for engine in ("fast", "reference"):
        out, codes = tmp_path / f"{engine}.npz", tmp_path / f"{engine}-trace.npz"
        options = ("--engine", engine, "--outputs", out, "--trace", codes)
        assert xbarc("run", program, "--inputs", data, *options).code == 0
        found.append((arrays(out)["y"], arrays(codes)))
    assert np.array_equal(found[0][0], found[1][0])
    trace = found[0][1]
    assert 0 < trace["MatMul:h/saturated"] <= (trace["MatMul:h/codes"] == 3).sum()
    checked = xbarc("check", program, "--data", data, "--json").json
    assert checked["layers"][0]["saturated"] == trace["MatMul:h/saturated"]


FIXED = DENSE.replace("float[N, 5]", "float[1, 5]").replace("float[N, 3]", "float[1, 3]")


def test_a_fixed_batch_loops(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], samples: Array, tmp_path: Path
) -> None:
    data, results = npz(x=samples, labels=np.arange(7) % 3), []
    for name, text in (("open", DENSE), ("fixed", FIXED)):
        program, out = tmp_path / f"{name}.xbar", tmp_path / f"{name}.npz"
        assert xbarc("compile", model(text, name), "-o", program).code == 0
        inputs = tmp_path / "in.npz"
        np.savez(inputs, x=samples)
        assert xbarc("run", program, "--inputs", inputs, "--outputs", out).code == 0
        checked = xbarc("check", program, "--data", data, "--json").json
        assert checked["samples"] == 7
        results.append((out.read_bytes(), checked))
    assert results[0] == results[1]


def test_a_fixed_batch_that_does_not_divide(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], samples: Array, tmp_path: Path
) -> None:
    program = tmp_path / "a.xbar"
    assert xbarc("compile", model(FIXED.replace("[1,", "[2,")), "-o", program).code == 0
    done = xbarc("run", program, "--inputs", npz(x=samples), "--outputs", tmp_path / "o.npz")
    done.refused("7 samples are not a multiple of the model's fixed batch of 2")


@pytest.mark.parametrize("count", [0, 1, 7])
def test_any_batch(
    xbarc: Run, dense: Path, npz: Callable[..., Path], samples: Array, tmp_path: Path, count: int
) -> None:
    out, trace = tmp_path / "out.npz", tmp_path / "trace.npz"
    data = npz(x=samples[:count])
    done = xbarc("run", dense, "--inputs", data, "--outputs", out, "--trace", trace)
    assert done.code == 0, done.err
    assert arrays(out)["y"].shape == (count, 3)
    assert arrays(trace)["MatMul:h/conversions"] == count * 24 * 8
    checked = xbarc("check", dense, "--data", data, "--json")
    if count:
        assert checked.json["samples"] == count
    else:
        checked.refused("no samples")


NOTHING = """
plain (float[N, 4] x, string[N] names) => (float[N, 4] y, string[N] same, float total)
{
    y = Relu(x)
    same = Identity(names)
    total = ReduceSum<keepdims = 0>(y)
}
"""


def test_a_model_without_matrix_layers(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], tmp_path: Path
) -> None:
    program, out = tmp_path / "a.xbar", tmp_path / "out.npz"
    done = xbarc("compile", model(NOTHING), "-o", program)
    assert done.code == 0, done.err
    for command in ("verify", "report", "inspect", "print"):
        assert xbarc(command, program).code == 0
    assert xbarc("inspect", program, "--json").json["layers"] == []
    xbarc("inspect", program, "--block", "0,0").refused("no layer of this program is on crossbars")
    xbarc("inspect", program, "--layer", "y").refused("no layer of this program is on crossbars")
    x = np.array([[-1, 2, -3, 4]] * 3, np.float32)
    data = npz(x=x, names=np.array(["a", "bc", "d"]))
    trace = tmp_path / "trace.npz"
    ran = xbarc("run", program, "--inputs", data, "--outputs", out, "--trace", trace)
    assert ran.code == 0, ran.err
    found = arrays(out)
    assert np.array_equal(found["y"], np.maximum(x, 0))
    assert found["same"].tolist() == ["a", "bc", "d"]
    assert found["total"].shape == ()
    assert arrays(trace) == {}
    checked = xbarc("check", program, "--data", data, "--json").json
    assert checked["layers"] == []
    assert checked["identical"]


NAMES = """
names (float[1, 2] file) => (float[1, 2] allow_pickle, float total)
<float[2, 2] w = {1, 2, 3, 4}>
{
    allow_pickle = MatMul(file, w)
    total = ReduceSum<keepdims = 0>(allow_pickle)
}
"""


def test_names_that_numpy_takes_for_arguments(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path
) -> None:
    program, out, data = tmp_path / "a.xbar", tmp_path / "out.npz", tmp_path / "in.npz"
    assert xbarc("compile", model(NAMES), "-o", program).code == 0
    write_npz(data, {"file": np.ones((3, 2), np.float32)})
    done = xbarc("run", program, "--inputs", data, "--outputs", out)
    assert done.code == 0, done.err
    assert arrays(out)["allow_pickle"].shape == (3, 2)
    assert arrays(out)["total"].shape == (3,)


SEQUENCE = """
s (float[2] x) => (seq(float[2]) y)
{
    y = SequenceConstruct(x, x)
}
"""


def test_an_output_that_is_no_tensor(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], tmp_path: Path
) -> None:
    program = tmp_path / "a.xbar"
    assert xbarc("compile", model(SEQUENCE), "-o", program).code == 0
    done = xbarc(
        *("run", program, "--inputs", npz(x=np.ones(2, np.float32))),
        *("--outputs", tmp_path / "o.npz"),
    )
    done.refused("output 'y' is not a tensor", "InferenceSession")
    assert not (tmp_path / "o.npz").exists()


def test_results_go_into_a_device_and_never_replace_it(
    xbarc: Run, dense: Path, npz: Callable[..., Path], samples: Array
) -> None:
    done = xbarc("run", dense, "--inputs", npz(x=samples), "--outputs", "/dev/null")
    assert done.code == 0, done.err
    assert Path("/dev/null").is_char_device()


def test_results_follow_a_link(
    xbarc: Run, dense: Path, npz: Callable[..., Path], samples: Array, tmp_path: Path
) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "out.npz"
    link.symlink_to(tmp_path / "there" / "real.npz")
    assert xbarc("run", dense, "--inputs", npz(x=samples), "--outputs", link).code == 0
    assert link.is_symlink()
    assert arrays(tmp_path / "there" / "real.npz")["y"].shape == (7, 3)


def test_check_without_labels(
    xbarc: Run, dense: Path, npz: Callable[..., Path], samples: Array
) -> None:
    found = xbarc("check", dense, "--data", npz(x=samples), "--json").json
    assert found["top1_float"] is None
    assert found["top1_crossbar"] is None
    assert 0 <= found["agreement"] <= 1
    lines = xbarc("check", dense, "--data", npz(x=samples)).out.splitlines()
    assert "top-1 - -" in [" ".join(line.split()) for line in lines]
    # And why, above the table, whose title is folded to its width.
    assert "7 samples; no top-1: no labels in the data" in " ".join(" ".join(lines).split())


def test_check_equals_numpy(
    xbarc: Run, dense: Path, npz: Callable[..., Path], samples: Array, tmp_path: Path
) -> None:
    labels = np.arange(7) % 3
    found = xbarc("check", dense, "--data", npz(x=samples, labels=labels), "--json").json
    session = OnnxSession(dense.with_suffix(".onnx"), where="float")
    wanted = session.run({"x": samples})[0]
    xbarc("run", dense, "--inputs", npz(x=samples), "--outputs", tmp_path / "o.npz")
    ours = arrays(tmp_path / "o.npz")["y"]
    assert found["top1_float"] == (wanted.argmax(1) == labels).mean()
    assert found["top1_crossbar"] == (ours.argmax(1) == labels).mean()
    assert found["agreement"] == (wanted.argmax(1) == ours.argmax(1)).mean()
    noise = ((wanted.astype(np.float64) - ours) ** 2).sum()
    signal = (wanted.astype(np.float64) ** 2).sum()
    assert found["output_sqnr_db"] == pytest.approx(10 * np.log10(signal / noise))


def test_min_agreement(xbarc: Run, mlp: Path, images: Path, tmp_path: Path) -> None:
    assert xbarc("check", mlp, "--data", images, "--min-agreement", 0).code == 0
    data = tmp_path / "forty.npz"
    np.savez(data, image=arrays(FASHION)["image"][:40])
    rough = tmp_path / "rough.xbar"
    assert xbarc("compile", MLP, "-o", rough, "--adc", 1, "--weight-bits", 2).code == 0
    done = xbarc("check", rough, "--data", data, "--min-agreement", 1, "--json")
    assert done.code == 1
    assert done.json["agreement"] < 1
    assert "expected at least 1" in done.err


def test_min_agreement_without_scores(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], tmp_path: Path
) -> None:
    text = "v (float[2] x) => (float[2] y) { y = Relu(x) }"
    assert xbarc("compile", model(text), "-o", tmp_path / "a.xbar").code == 0
    data = npz(x=np.ones(2, np.float32))
    done = xbarc("check", tmp_path / "a.xbar", "--data", data, "--min-agreement", 0.5)
    assert done.code == 1
    assert "no scores" in done.err


def test_check_without_the_model(
    xbarc: Run,
    model: Callable[..., Path],
    npz: Callable[..., Path],
    samples: Array,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, program = model(name="gone"), tmp_path / "deep" / "a.xbar"
    (tmp_path / "deep").mkdir()
    (tmp_path / "else").mkdir()
    assert xbarc("compile", path, "-o", program).code == 0
    data, moved = npz(x=samples), tmp_path / "else" / "gone.onnx"
    shutil.move(path, moved)
    done = xbarc("check", program, "--data", data)
    done.refused("gone.onnx", "not where it was when compiled", "pass --model")
    assert xbarc("check", program, "--data", data, "--model", moved).code == 0
    xbarc("check", program, "--data", data, "--model", tmp_path / "no.onnx").refused("no.onnx")
    monkeypatch.chdir(tmp_path / "else")
    assert xbarc("check", program, "--data", data).code == 0


def test_check_with_another_model(
    xbarc: Run, dense: Path, model: Callable[..., Path], npz: Callable[..., Path], samples: Array
) -> None:
    other = model(DENSE.replace("15", "16"))
    done = xbarc("check", dense, "--data", npz(x=samples), "--model", other)
    done.refused(
        *_digests(dense.with_name("dense.onnx"), other), "pass the right file with --model"
    )


def _digests(*models: Path) -> list[str]:
    """What a message must name: each file and the start of its digest."""
    return [part for path in models for part in (str(path), source_digest(path)[:12])]


def test_check_with_a_model_that_changed(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], samples: Array, tmp_path: Path
) -> None:
    path = model()
    assert xbarc("compile", path, "-o", tmp_path / "a.xbar").code == 0
    before = _digests(path)
    model(DENSE.replace("15", "16"))
    done = xbarc("check", tmp_path / "a.xbar", "--data", npz(x=samples))
    done.refused(*before, *_digests(path), f"if the file changed since then, compile {path} again")


def test_run_ignores_labels(
    xbarc: Run, dense: Path, npz: Callable[..., Path], samples: Array, tmp_path: Path
) -> None:
    """The file that `check` and `compile --calibrate` take."""
    data, out = npz(x=samples, labels=np.zeros(7, np.int64)), tmp_path / "out.npz"
    assert xbarc("run", dense, "--inputs", data, "--outputs", out).code == 0
    assert arrays(out)["y"].shape == (7, 3)


def test_labels_that_are_an_input(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], samples: Array, tmp_path: Path
) -> None:
    path, program, out = model(DENSE.replace(" x", " labels").replace("(x", "(labels")), "a", "o"
    places = tmp_path / program, tmp_path / out
    assert xbarc("compile", path, "-o", places[0]).code == 0
    done = xbarc("run", places[0], "--inputs", npz(labels=samples), "--outputs", places[1])
    assert done.code == 0, done.err


def test_enormous_strides_are_refused(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], tmp_path: Path
) -> None:
    text = """g (float[N, 1, H, W] x) => (float[] y)
    <float[1, 1, 1, 1] w = {{1}}> {{ y = {}(x, w) }}"""
    for operator in (
        "ConvTranspose<strides = [2000000000, 2000000000]>",
        "Conv<pads = [{0},{0},{0},{0}]>",
    ):
        path = model(text.format(operator.format(1 << 30)))
        assert xbarc("compile", path, "-o", tmp_path / "a.xbar").code == 0
        data = npz(x=np.ones((1, 1, 2, 2), np.float32))
        done = xbarc("run", tmp_path / "a.xbar", "--inputs", data, "--outputs", tmp_path / "o.npz")
        done.refused(f"{operator.partition('<')[0]}:y: input of shape", "needs an array of")


def test_pipes_get_whole_rows(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the terminal behind the pipe is, and however long the names are."""
    monkeypatch.setenv("COLUMNS", "80")
    path, name = model(DENSE.replace("h", "h" * 150)), f"MatMul:{'h' * 150}"
    shown = [xbarc("compile", path, "-v", "-o", tmp_path / "a.xbar").out]
    shown += [xbarc(command, tmp_path / "a.xbar").out for command in ("report", "inspect")]
    for out in shown:
        (line,) = [line for line in out.splitlines() if line.strip().startswith(name)][:1]
        row = [cell.strip() for cell in line.split("   ") if cell.strip()]
        assert row[:3] == [name, "MatMul", "5 x 3"]
        assert len(row) == 10
        assert "…" not in out


def test_an_input_called_labels(
    xbarc: Run, npz: Callable[..., Path], samples: Array, tmp_path: Path
) -> None:
    """`labels` is the input then, and class numbers are `labels_`."""
    text = DENSE.replace("] x)", "] labels)").replace("(x,", "(labels,")
    path = write_model(tmp_path / "m.onnx", text)
    data, program = npz(labels=samples), tmp_path / "m.xbar"
    done = xbarc("compile", path, "--calibrate", data, "-o", program)
    assert done.code == 0, done.err
    assert xbarc("check", program, "--data", data, "--json").json["top1_float"] is None
    judged = npz(labels=samples, labels_=np.arange(7) % 3)
    assert xbarc("check", program, "--data", judged, "--json").json["top1_float"] is not None
    assert xbarc("run", program, "--inputs", judged, "--outputs", tmp_path / "o.npz").code == 0
    wrong = npz(labels=samples, labels_=np.arange(3))
    xbarc("check", program, "--data", wrong).refused("labels_ are", "expected int64[7]")


def test_check_finds_the_model_by_its_digest(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], samples: Array, tmp_path: Path
) -> None:
    """Beside the program under any name, though another one took the place that was stored."""
    path, program = model(name="net"), tmp_path / "deep" / "a.xbar"
    program.parent.mkdir()
    assert xbarc("compile", path, "-o", program).code == 0
    shutil.copy(path, program.parent / "renamed.onnx")
    (program.parent / "broken.onnx").write_bytes(b"no model")
    model(DENSE.replace("15", "16"), name="net")
    assert xbarc("check", program, "--data", npz(x=samples)).code == 0
    (program.parent / "renamed.onnx").unlink()
    xbarc("check", program, "--data", npz(x=samples)).refused(f"{path} has the digest")


def test_errors_about_data_are_those_of_run(
    xbarc: Run, dense: Path, npz: Callable[..., Path], samples: Array, tmp_path: Path
) -> None:
    wrong: list[dict[str, Any]] = [
        {},
        {"y": samples},
        {"x": samples.astype(np.float64)},
        {"x": samples[:, :4]},
        {"x": samples[0]},
        {"x": samples * np.nan},
        {"x": samples, "z": samples},
    ]
    for arrays_given in wrong:
        data = npz(**arrays_given)
        ran = xbarc("run", dense, "--inputs", data, "--outputs", tmp_path / "out.npz")
        checked = xbarc("check", dense, "--data", data)
        assert ran.code == 2
        assert checked == ran


def test_digital_work_beyond_counting_is_left_out_by_name(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path
) -> None:
    """Pads of 2^31 and more stay digital; so many products fit no counter."""
    text = """g (float[N, 1, 2, 2] x) => (float[] y)
    <float[1, 1, 1, 1] w = {{1}}> {{ y = Conv<pads = [{0},{0},{0},{0}]>(x, w) }}"""
    done = xbarc("compile", model(text.format(1 << 40)), "-o", tmp_path / "a.xbar")
    assert done.code == 0, done.err
    assert "beyond counting" in done.out


@pytest.mark.parametrize(("bits", "identical"), [(2, False), (12, True)])
def test_texts_are_compared_too(tmp_path: Path, bits: int, identical: bool) -> None:
    """An output without a signal-to-noise ratio is identical where it is equal."""
    graph = """g (float[N,6] x) => (string[] s) {
        h = MatMul(x, w)  a = ArgMax <axis = 1, keepdims = 0> (h)  s = Gather(names, a) }"""
    path = model_file(tmp_path, graph, w=normal(6, 4), names=np.array(list("abcd"), object))
    made = compile_program(path, weight_bits=bits)
    assert evaluate(made.program, {"x": normal(200, 6)}, path).identical is identical


@pytest.mark.parametrize("batch", ["0", "1", "7", "64"])
def test_batches_change_no_byte(
    xbarc: Run, mlp: Path, images: Path, tmp_path: Path, batch: str
) -> None:
    files = ("--inputs", str(images), "--outputs")
    assert xbarc("run", str(mlp), *files, str(tmp_path / "all.npz"), "--batch", "0").code == 0
    assert xbarc("run", str(mlp), *files, str(tmp_path / "some.npz"), "--batch", batch).code == 0
    assert (tmp_path / "all.npz").read_bytes() == (tmp_path / "some.npz").read_bytes()
    assert xbarc("run", str(mlp), *files, str(tmp_path / "one.npy"), "--batch", batch).code == 0
    [scores] = np.load(tmp_path / "all.npz").values()
    assert np.array_equal(np.load(tmp_path / "one.npy"), scores)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.npz", "one.npy", "some.npz"]


_SUMS = """<ir_version: 8, opset_import: ["" : 17]>
sums (float[batch, 4] x) => (float[1, 3] y, float[batch, 3] each)
<float[4, 3] w = {1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1}> {
  each = MatMul(x, w)
  y = ReduceSum<keepdims = 1>(each, axes)
}"""


def test_outputs_that_count_no_samples_see_all_at_once(xbarc: Run, tmp_path: Path) -> None:
    text = _SUMS.replace("1, 1, 1, 1}>", "1, 1, 1, 1}, int64[1] axes = {0}>")
    onnx.save(onnx.parser.parse_model(text), tmp_path / "sums.onnx")
    x = np.arange(40, dtype=np.float32).reshape(10, 4)
    np.savez(tmp_path / "in.npz", x=x)
    assert xbarc("compile", str(tmp_path / "sums.onnx"), "-o", str(tmp_path / "s.xbar")).code == 0
    files = ("--inputs", str(tmp_path / "in.npz"), "--outputs", str(tmp_path / "out.npz"))
    assert xbarc("run", str(tmp_path / "s.xbar"), *files, "--batch", "3").code == 0
    found = np.load(tmp_path / "out.npz")
    assert found["y"].shape == (1, 3)
    assert np.allclose(found["y"], found["each"].sum(axis=0))
    several = xbarc("run", str(tmp_path / "s.xbar"), *files[:3], str(tmp_path / "out.npy"))
    assert several.code == 2
    assert "holds one array, the model has 2 outputs" in several.err


_MEETING = """<ir_version: 8, opset_import: ["" : 17]>
meeting (float[batch, 4] x) => (float[batch, 3] y)
<float[4, 3] w = {1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1}> {
  each = MatMul(x, w)
  y = BODY
}"""


@pytest.mark.parametrize(
    ("body", "meet"), [("Softmax<axis = 0>(each)", True), ("Softmax<axis = 1>(each)", False)]
)
def test_samples_that_depend_on_each_other_run_at_once(
    xbarc: Run, tmp_path: Path, body: str, meet: bool
) -> None:
    text = _MEETING.replace("BODY", body)
    onnx.save(onnx.parser.parse_model(text), tmp_path / "m.onnx")
    x = np.random.default_rng(0).normal(size=(130, 4)).astype(np.float32)
    np.savez(tmp_path / "in.npz", x=x)
    program, data, out = tmp_path / "m.xbar", tmp_path / "in.npz", tmp_path / "out.npz"
    assert xbarc("compile", tmp_path / "m.onnx", "-o", program).code == 0
    done = xbarc("run", program, "--inputs", data, "--outputs", out)
    assert done.code == 0
    assert ("a sample alone gives other bits" in done.err) == meet
    own = np.load(out)["y"]
    assert xbarc("run", program, "--inputs", data, "--outputs", out, "--batch", 0).code == 0
    assert np.array_equal(own, np.load(out)["y"])


@pytest.mark.slow
def test_memory_does_not_grow_with_samples(mlp: Path, tmp_path: Path) -> None:
    """A run of 8 times the samples takes what its inputs take more, and little else."""
    peaks = []
    for count in (512, 4096):
        np.savez(tmp_path / "in.npz", image=np.zeros((count, 1, 28, 28), np.float32))
        command = ["run", str(mlp), "--inputs", str(tmp_path / "in.npz"), "--outputs"]
        script = (
            "import resource, sys; from xbarc.cli import main\n"
            f"assert main({[*command, str(tmp_path / 'out.npz')]!r}) == 0\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
        peaks.append(int(done.stdout) - count * 28 * 28 * 4)
    assert peaks[1] - peaks[0] < 12 << 20  # the activations alone would take 20 MiB more
