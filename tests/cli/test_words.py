"""Words that users stumble over stay out of help, docs and reports."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.cli.conftest import Run
from xbarc.cli.app import command_app
from xbarc.options import CompileOptions, options_text
from xbarc.options.base import flags_of

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
