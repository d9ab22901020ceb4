"""Every command does what its help says, and says it on the right stream."""

from __future__ import annotations

import csv
import io
import json
import platform
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import typer

import xbarc as xbarc_api
from tests.cli.conftest import FASHION, MLP, Run, tree
from xbarc import __version__
from xbarc.cli import doctor
from xbarc.cli.app import command_app
from xbarc.cli.help import EXAMPLES
from xbarc.compiler import STAGES
from xbarc.mapping.encodings import encoding_names
from xbarc.options import CompileOptions, Pack, PlacementName, RangeMethod, Tile
from xbarc.options.base import flags_of
from xbarc.target import target_folder, target_names

FIELDS = CompileOptions.model_fields.items()
COMMANDS = (
    "compile",
    "train",
    "run",
    "check",
    "compare",
    "verify",
    "inspect",
    "view",
    "report",
    "place",
    "print",
    "export",
    "import",
    "options",
    "passes",
    "doctor",
    "warm",
    "study",
    "targets",
)


def test_help_names_every_command(xbarc: Run) -> None:
    shown = xbarc("--help")
    assert shown.code == 0
    assert shown.err == ""
    for name in COMMANDS:
        assert f"\n  {name} " in shown.out
    assert "130 interrupted" in shown.out
    assert "..." not in shown.out.partition("Commands:")[2]
    assert xbarc("-h").out == shown.out


@pytest.mark.parametrize("command", [*COMMANDS, "targets list", "targets show", "targets validate"])
def test_each_command_has_help(xbarc: Run, command: str) -> None:
    shown = xbarc(*command.split(), "--help")
    assert shown.code == 0
    assert shown.out.startswith(f"Usage: xbarc {command} ")
    assert xbarc(*command.split(), "-h").out == shown.out
    if command not in ("study", "targets"):
        assert f"Examples:\n  xbarc {command}" in shown.out


