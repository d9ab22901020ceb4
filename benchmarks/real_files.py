"""Trained ONNX files of other people: what compiles, where it runs, and how exact it is.

    python models/fetch.py real-files qonnx
    python benchmarks/real_files.py [--write] [PART ...]

Every .onnx below `.cache/data` whose path holds one of the parts is compiled for rram128 with the
shapes of its inputs here, and run once. The judge is ONNX Runtime with its optimisations off and
its integer products exact. `--write` puts the table into docs/reference/real-files-table.md; with
parts, their rows alone are new. Leaves with 1 where a file does not compile.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import onnxruntime

import xbarc
from models.fetch import CACHE, REQUIREMENTS
from xbarc.errors import XbarcError
from xbarc.frontend import runnable_model
from xbarc.numerics.types import AnyArray
from xbarc.runtime import OnnxSession, RuntimeValue

TABLE = ROOT / "docs" / "reference" / "real-files-table.md"
GOOD = 35.0
"""dB from which no reason is asked for."""
HEAD = (
    "| file | MACs on crossbars | SQNR, dB | 16 bits, dB | why under 35 dB | not in the totals |"
    " digital matrix operators |\n"
    "|---|--:|--:|--:|---|---|---|\n"
)
Rng = np.random.Generator
Draw = Callable[[Rng, str], AnyArray]


@dataclass(frozen=True)
class Row:
    """What became of one file.

    Attributes:
        share: of the multiply-accumulates that are counted, on crossbars; None where none are.
        decibels: SQNR of the worst output; None where no output is real.
        precise: the same with 16 bits of weights and activations.
        left_out: what totals do not count, and why.
        notes: why matrix operators stayed digital.
        refused: the error, where the file does not compile or run.
    """

    name: str
    share: float | None = None
    decibels: float | None = None
    precise: float | None = None
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    refused: str = ""


GLYPHS = {
    "X": (17, 17, 10, 4, 10, 17, 17),
    "B": (30, 17, 17, 30, 17, 17, 30),
    "A": (14, 17, 17, 31, 17, 17, 17),
    "R": (30, 17, 17, 30, 20, 18, 17),
    "C": (14, 17, 16, 16, 16, 17, 14),
}
"""Letters of 7 rows of 5 bits each."""


def _written(rows: int, columns: int, size: int) -> Draw:
    """Dark letters on a light page, a letter's bit `size` pixels wide, between -1 and 1."""

    def draw(rng: Rng, dtype: str) -> AnyArray:
        page = np.ones((rows, columns), np.float32)
        for number, letter in enumerate("XBARC"):
            bits = np.array([[row >> 4 - bit & 1 for bit in range(5)] for row in GLYPHS[letter]])
            ink = np.kron(bits, np.ones((size, size)))
            top, left = (rows - len(ink)) // 2, 8 + number * (len(ink[0]) + size)
            page[top : top + len(ink), left : left + len(ink[0])] -= 1.8 * ink
        noisy = page + rng.normal(size=(3, rows, columns)) * 0.03
        return np.clip(noisy, -1, 1).astype(dtype)[None]

    return draw


def _tokens(top: int, *shape: int) -> Draw:
    return lambda rng, dtype: rng.integers(1, top, shape).astype(dtype)


def _full(number: float, *shape: int) -> Draw:
    return lambda _, dtype: np.full(shape, number, dtype)


def _normal(size: float, *shape: int) -> Draw:
    return lambda rng, dtype: (size * rng.normal(size=shape)).astype(dtype)


def _text(_: Rng, dtype: str) -> AnyArray:
    """The first 2,048 bytes of a text: what magika is made for."""
    data = np.frombuffer((ROOT / "LICENSE").read_bytes()[:2048], np.uint8)
    return data.astype(dtype)[None]


