"""Target files from outside: refused, or a network compiles, runs and is costed on them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from tests.frontend.onnx_models import model_file, normal
from tests.fuzz.kind import Result, Verdict
from tests.fuzz.mutations import NAMES, flip_bytes
from tests.fuzz.programs import command, read_and_run
from xbarc.ir.files import load_program
from xbarc.target import target_folder, target_names

_VALUES = (
    *("0", "1", "2", "-1", "3", "127", "65536", "65537", "1e308", "-1e308", "1e-320", "nan", "inf"),
    *("-inf", "9223372036854775807", "99999999999999999999999", "true", '""', "[]", "{}", "0.5"),
    *("[1, 2]", '"inf"', "1979-05-27", "[[[[[[]]]]]]", "'=1+1'", '"\\u001b[2J"'),
)
_GRAPH = "g (float[N,20] x) => (float[] y) { h = MatMul(x, w)  r = Relu(h)  y = MatMul(r, v) }"


def build(rng: np.random.Generator, folder: Path) -> Path:
    """A shipped target with one to three lines that are changed, twice there or gone."""
    names = target_names()
    text = (target_folder() / f"{names[int(rng.integers(len(names)))]}.toml").read_text("utf-8")
    lines = text.splitlines()
    for _ in range(int(rng.choice([1, 1, 2, 3]))):
        _change(rng, lines)
    data = "\n".join(lines).encode()
    path = folder / "target.toml"
    path.write_bytes(flip_bytes(rng, data) if rng.random() < 0.1 else data)
    model_file(folder, _GRAPH, w=normal(20, 9), v=normal(9, 4))
    return folder


def _change(rng: np.random.Generator, lines: list[str]) -> None:
    place = int(rng.integers(len(lines)))
    choice = rng.random()
    numbers = list(re.finditer(r"(?<==\s)[-\d.][\w.+-]*", lines[place]))
    if choice < 0.7 and numbers:
        found = numbers[int(rng.integers(len(numbers)))]
        value = _VALUES[int(rng.integers(len(_VALUES)))]
        lines[place] = lines[place][: found.start()] + value + lines[place][found.end() :]
    elif choice < 0.8:
        lines.append(lines[place])
    elif choice < 0.9:
        del lines[place]
    elif '"' in lines[place]:
        name = NAMES[int(rng.integers(len(NAMES)))].replace('"', "").replace("\x1b", "\\u001b")
        lines[place] = re.sub(r'"[^"]*"', lambda _: f'"{name}"', lines[place], count=1)


def judge(path: Path) -> Verdict:
    """`targets validate` refuses, or all commands work."""
    target, program = path / "target.toml", path / "p.xbar"
    said = command("targets", "validate", target)
    if said.result is not Result.EQUAL:
        return said
    said = command("targets", "show", target)
    if said.result is not Result.EQUAL:
        return Verdict(Result.FINDING, f"validate takes it, show does not: {said.detail}")
    said = command("compile", path / "model.onnx", "--target", target, "-o", program)
    if said.result is not Result.EQUAL:
        return said
    return read_and_run(load_program(program), program)
