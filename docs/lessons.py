"""What `conf.py` adds to lessons and guides: what they were run on, and tests of their commands."""

import inspect
import re

from xbarc import __version__
from xbarc import compile as compile_model
from xbarc.target import target_names

# What a page says of its target: files and shipped targets that its examples name, or the default.
DEFAULT_TARGET = inspect.signature(compile_model).parameters["target"].default
_NAMED = r"""(?:--target |target=["']|load_target\(["']|prepare\([^)]*?["'])"""
TARGET = re.compile(_NAMED + r"([a-z]+\d+|\w+\.toml)\b", re.S)
CONSOLE = re.compile(r"^```console run\n(.*?)^```$", re.S | re.M)


def say_what_a_page_was_run_on(text: str) -> str:
    """Put the version, and the targets that the examples name, under the title."""
    known = target_names()
    found = dict.fromkeys(TARGET.findall(text))
    names = [n for n in found if n in known or n.endswith(".toml")] or [DEFAULT_TARGET]
    word = "target" if len(names) == 1 else "targets"
    line = f"*xbarc {__version__}, {word} {', '.join(f'`{name}`' for name in names)}*"
    title, _, rest = text.partition("\n")
    return f"{title}\n\n{line}\n{rest}"


def test_commands(text: str) -> str:
    """Make each block marked `console run` a doctest: its commands, and what they print.

    `...` stands for any text, as in every doctest; each command must end with exit code 0.
    """
    return CONSOLE.sub(lambda found: _as_doctest(found[1]), text)


def _as_doctest(block: str) -> str:
    lines = ["```{doctest}"]
    for part in re.split(r"^\$ ", block.replace("\\\n", " "), flags=re.M)[1:]:
        typed, _, printed = part.partition("\n")
        command = " ".join(typed.split())
        lines.append(f">>> command({command!r})  # doctest: +ELLIPSIS, +NORMALIZE_WHITESPACE")
        lines += [line or "<BLANKLINE>" for line in printed.rstrip("\n").splitlines()]
        lines.append("0")
    return "\n".join([*lines, "```"])