def _speech(samples: int) -> Draw:
    """Three tones under an envelope, and a little noise, at 16 kHz."""

    def draw(rng: Rng, _: str) -> AnyArray:
        seconds = np.arange(samples) / 16_000
        tones = sum(np.sin(2 * np.pi * hertz * seconds) / hertz for hertz in (140, 420, 2200))
        return (20 * np.asarray(tones) + 0.01 * rng.normal(size=samples)).astype(np.float32)[None]

    return draw


INPUTS: dict[str, dict[str, Draw]] = {
    "PP-OCRv4_det": {"x": _written(96, 160, 4)},
    "PP-OCRv4_rec": {"x": _written(48, 192, 5)},
    "ppocr_mobile_v2.0_cls": {"x": _written(48, 192, 5)},
    "magika": {"bytes": _text},
    "silero_vad_16k_sequence": {
        "input": lambda rng, kind: np.tile(_speech(576)(rng, kind), (4, 1))
    },
    "silero": {
        "input": _speech(576),
        "state": _full(0, 2, 1, 128),
        "h": _full(0, 1, 1, 128),
        "c": _full(0, 1, 1, 128),
        "sr": _full(16_000),
    },
    "traceforge": {
        "input_ids": _tokens(30_000, 1, 12),
        "decoder_input_ids": _tokens(30_000, 1, 12),
        "attention_mask": _full(1, 1, 12),
        "encoder_attention_mask": _full(1, 1, 12),
        "encoder_hidden_states": _normal(0.2, 1, 12, 512),
    },
    "romanizer": {
        "src": _tokens(30, 1, 8),
        "src_mask": _full(1, 1, 8),
        "prefix": _tokens(20, 1, 5),
        "memory": _normal(0.5, 1, 8, 256),
        "hidden": _normal(0.5, 1, 2, 256),
    },
    "MiniLM": {
        "input_ids": _tokens(20_000, 1, 16),
        "attention_mask": _full(1, 1, 16),
        "token_type_ids": _full(0, 1, 16),
    },
    "minilm": {
        "input_ids": _tokens(20_000, 1, 16),
        "attention_mask": _full(1, 1, 16),
        "token_type_ids": _full(0, 1, 16),
    },
    "espcn": {},
    "mnist-conv": {
        "Input3": lambda rng, kind: 255 * (rng.random((1, 1, 28, 28)) > 0.8).astype(kind)
    },
}
"""What inputs hold, by part of the path; others are normal numbers, open axes 4 long."""


def feeds_of(path: Path, inputs: Sequence[RuntimeValue]) -> dict[str, AnyArray]:
    """Inputs as the file's users give them."""
    rng = np.random.default_rng(0)
    rules: dict[str, Draw] = {}
    for part, own in reversed(INPUTS.items()):
        rules |= own if part in str(path) else {}
    return {
        value.name: rules.get(value.name, _normal(1.0, *_closed(value)))(rng, value.dtype)
        for value in inputs
    }


def _closed(value: RuntimeValue) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) else 4 for size in value.shape)


def row_of(path: Path) -> Row:
    """Compile a file, run it, and measure it."""
    name = str(path.relative_to(CACHE))
    try:
        judge = OnnxSession(runnable_model(path), where=name)
        feeds = feeds_of(path, judge.inputs)
        wanted = judge.run(feeds)
        shapes = {key: array.shape for key, array in feeds.items()}
        program = xbarc.compile(path, shapes=shapes)
        found = program.session().run(None, feeds)
        precise = xbarc.compile(path, weight_bits=16, activation_bits=16)
        better = precise.session().run(None, feeds)
    except XbarcError as error:
        return Row(name, refused=str(error))
    report = program.report()
    totals = report.totals
    crossbar, digital = totals.macs_crossbar or 0, totals.macs_digital or 0
    counted = crossbar + digital
    return Row(
        name,
        crossbar / counted if counted else None,
        worst(wanted, found),
        worst(wanted, better),
        tuple(left.reason for left in report.left_out),
        tuple(note for fragment in report.digital for note in fragment.notes),
    )


