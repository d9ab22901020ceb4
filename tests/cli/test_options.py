"""Options are written once: the command, Python, files and programs agree on every one."""

from __future__ import annotations

import ast
import inspect
import json
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import pytest

import xbarc as xbarc_api
from tests.cli.conftest import Run, tree
from xbarc.cli.compiling import compile_command
from xbarc.errors import InputError, XbarcError
from xbarc.mapping import encoding_names
from xbarc.options import (
    PANELS,
    Budget,
    ColumnRule,
    CompileOptions,
    InputGroups,
    Options,
    Pruning,
    RenamedWarning,
    about,
)
from xbarc.options.base import flags_of, kind_of
from xbarc.options.compiling import ScheduleOptions
from xbarc.options.files import options_text, read_options
from xbarc.options.keywords import CompileKeywords, EncodingName, ReportKeywords
from xbarc.target import TargetName, target_names

FIELDS = {name: field for panel in PANELS for name, field in panel.model_fields.items()}
READ: dict[str, tuple[Any, ...]] = {
    "prune": ("0.5:free", 0.5, Pruning(0.5), None),
    "adc": ("calibrated:4", 6),
    "adc_budget": ("30dB", 0.5, Budget(0.5), None),
    "adc_savings": ("all,rows", ["recode", "rows"], ()),
    "encoding": ("acm", "segmented:3", None),
    "duplicate": ("balance", "throughput=5"),
    "conversion_cost": ("bits", 24),
    "column_order": ("layer", 5, ColumnRule(reach=5)),
    "compensate": ("gain,outputs", ["gain"], frozenset()),
    "fault_map": ("faults.npz", Path("faults.npz"), {"array": np.zeros(1)}),
    "split": ("partition", "groups.npz", Path("g"), {"fc": np.zeros(3, int)}, InputGroups({})),
    "shapes": ({"x": [1, 3]}, ["x=1,3"], {}),
    "fix_input": ({"n": 3}, {"n": [[1.5]]}, ["n=1,2"], {}),
}
"""Options that are read from more than their own type, with a value of each kind."""


def test_each_option_is_in_one_table() -> None:
    assert sorted(FIELDS) == sorted(CompileOptions.model_fields)
    assert len(FIELDS) == sum(len(panel.model_fields) for panel in PANELS)
    assert len({panel.table for panel in PANELS}) == len(PANELS)
    assert all(
        about(field).help and not about(field).help.endswith(".") for field in FIELDS.values()
    )


def test_the_command_and_python_have_the_same_options() -> None:
    command = inspect.signature(compile_command).parameters
    own = {"model", "output", "calibrate", "file", "target", "settings"}
    shown = {"as_json", "timings", "print_after", "goal", "quiet", "verbose", "help_all"}
    assert set(command) - own - shown == set(FIELDS)
    assert list(get_type_hints(CompileKeywords)) == list(FIELDS)
    of_reports = get_type_hints(ReportKeywords)
    assert list(of_reports) == list(ScheduleOptions.model_fields)
    assert of_reports.items() <= get_type_hints(CompileKeywords).items()
    taken = inspect.signature(xbarc_api.compile).parameters
    assert set(taken) == {"model", "target", "calibration", "progress", "options"}


def _members(kind: Any) -> set[Any]:
    return set(get_args(kind)) if get_origin(kind) in (Union, types.UnionType) else {kind}


@pytest.mark.parametrize("name", FIELDS)
def test_keywords_have_the_types_of_the_options(name: str) -> None:
    given, field = get_type_hints(CompileKeywords)[name], FIELDS[name]
    if name not in READ:
        assert given == field.annotation
        return
    for value in READ[name]:
        extra = {"compensate": "partner"} if name == "fault_map" else {}
        CompileOptions(**{name: value, **extra})
    for literal in [kind for kind in _members(given) if get_origin(kind) is Literal]:
        for value in get_args(literal):
            CompileOptions(**{name: value})


def test_editors_offer_every_name() -> None:
    assert set(get_args(EncodingName)) == {"auto", *encoding_names()}
    assert set(get_args(TargetName)) == set(target_names())


def test_each_switch_turns_both_ways() -> None:
    """A file may turn on what the command line turns off again."""
    switches = [name for name, field in FIELDS.items() if kind_of(field) is bool]
    assert {"uniform", "refit", "allow_ternary"} <= set(switches)
    assert all("/--" in flags_of(name, FIELDS[name])[0] for name in switches)


def test_the_help_names_every_encoding() -> None:
    text = about(FIELDS["encoding"]).help
    assert all(name in text for name in encoding_names())


def test_the_printed_file_has_every_option_and_is_the_default(tmp_path: Path, xbarc: Run) -> None:
    file = tmp_path / "all.toml"
    file.write_text(xbarc("options").out, encoding="utf-8")
    values = read_options(file)
    assert CompileOptions(**values) == CompileOptions()
    unset = {name for name, field in FIELDS.items() if field.default is None}
    assert set(values) == set(FIELDS) - unset
    lines = options_text().splitlines()
    wanted = {f"# {name} = " for name in unset}
    full = [line[2:] if line.startswith(tuple(wanted)) else line for line in lines]
    file.write_text("\n".join(full), encoding="utf-8")
    assert set(read_options(file)) == set(FIELDS)


