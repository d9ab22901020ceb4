"""`xbarc compare`: its figures are those of the single commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Run
from tests.floats import float_data, write_floats

SETTINGS = (
    *("--set", "array.rows=16", "--set", "array.active_rows=16", "--set", "array.columns=32"),
    *("--set", "cell.bits=3", "--set", f"cell.conductance={[1.0 + i for i in range(8)]}"),
)
FITTED = ("--weight-slices", "1")
ENCODINGS = ("differential", "acm", "bias-column", "unipolar")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("compare")
    np.savez(folder / "data.npz", **float_data(120, 3, labels=True))  # type: ignore[arg-type]
    np.savez(folder / "cal.npz", **float_data(200))  # type: ignore[arg-type]
    return {
        "model": write_floats(folder / "floats.onnx"),
        "data": folder / "data.npz",
        "cal": folder / "cal.npz",
        "out": folder / "one.xbar",
    }


def compared(xbarc: Run, files: dict[str, Path], *options: object) -> dict[str, Any]:
    names = ",".join(ENCODINGS)
    done = xbarc(
        *("compare", files["model"], "--data", files["data"], "--encodings", names),
        *(*SETTINGS, *options, "--json"),
    )
    assert (done.code, done.err) == (0, "")
    found: dict[str, Any] = done.json
    return found


@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize("fitted", [True, False])
def test_figures_are_those_of_compile_report_and_check(
    xbarc: Run, files: dict[str, Path], calibrated: bool, fitted: bool
) -> None:
    options = (*(("--calibrate", files["cal"]) if calibrated else ()), *(FITTED if fitted else ()))
    found = compared(xbarc, files, *options)
    assert found["samples"] == 120
    assert [row["encoding"] for row in found["rows"]] == list(ENCODINGS)
    for row in found["rows"]:
        where = (files["model"], *SETTINGS, *options, "--encoding", row["encoding"])
        assert xbarc("compile", *where, "-o", files["out"]).code == 0
        report = xbarc("report", files["out"], "--format", "json").json
        check = xbarc("check", files["out"], "--data", files["data"], "--json").json
        for name in ("arrays", "conversions", "area_mm2", "energy_uj"):
            assert row[name] == report["totals"][name]
        for name in ("top1_float", "top1_crossbar", "agreement", "output_sqnr_db"):
            assert row[name] == check[name]
        assert row["problem"] == ""
        assert row["noise"] == []


def test_columns_are_those_of_the_encoding(xbarc: Run, files: dict[str, Path]) -> None:
    rows = {row["encoding"]: row for row in compared(xbarc, files, *FITTED)["rows"]}
    outputs = 12 + 5
    assert rows["differential"]["columns"] == 2 * outputs
    assert rows["acm"]["columns"] == rows["bias-column"]["columns"] == outputs + 2
    assert rows["unipolar"]["columns"] == outputs
    assert rows["unipolar"]["columns_per_output"] == 1.0
    for row in rows.values():
        assert 0.0 < row["weight_error"] < 0.5


def test_blind_chips_are_those_of_check(xbarc: Run, files: dict[str, Path]) -> None:
    noise = ("--noise", "0.1", "--seeds", "3", "--seed", "4", *FITTED)
    found = compared(xbarc, files, *noise)
    for row in found["rows"][:2]:
        assert [one["variant"] for one in row["noise"]] == ["blind"]
        figure = (
            '{value=0.1, unit="fraction", source="assumed", via="assumed", '
            'confirmed=false, note="test"}'
        )
        noisy = (
            *("--set", 'cell.variation={kind="proportional", sigma=' + figure + "}"),
            *(*SETTINGS, *FITTED, "--encoding", row["encoding"]),
        )
        assert xbarc("compile", files["model"], *noisy, "-o", files["out"]).code == 0
        check = xbarc(
            *("check", files["out"], "--data", files["data"], "--json", "--effects", "variation"),
            *("--samples", 3, "--seed", 4),
        ).json
        assert row["noise"][0]["top1"] == check["effects"]["top1"]
        assert row["noise"][0]["agreement"] == check["effects"]["agreement"]


def test_noise_of_the_range_is_worse_than_of_the_conductance(
    xbarc: Run, files: dict[str, Path]
) -> None:
    share, whole = (
        compared(xbarc, files, "--noise", text, "--seeds", "2", *FITTED)["rows"][0]["noise"][0]
        for text in ("0.1", "0.1:range")
    )
    assert whole["agreement"]["mean"] < share["agreement"]["mean"]


def test_programming_flows_as_tables(xbarc: Run, files: dict[str, Path]) -> None:
    done = xbarc(
        *("compare", files["model"], "--data", files["data"], "--calibrate", files["cal"]),
        *("--encodings", "acm,unipolar,auto", "--noise", "0.05:range", "--seeds", "2"),
        *(*SETTINGS, *FITTED),
    )
    assert (done.code, done.err) == (0, "")
    assert "120 samples" in done.out
    assert "Cells deviate by 5 % of the range; seed 0, 2 chips" in done.out
    lines = [line.split()[:2] for line in done.out.splitlines()]
    for variant in ("blind", "refitted", "read-back"):
        assert ["acm", variant] in lines
    assert ["unipolar", "refitted"] in lines
    assert ["unipolar", "read-back"] not in lines  # its rows do not stand alone


def test_an_encoding_that_does_not_fit_leaves_the_others(
    xbarc: Run, files: dict[str, Path]
) -> None:
    narrow = ("--set", "adc.max_bits=6", "--encodings", "differential,bias-column")
    where = ("compare", files["model"], "--data", files["data"], *SETTINGS)
    done = xbarc(*where, *narrow, "--json")
    problems = {row["encoding"]: row["problem"] for row in done.json["rows"]}
    none = xbarc(*where, "--set", "adc.max_bits=2", "--encodings", "differential,bias-column")
    none.refused("the ADC of rram128 has 2")
    assert not problems["differential"]
    assert "need 7 bits" in problems["bias-column"]


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ("--encodings morse", ["--encoding: no encoding 'morse'"]),
        ("--encodings ,", ["--encodings: names no encoding"]),
        ("--noise loud", ["--noise: 'loud' is not SIGMA or SIGMA:range"]),
        ("--noise -1", ["--noise"]),
        ("--noise nan", ["--noise"]),
        ("--noise 0.1:volt", ["--noise: '0.1:volt'"]),
        ("--encoding-budget 7", ["--encoding-budget: 7 is not a share"]),
    ],
)
def test_wrong_options(xbarc: Run, files: dict[str, Path], options: str, parts: list[str]) -> None:
    where = ("compare", files["model"], "--data", files["data"])
    xbarc(*where, *options.split()).refused(*parts)
