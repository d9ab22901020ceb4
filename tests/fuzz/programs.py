"""Program folders from outside: refused, or every command works on them."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import RenderableType

from tests.fuzz.bases import MAKES, copy_base
from tests.fuzz.forgeries import forge
from tests.fuzz.kind import Result, Verdict
from xbarc.cli import main
from xbarc.cli.npz import write_npz
from xbarc.cli.reporting import to_text
from xbarc.errors import EXIT_DONE, EXIT_NO, EXIT_USER, XbarcError
from xbarc.ir.files import load_program
from xbarc.ir.network import Value
from xbarc.ir.program import Program
from xbarc.numerics.types import AnyArray
from xbarc.report import Report, collect, render_csv, render_html, render_json, render_text

_LARGEST_INPUT = 1 << 16
_EQUAL = Verdict(Result.EQUAL)
_RENDERS = (render_text, render_csv, render_json, render_html)
SOME, EVERY = 2, 100
"""How many ways to show a program are tried; all of them take a second."""


def build(rng: np.random.Generator, folder: Path) -> Path:
    """A sound program, then changes of its fields, arrays, fragments or files."""
    name = sorted(MAKES)[int(rng.integers(len(MAKES)))]
    program = copy_base(name, folder / "p.xbar")
    forge(rng, program)
    return program


def judge(path: Path) -> Verdict:
    """As `judge_whole`, with some of the commands, which the program's own bytes choose."""
    return judge_whole(path, SOME)


def judge_whole(path: Path, readers: int = EVERY) -> Verdict:
    """`verify` refuses with 2, or every command works and both engines agree."""
    path = path / "p.xbar" if (path / "p.xbar").exists() else path
    said = command("verify", path)
    if said.result is not Result.EQUAL:
        return said
    try:
        program = load_program(path)
    except XbarcError as error:
        return Verdict(Result.FINDING, f"verify passes, loading does not: {error}")
    return read_and_run(program, path, readers)


def read_and_run(program: Program, path: Path, readers: int = EVERY) -> Verdict:
    """So many of the ways to show a program, then both engines."""
    found = collect(program)
    ways: list[Callable[[], Verdict]] = [partial(_rendered, how, found) for how in _RENDERS]
    ways += [partial(_read, words, path) for words in _readers(program)]
    rng = np.random.default_rng(list((path / "program.json").read_bytes()[-64:]))
    for number in rng.permutation(len(ways))[:readers]:
        said: Verdict = ways[int(number)]()
        if said.result is not Result.EQUAL:
            return said
    return _runs(program, path)


def _rendered(how: Callable[[Report], RenderableType], found: Report) -> Verdict:
    hidden = _hidden(to_text(how(found)))
    return Verdict(Result.FINDING, f"{how.__name__} gives {hidden}") if hidden else _EQUAL


def _read(words: tuple[str, ...], path: Path) -> Verdict:
    said = command(words[0], path, *words[1:])
    if said.result is Result.EQUAL:
        return said
    return Verdict(Result.FINDING, f"{words}: {said.detail}")


def _readers(program: Program) -> list[tuple[str, ...]]:
    """Commands that only read a program, beside its report."""
    found: list[tuple[str, ...]] = [("print",), ("place",)]
    for step in program.crossbar_steps[:1]:
        found += [("inspect", "--layer", step.name)]
        found += [("inspect", "--layer", step.name, "--block", "0,0")]
    return found


def _runs(program: Program, path: Path) -> Verdict:
    """Both engines on inputs that the program says it takes."""
    rng = np.random.default_rng(5)
    feeds = {value.name: _draw(value, rng) for value in program.inputs}
    if any(array is None for array in feeds.values()):
        return _EQUAL
    data = path.parent / "in.npz"
    found = []
    write_npz(data, feeds)
    for engine in ("fast", "reference"):
        out = path.parent / f"{engine}.npz"
        words = ("--inputs", data, "--outputs", out, "--engine", engine)
        said = command("run", path, *words)
        if said.result is not Result.EQUAL:
            return said
        with np.load(out) as arrays:
            found.append({name: arrays[name] for name in arrays.files})
    if any(not np.array_equal(found[0][n], found[1][n], equal_nan=True) for n in found[0]):
        return Verdict(Result.FINDING, "the engines differ")
    return _EQUAL


def _draw(value: Value, rng: np.random.Generator) -> AnyArray | None:
    """An input of small numbers; None where its type or size cannot be drawn."""
    dims = value.shape if value.shape is not None else (2, 3)
    shape = [2 if not isinstance(size, int) else size for size in dims]
    if (
        any(size < 0 for size in shape)
        or float(np.prod([float(s) for s in shape])) > _LARGEST_INPUT
    ):
        return None
    try:
        return rng.integers(0, 8, shape).astype(value.dtype)
    except (TypeError, ValueError):
        return None


def command(*words: object) -> Verdict:
    """Run a command in this process; what it raises is for the caller."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    text = err.getvalue().strip()
    if code in (EXIT_DONE, EXIT_NO):
        hidden = _hidden(out.getvalue())
        return Verdict(Result.FINDING, f"{words[0]} prints {hidden}") if hidden else _EQUAL
    if code == EXIT_USER and text.startswith("xbarc: ") and "\n" not in text:
        return Verdict(Result.REFUSED, f"{words[0]}: {_reason(text)}")
    return Verdict(Result.FINDING, f"{words[0]} exits {code}: {out.getvalue()[:200]} {text[-300:]}")


def _hidden(text: str) -> str:
    """The first character that is not printable."""
    return next((repr(c) for c in text if not c.isprintable() and c != "\n"), "")


def _reason(text: str) -> str:
    """The rule that is broken, or the file that is at fault: what a count of refusals tells."""
    rule = re.search(r"breaks the rule (\w+)", text)
    where = re.sub(r"/\S*/", "", text.removeprefix("xbarc: ")).split(": ")
    return rule[1] if rule else re.sub(r"\d+", "#", where[0])[:60]