def test_examples_are_commands_that_parse(xbarc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each names a command, and only options that this command has."""
    everything = typer.main.get_command(command_app())
    for name, lines in EXAMPLES.items():
        for line in lines:
            words = line.partition("    ")[0].partition(" > ")[0].partition(" | ")[0].split()[1:]
            command: Any = everything
            while words and hasattr(command, "commands"):
                command = command.commands[words.pop(0)]
            known = {flag for one in command.params for flag in (*one.opts, *one.secondary_opts)}
            assert {word for word in words if word.startswith("-")} <= known, (name, line)


def test_every_command_has_examples() -> None:
    waiting: list[tuple[str, Any]] = [("", typer.main.get_command(command_app()))]
    names = set()
    while waiting:
        name, command = waiting.pop()
        inner = getattr(command, "commands", {})
        names |= set() if inner else {name}
        waiting += [(f"{name} {one}".strip(), found) for one, found in inner.items()]
    assert names == set(EXAMPLES) - {""}


def test_compile_help_fits_a_screen(xbarc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = xbarc("compile", "--help").out.splitlines()
    assert len(lines) <= 45
    assert max(map(len, lines)) <= 80
    every = xbarc("compile", "--help-all").out
    assert all(f"{flags_of(name, field)[0].partition('/')[0]} " in every for name, field in FIELDS)
    # What one command line asks for says nothing about the next of the same process.
    assert xbarc("compile", "--help").out.splitlines() == lines


def test_compile_help_has_every_choice_and_default(xbarc: Run) -> None:
    words = " ".join(xbarc("compile", "--help-all").out.split()).replace("- ", "-")  # broken names
    for name in (*encoding_names(), *get_args(RangeMethod), *get_args(Tile), *get_args(Pack)):
        assert name in words
    assert f"--placement {'|'.join(get_args(PlacementName))}" in words
    for default in ("rram128", "lossless", "mse", "fill", "layer", "MODEL.xbar in this folder"):
        assert f"[default: {default}]" in words


def test_version(xbarc: Run) -> None:
    lines = xbarc("--version").out.splitlines()
    assert lines[0] == f"xbarc {__version__}"
    assert f"numpy {np.__version__}" in lines
    assert f"python {platform.python_version()}" in lines


def test_doctor(xbarc: Run) -> None:
    done = xbarc("doctor", "--json")
    assert done.code == 0
    states = {row["name"]: row["state"] for row in done.json}
    assert states["xbarc"] == states["numpy"] == states["threads"] == "ok"
    assert set(states.values()) <= {"ok", "missing"}
    assert "compiled loops in" in xbarc("doctor").out


def test_doctor_says_what_is_missing(xbarc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "scipy" else "1")
    done = xbarc("doctor", "--json")
    assert done.code == 1
    assert [row["name"] for row in done.json if row["state"] == "PROBLEM"] == ["scipy"]


def test_quiet_and_verbose(xbarc: Run, model: Callable[..., Path], tmp_path: Path) -> None:
    words = ("compile", model(), "-o", tmp_path / "a.xbar")
    assert xbarc(*words, "-q").err == ""
    told = xbarc(*words, "-v").err
    ran = [stage.name for stage in STAGES if stage.name != "carried"]  # this model carries none
    assert all(f"{name} " in told for name in ran[:2])
    assert "wrote" in told
    assert "Totals" in xbarc(*words, "-v").out


@pytest.mark.parametrize("goal", ["accuracy", "energy", "area"])
@pytest.mark.parametrize("target", ["rram128", "hermes256", "iot2"])
def test_a_preset_sets_what_it_says(
    xbarc: Run,
    model: Callable[..., Path],
    npz: Callable[..., Path],
    tmp_path: Path,
    goal: str,
    target: str,
) -> None:
    """The flags that it prints, given by hand, make the same program."""
    data = npz(x=np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32))
    ways = [(), ("--calibrate", data)]
    for number, known in enumerate(ways if target == "rram128" else ways[1:]):
        words = ("compile", model(), "--target", target, *known, "-o")
        done = xbarc(*words, tmp_path / f"{number}a.xbar", "--for", goal)
        assert done.code == 0, done.err
        said = done.err.splitlines()[0].partition(f"--for {goal} sets ")[2]
        flags = [] if said == "nothing here" else said.split()
        assert xbarc(*words, tmp_path / f"{number}b.xbar", *flags).code == 0
        assert tree(tmp_path / f"{number}a.xbar") == tree(tmp_path / f"{number}b.xbar")


def test_what_is_given_wins_over_a_preset(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path
) -> None:
    file = tmp_path / "o.toml"
    file.write_text('[cells]\npack = "none"\n', encoding="utf-8")
    words = ("compile", model(), "-o", tmp_path / "a.xbar", "--for", "area", "--options", file)
    done = xbarc(*words, "--encoding", "offset")
    settings = dict(xbarc_api.load(tmp_path / "a.xbar").program.settings)
    assert (settings["encoding"], settings["pack"]) == ("offset", "none")
    assert "sets --adc-savings all\n" in done.err


def test_compile_writes_a_program_and_a_short_report(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path
) -> None:
    done = xbarc("compile", model(), "-o", tmp_path / "a.xbar")
    assert done.code == 0
    assert done.err == f"wrote {tmp_path / 'a.xbar'}\n"
    lines = done.out.rstrip().splitlines()
    assert [line.split()[0] for line in lines[-4:]] == ["accuracy", "energy", "area", "latency"]
    assert "uJ per inference" in lines[-3]
    assert max(map(len, lines[-4:])) <= 80
    assert set(tree(tmp_path / "a.xbar")) == {
        "program.json",
        "cells.safetensors",
        "report.json",
        "digital/00001.onnx",
    }
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.xbar", "model.onnx"]


def test_compile_says_why_products_stay_digital(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path
) -> None:
    """Each product of two inputs has its reason; none is called one without a matrix."""
    products = "\n".join(f"    y{i} = MatMul(x, z)" for i in range(5))
    outputs = ", ".join(f"float[4, 4] y{i}" for i in range(5))
    text = f"own (float[4, 4] x, float[4, 4] z) => ({outputs})\n{{\n{products}\n}}\n"
    done = xbarc("compile", model(text), "-o", tmp_path / "o.xbar")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].endswith(": no layer on crossbars")
    assert sum(" stays digital: " in line for line in lines) == 3
    assert "note: 2 more stay digital; xbarc report has all reasons" in lines
    assert "without a matrix operator" not in done.out
    assert "limits" not in done.out


def test_compile_of_a_model_without_matrices(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path
) -> None:
    text = "own (float[4, 4] x) => (float[4, 4] y)\n{\n    y = Relu(x)\n}\n"
    done = xbarc("compile", model(text), "-o", tmp_path / "o.xbar")
    assert done.out.splitlines()[:2] == [
        "model on rram128: no layer on crossbars",
        "Digital, without a matrix operator: Relu",
    ]
    assert "limits" not in done.out


def test_compile_says_how_accurate_the_program_is(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], tmp_path: Path
) -> None:
    """On some of the calibration samples, with labels and without."""
    x = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    words = ("compile", model(), "-o", tmp_path / "a.xbar", "--calibrate")
    plain = xbarc(*words, npz(x=x)).out
    assert "dB output SQNR" in plain
    assert "on 32 calibration samples" in plain
    known = xbarc(*words, npz(x=x, labels=np.zeros(40, np.int64))).out
    assert re.search(r"top-1 \d+ of 32 right, float model \d+", known)
    assert max(map(len, known.splitlines())) <= 80
    assert "not measured" in xbarc(*words[:-1]).out
    assert xbarc(*words, npz(x=x), "-q").err == ""


def test_compile_names_its_output_after_the_model(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = model(name="net")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert xbarc("compile", path).err == "wrote net.xbar\n"
    assert Path("net.xbar/program.json").is_file()


def test_compile_json_is_the_report(xbarc: Run, model: Callable[..., Path], tmp_path: Path) -> None:
    done = xbarc("compile", model(), "-o", tmp_path / "a.xbar", "--json")
    assert done.json == json.loads((tmp_path / "a.xbar" / "report.json").read_text("utf-8"))
    assert done.json["totals"]["arrays"] == 1


def test_two_compiles_give_the_same_bytes(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path
) -> None:
    path = model()
    before = path.read_bytes()
    for name in ("a", "b"):
        assert xbarc("compile", path, "-o", tmp_path / f"{name}.xbar").code == 0
    assert tree(tmp_path / "a.xbar") == tree(tmp_path / "b.xbar")
    assert path.read_bytes() == before


def test_files_of_a_program_are_readable_by_all(dense: Path) -> None:
    modes = {item.stat().st_mode & 0o777 for item in dense.rglob("*") if item.is_file()}
    assert modes == {0o644}


def test_compile_replaces_an_older_program(
    xbarc: Run, model: Callable[..., Path], own: Path, tmp_path: Path
) -> None:
    before = tree(own)
    assert xbarc("compile", model(), "-o", own, "--weight-bits", 4).code == 0
    assert tree(own) != before
    assert sorted(item.name for item in tmp_path.iterdir()) == ["model.onnx", "own.xbar"]


def test_every_option_of_compile_is_recorded(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], tmp_path: Path
) -> None:
    data = npz(x=np.ones((9, 5), dtype=np.float32), labels=np.zeros(9, dtype=np.int64))
    options = "--weight-bits 4 --activation-bits 6 --encoding offset --adc 5 --tile even"
    more = (
        "--pack network --placement none --ranges minmax --shape x=2,5 --set array.active_rows=32"
        " --weight-slices 3 --feedback on --range-analysis structure"
    )
    out = tmp_path / "a.xbar"
    done = xbarc(
        "compile", model(), "-o", out, "--calibrate", data, *options.split(), *more.split()
    )
    assert done.code == 0, done.err
    program = json.loads((out / "program.json").read_text("utf-8"))
    assert dict(program["settings"]) == {
        "activation_bits": "6",
        "activation_ranges": "static (minmax)",
        "range_analysis": "structure",
        "adc": "5",
        "encoding": "offset",
        "feedback": "on",
        "adc_savings": "none",
        "pack": "network",
        "placement": "none",
        "pruning": "none",
        "rounding": "half_even",
        "shapes": "x=2,5",
        "tile": "even",
        "weight_bits": "4; built: 6",  # as many as 3 cells of 2 bits hold
        "weight_slices": "3",
    }
    assert program["target"]["array"]["active_rows"] == 32
    assert program["steps"][0]["input_shape"] == [2, 5]


@pytest.mark.parametrize("encoding", encoding_names())
def test_every_encoding_verifies(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path, encoding: str
) -> None:
    out = tmp_path / "a.xbar"
    assert xbarc("compile", model(), "-o", out, "--encoding", encoding).code == 0
    assert xbarc("verify", out).out.startswith("verified: ")


def test_verify(xbarc: Run, dense: Path) -> None:
    done = xbarc("verify", dense, "--seed", 3)
    assert done.code == 0
    assert "fast == reference on 1 crossbar layers, seed 3" in done.out


def test_report_formats(xbarc: Run, mlp: Path, tmp_path: Path) -> None:
    assert xbarc("report", mlp).out.startswith("fashion-mlp on rram128")
    stored = (mlp / "report.json").read_text("utf-8")
    assert xbarc("report", mlp, "--format", "json").out == stored
    rows = list(csv.reader(io.StringIO(xbarc("report", mlp, "--format", "csv").out)))
    assert len({len(row) for row in rows}) == 1
    assert "<html" in xbarc("report", mlp, "--format", "html").out
    for name in ("text", "json", "csv", "html"):
        file = tmp_path / name
        done = xbarc("report", mlp, "--format", name, "-o", file)
        assert (done.code, done.out) == (0, "")
        again = xbarc("report", mlp, "--format", name)
        assert file.read_text("utf-8").strip() == again.out.strip(), (again.code, again.err)


def test_a_layer_by_component(xbarc: Run, mlp: Path, tmp_path: Path) -> None:
    stored = json.loads((mlp / "report.json").read_text("utf-8"))
    first, fragment = stored["layers"][0]["name"], stored["digital"][0]["name"]
    shown = xbarc("report", mlp, "--layer", first).out
    assert shown.startswith(f"{first} of fashion-mlp on rram128")
    assert all(text in shown for text in ("costs.array_energy", "isaac2016", "ISAAC"))
    told = xbarc("report", mlp, "--layer", first, "--format", "json").json
    assert told["layer"] == stored["layers"][0]
    assert {row["path"] for row in told["sources"]} < {row["path"] for row in stored["sources"]}
    assert xbarc("report", mlp, "--layer", fragment, "-o", tmp_path / "a.txt").code == 0
    assert (tmp_path / "a.txt").read_text("utf-8").startswith(fragment)


def test_a_layer_by_component_of_what_cannot_be_shown(xbarc: Run, mlp: Path) -> None:
    xbarc("report", mlp, "--layer", "nowhere").refused("--layer", "'nowhere' is not a layer")
    xbarc("report", mlp, mlp, "--layer", "a").refused("--layer", "takes one program")
    xbarc("report", mlp, "--layer", "a", "--format", "html").refused("--layer", "--format html")
    xbarc("report", mlp, "--layer", "a", "--data", mlp).refused("--layer", "--data")


def test_a_pipe_gets_plain_lines(xbarc: Run, mlp: Path) -> None:
    out = xbarc("report", mlp).out
    assert "\x1b" not in out
    settings = next(line for line in out.splitlines() if line.startswith("settings: "))
    assert "weight_bits = 8" in settings
    assert all(line == line.rstrip() for line in out.splitlines())


def test_inspect_a_weight(xbarc: Run, dense: Path) -> None:
    shown = xbarc("inspect", dense, "--layer", "MatMul:h", "--weight", "2,4")
    assert shown.out.startswith("Weight of MatMul:h\n")
    told = xbarc("inspect", dense, "--layer", "MatMul:h", "--weight", "2,4", "--json").json
    # 15 is the largest weight, and takes all steps.
    assert (told["output_name"], told["value"]) == ("out 2", 127)
    assert told["value"] == sum(cell["level"] * cell["factor"] for cell in told["cells"])
    assert "bitline" in shown.out


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--weight", "0,0"), ("--layer", "name the layer")),
        (
            ("--layer", "MatMul:h", "--weight", "0"),
            ("--weight", "'0' names no weight of MatMul:h", "OUT,IN"),
        ),
        (
            ("--layer", "MatMul:h", "--weight", "0,9"),
            ("--weight", "no input 9 of 5", "input 0 to 4"),
        ),
        (("--layer", "MatMul:h", "--weight", "x,y"), ("--weight", "'x,y' is not OUT,IN")),
        (("--layer", "MatMul:h", "--weight", "0,0", "--block", "0,0"), ("--weight", "no block")),
        (("--layer", "y", "--weight", "0,0"), ("'y'", "one of MatMul:h")),
    ],
)
def test_inspect_no_weight(
    xbarc: Run, dense: Path, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    xbarc("inspect", dense, *arguments).refused(*parts)


def test_inspect_all_layers(xbarc: Run, mlp: Path) -> None:
    shown = xbarc("inspect", mlp)
    assert shown.code == 0
    assert "784 x 256" in shown.out
    assert [row["name"] for row in xbarc("inspect", mlp, "--json").json["layers"]] == [
        "fc1",
        "fc2",
        "fc3",
    ]


def test_inspect_layer_and_block(xbarc: Run, mlp: Path) -> None:
    assert "fc1" in xbarc("inspect", mlp, "--layer", "fc1").out
    assert xbarc("inspect", mlp, "--layer", "fc1", "--json").json
    block = xbarc("inspect", mlp, "--layer", "fc3", "--block", "0,0", "--json").json
    cells = np.array(block["cells"])
    assert cells.shape == (128, 80)
    same = xbarc("inspect", mlp, "--layer", "fc3", "--block", "0,0,0", "--json").json
    assert same == block
    assert "\x1b" not in xbarc("inspect", mlp, "--layer", "fc3", "--block", "0,0").out


def test_inspect_writes_pages_and_pictures(xbarc: Run, mlp: Path, tmp_path: Path) -> None:
    html, png = tmp_path / "a.html", tmp_path / "a.png"
    done = xbarc("inspect", mlp, "--layer", "fc2", "--html", html, "--png", png)
    assert (done.code, done.out) == (0, "")
    assert done.err.splitlines() == [f"wrote {html}", f"wrote {png}"]
    assert "<html" in html.read_text("utf-8")
    assert png.read_bytes().startswith(b"\x89PNG")
    block = xbarc("inspect", mlp, "--layer", "fc3", "--block", "0,0", "--png", png, "--json")
    assert block.json["layer"] == "fc3"


def test_print_model_and_program(xbarc: Run, dense: Path, model: Callable[..., Path]) -> None:
    assert "MatMul" in xbarc("print", dense).out
    assert "MatMul" in xbarc("print", model()).out


def test_passes(xbarc: Run) -> None:
    shown = xbarc("passes").out
    assert shown.startswith("1  read ")
    for stage in STAGES:
        assert f"  {stage.name} " in shown
        assert stage.reads in shown
        assert stage.makes in shown
        assert f"time   {stage.time}" in shown


@pytest.mark.parametrize("name", [stage.name for stage in STAGES])
def test_print_after_a_stage(xbarc: Run, dense_model: Path, tmp_path: Path, name: str) -> None:
    """The network before layers are mapped, the program from then on, also where a stage rests."""
    out = tmp_path / "out.xbar"
    done = xbarc("compile", dense_model, "-o", out, "--print-after", name, "--timings")
    assert done.code == 0
    mapped = _names().index(name) >= _names().index("map")
    assert done.out.startswith("program " if mapped else "network ")
    times = [line.split()[0] for line in done.err.splitlines() if line.endswith(" s")]
    assert times == ["read", "simplify", "map", "verify"]


def test_print_after_no_stage(xbarc: Run, dense_model: Path, tmp_path: Path) -> None:
    done = xbarc("compile", dense_model, "-o", tmp_path / "a.xbar", "--print-after", "convert")
    done.refused("--print-after: no stage 'convert'", "did you mean converters?")
    assert not (tmp_path / "a.xbar").exists()


def _names() -> list[str]:
    return [stage.name for stage in STAGES]


@pytest.fixture
def dense_model(model: Callable[..., Path]) -> Path:
    return model()


def test_targets_list(xbarc: Run) -> None:
    shown = xbarc("targets", "list")
    assert all(f"\n {name} " in shown.out for name in target_names())
    listed = xbarc("targets", "list", "--json").json
    assert [item["name"] for item in listed] == list(target_names())


@pytest.mark.parametrize("name", target_names())
def test_targets_show(xbarc: Run, name: str) -> None:
    assert "Sources" in xbarc("targets", "show", name).out
    assert xbarc("targets", "show", name, "--json").json["name"] == name


def test_targets_show_an_override(xbarc: Run) -> None:
    shown = xbarc("targets", "show", "rram128", "--set", "array.active_rows=64", "--json")
    assert shown.json["array"]["active_rows"] == 64


def test_targets_validate(xbarc: Run, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_bytes((target_folder() / "isaac.toml").read_bytes())
    done = xbarc("targets", "validate", file)
    assert done.code == 0
    assert "valid target 'isaac'" in done.out


def test_targets_new(xbarc: Run, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    command = ("targets", "new", "mine", "--from", "isaac", "-o", file)
    done = xbarc(*command, "--set", "array.rows=256", "--set", "costs.cycle=90")
    assert done.code == 0
    checked = xbarc("targets", "validate", file)
    assert "based on isaac, 2 fields differ: array.rows, costs.cycle" in checked.out
    shown = xbarc("targets", "show", file, "--json").json
    assert (shown["base"], shown["costs"]["cycle"]["source"]) == ("isaac", "assumed")
    assert xbarc("targets", "cost", file, "--json").json["kind"] == "assumed"
    text = file.read_text()
    again = xbarc(*command)
    assert again.code == 2
    assert "exists, and is never replaced" in again.err
    assert file.read_text() == text
    assert [item.name for item in tmp_path.iterdir()] == ["mine.toml"]


def test_check_says_what_rounds_a_bad_output(
    xbarc: Run, mlp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xbarc.cli.executing._EXPLAINED_DB", 1e9)
    shown = xbarc("check", mlp, "--data", FASHION)
    assert "note: 3 of 3 layers round their inputs to 8 bits" in shown.err


def test_check_table_and_json(xbarc: Run, mlp: Path) -> None:
    shown = xbarc("check", mlp, "--data", FASHION)
    assert shown.code == 0
    assert shown.err == ""
    assert "agreement" in shown.out
    assert "┃" not in shown.out
    found = xbarc("check", mlp, "--data", FASHION, "--model", MLP, "--json").json
    assert found["samples"] == 1000
    assert abs(found["top1_float"] - found["top1_crossbar"]) <= 0.002
    assert found["agreement"] > 0.99
    assert found["output_sqnr_db"] > 30
    assert [layer["name"] for layer in found["layers"]] == ["fc1", "fc2", "fc3"]
    assert all(layer["saturated"] == 0 for layer in found["layers"])
