"""Every pair of options that change numbers: does one spoil what the other does?

    python benchmarks/pairs.py [--net NAME] [--images N] [--log FILE] [--markdown FILE] [--table]

Each option alone and each pair of different options is compiled by `xbarc compile` with the shipped
256 calibration images, unlabelled, and run by the executor of `xbarc check` on the first 1,000 test
images of Fashion-MNIST, which nothing was chosen by. Every case is a line of the log as soon as it
is measured, so a run that was cut goes on where it was. Nothing is random.

Placement and compensations fit a program to the target's wires: their pairs run with `--effects
lines`. All other options set numbers for ideal cells: their pairs run on those. They run on wires
as well, which no option of theirs knows of, as a warning.

The target is that of the tables of wires: `rram128` with arrays of 64 x 64 cells of 16 levels from
0 to 50 uS and 24 ohm a cell on both lines, where `fashion-mlp` loses 4 points; weights of 5 bits,
one cell of each sign, without error feedback unless it is the option.

Options that save cost may lose answers by themselves, all others are there to keep them. A pair is
worse where, on the same images, it gives fewer right answers than the saving option alone or than
the better one of two others (exact test of McNemar, 1 %); or where two saving options together lose
more than the sum of what each loses, or one loses more beside the other option than by itself (99 %
interval of a paired bootstrap over images, 2,000 draws of seed 0).
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from xbarc.circuit import Chip, Effects
from xbarc.cli import main as xbarc
from xbarc.executor.batches import labelled_batches
from xbarc.executor.run import Executor
from xbarc.ir.files import load_program
from xbarc.numerics.types import BoolArray, Float64Array

MODELS = ROOT / "models"
SEED, DRAWS, LEVEL = 0, 2_000, 0.01
STOPPED = 128  # codes from here on are those of signals


@dataclass(frozen=True)
class Option:
    """An option of `xbarc compile`.

    Attributes:
        text: as it is typed.
        saves: whether it saves cost and may lose answers by itself.
        fits: whether it fits the program to wires.
    """

    text: str
    saves: bool = False
    fits: bool = False

    @property
    def flag(self) -> str:
        """Two values of one flag are no pair."""
        return self.text.partition(" ")[0]


OPTIONS = (
    Option("--placement optimal", fits=True),
    Option("--compensate gain", fits=True),
    Option("--compensate predistort,gain", fits=True),
    Option("--equalise channel"),
    Option("--feedback on"),
    Option("--prune 0.3", saves=True),
    Option("--adc-savings all", saves=True),
    Option("--adc calibrated:5", saves=True),
    Option("--adc-budget 30dB", saves=True),
    Option("--encoding acm", saves=True),
)
TARGET = (
    "array.rows=64",
    "array.columns=64",
    "array.active_rows=64",
    "cell.bits=4",
    f"cell.conductance.values={[50 * level / 15 for level in range(16)]}",
    "input.dac_bits=4",
    "adc.max_bits=16",
    "wires.wordline.value=24.0",
    "wires.bitline.value=24.0",
)


@dataclass(frozen=True)
class Case:
    """What is compiled, and the chip that it runs on."""

    options: tuple[Option, ...]
    wired: bool

    @property
    def fits(self) -> bool:
        """Whether it was fitted to wires."""
        return any(option.fits for option in self.options)

    def key(self, asked: argparse.Namespace) -> str:
        """Of its line in the log."""
        texts = [option.text for option in self.options]
        return " ".join([asked.net, str(asked.images), "wires" if self.wired else "ideal", *texts])


@dataclass(frozen=True, eq=False)
class Found:
    """What came of a case; `right` is None where the compiler refused it."""

    options: tuple[str, ...]
    right: BoolArray | None
    said: str

    @property
    def share(self) -> float:
        """Of right answers."""
        return float("nan") if self.right is None else float(self.right.mean())


def main(arguments: list[str] | None = None) -> int:
    """Measure what the log does not hold, and print the table."""
    options = _parser().parse_args(arguments)
    log = read_log(options.log)
    with np.load(MODELS / "fashion-test-1000.npz") as data:
        test = {name: data[name][: options.images] for name in data}
    for case in cases(options.only):
        key = case.key(options)
        if key not in log and not options.table:
            log[key] = {"key": key, **measured(options, case, test)}
            with options.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(log[key]) + "\n")
    known = [case for case in cases(options.only) if case.key(options) in log]
    text = tables({case: _found(log[case.key(options)], case) for case in known})
    print(text)
    if options.markdown is not None:
        options.markdown.write_text(text, encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Pairs of options, measured.")
    parser.add_argument("--log", type=Path, default=Path("pairs.jsonl"), help="lines as they come")
    parser.add_argument("--markdown", type=Path, help="write the table")
    parser.add_argument("--table", action="store_true", help="print what the log holds")
    parser.add_argument("--net", default="fashion-mlp", help="one of models/")
    parser.add_argument("--images", type=int, default=1_000, help="test images, at most")
    parser.add_argument("--only", action="append", default=[], help="cases that hold this option")
    return parser


def cases(only: list[str]) -> list[Case]:
    """Nothing, each option alone, and each pair of options of different flags, on both chips.

    What fits wires never runs without them.
    """
    alone = [(option,) for option in OPTIONS]
    pairs = [pair for pair in combinations(OPTIONS, 2) if _are_different(pair)]
    if only:
        pairs = [pair for pair in pairs if any(option.text in only for option in pair)]
        needed = {option for pair in pairs for option in pair}
        alone = [case for case in alone if case[0] in needed]
    found = [Case(case, wired) for wired in (False, True) for case in [(), *alone, *pairs]]
    return [case for case in found if case.wired or not case.fits]


def _are_different(pair: tuple[Option, ...]) -> bool:
    flags = {option.flag for option in pair}
    return len(flags) == 2 and flags != {"--adc", "--adc-budget"}


def read_log(path: Path) -> dict[str, dict[str, Any]]:
    """Records by their key; the last one counts."""
    if not path.is_file():
        return {}
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {record["key"]: record for record in records}


def measured(options: argparse.Namespace, case: Case, test: dict[str, Any]) -> dict[str, Any]:
    """Right answers of one case, or why it was refused."""
    with tempfile.TemporaryDirectory() as folder:
        out, texts = Path(folder) / "out.xbar", [option.text for option in case.options]
        words = ["compile", str(MODELS / f"{options.net}.onnx"), "-o", str(out)]
        words += ["--calibrate", str(MODELS / "fashion-calibration-256.npz")]
        words += [f"--set={setting}" for setting in TARGET]
        words += ["--weight-bits", "5"]
        if not any(text.startswith("--feedback") for text in texts):
            words += ["--feedback", "off"]
        words += [word for text in texts for word in text.split()]
        said, code = _quietly(words)
        if code >= STOPPED:
            sys.exit(code)
        if code:
            return {"right": None, "said": said}
        program = load_program(out)
    settings = dict(program.settings)
    said = "; ".join(
        f"{name} {settings[name]}"
        for name in ("placement", "compensate", "converters")
        if "(" in settings.get(name, "")
    )
    chip = Chip(program, Effects(frozenset({"lines"}))) if case.wired else None
    executor, right = Executor(program, chip=chip), []
    for feeds, labels, count in labelled_batches(program, test):
        scores = np.asarray(executor.run(feeds)[0]).reshape(count, -1)
        right.append(scores.argmax(axis=1) == labels)
    answers = np.concatenate(right)
    packed = base64.b64encode(np.packbits(answers).tobytes()).decode()
    return {"right": packed, "images": len(answers), "said": said}


def _quietly(words: list[str]) -> tuple[str, int]:
    """The last line that a command prints on stderr, and its code."""
    errors = StringIO()
    with redirect_stdout(StringIO()), redirect_stderr(errors):
        code = xbarc(words)
    lines = errors.getvalue().strip().splitlines()
    return lines[-1] if lines else "", code


def _found(record: dict[str, Any], case: Case) -> Found:
    options = tuple(option.text for option in case.options)
    if record["right"] is None:
        return Found(options, None, record["said"])
    packed = np.frombuffer(base64.b64decode(record["right"]), np.uint8)
    return Found(options, np.unpackbits(packed)[: record["images"]].astype(bool), record["said"])


def tables(found: dict[Case, Found]) -> str:
    """Markdown: each option alone, then the pairs, on the chip that they were made for or not."""
    ideal, wired = ({c.options: f for c, f in found.items() if c.wired is w} for w in (False, True))
    fitted = {c.options for c in found if c.fits}
    apart = {pair for pair in wired if pair not in fitted}
    lines = ["| option | ideal cells | wires | said |", "|---|--:|--:|---|"]
    for options in (options for options in wired if len(options) < 2):
        name = f"`{options[0].text}`" if options else "none of them"
        shown = _percent(ideal[options]) if options in ideal else ""
        lines.append(f"| {name} | {shown} | {_percent(wired[options])} | {wired[options].said} |")
    parts = {
        "on ideal cells": _rows(ideal, set(ideal)),
        "with placement or compensations, on wires": _rows(wired, fitted),
        "without, on wires that they were not made for": _rows(wired, apart),
    }
    for title, rows in parts.items():
        lines += ["", f"{len(rows)} pairs {title}:", "", *_HEAD, *rows]
    return "\n".join(lines) + "\n"


_HEAD = (
    "| pair | alone | both | difference | p | beyond the sum | verdict |",
    "|---|--:|--:|--:|--:|--:|---|",
)


def _rows(found: dict[tuple[Option, ...], Found], wanted: set[tuple[Option, ...]]) -> list[str]:
    """Lines of the pairs that are wanted."""
    return [
        _row(pair, (found[()], found[pair[:1]], found[pair[1:]], both))
        for pair, both in found.items()
        if len(pair) == 2 and pair in wanted
    ]


def _percent(result: Found) -> str:
    return "refused" if result.right is None else f"{100 * result.share:.1f}"


def _row(pair: tuple[Option, ...], results: tuple[Found, ...]) -> str:
    _, one, two, both = results
    name = " ".join(f"`{option.text}`" for option in pair)
    alone = f"{_percent(one)}, {_percent(two)}"
    if any(result.right is None for result in results):
        return f"| {name} | {alone} | {_percent(both)} | | | | {both.said or 'refused alone'} |"
    judged = reference(pair, one, two)
    change = 0.0 if judged is None else both.share - judged.share
    p = 1.0 if judged is None else mcnemar(both.right, judged.right)
    low, high = interaction(*(result.right for result in results))
    saves = any(option.saves for option in pair)
    worse = (change < 0 and p < LEVEL) or (saves and high < 0)
    verdict = "**worse**" if worse else (both.said or "fine")
    shown = ("", "") if judged is None else (f"{100 * change:+.1f}", f"{p:.2g}")
    beyond = f"{100 * low:+.1f} to {100 * high:+.1f}" if saves else ""
    return f"| {name} | {alone} | {_percent(both)} | {' | '.join(shown)} | {beyond} | {verdict} |"


def reference(pair: tuple[Option, ...], one: Found, two: Found) -> Found | None:
    """What the pair must not fall below; two saving options have none."""
    saving = [result for option, result in zip(pair, (one, two), strict=True) if option.saves]
    if len(saving) == 2:
        return None
    return saving[0] if saving else max(one, two, key=lambda result: result.share)


def mcnemar(found: BoolArray | None, other: BoolArray | None) -> float:
    """Probability of images that differ falling so unevenly by chance."""
    if found is None or other is None:
        return 1.0
    gained, lost = int((found & ~other).sum()), int((other & ~found).sum())
    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def interaction(*right: BoolArray | None) -> tuple[float, float]:
    """99 % interval of what both options lose or win beyond the sum of each.

    Args:
        right: without any, with each, with both.
    """
    base, one, two, both = (np.asarray(values, dtype=np.float64) for values in right)
    each: Float64Array = both - one - two + base
    rng = np.random.default_rng(SEED)
    drawn = each[rng.integers(0, len(each), (DRAWS, len(each)))].mean(axis=1)
    low, high = np.quantile(drawn, [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)


if __name__ == "__main__":
    sys.exit(main())
