"""A program that is damaged, truncated or hostile: every command names the file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Run
from tests.sealing import Edit, reshape, seal

FILES = ("program.json", "cells.safetensors", "report.json", "digital/00001.onnx")
Change = Edit


def refused_by_all(xbarc: Run, program: Path, *parts: str) -> None:
    for command in ("verify", "report", "inspect", "print"):
        xbarc(command, program).refused(*parts)


@pytest.mark.parametrize("name", FILES)
def test_missing_file(xbarc: Run, own: Path, name: str) -> None:
    (own / name).unlink()
    if name == "program.json":
        xbarc("verify", own).refused("own.xbar: is not a program: it holds no program.json")
        return
    refused_by_all(xbarc, own, name, "is missing", "compile the model again")


@pytest.mark.parametrize("name", FILES)
def test_truncated_file(xbarc: Run, own: Path, name: str) -> None:
    whole = (own / name).read_bytes()
    for size in (0, 1, len(whole) // 2, len(whole) - 2):
        (own / name).write_bytes(whole[:size])
        xbarc("verify", own).refused(name)


@pytest.mark.parametrize("name", FILES[1:])
def test_flipped_byte(xbarc: Run, own: Path, name: str) -> None:
    whole = (own / name).read_bytes()
    for place in np.linspace(0, len(whole) - 1, 12).astype(int):
        broken = bytearray(whole)
        broken[place] ^= 0x10
        (own / name).write_bytes(bytes(broken))
        xbarc("verify", own).refused(name, "is damaged: its checksum differs")


def test_flipped_bytes_of_program_json(xbarc: Run, own: Path) -> None:
    file = own / "program.json"
    whole = file.read_bytes()
    rng = np.random.default_rng(3)
    for place in rng.choice(len(whole), 100, replace=False):
        broken = bytearray(whole)
        broken[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(bytes(broken))
        xbarc("verify", own).refused("own.xbar/program.json")


def test_another_text_of_the_same_json(xbarc: Run, own: Path) -> None:
    """Neither space nor an escape can change: the seal is over bytes."""
    file = own / "program.json"
    whole = file.read_bytes()
    for old, new in ((b"\n}\n", b"\n} \n"), (b'"name"', b'"\\u006eame"'), (b"\n}\n", b"\n}")):
        assert old in whole
        file.write_bytes(whole.replace(old, new))
        xbarc("verify", own).refused("program.json: is damaged: its seal differs")


def test_an_unlisted_file_of_a_program(xbarc: Run, own: Path) -> None:
    (own / "placement.json").write_text("{}")
    refused_by_all(xbarc, own, "gives no checksum of 'placement.json'")


@pytest.mark.parametrize("name", FILES)
def test_a_file_larger_than_any_memory(xbarc: Run, own: Path, name: str) -> None:
    """Sparse files of 8 TiB: reading one would take hours, so sizes come before checksums."""
    (own / "cells.safetensors").write_bytes(b"damaged")
    with (own / name).open("r+b") as file:
        file.truncate(1 << 43)
    xbarc("verify", own).refused(name, "is too large")


def test_a_limit_below_the_size_of_a_program(xbarc: Run, own: Path) -> None:
    done = xbarc("--memory", "1K", "verify", own)
    done.refused("is too large", "the limit of --memory (XBARC_MEMORY) is 1.0 KiB", "--memory SIZE")
    assert xbarc("--memory", "100M", "verify", own).code == 0


@pytest.mark.parametrize("number", [0, 1, 2, 3, "4", None, 2.5])
def test_other_format(xbarc: Run, own: Path, number: object) -> None:
    seal(own, lambda data: data.update(format=number))
    refused_by_all(xbarc, own, f"has format {number!r}, this xbarc reads 4", "compile the model")


@pytest.mark.parametrize("text", ["[]", "3", "null", '"x"', "{}", "[" * 100_000, "NaN", "{'a': 1}"])
def test_program_json_is_something_else(xbarc: Run, own: Path, text: str) -> None:
    (own / "program.json").write_text(text, encoding="utf-8")
    xbarc("verify", own).refused("program.json")


HUGE = 1 << 62


def step(**changes: Any) -> Edit:
    """Change fields of the crossbar step."""
    return lambda data: data["steps"][0].update(changes)


def geometry(**changes: Any) -> Edit:
    return lambda data: data["steps"][0]["geometry"].update(changes)


def window(**changes: Any) -> Edit:
    """Turn the matrix product into a convolution of these numbers."""
    fields = {"kind": "window", "kernel": [1], "strides": [1], "dilations": [1], "pads": [0, 0]}
    return step(geometry={**fields, "auto_pad": "explicit", **changes})


HOSTILE: dict[str, Edit] = {
    "huge columns": step(columns=HUGE),
    "more columns": step(columns=25),
    "no columns": step(columns=0),
    "negative columns": step(columns=-1),
    "beyond 64 bits": step(columns=1 << 80),
    "huge inputs": step(inputs=HUGE),
    "huge outputs": step(outputs=HUGE),
    "no outputs": step(outputs=0),
    "other inputs": step(inputs=4),
    "input bits": step(input_bits=16),
    "no dac": step(dac_bits=0),
    "other dac": step(dac_bits=2),
    "other cells": step(cell_bits=4),
    "unknown key": step(colour="red"),
    "unknown kind": step(kind="analog"),
    "text for a number": step(inputs="five"),
    "input from nowhere": step(input="nothing"),
    "output twice": step(output="x"),
    "input shape": step(input_shape=[-1, 5]),
    "axis": geometry(contract_axis=7),
    "batch": geometry(batch=[HUGE]),
    "kernel": window(kernel=[0]),
    "negative kernel": window(kernel=[-3]),
    "kernel that divides nothing": window(kernel=[3]),
    "rank": window(kernel=[1] * 9, strides=[1] * 9, dilations=[1] * 9),
    "stride": window(strides=[0]),
    "giant stride": window(strides=[1 << 100]),
    "pads": window(pads=[-1, 0]),
    "pad count": window(pads=[0]),
    "quantizer": step(quantizer={"kind": "float"}),
    "quantizer bits": step(quantizer={"kind": "dynamic", "bits": 3}),
    "scale": step(quantizer={"kind": "static", "bits": 8, "scale": 0.0, "zero_point": 0}),
    "zero point": step(quantizer={"kind": "static", "bits": 8, "scale": 1.0, "zero_point": HUGE}),
    "giant zero point": step(
        quantizer={"kind": "static", "bits": 8, "scale": 1.0, "zero_point": 1 << 90}
    ),
    "result": step(result={"kind": "magic", "dtype": "float32"}),
    "result type": step(result={"kind": "integer", "dtype": "object"}),
    "requantized": step(result={"kind": "requantized", "dtype": "uint8"}),
    "arrays": lambda data: data.update(arrays=HUGE),
    "no arrays": lambda data: data.update(arrays=0),
    "negative arrays": lambda data: data.update(arrays=-1),
    "no steps": lambda data: data.update(steps=[]),
    "steps twice": lambda data: data["steps"].append(data["steps"][0]),
    "no target": lambda data: data.pop("target"),
    "small target": lambda data: data["target"]["array"].update(rows=2, active_rows=2),
    "absurd target": lambda data: data["target"]["array"].update(rows=-5),
    "unknown field": lambda data: data.update(colour="red"),
    "output from nowhere": lambda data: data["outputs"][0].update(name="nothing"),
    "escaping file": lambda data: data["files"].update({"../../etc/hostname": "0" * 64}),
    "absolute file": lambda data: data["files"].update({"/etc/hostname": "0" * 64}),
    "escaping digital": lambda data: data["steps"][1].update(file="digital/../../x.onnx"),
    "absolute digital": lambda data: data["steps"][1].update(file="/etc/hostname"),
    "other digital": lambda data: data["steps"][1].update(file="digital/00009.onnx"),
    "unlisted digital": lambda data: data["files"].pop("digital/00001.onnx"),
    "unlisted cells": lambda data: data["files"].pop("cells.safetensors"),
    "source": lambda data: data["source"].update(sha256="../x"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_program_json(xbarc: Run, own: Path, name: str) -> None:
    seal(own, HOSTILE[name])
    refused_by_all(xbarc, own, "own.xbar")


def put(name: str, array: Any) -> Change:
    return lambda arrays: arrays.update({f"00000.{name}": np.asarray(array)})


def fill(name: str, value: object) -> Change:
    def change(arrays: dict[str, Any]) -> None:
        arrays[f"00000.{name}"] = np.full_like(arrays[f"00000.{name}"], value)

    return change


I32, I64 = np.int32, np.int64
ARRAYS: dict[str, Change] = {
    "no cells": lambda arrays: arrays.pop("00000.cells"),
    "cells of one axis": put("cells", np.zeros(30, np.uint8)),
    "cells of int64": put("cells", np.zeros((1, 5, 6), I64)),
    "no groups": put("cells", np.zeros((0, 5, 6), np.uint8)),
    "negative bound": put("tiling.row_bounds", np.array([0, -5, 5], I32)),
    "empty bounds": put("tiling.row_bounds", np.zeros(0, I32)),
    "one bound": put("tiling.row_bounds", np.array([0], I32)),
    "bounds of two axes": put("tiling.row_bounds", np.array([[0, 5]], I32)),
    "float bounds": put("tiling.row_bounds", np.array([0.0, 5.0])),
    "bounds that fall, unsigned": put("tiling.row_bounds", np.array([0, 4, 2, 5], np.uint8)),
    "bounds beyond": put("tiling.row_bounds", np.array([0, 50], I32)),
    "empty conversions": put("tiling.conversion_bounds", np.zeros(0, I32)),
    "huge conversions": put("tiling.conversion_bounds", np.array([0, HUGE], I64)),
    "negative conversions": put("tiling.conversion_bounds", np.array([0, -3], I32)),
    "segment bounds": put("tiling.segment_bounds", np.array([0, 6], I32)),
    "row inputs beyond": fill("tiling.row_input", 77),
    "row inputs negative": fill("tiling.row_input", -1),
    "short row inputs": put("tiling.row_input", np.zeros(2, I32)),
    "array number": fill("tiling.array", HUGE >> 40),
    "negative array number": fill("tiling.array", -1),
    "places": put("tiling.array", np.zeros((3, 3, 3), I32)),
    "row offset": fill("tiling.row_offset", 500),
    "negative row offset": fill("tiling.row_offset", -1),
    "overflowing row offset": put("tiling.row_offset", np.full((1, 1, 1), (1 << 63) - 1, I64)),
    "column offset": fill("tiling.column_offset", 500),
    "R output": fill("periphery.r_output", 1 << 30),
    "negative R output": fill("periphery.r_output", -1),
    "R conversion": fill("periphery.r_conversion", 1 << 30),
    "r_code of one axis": put("periphery.r_code", np.ones(24, np.int8)),
    "r_code without entries": put("periphery.r_code", np.ones((1, 1, 0), np.int8)),
    "r_code of two groups": put("periphery.r_code", np.ones((2, 1, 24), np.int8)),
    "r_code beyond 62 bits": fill("periphery.r_code", 100),
    "r_code at 62 bits": fill("periphery.r_code", 62),
    "column scale of integers that are too large": put(
        "periphery.column_scale", np.full((1, 1, 24), 256, I32)
    ),
    "column scale below 0": put("periphery.column_scale", np.full((1, 1, 24), -1, I32)),
    "column scale of real numbers": put("periphery.column_scale", np.ones((1, 1, 24))),
    "column scale of one axis": put("periphery.column_scale", np.ones(24, np.uint8)),
    "column scale of two columns": put("periphery.column_scale", np.ones((1, 1, 2), np.uint8)),
    "column scale without a multiplier": put(
        "periphery.column_scale", np.ones((1, 1, 24), np.uint8)
    ),
    "A sign": put("periphery.a_sign", np.array([3], np.int8)),
    "A column": lambda arrays: [
        arrays.update({f"00000.periphery.{name}": np.array([99], I32)})
        for name in ("a_sign", "a_column", "a_conversion")
    ],
    "constant": put("periphery.constant", np.zeros(99, I64)),
    "huge constant": fill("periphery.constant", -(1 << 63)),
    "huge beta": fill("periphery.input_sum", -(1 << 63)),
    "adc bits": fill("adc.bits", 200),
    "adc shape": put("adc.bits", np.ones((5, 5, 5, 5), np.uint8)),
    "adc of three axes": put("adc.lo", np.zeros((1, 1, 1), I32)),
    "adc lo": put("adc.lo", np.full((1, 1, 1, 1), -(1 << 63), I64)),
    "adc step": fill("adc.step", 0),
    "adc float": put("adc.step", np.ones((1, 1, 1, 1))),
    "no adc": lambda arrays: arrays.pop("00000.adc.lo"),
    "scale": fill("result.scale", np.nan),
    "scale shape": put("result.scale", np.ones(2, np.float32)),
    "scale of integers": put("result.scale", np.ones(3, I64)),
    "infinite bias": fill("result.bias", np.inf),
    "half precision": put("result.scale", np.ones(3, np.float16)),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_hostile_arrays(xbarc: Run, own: Path, name: str) -> None:
    reshape(own, ARRAYS[name])
    refused_by_all(xbarc, own, "own.xbar")


def test_a_header_that_lies(xbarc: Run, own: Path) -> None:
    file = own / "cells.safetensors"
    whole = file.read_bytes()
    for size in (b"\xff" * 8, (1 << 40).to_bytes(8, "little"), bytes(8)):
        file.write_bytes(size + whole[8:])
        seal(own)
        refused_by_all(xbarc, own, "cells.safetensors")


@pytest.mark.parametrize("content", [b"", b"no model", bytes(1000)])
def test_hostile_fragment(
    xbarc: Run, own: Path, tmp_path: Path, npz: Callable[..., Path], content: bytes
) -> None:
    (own / "digital" / "00001.onnx").write_bytes(content)
    seal(own)
    data = npz(x=np.ones((2, 5), np.float32))
    done = xbarc("run", own, "--inputs", data, "--outputs", tmp_path / "out.npz")
    done.refused("digital1")
    assert not (tmp_path / "out.npz").exists()


def test_a_pipe_in_place_of_a_file(xbarc: Run, own: Path) -> None:
    for name in ("cells.safetensors", "program.json"):
        (own / name).unlink()
        os.mkfifo(own / name)
        xbarc("verify", own).refused("own.xbar")


def test_a_link_to_a_device(xbarc: Run, own: Path) -> None:
    (own / "program.json").unlink()
    (own / "program.json").symlink_to("/dev/zero")
    xbarc("verify", own).refused("own.xbar")


def test_a_false_claim_is_no_bug_of_ours(xbarc: Run, own: Path) -> None:
    """Converters that are said to be lossless, and are one bit too narrow."""
    reshape(own, lambda arrays: arrays.update({"00000.adc.bits": arrays["00000.adc.bits"] - 1}))
    done = xbarc("verify", own)
    assert done.code == 2
    assert "broken  converters cover sums" in done.out
    assert done.err.startswith(f"xbarc: {own}: claims what is not so")