def worst(wanted: Sequence[Any], found: Sequence[Any]) -> float | None:
    """Least SQNR of all real outputs, in dB; infinite where all are equal."""
    levels = []
    for right, mine in zip(wanted, found, strict=True):
        if not isinstance(right, np.ndarray) or right.dtype.kind != "f" or not right.size:
            continue
        error = np.square(right.astype(np.float64) - mine).sum()
        signal = np.square(right.astype(np.float64)).sum()
        levels.append(float("inf") if error == 0 else 10 * float(np.log10(signal / error)))
    return min(levels, default=None)


def line_of(row: Row) -> str:
    """A row of the table."""
    if row.refused:
        what = row.refused.removeprefix(f"{row.name}: ").partition(": Load model")[0]
        return f"| {row.name} | refused: {what} | | | | | |\n"
    share = "none counted" if row.share is None else f"{row.share:.1%}"
    levels = [
        "equal" if v == float("inf") else "-" if v is None else f"{v:.1f}"
        for v in (row.decibels, row.precise)
    ]
    cells = [row.name, share, *levels, _why(row), _missing(row), _reasons(row.notes)]
    return f"| {' | '.join(cells)} |\n"


def _why(row: Row) -> str:
    """What costs a file its decibels: 16 bits show whether 8 bits do."""
    if row.decibels is None or row.precise is None or row.decibels >= GOOD:
        return ""
    gain = row.precise - row.decibels
    return f"rounding to 8 bits: 16 bits give {row.precise:.0f} dB" if gain > 6 else "not known"


def _missing(row: Row) -> str:
    """Totals are null only where something is named here."""
    reasons = sorted(set(row.left_out))
    more = f" and {len(reasons) - 2} more" if len(reasons) > 2 else ""
    return "; ".join(reasons[:2]) + more if reasons else "nothing"


def _reasons(notes: Sequence[str]) -> str:
    """Reasons, most frequent first, with how often each came."""
    reasons = [note.partition(" stays digital: ")[2] for note in notes]
    kinds = [f"{note.split(' ')[0]}: {why}" for note, why in zip(notes, reasons, strict=True)]
    counted = sorted({kind: kinds.count(kind) for kind in kinds}.items(), key=lambda i: -i[1])
    return "; ".join(f"{count} x {kind}" for kind, count in counted) or "none"


def main() -> int:
    """Print the table; 1 where a file does not compile."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="put the table into the docs")
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help="only paths that hold one of these"
    )
    options = parser.parse_args()
    paths = [
        p
        for p in sorted(CACHE.rglob("*.onnx"))
        if not options.parts or any(part in str(p) for part in options.parts)
    ]
    if not paths:
        print(f"no .onnx below {CACHE}: run python models/fetch.py real-files", file=sys.stderr)
        return 1
    lines, refused = [], 0
    for path in paths:
        begin = time.monotonic()
        row = row_of(path)
        refused += bool(row.refused)
        lines.append(line_of(row))
        print(lines[-1].rstrip(), f" {time.monotonic() - begin:.0f} s", flush=True)
    if options.write:
        TABLE.write_text(HEAD + "".join(_merged(lines)) + _versions(), encoding="utf-8")
    return int(bool(refused))


def _merged(lines: Sequence[str]) -> list[str]:
    """New rows in place of the old ones of the same files."""
    old = TABLE.read_text(encoding="utf-8").splitlines(keepends=True) if TABLE.exists() else []
    rows = [line for line in old if line.startswith("| ") and ".onnx | " in line]
    found = {line.split(" | ")[0]: line for line in (*rows, *lines)}
    return [found[name] for name in sorted(found)]


def _versions() -> str:
    packages = ", ".join(sorted(REQUIREMENTS.values()))
    day = datetime.date.today().isoformat()
    return f"\nMeasured {day} with ONNX Runtime {onnxruntime.__version__}; packages: {packages}.\n"


if __name__ == "__main__":
    sys.exit(main())
