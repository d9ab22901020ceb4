"""Wrong use: each bad value is named with what is possible."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from xbarc.ir.files import load_program
from xbarc.target import target_folder, target_names


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ("--target rram999", ["rram999: unknown target", "rram128"]),
        ("--target no.toml", ["no.toml: no such file"]),
        ("--set array.rows=many", ["array.rows", "'many'"]),
        ("--set array.rose=3", ["array.rose"]),
        ("--set nowhere.rows=3", ["'nowhere.rows' is not a field"]),
        ("--set array.rows", ["'array.rows' is not key.path=value"]),
        ("--set =3", ["'=3' is not key.path=value"]),
        ("--set array.rows=-1", ["array.rows"]),
        ("--encoding morse", ["--encoding: no encoding 'morse'", "differential"]),
        ("--adc 0", ["--adc: 0 bits, expected 1 to 16"]),
        ("--adc 17", ["--adc: 17 bits"]),
        ("--adc -1", ["--adc: '-1' is not available", "lossless"]),
        ("--adc wide", ["--adc: 'wide' is not available"]),
        ("--adc " + "9" * 5000, ["--adc: 9"]),
        ("--placement best", ["--placement: 'best' is not available", "none"]),
        ("--tile half", ["--tile: 'half' is not available", "fill, even"]),
        ("--pack tight", ["--pack: 'tight' is not available", "layer, network, none"]),
        ("--ranges best", ["--ranges: 'best' is not available", "mse"]),
        ("--weight-bits 0", ["--weight-bits: 0 bits, expected 2 to 16"]),
        ("--weight-bits 1", ["--weight-bits: 1 bit, expected 2 to 16"]),
        ("--weight-bits 17", ["--weight-bits: 17 bits"]),
        ("--activation-bits 0", ["--activation-bits: 0 bits, expected 1 to 16"]),
        ("--activation-bits 17", ["--activation-bits: 17 bits"]),
        ("--weight-slices 0", ["--weight-slices: 0 cells per weight, expected 1 to 16"]),
        ("--weight-slices -1", ["--weight-slices: -1 cells per weight"]),
        ("--weight-slices 99", ["--weight-slices: 99 cells per weight, expected 1 to 16"]),
        ("--weight-slices 1 --encoding twos-complement", ["do not fit", "--weight-slices 2"]),
        ("--feedback maybe", ["--feedback: 'maybe' is not available", "auto, on, off"]),
        ("--feedback on", ["--feedback on: needs calibration data", "--calibrate"]),
        ("--encoding segmented:0", ["--encoding: no encoding 'segmented:0'", "segmented:4"]),
        ("--encoding segmented:x", ["--encoding: no encoding 'segmented:x'"]),
        ("--shape x", ["--shape: 'x' is not INPUT=1,3,224,224"]),
        ("--shape x=", ["--shape"]),
        ("--shape x=0,5", ["--shape"]),
        ("--shape x=a,5", ["--shape"]),
        ("--shape z=1,5", ["z"]),
        ("--shape x=1,6", ["x"]),
        ("--shape x=1,2,5", ["x"]),
        ("--calibrate no.npz", ["no.npz: no such file"]),
    ],
)
def test_compile(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path, options: str, parts: list[str]
) -> None:
    done = xbarc("compile", model(), "-o", tmp_path / "out.xbar", *options.split())
    done.refused(*parts)
    assert [item.name for item in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize(
    "arguments",
    [
        "bake",
        "compile",
        "compile a b",
        "compile a --wrong",
        "compile a --weight-bits many",
        "compile a --weight-slices few",
        "compile a --feedback",
        "compile a --target",
        "run x",
        "check x",
        "verify x --seed -1",
        "verify x --seed one",
        "targets",
        "targets eat",
        "targets show",
    ],
)
def test_usage(xbarc: Run, arguments: str) -> None:
    done = xbarc(*arguments.split())
    assert done.code == 2
    if arguments == "targets":  # a group alone shows its help
        assert "Usage: xbarc targets" in done.err
    else:
        done.refused("hint: ")
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("arguments", "right"),
    [
        ("compil net.onnx", "compile"),
        ("target list", "targets"),
        ("targets lst", "list"),
        ("compile net.onnx --calibrat x", "--calibrate"),
        ("compile net.onnx --weight-bit 4", "--weight-bits"),
        ("compile net.onnx --adc-saving all", "--adc-savings"),
        ("compile net.onnx --compensation gain", "--compensate"),
        ("check net.xbar --sample 3", "--samples"),
        ("inspect net.xbar --layers a", "--layer"),
        ("targets new a --form rram128", "--from"),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_one(
    xbarc: Run, arguments: str, right: str
) -> None:
    done = xbarc(*arguments.split())
    done.refused(right)
    assert "ean " in done.err


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ("report {} --format pdf", ["--format: no format 'pdf'", "csv, html, json, text"]),
        ("report {} -o /proc/none/x", ["/proc/none/x: cannot be written"]),
        ("report {} -o .", ["cannot be written: it is a folder"]),
        ("inspect {} --layer fc9", ["--layer: 'fc9' is not a layer"]),
        ("inspect {} --block 0,0", ["--layer: name the layer"]),
        ("inspect {} --html a.html", ["--layer: name the layer"]),
        ("inspect {} --block a,b", ["--block: 'a,b' is not I,J"]),
        ("inspect {} --block 1", ["--block: '1' is not I,J"]),
        ("inspect {} --block 0,0,0,0", ["--block"]),
        ("inspect {} --layer {layer} --block 9,0", ["no row block 9 of 1"]),
        ("inspect {} --layer {layer} --block 0,-1", ["no column block -1 of 1"]),
        ("inspect {} --layer {layer} --block 1,0,0", ["no group 1 of 1"]),
        ("inspect {} --layer {layer} --png /proc/a.png", ["/proc/a.png: cannot be written"]),
        (
            "run {} --inputs a.npz --outputs b.npz --engine slow",
            ["--engine: 'slow' is not available"],
        ),
        ("check {} --data a.npz --engine slow", ["--engine: 'slow' is not available"]),
        ("check {} --data a.npz --min-agreement 80", ["--min-agreement: 80.0 is not a share"]),
        ("check {} --data a.npz --min-agreement nan", ["--min-agreement: nan is not a share"]),
        ("check {} --data a.npz", ["a.npz: no such file"]),
        ("check {} --data a.npz --model b.onnx", ["a.npz: no such file"]),
        ("run {} --inputs a.npz --outputs b.npz", ["a.npz: no such file"]),
        ("run {} --inputs a.npz --outputs no/b.npz", ["its folder does not exist"]),
    ],
)
def test_other_commands(
    xbarc: Run,
    dense: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    parts: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    layer = load_program(dense).crossbar_steps[0].name
    words = [word.format(dense, layer=layer) for word in arguments.split()]
    xbarc(*words).refused(*parts)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["verify", "report", "inspect"])
def test_no_program(xbarc: Run, tmp_path: Path, command: str) -> None:
    (tmp_path / "file").write_text("x")
    xbarc(command, tmp_path / "none.xbar").refused("none.xbar: no such program", "xbarc compile")
    xbarc(command, tmp_path / "file").refused("file: is not a folder")
    xbarc(command, tmp_path).refused("is not a program: it holds no program.json")


def test_a_target_with_three_wrong_fields_names_all_three(xbarc: Run, tmp_path: Path) -> None:
    text = (target_folder() / "rram128.toml").read_text("utf-8")
    for old, new in (("rows = 128", 'rows = "many"'), ("dac_bits = 1", "dac_bits = 99")):
        assert old in text
        text = text.replace(old, new, 1)
    file = tmp_path / "bad.toml"
    file.write_text(text + "\n[colour]\nname = 'red'\n", encoding="utf-8")
    for command in (["targets", "validate", file], ["targets", "show", file]):
        done = xbarc(*command)
        done.refused("bad.toml: 3 wrong fields", "array.rows", "input.dac_bits", "colour")
    done = xbarc("compile", "any.onnx", "--target", file, "-o", tmp_path / "o.xbar")
    done.refused("3 wrong fields")


@pytest.mark.parametrize(
    "content", [b"", b"rows = = 3", b"\xff\xfe", b"[a" * 1000, b"a = " + b"[" * 5000]
)
def test_a_damaged_target(xbarc: Run, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(content)
    xbarc("targets", "validate", file).refused("bad.toml")


def test_targets_show_unknown(xbarc: Run) -> None:
    xbarc("targets", "show", "none").refused("none: unknown target", *target_names())
