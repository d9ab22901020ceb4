"""Rules of the house that reading alone would not keep; CONTRIBUTING says them in words."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import xbarc

PACKAGE = Path(xbarc.__file__).parent
MOST_PARAMETERS = 8
LONGEST_FUNCTION = 60


def _files() -> Iterator[tuple[str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield str(path.relative_to(PACKAGE)), path.read_text(encoding="utf-8")


@cache
def parse(text: str) -> ast.Module:
    """Once for all rules, those of imports too: the package takes two seconds."""
    return ast.parse(text)


def _functions(text: str) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(parse(text)):
        if isinstance(node, ast.FunctionDef):
            yield node


def parameters(function: ast.FunctionDef) -> int:
    """Parameters beside self and cls.

    A function that typer or a decorator reads its options from is a list of options, not of
    parameters that travel: those of the command line are bundled by `takes`.
    """
    given = function.args
    names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def test_no_function_takes_more_than_eight_parameters() -> None:
    found = [
        f"{file}: {function.name} takes {parameters(function)}"
        for file, text in _files()
        for function in _functions(text)
        if parameters(function) > MOST_PARAMETERS
    ]
    assert found == []


def test_no_function_is_longer_than_a_screen() -> None:
    found = [
        f"{file}: {function.name}"
        for file, text in _files()
        for function in _functions(text)
        if (function.end_lineno or 0) - function.lineno + 1 > LONGEST_FUNCTION
    ]
    assert found == []


def test_a_class_name_stands_once() -> None:
    places = defaultdict(list)
    for file, text in _files():
        for node in ast.walk(parse(text)):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(file)
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def unexplained(text: str) -> Iterator[str]:
    """Constants of a module that are numbers and come without a word."""
    lines = text.splitlines()
    for node in parse(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, value = node.targets[0].id, node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name, value = node.target.id, node.value or ast.Constant(None)
        else:
            continue
        if name.upper() == name and _is_number(value) and not _is_explained(node, lines):
            yield name


def _is_number(value: ast.expr) -> bool:
    """A number, arithmetic of numbers, or a tuple of them."""
    allowed = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.Tuple, ast.operator, ast.unaryop, ast.Load)
    nodes = list(ast.walk(value))
    numbers = [node.value for node in nodes if isinstance(node, ast.Constant)]
    return (
        all(isinstance(node, allowed) for node in nodes)
        and bool(numbers)
        and all(isinstance(number, int | float) for number in numbers)
        and not all(isinstance(number, bool) for number in numbers)
    )


def _is_explained(node: ast.stmt, lines: list[str]) -> bool:
    """A comment above or behind, or a docstring below; neighbours share the one above them."""
    end = node.end_lineno or node.lineno
    if "  # " in lines[end - 1]:
        return True
    if end < len(lines) and lines[end].startswith('"""'):
        return True
    place = node.lineno - 2
    while place >= 0 and lines[place].strip():
        if lines[place].startswith("#"):
            return True
        place -= 1
    return False


def test_every_tuned_number_says_why() -> None:
    found = [f"{file}: {name}" for file, text in _files() for name in unexplained(text)]
    assert found == []


def test_a_number_without_a_word_is_found() -> None:
    text = "# why\nA = 1\nB = 2\n\nC = 3\n\nD = 1 << 4  # why\nE = (1.0, 2.0)\nF = 'x'\nG = True\n"
    assert list(unexplained(text)) == ["C", "E"]


# Numbers before "bits" that are never 1: none of these is, by what stands around them.
_NEVER_ONE = ("WIDEST", "WIDTHS - 1", "{text[:20]}", "{asked}", "{kind}", "falls[:1]")


def test_no_message_says_1_bits() -> None:
    """`say_count` makes a number agree with its noun."""
    found = [
        f"{name}:{number}"
        for name, text in _files()
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(r"\{[^{}]*\} bits\b", line) and not any(word in line for word in _NEVER_ONE)
    ]
    assert found == []