CASES: tuple[dict[str, Any], ...] = (
    {},
    {"weight_bits": 4, "encoding": "acm", "tile": "even", "adc": 5, "weight_slices": 2},
    {
        "adc_savings": "all,rows",
        "rows_latency": 1.5,
        "conversion_cost": "bits",
        "range_analysis": "none",
    },
    {"placement": "rows", "compensate": "gain,outputs", "ranges": "minmax", "duplicate": "balance"},
    {"adc": "calibrated:4", "prune": "0.25:free", "feedback": "off", "column_order": "layer"},
    {"uniform": True, "equalise": "layer", "shapes": {"x": [2, 5]}},
)


def _words(options: dict[str, Any]) -> list[str]:
    """The same on a command line."""
    words: list[str] = []
    for name, value in options.items():
        first, _, second = flags_of(name, FIELDS[name])[0].partition("/")
        if isinstance(value, bool):
            words.append(first if value else second)
        elif isinstance(value, dict):
            words += [f"{first}={key}={','.join(map(str, one))}" for key, one in value.items()]
        else:
            words.append(f"{first}={value}")
    return words


def _toml(options: dict[str, Any]) -> str:
    lines = []
    for panel in PANELS:
        lines.append(f"[{panel.table}]")
        for name in [name for name in options if name in panel.model_fields]:
            value = options[name]
            text = json.dumps(value)
            if isinstance(value, dict):
                text = "{" + ", ".join(f"{key} = {one}" for key, one in value.items()) + "}"
            lines.append(f"{name} = {text}")
    return "\n".join(lines)


@pytest.mark.parametrize("options", CASES)
def test_equal_settings_give_equal_bytes(
    xbarc: Run,
    model: Callable[..., Path],
    npz: Callable[..., Path],
    tmp_path: Path,
    options: dict[str, Any],
) -> None:
    """By the command, by Python, and by a file of options."""
    source = model()
    data = {"x": np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)}
    file = tmp_path / "options.toml"
    file.write_text(_toml(options), encoding="utf-8")
    common = ("compile", source, "--calibrate", npz(**data), "-o")
    assert xbarc(*common, tmp_path / "a.xbar", *_words(options)).code == 0
    assert xbarc(*common, tmp_path / "b.xbar", "--options", file).code == 0
    xbarc_api.compile(source, calibration=data, **options).save(tmp_path / "c.xbar")
    first = tree(tmp_path / "a.xbar")
    assert first == tree(tmp_path / "b.xbar")
    assert first == tree(tmp_path / "c.xbar")


def test_the_command_wins_over_the_file(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path
) -> None:
    file = tmp_path / "o.toml"
    file.write_text('[cells]\nencoding = "acm"\ntile = "even"\n', encoding="utf-8")
    done = xbarc("compile", model(), "-o", tmp_path / "o.xbar", "--options", file, "--tile=fill")
    assert done.code == 0
    settings = dict(xbarc_settings(tmp_path / "o.xbar"))
    assert (settings["encoding"], settings["tile"]) == ("acm", "fill")


def xbarc_settings(path: Path) -> tuple[tuple[str, str], ...]:
    return xbarc_api.load(path).program.settings


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[cells]\nencodin = 1", ["1 wrong option", "[cells] no option 'encodin'", "encoding?"]),
        ("[cells]\nadc = 4", ["'adc' is not an option of [cells]", "it belongs in [converters]"]),
        ("adc = 4", ["'adc' stands in no table", "it belongs in [converters]"]),
        ("[cell]\ntile = 'even'", ["no table [cell]", "did you mean cells?"]),
        (
            "[cells]\ntile = 'odd'\nweight_slices = 0\n[converters]\nadc = 'wide'\n[wires]\na = 1",
            ["4 wrong options", "'odd'", "0 cells per weight", "'wide'", "no option 'a'"],
        ),
        ("[precision]\nweight_bits = '4'", ["--weight-bits", "expected a whole number"]),
        ("[precision]\nuniform = 1", ["--uniform", "expected true or false"]),
        ("[a", ["cannot be read as TOML"]),
        ("a = " + "[" * 5000, ["cannot be read as TOML"]),
    ],
)
def test_wrong_files(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path, text: str, parts: list[str]
) -> None:
    file = tmp_path / "o.toml"
    file.write_text(text, encoding="utf-8")
    done = xbarc("compile", model(), "-o", tmp_path / "o.xbar", "--options", file)
    done.refused("o.toml: ", *parts)
    assert not (tmp_path / "o.xbar").exists()


def test_no_such_file(xbarc: Run, model: Callable[..., Path], tmp_path: Path) -> None:
    done = xbarc("compile", model(), "--options", tmp_path / "none.toml")
    done.refused("none.toml: no such file", "xbarc options")


