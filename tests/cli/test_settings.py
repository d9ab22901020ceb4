"""What a program says of how it was made is what was made, for every option of `xbarc compile`."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import typer

from tests.frontend.onnx_models import normal, parse
from xbarc.cli import main
from xbarc.cli.app import command_app
from xbarc.errors import XbarcError
from xbarc.ir.effective import is_lossless
from xbarc.ir.files import load_program
from xbarc.ir.program import CrossbarStep, Program
from xbarc.report import collect

GRAPH = """g (float[N,2,6,6] x) => (float[N,5] y) {
    c = Conv<pads = [1, 1, 1, 1]>(x, k) r = Relu(c) f = Flatten(r)
    h = MatMul(f, w) g = Relu(h) y = MatMul(g, v) }"""

VALUES: dict[str, tuple[str, ...]] = {
    "ranges": ("mse", "percentile", "minmax"),
    "weight_bits": ("2", "4", "8"),
    "activation_bits": ("2", "8"),
    "encoding": ("differential", "centre", "offset", "acm", "unipolar", "auto"),
    "encoding_budget": ("0.5",),
    "weight_slices": ("1", "2"),
    "feedback": ("off", "on"),
    "adc": ("lossless", "worst-case", "calibrated", "calibrated:4", "calibrated:9", "3", "16"),
    "prune": ("0.5", "0.5:free"),
    "adc_budget": ("20dB",),
    "equalise": ("layer", "channel"),
    "effort": ("low", "normal", "high"),
    "adc_savings": ("all", "recode", "centre", "distribute", "group", "rows"),
    "rows_latency": ("4",),
    "conversion_cost": ("bits",),
    "column_order": ("layer", "3"),
    "range_analysis": ("structure", "none"),
    "tile": ("even",),
    "pack": ("network", "none"),
    "duplicate": ("balance", "budget=chip"),
    "shapes": ("x=1,2,6,6",),
    "settings": ("adc.max_bits=9", "adc.columns_per_adc=4", "array.active_rows=16"),
}
"""Values of each option, beside its default."""

_WITH = {
    "encoding_budget": ("--encoding", "auto"),
    "rows_latency": ("--adc-savings", "rows"),
    "conversion_cost": ("--adc-savings", "recode"),
    "column_order": ("--adc-savings", "group"),
}
"""What an option needs to act."""

_ELSEWHERE = {
    "model": "an argument",
    "target": "the target itself is in the program",
    "output": "where it goes",
    "calibrate": "given to all of them",
    "as_json": "what is printed",
    "quiet": "what is printed",
    "verbose": "what is printed",
    "help_all": "what is printed",
    "goal": "sets other options, as its own test holds",
    "timings": "what is printed",
    "print_after": "what is printed",
    "file": "holds options, which are tried",
    "exact_weights": "tests of declared integers",
    "carried_mapping": "tests of carried mappings",
    "fix_input": "tests of branches",
    "uniform": "tests of one range",
    "placement": "tests of placement",
    "compensate": "tests of placement",
    "cost_law": "tests of cost laws",
    "fault_map": "tests of placement",
    "split": "tests of binary layers",
    "extra_groups": "tests of binary layers",
    "spare_columns": "tests of binary layers",
    "refit": "tests of binary layers",
    "thresholds": "tests of binary layers",
    "sense_bits": "tests of binary layers",
    "sense_rows": "tests of binary layers",
    "sign_of_zero": "tests of binary layers",
    "allow_ternary": "tests of binary layers",
}
_FLAGS = {"settings": "--set", "shapes": "--shape"}
CASES = [(option, value) for option, values in VALUES.items() for value in values]
_QUICK = {
    ("adc", "calibrated:4"),
    ("adc", "calibrated:9"),
    ("encoding", "offset"),
    ("adc_savings", "recode"),
    ("weight_slices", "1"),
}
"""Those that run with the quick tests: each once had settings that were not true."""

_SWEPT = [pytest.param(*c, marks=() if c in _QUICK else pytest.mark.slow) for c in CASES]


def test_every_option_is_tried() -> None:
    """An option that joins the command joins the values above, or says where it is tested."""
    command = typer.main.get_command(command_app())
    names = {parameter.name for parameter in command.commands["compile"].params}  # type: ignore[attr-defined]
    assert names == VALUES.keys() | _ELSEWHERE.keys()


@cache
def _folder(parent: Path) -> Path:
    folder = parent / "sweep"
    folder.mkdir()
    weights: dict[str, Any] = {"k": normal(4, 2, 3, 3), "w": normal(144, 20), "v": normal(20, 5)}
    onnx.save(parse(GRAPH, **weights), folder / "model.onnx")
    images = np.random.default_rng(1).standard_normal((24, 2, 6, 6)).astype(np.float32)
    np.savez(folder / "data.npz", x=images)
    return folder


@cache
def _compiled(folder: Path, option: str, value: str) -> Program | None:
    """The program, or None where the command refused."""
    flag = _FLAGS.get(option, f"--{option.replace('_', '-')}")
    place = folder / f"{hashlib.sha256(f'{option}={value}'.encode()).hexdigest()[:12]}.xbar"
    asked = [] if option == "nothing" else [flag, value, *_WITH.get(option, ())]
    given = [str(folder / "model.onnx"), "--calibrate", str(folder / "data.npz")]
    code = main(["compile", *given, "-o", str(place), *asked])
    assert code in (0, 2)
    return load_program(place) if code == 0 else None


def _said(program: Program, name: str) -> set[str]:
    """What the settings say that was built."""
    text = dict(program.settings)[name]
    asked, _, built = text.partition("; built: ")
    return set(built.split(", ")) if built else {asked.partition(" ")[0]}


def _check_layer(program: Program, step: CrossbarStep) -> None:
    assert step.encoding in _said(program, "encoding")
    assert str(step.weight_bits) in _said(program, "weight_bits")
    assert str(step.input_bits) in _said(program, "activation_bits")
    assert step.quantizer.kind in _said(program, "activation_ranges")
    assert step.adc.policy in _said(program, "adc")
    widest = int(step.adc.bits.max(initial=0))
    assert widest <= program.target.adc.max_bits
    limit = step.adc.policy.rpartition(":")[2]
    assert (
        not limit.isdecimal()
        or widest <= int(limit) <= program.target.adc.max_bits
        or (
            ":" not in step.adc.policy  # a cap on lossless settings may lie above them
        )
    )
    if step.adc.policy in ("lossless", "worst-case"):
        assert is_lossless(step)


@pytest.mark.parametrize(("option", "value"), _SWEPT)
def test_settings_say_what_was_built(
    tmp_path_factory: pytest.TempPathFactory, option: str, value: str
) -> None:
    program = _compiled(_folder(tmp_path_factory.getbasetemp()), option, value)
    if program is None:
        assert (option, value) in {("adc", "calibrated:9")}
        return
    settings, report = dict(program.settings), collect(program)
    for step in program.crossbar_steps:
        _check_layer(program, step)
        slices = settings["weight_slices"]
        assert not slices.isdecimal() or step.weight_slices <= int(slices)
        if settings["range_analysis"] == "none":
            assert step.facts is None
            assert step.narrowed is None
    if settings["pack"] == "none":
        assert program.arrays == report.totals.arrays_without_packing
    if "duplicate" in settings and report.schedule is not None:
        assert report.schedule.duplicate.partition("=")[0] == value.partition("=")[0]
    if settings["pruning"] != "none":
        share = [row.zero_cells / row.cells for row in report.layers]
        assert min(share) > 0.5


@pytest.mark.slow
def test_programs_that_say_the_same_are_the_same(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """No option changes what is built without a word in the settings or the target."""
    folder = _folder(tmp_path_factory.getbasetemp())
    seen: dict[tuple[object, ...], tuple[str, str]] = {}
    for option, value in [("nothing", ""), *CASES]:
        program = _compiled(folder, option, value)
        if program is None:
            continue
        said = (program.settings, program.target.model_dump_json())
        built = hashlib.sha256()
        for step in program.crossbar_steps:
            arrays = (step.cells.data, step.adc.bits, step.adc.lo, step.adc.step)
            tiling = (step.tiling.array, step.tiling.row_input, step.tiling.row_bounds)
            for array in (*arrays, *tiling):
                built.update(np.ascontiguousarray(array).tobytes())
        first = seen.setdefault(said, (built.hexdigest(), f"{option}={value}"))
        assert first[0] == built.hexdigest(), (first[1], f"{option}={value}")


def test_more_bits_than_converters_have_are_refused_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As lossless conversions are."""
    folder = _folder(tmp_path)
    asked = ["--set", "adc.max_bits=7", "--adc", "calibrated:8", "-o", str(tmp_path / "o.xbar")]
    data = ["--calibrate", str(folder / "data.npz")]
    assert main(["compile", str(folder / "model.onnx"), *data, *asked]) == XbarcError.exit_code
    said = capsys.readouterr().err
    assert "8 bits asked for, the ADC of rram128 has 7" in said
    assert "--adc calibrated:7" in said
    assert not (tmp_path / "o.xbar").exists()
