"""Words that users stumble over stay out of help, docs and reports."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

import xbarc
from tests.cli.conftest import Run
from xbarc.cli.app import command_app
from xbarc.options import CompileOptions, options_text
from xbarc.options.base import flags_of
from xbarc.rows import Row
from xbarc.rows.facts import all_facts

ROOT = Path(__file__).parents[2]
_RATES = "second|inference|layer|output|converter|array|conversion|cycle|weight|cell|sample"
INSTEAD = {
    r"\blevers?\b": "ADC savings",
    r"ma(ke|de|kes|king) (it |them |this )?good\b": "compensates",
    r"hangs? (up)?on\b": "depends on",
    r"\balike\b": "equal",
    r"\b(takes?|taken|took) off\b": "subtract",
    r"\bprovably are\b": "range analysis",
    r"\bcells? (can )?bears?\b": "endurance",
    r"\bfilling of arrays\b": "utilisation",
    r"\b\d-bit senses\b": "sense amplifiers",
    r"\bdealt\b": "distributed",
    r"\benergies by (data|operands)\b": "energy from operands",
    rf"\b(uJ|pJ|inferences|conversions|operations|bits|count|cells|columns) an? ({_RATES})\b"
    r"(?! (takes|has|holds|needs|stores|joins|of))": "per",
}
"""What nobody in the field says, and what they say."""


def wrong_words(text: str) -> Iterator[str]:
    """Each wrong wording with its line and what to write."""
    for line in text.splitlines():
        for pattern, better in INSTEAD.items():
            if found := re.search(pattern, line, re.IGNORECASE):
                yield f"'{found[0]}', write '{better}': {line.strip()[:80]}"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("Use lev" + "ers", True),
        ("4 uJ " + "an inference", True),
        ("the columns a weight takes", False),
        ("This hangs on data", True),
        ("It depends on data", False),
    ],
)
def test_a_wrong_word_is_found(text: str, wrong: bool) -> None:
    assert bool(list(wrong_words(text))) == wrong


def test_docs() -> None:
    pages = [
        path
        for path in (ROOT / "docs").rglob("*.md")
        if not {"_build", "_generated"} & {*path.parts}
    ]
    former = {"glossary.md", "changes.md"}  # which name former words
    pages = [path for path in pages if path.name not in former]
    pages += [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "models" / "README.md"]
    found = {path.name: list(wrong_words(path.read_text(encoding="utf-8"))) for path in pages}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_help_of_every_command(xbarc: Run) -> None:
    waiting: list[tuple[tuple[str, ...], Any]] = [((), typer.main.get_command(command_app()))]
    found = list(wrong_words(options_text()))
    while waiting:
        words, command = waiting.pop()
        inner = getattr(command, "commands", {})
        waiting += [((*words, name), one) for name, one in inner.items()]
        found += wrong_words(xbarc(*words, "-h" if inner else "--help-all").out)
    assert found == []


def test_reports() -> None:
    for path in sorted((ROOT / "tests" / "golden" / "report").iterdir()):
        assert list(wrong_words(path.read_text(encoding="utf-8"))) == [], path.name


def test_the_glossary_has_every_option() -> None:
    glossary = (ROOT / "docs" / "reference" / "glossary.md").read_text(encoding="utf-8")
    fields = CompileOptions.model_fields.items()
    flags = [flags_of(name, field)[0].partition("/")[0] for name, field in fields]
    assert [flag for flag in flags if f"`{flag}`" not in glossary] == []


# English that needs no entry: what joins words of the glossary in a heading or a name.
_PLAIN = """
a all an and another any are as at because before behind best but by does each for from given here
how in is it its last left longest most name no not nothing of on once one only or other over own
per rest same set several so than that the their them this to under what when where which why with
without x earlier first known whole adds against applied works run get repr
file format json html text toml csv png svg model onnx python
"""


def _parts(name: str) -> list[str]:
    """Words of a heading, of `snake_case` and of `CamelCase`, in lower case."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.replace("_", " "))
    return [word.lower() for word in re.findall(r"[A-Za-z]{2,}", spaced)]


def _stem(word: str) -> str:
    """A word without its ending, so that `conversions` is `conversion`, and `paired` is `pair`."""
    for ending, kept in (("ies", "y"), ("ing", ""), ("ed", ""), ("s", "")):
        if word.endswith(ending) and len(word) > len(ending) + 2 and not word.endswith("ss"):
            word = word.removesuffix(ending) + kept
            break
    return word.removesuffix("e")


def _unexplained(names: Iterable[str]) -> dict[str, str]:
    """Words that neither the glossary nor plain English has, with a name that they stand in."""
    glossary = (ROOT / "docs" / "reference" / "glossary.md").read_text(encoding="utf-8")
    # What is explained: the first cell of each line, and words in bold or as code.
    cells = [line.split("|")[1] for line in glossary.splitlines() if line.startswith("| ")]
    terms = [*cells, *re.findall(r"\*\*(.*?)\*\*|`(.*?)`", glossary)]
    known = {_stem(word) for term in terms for word in _parts("".join(term))}
    known |= {_stem(word) for word in _PLAIN.split()}
    return {word: name for name in names for word in _parts(name) if _stem(word) not in known}


def _public_names() -> Iterator[str]:
    for name in xbarc.__all__:
        yield name
        found = getattr(xbarc, name)
        if isinstance(found, type):
            yield from (inner for inner in vars(found) if not inner.startswith(("_", "model_")))


def _rows(kind: type[Row] = Row) -> Iterator[type[Row]]:
    for below in kind.__subclasses__():
        if below.__module__.startswith("xbarc."):
            yield below
        yield from _rows(below)


def test_the_glossary_has_every_public_name() -> None:
    assert _unexplained(_public_names()) == {}


def _load_rows() -> None:
    """Every module with a row, whatever else ran before."""
    for path in sorted((ROOT / "xbarc").rglob("*.py")):
        if re.search(r"^class \w+\(\w*Row\b", path.read_text(encoding="utf-8"), re.MULTILINE):
            import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


def test_the_glossary_has_every_heading() -> None:
    _load_rows()
    heads = [entry.fact.head for kind in _rows() for entry in all_facts(kind) if entry.fact.head]
    titles = [kind.title for kind in _rows()]
    assert len(heads) > 100
    assert _unexplained([*heads, *titles]) == {}


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("ADC bits>", set()),
        ("conversions of one vector by ADC bits", set()),
        ("InferenceSession", set()),
        ("flux capacitors", {"flux", "capacitors"}),
    ],
)
def test_a_word_without_an_entry_is_found(name: str, wrong: set[str]) -> None:
    assert set(_unexplained([name])) == wrong