def test_paths_in_a_file_are_taken_from_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "o.toml"
    file.write_text("[wires]\nfault_map = 'f.npz'\n[binary]\nsplit = 'g.npz'", encoding="utf-8")
    values = read_options(file)
    assert values == {"fault_map": tmp_path / "f.npz", "split": tmp_path / "g.npz"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"adcs": 4}, "no option 'adcs'; hint: did you mean adc?"),
        ({"weight-bits": 4}, "no option 'weight-bits'; hint: did you mean weight_bits?"),
        (
            {"wait": 4, "tile": "odd"},
            "2 wrong options: .*'odd' is not available.* no option 'wait'",
        ),
        ({"weight_bits": 17}, "--weight-bits: 17 bits, expected 2 to 16"),
        ({"encoding_budget": float("nan")}, "--encoding-budget: nan is not a share"),
        ({"placement": "faults"}, "needs --fault-map"),
        ({"placement": "rows"}, "needs data"),
    ],
)
def test_python_refuses_what_the_command_does(
    model: Callable[..., Path], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(XbarcError, match=words):
        xbarc_api.compile(model(), **options)


def test_an_unknown_flag_is_refused_with_the_nearest(xbarc: Run) -> None:
    done = xbarc("compile", "a.onnx", "--weight-bit", "4")
    assert done.code == 2
    assert "--weight-bits" in done.err


def test_numbers_of_numpy_are_numbers() -> None:
    found = CompileOptions(weight_bits=np.int64(4), rows_latency=np.float32(1.5))  # type: ignore[arg-type]
    assert (found.weight_bits, found.rows_latency) == (4, 1.5)


def test_changes_are_checked() -> None:
    options = CompileOptions(weight_bits=4)
    assert options.changed(tile="even").model_fields_set == {"weight_bits", "tile"}
    with pytest.raises(XbarcError, match="'odd' is not available"):
        options.changed(tile="odd")
    with pytest.raises(InputError, match="no option 'titel'"):
        options.changed(titel="odd")


def _parameters(path: Path) -> set[str]:
    """Names that the functions of a file take."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            found |= {one.arg for one in (*node.args.args, *node.args.kwonlyargs)}
    return found


def test_no_command_and_no_face_names_an_option_itself() -> None:
    """Parameters of commands come from the models; nothing hands options on one by one."""
    package = Path(xbarc_api.__file__).parent
    for path in (*package.glob("cli/*.py"), package / "api.py", *package.glob("compiler/*.py")):
        assert not _parameters(path) & set(FIELDS), path.name


def test_models_of_options_are_frozen() -> None:
    kinds: tuple[type[Options], ...] = (*PANELS, CompileOptions)
    for kind in kinds:
        assert kind.model_config["frozen"]


FORMER = {
    old: name
    for name, field in CompileOptions.model_fields.items()
    for old in about(field).formerly
}
FORMER_VALUES = {"levers": "recode", "lever_law": "bits", "input_facts": "none", "correct": "gain"}


@pytest.mark.parametrize("old", FORMER)
def test_former_names_are_taken_with_a_note(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], tmp_path: Path, old: str
) -> None:
    """By the command, by Python and by a file; each says the present name."""
    name, value = FORMER[old], FORMER_VALUES[old]
    panel = next(panel for panel in PANELS if name in panel.model_fields)
    file, data = tmp_path / "o.toml", npz(x=np.ones((4, 5), np.float32))
    file.write_text(f"[{panel.table}]\n{old} = '{value}'\n", encoding="utf-8")
    common = ("compile", model(), "--calibrate", data, "-o")
    flag = f"--{old.replace('_', '-')}"
    done = xbarc(*common, tmp_path / "a.xbar", flag, value)
    assert done.code == 0
    assert f"note: {flag} is now --{name.replace('_', '-')};" in done.err
    done = xbarc(*common, tmp_path / "b.xbar", "--options", file)
    assert done.code == 0
    assert f"note: {old} is now {name};" in done.err
    assert flag not in xbarc("compile", "--help-all").out
    with pytest.warns(RenamedWarning, match=f"{old} is now {name}"):
        assert CompileOptions.model_validate({old: value}).model_fields_set == {name}
    assert tree(tmp_path / "a.xbar") == tree(tmp_path / "b.xbar")


def test_one_option_by_both_names_is_refused(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="one option"):
        CompileOptions.model_validate({"levers": "all", "adc_savings": "all"})
    file = tmp_path / "o.toml"
    file.write_text("[converters]\nlevers = 'all'\nadc_savings = 'all'\n", encoding="utf-8")
    xbarc("compile", model(), "--options", file).refused("o.toml", "one option")


def test_a_former_value_is_taken_with_a_note() -> None:
    with pytest.warns(RenamedWarning, match="deal is now distribute"):
        found = CompileOptions.model_validate({"adc_savings": "deal"})
    assert found.adc_savings == ("distribute",)
