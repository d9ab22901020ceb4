"""`xbarc train`."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import xbarc as package
from tests.cli.conftest import DENSE, Run
from xbarc.errors import MappingError
from xbarc.ir import load_program

pytest.importorskip("torch", reason="pip install 'xbarc[train]'")

import torch

from xbarc.train import Samples, Trainer, split_held_out  # need torch


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 5)).astype(np.float32)
    path = tmp_path / "train.npz"
    np.savez(path, x=x, labels=rng.integers(0, 3, 80))
    return path


def test_a_trained_program_says_how_it_was_made(
    xbarc: Run, model: Callable[..., Path], data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.xbar"
    given = ("--data", data, "--adc", "calibrated:2", "--epochs", 2, "--batch", 16, "-o", out)
    done = xbarc("train", model(), *given)
    assert done.code == 0, done.err
    for part in ("float network", "mapped, not trained", "trained for target"):
        assert part in done.out
    assert not (tmp_path / "out.xbar.training").exists()
    trained = dict(load_program(out).settings)["trained"]
    assert "epochs 2" in trained
    assert "top-1" in trained
    with np.load(data) as arrays:
        samples = Samples({"x": arrays["x"]}, arrays["labels"])
    held = split_held_out(samples, 0.1, 0)
    for split, count in zip(held, (72, 8), strict=True):
        assert f"{count} samples (sha256 {split.digest[:12]})" in trained
    assert "held_out 0.1" in trained
    assert f"{torch.get_num_threads()} thread" in trained
    other = xbarc("train", model(), *given[:-1], tmp_path / "other.xbar", "--validate", data)
    assert other.code == 0, other.err
    trained = dict(load_program(tmp_path / "other.xbar").settings)["trained"]
    assert f"80 samples (sha256 {samples.digest[:12]}) chose the epoch" in trained
    assert "held_out" not in trained
    assert xbarc("verify", out).code == 0
    first = (out / "program.json").read_bytes()
    assert xbarc("train", model(), *given).code == 0
    assert (out / "program.json").read_bytes() == first


def test_after_a_loss_that_is_no_number_the_best_program_is_written_and_goes_on(
    xbarc: Run,
    model: Callable[..., Path],
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, state = tmp_path / "out.xbar", tmp_path / "out.xbar.training"
    given = ("train", model(), "--data", data, "--epochs", 3, "--batch", 16, "-o", out)
    step = Trainer._step

    def fail(trainer: Trainer, batch: Samples, number: int, place: int) -> float:
        if number == 2 and trainer.training.cell_rate > 0.01:
            raise MappingError("the loss is nan", where="training")
        return step(trainer, batch, number, place)

    monkeypatch.setattr(Trainer, "_step", fail)
    failed = xbarc(*given)
    assert failed.code == 2
    assert "the loss is nan" in failed.err
    assert "the best before training failed" in failed.err
    assert state.exists()
    assert xbarc("verify", out).code == 0
    done = xbarc(*given, "--cell-rate", 0.01)
    assert (done.code, state.exists()) == (0, False)
    assert "SQNR" in done.out


def test_a_failure_before_the_first_whole_epoch_leaves_an_older_program_alone(
    xbarc: Run,
    model: Callable[..., Path],
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out.xbar"
    given = ("train", model(), "--data", data, "--epochs", 1, "--batch", 16, "-o", out)
    assert xbarc(*given).code == 0
    before = _files(out)
    xbarc(*given, "--adc", "calibrated:2", "--noise-device", "morse").refused(
        "--noise-device: no device model 'morse'", "no package registers one"
    )
    assert _files(out) == before

    def fail(trainer: Trainer, batch: Samples, number: int, place: int) -> float:
        raise MappingError("the loss is nan", where="training")

    monkeypatch.setattr(Trainer, "_step", fail)
    failed = xbarc(*given, "--adc", "calibrated:2")
    assert failed.code == 2
    assert "wrote" not in failed.err
    assert _files(out) == before


def test_errors_name_the_options_of_this_command(
    xbarc: Run, model: Callable[..., Path], data: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.npz"
    np.savez(other, z=np.zeros((9, 5), np.float32))
    out = ("-o", tmp_path / "out.xbar")
    xbarc("train", model(), "--data", other, *out).refused(
        f"--data {other}: ", "input 'x' is missing"
    )
    xbarc("train", model(), "--data", data, "--calibrate", other, *out).refused(
        f"--calibrate {other}: ", "input 'x' is missing"
    )
    x = np.ones((20, 5), np.float32)
    x[7, 2] = np.inf
    for bad, said in (
        ({"x": x}, "sample 7 of 'x' in"),
        ({"x": np.ones((20, 4), np.float32)}, "has shape [20, 4]"),
        ({"x": np.ones((20, 5), np.float32), "z": x}, "unknown input 'z'"),
        ({"x": np.ones((20, 5), np.float32), "labels": np.full(20, 3)}, "reach from 3 to 3"),
    ):
        np.savez(other, **bad)
        where = other if "sample" in said else f"--validate {other}: "
        xbarc("train", model(), "--data", data, "--validate", other, *out).refused(str(where), said)
        where = other if "sample" in said else f"--data {other}: "
        xbarc("train", model(), "--data", other, *out).refused(str(where), said.split(" [")[0])
    for adc in ("calibrated:2", "4"):
        given = ("--data", data, "--adc", adc, "--prune-energy", 2, *out)
        xbarc("train", model(), *given).refused(
            f"--prune-energy: converters of {adc} cost the same", "--adc lossless"
        )


def test_numbers_that_training_cannot_use_are_refused(
    xbarc: Run, model: Callable[..., Path], data: Path
) -> None:
    for option, value, expected in (
        ("--train-seed", 1 << 63, "0 to 4294967295"),
        ("--train-seed", -1, "0 to 4294967295"),
        ("--hours", -1, "0 or more"),
        ("--cell-rate", -0.5, "0 or more"),
        ("--batch", 1 << 30, "1 to 1048576"),
    ):
        done = xbarc("train", model(), "--data", data, option, value)
        done.refused(f"{option}: {value}, expected {expected}")


def test_the_largest_seed_is_one(
    xbarc: Run, model: Callable[..., Path], data: Path, tmp_path: Path
) -> None:
    given = ("--data", data, "--epochs", 1, "--noise", 0.1, "-o", tmp_path / "out.xbar")
    assert xbarc("train", model(), *given, "--train-seed", (1 << 32) - 1).code == 0


def test_a_share_held_out_fits_a_fixed_batch(
    xbarc: Run, model: Callable[..., Path], data: Path, tmp_path: Path
) -> None:
    net = model(DENSE.replace("float[N", "float[16"))
    given = ("--data", data, "--epochs", 1, "-o", tmp_path / "out.xbar")
    done = xbarc("train", net, *given)  # a tenth of 80 samples is 8
    assert done.code == 2
    assert "none to choose the epoch" in done.err
    done = xbarc("train", net, *given, "--held-out", 0.15)
    assert done.code == 0, done.err
    assert "of 16 samples that chose the epoch" in done.out


def test_two_things_are_never_written_to_one_place(
    xbarc: Run, model: Callable[..., Path], data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.xbar"
    for place in (out, tmp_path / "out.xbar.training"):
        given = ("--data", data, "-o", out, "--onnx", place)
        xbarc("train", model(), *given).refused(f"--onnx {place}", "choose another path")
        assert not place.exists()


@pytest.mark.parametrize("goal", [1, 2])
def test_a_rate_that_ruins_the_network_keeps_the_mapped_program(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path, goal: int
) -> None:
    """Cells that are all zero are cheap to read, and worth nothing."""
    net = model()
    x = np.random.default_rng(0).normal(size=(400, 5)).astype(np.float32)
    answers = package.compile(net).session().run(None, {"x": x})[0]
    np.savez(tmp_path / "own.npz", x=x, labels=answers.argmax(1))
    out = tmp_path / "out.xbar"
    given = ("--data", tmp_path / "own.npz", "--epochs", 2, "--batch", 50, "-o", out)
    rates = ("--cell-rate", 1e6, "--digital-rate", 1e6, "--prune-energy", goal)
    done = xbarc("train", net, *given, *rates)
    assert done.code == 0, done.err
    assert "epoch 0" in done.out
    assert "hardly better than with one class for all: a smaller --cell-rate" in done.err
    assert "the mapped program, which was kept as it is" in done.err
    assert "a larger --cell-rate" not in done.err
    mapped = package.compile(net, calibration={"x": x}, range_analysis="structure")
    kept = load_program(out).crossbar_steps
    for one, other in zip(kept, mapped.program.crossbar_steps, strict=True):
        assert one.cells.shape == other.cells.shape
    assert package.load(out).session().run(None, {"x": x})[0].argmax(1).tolist().count(0) < 400


def test_what_is_read_is_never_written_over(
    xbarc: Run, model: Callable[..., Path], data: Path, tmp_path: Path
) -> None:
    net = model()
    link = tmp_path / "link.onnx"
    link.symlink_to(net)
    before = net.read_bytes(), data.read_bytes()
    for place in (net, data, link):
        xbarc("train", net, "--data", data, "--onnx", place).refused("--onnx", "would be lost")
    assert (net.read_bytes(), data.read_bytes()) == before
    program = tmp_path / "net.xbar"
    assert xbarc("compile", net, "-o", program).code == 0
    xbarc("export", program, "-o", net).refused("would be lost")
    assert net.read_bytes() == before[0]


def test_an_interrupted_run_says_how_it_goes_on_or_ends(
    xbarc: Run,
    model: Callable[..., Path],
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out.xbar"
    given = ("train", model(), "--data", data, "--epochs", 3, "--batch", 16, "-o", out)
    step = Trainer._step

    def stop(trainer: Trainer, batch: Samples, number: int, place: int) -> float:
        if number == 2:
            raise KeyboardInterrupt
        return step(trainer, batch, number, place)

    monkeypatch.setattr(Trainer, "_step", stop)
    stopped = xbarc(*given)
    assert stopped.code == 130
    assert "--hours 0" in stopped.err
    assert not out.exists()
    assert xbarc(*given, "--hours", 0).code == 0
    assert xbarc("verify", out).code == 0
    assert (tmp_path / "out.xbar.training").exists()


def test_a_goal_that_no_epoch_met_is_told(
    xbarc: Run, model: Callable[..., Path], data: Path, tmp_path: Path
) -> None:
    given = ("train", model(), "--data", data, "--epochs", 1, "-o", tmp_path / "o.xbar")
    assert "no epoch made" in xbarc(*given, "--prune-energy", 50).err
    assert "no epoch made" not in xbarc(*given).err


def test_cells_that_training_does_not_start_from_are_told(
    xbarc: Run, model: Callable[..., Path], data: Path, tmp_path: Path
) -> None:
    net, carried = tmp_path / "net.xbar", tmp_path / "carried.onnx"
    for analysis, told in (("all", True), ("structure", False)):
        given = ("--encoding", "acm", "--range-analysis", analysis, "-o", net)
        assert xbarc("compile", model(), *given).code == 0
        assert xbarc("export", net, "-o", carried).code == 0
        out = tmp_path / "o.xbar"
        done = xbarc("train", carried, "--data", data, "--epochs", 0, "-o", out)
        assert done.code == 0, done.err
        assert ("mapped anew" in done.err) == told
        assert ("--range-analysis structure" in done.err) == told


def test_a_trained_program_is_trained_on_with_the_float_network_as_teacher(
    xbarc: Run, model: Callable[..., Path], data: Path, tmp_path: Path
) -> None:
    path, trained = model(), tmp_path / "trained.onnx"
    given = ("--data", data, "--epochs", 1, "--encoding", "acm", "-o", tmp_path / "o.xbar")
    done = xbarc("train", path, *given, "--onnx", trained)
    assert done.code == 0, done.err
    done = xbarc("train", trained, *given, "--teacher", path)
    assert done.code == 0, done.err
    said = dict(load_program(tmp_path / "o.xbar").settings)["trained"]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert f"taught by SHA-256 {digest}" in said
    xbarc("train", trained, *given, "--teacher", data).refused(str(data))
    text = "wide (float[N, 5] x) => (float[N, 4] y) <float[5, 4] w> { y = MatMul (x, w) }"
    numbers = ", ".join(map(str, range(20)))
    wide = model(text.replace(" w>", f" w = {{{numbers}}}>"), "wide")
    xbarc("train", path, *given, "--teacher", wide).refused("--teacher: ", "[1, 4] scores")
    xbarc("train", trained, *given, "--teacher", path, "--onnx", path).refused("would be lost")


def test_training_that_changed_no_cell_says_so(
    xbarc: Run, model: Callable[..., Path], data: Path, tmp_path: Path
) -> None:
    done = xbarc("train", model(), "--data", data, "--cell-rate", 0, "-o", tmp_path / "o.xbar")
    assert "no cell holds another level" in done.err
    assert "--cell-rate" in done.err


def test_a_trained_program_is_written_as_onnx_too(
    xbarc: Run, model: Callable[..., Path], data: Path, tmp_path: Path
) -> None:
    trained, again = tmp_path / "trained.xbar", tmp_path / "again.xbar"
    first, second = tmp_path / "first.onnx", tmp_path / "second.onnx"
    given = ("--data", data, "--epochs", 1, "-o", trained, "--onnx", first)
    assert xbarc("train", model(), *given, "--encoding", "acm").code == 0
    assert xbarc("compile", first, "--carried-mapping", "require", "-o", again).code == 0
    cells = [(path / "cells.safetensors").read_bytes() for path in (trained, again)]
    assert cells[0] == cells[1]
    assert xbarc("export", again, "-o", second).code == 0
    assert first.read_bytes() == second.read_bytes()
    refused = xbarc("export", again, "-o", tmp_path / "none" / "x.onnx")
    assert refused.code == 2
    assert "folder does not exist" in refused.err


def test_bad_data_is_refused_before_training(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path
) -> None:
    def refused(*parts: str, **arrays: object) -> None:
        path = tmp_path / "bad.npz"
        np.savez(path, **arrays)  # type: ignore[arg-type]
        xbarc("train", model(), "--data", path, "-o", tmp_path / "o.xbar").refused(*parts)

    x = np.ones((20, 5), np.float32)
    refused("input 'x' is float64", x=x.astype(np.float64))
    refused("different numbers of samples", x=x, labels=np.zeros(3, np.int64))
    refused("leaves none", x=x[:2])
    refused("the input holds NaN", x=x * np.float32(np.nan))
    xbarc("train", model(), "--data", tmp_path / "none.npz").refused("none.npz")
    assert not (tmp_path / "o.xbar").exists()


def test_without_torch_the_extra_is_named(
    xbarc: Run, model: Callable[..., Path], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("xbarc.train")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(package, "train", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    xbarc("train", model(), "--data", data).refused("torch", "xbarc[train]")


def test_a_file_of_options_is_taken_and_the_command_line_wins(
    xbarc: Run, model: Callable[..., Path], data: Path, tmp_path: Path
) -> None:
    out, file = tmp_path / "out.xbar", tmp_path / "o.toml"
    file.write_text('[converters]\nadc = "calibrated:2"\n')
    given = ("--data", data, "--options", file, "--epochs", 0, "-o", out)
    for extra, policy in (((), "calibrated:2"), (("--adc", "lossless"), "lossless")):
        assert xbarc("train", model(), *given, *extra).code == 0
        assert {step.adc.policy for step in load_program(out).crossbar_steps} == {policy}


def test_a_run_whose_time_is_over_goes_on_later(
    xbarc: Run,
    model: Callable[..., Path],
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = ("train", model(), "--data", data, "--adc", "calibrated:2", "--epochs", 3)
    assert xbarc(*given, "-o", tmp_path / "whole.xbar").code == 0
    out, state = tmp_path / "out.xbar", tmp_path / "out.xbar.training"

    def is_over(trainer: Trainer, start: float) -> bool:
        del start
        return trainer.training.hours is not None and len(trainer.course.epochs) > 1

    monkeypatch.setattr(Trainer, "_is_over", is_over)
    done = xbarc(*given, "-o", out, "--hours", 0.1)
    assert (done.code, out.exists(), state.exists()) == (0, True, True)
    assert "0.1 hours are over" in done.out
    assert xbarc(*given, "-o", out).code == 0
    assert not state.exists()
    assert _files(out) == _files(tmp_path / "whole.xbar")


def test_the_printed_options_are_a_file_of_options(
    xbarc: Run, model: Callable[..., Path], data: Path, tmp_path: Path
) -> None:
    file = tmp_path / "o.toml"
    file.write_text(xbarc("options").out)
    given = ("train", model(), "--data", data, "--options", file, "--epochs", 0)
    assert xbarc(*given, "-o", tmp_path / "o.xbar").code == 0


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
