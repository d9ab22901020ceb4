"""What training for a target gives back, on Fashion-MNIST: one JSON line a trained program.

    python benchmarks/training.py [--cases C ...] [--nets NET ...] [--seeds 0 1 2] [--train 55000]
        [--epochs 5] [--batch N] [--images 10000] [--log FILE]
    python benchmarks/training.py --table LOG [--markdown FILE]

With `--log` lines are added to a file, and what it holds already is not run again. Training takes
`--train` of the 55,000 images that the nets were trained on; 2,000 of the other 5,000 choose the
epoch; accuracy is that of the test images, measured once. A seed draws the images to train on, the
256 that choose ranges and converters, the order, and the noise. The float network is the
teacher; a fifth of the loss comes from labels. `models/fetch.py` fetches the data.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby, product
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import xbarc
import xbarc.train as xt
from tests.models.places import (  # the repository's root has to be found first
    MODELS,
    fashion_held_out,
    fashion_labelled,
    fashion_test,
    fashion_training,
)
from xbarc.circuit import Chip, Effects
from xbarc.executor import Executor
from xbarc.ir import Program
from xbarc.numerics import AnyArray
from xbarc.options import Training
from xbarc.target import Target, load_target

VALIDATED = 2_000
CALIBRATED = 256
CHIPS = 20
_AT_ONCE = 500
_HEADS = (
    *("case", "net", "float", "lossless", "mapped", "trained", "under lossless"),
    *("images", "epochs", "step", "seeds", "CPU s"),
)


@dataclass(frozen=True)
class Case:
    """One question.

    Attributes:
        title: what the table calls it.
        compiling: options of compiling.
        cell_bits: of the target's cells; 0 leaves them as they are.
        training: options of training beside the command line's.
        spread: by what share of their range cells of the tested chips deviate.
    """

    title: str
    compiling: dict[str, Any]
    cell_bits: int = 0
    training: dict[str, Any] = field(default_factory=dict)
    spread: float = 0.0

    def target(self) -> Target:
        """Cells of other widths have as many levels, equally spaced."""
        settings = []
        if self.cell_bits:
            levels = np.linspace(1.0, 2.0, 1 << self.cell_bits).tolist()
            settings = [f"cell.bits={self.cell_bits}", f"cell.conductance={levels}"]
        if self.spread:
            settings += [f"cell.variation.sigma.value={self.spread}"]
        return load_target("rram128", settings)


def _cases() -> dict[str, Case]:
    few: dict[str, Any] = {"weight_slices": 1, "activation_bits": 4}
    one: dict[str, Any] = {"weight_slices": 1}
    made = {
        "converters": Case(
            "2-bit converters, 4-bit inputs, a 2-bit cell a sign", few | {"adc": "calibrated:2"}
        ),
        "converters-1": Case(
            "1-bit converters, 4-bit inputs, a 2-bit cell a sign", few | {"adc": "calibrated:1"}
        ),
        "converters-8": Case(
            "2-bit converters, 8-bit inputs, four cells a sign", {"adc": "calibrated:2"}
        ),
        "energy": Case(
            "lossless converters 5 times cheaper by 2**b", {}, training={"prune_energy": 5.0}
        ),
    }
    for bits, encoding in product((1, 2, 3, 5), ("differential", "acm", "unipolar", "bias-column")):
        made[f"{encoding}-{bits}"] = Case(
            f"{bits}-bit cells, {encoding}", one | {"encoding": encoding}, bits
        )
    for bits, spread in product((2, 4), (0.05, 0.1)):
        made[f"noise-{bits}-{100 * spread:.0f}"] = Case(
            f"{bits}-bit cells that deviate by {100 * spread:.0f} % of their range",
            one,
            bits,
            {"noise": spread},
            spread,
        )
    return made


CASES = _cases()


@dataclass(frozen=True)
class Row:
    """One trained program; accuracies in per cent of the test images.

    Attributes:
        lossless: the same mapping behind lossless converters, not trained.
        mapped: not trained.
        worst_mapped, worst: the worst of the chips; None where none deviate.
        levels: mean `2**bits` of a lossless conversion, before and after.
        seconds: CPU seconds of training, validation included.
    """

    case: str
    net: str
    seed: int
    train: int
    epochs: int
    batch: int
    images: int
    float_top1: float
    lossless: float
    mapped: float
    trained: float
    worst_mapped: float | None
    worst: float | None
    levels: tuple[float, float]
    seconds: float


def measure(case: str, net: str, seed: int, options: argparse.Namespace) -> Row:
    """Compile, train and test one program."""
    asked = CASES[case]
    known = fashion_training(CALIBRATED, seed)
    test = {name: array[: options.images] for name, array in fashion_test().items()}
    model, target = MODELS / f"{net}.onnx", asked.target()
    plain = {**asked.compiling, "adc": "lossless"}
    lossless = xbarc.compile(model, target, calibration=known, **plain).program
    job = xt.prepare(model, target, calibration=known, **asked.compiling)
    torch.manual_seed(seed)
    given = {"epochs": options.epochs, "batch": options.batch, "train_seed": seed}
    start = time.process_time()
    trainer = xt.Trainer(
        job,
        _samples(fashion_labelled(options.train, seed)),
        _samples(fashion_held_out(VALIDATED)),
        Training(**given, **asked.training),
    )
    course = trainer.run(lambda name, done, total: _tell(case, net, name, done, total))
    seconds = time.process_time() - start
    trained, mapped = job.finish().program, job.program
    if not job.check(test["image"][:_AT_ONCE]):
        raise SystemExit(f"{case} {net}: torch and the program differ")
    scores = [_chips(program, test, asked.spread) for program in (mapped, trained)]
    first, last = course.epochs[0].levels, course.epochs[course.best].levels
    means, worst = [float(np.mean(found)) for found in scores], [min(found) for found in scores]
    return Row(
        case,
        net,
        seed,
        options.train,
        options.epochs,
        options.batch,
        len(test["labels"]),
        float_top1=_top1(lambda x: job.teach(torch.from_numpy(x)).numpy(), test),
        lossless=_program_top1(Executor(lossless), test),
        mapped=means[0],
        trained=means[1],
        worst_mapped=worst[0] if asked.spread else None,
        worst=worst[1] if asked.spread else None,
        levels=(first, last),
        seconds=round(seconds, 1),
    )


def _samples(arrays: dict[str, AnyArray]) -> xt.Samples:
    return xt.Samples({"image": arrays["image"]}, arrays["labels"])


def _tell(case: str, net: str, name: str, done: int, total: int) -> None:
    if done % 50 == 0:
        print(f"{case} {net} {name}: step {done} of {total}", file=sys.stderr, flush=True)


def _chips(program: Program, test: dict[str, AnyArray], spread: float) -> list[float]:
    """Accuracy of each chip; of the program as it is where none deviate."""
    if not spread:
        return [_program_top1(Executor(program), test)]
    return [
        _program_top1(
            Executor(program, chip=Chip(program, Effects(frozenset({"variation"}), sample=chip))),
            test,
        )
        for chip in range(CHIPS)
    ]


def _program_top1(executor: Executor, test: dict[str, AnyArray]) -> float:
    return _top1(lambda x: executor.run({"image": x})[0], test)


def _top1(answers: Any, test: dict[str, AnyArray]) -> float:
    right = 0
    for start in range(0, len(test["labels"]), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        right += int((answers(test["image"][part]).argmax(1) == test["labels"][part]).sum())
    return 100 * right / len(test["labels"])


def main(arguments: list[str] | None = None) -> int:
    """Run what the log lacks, or print its table."""
    parser = argparse.ArgumentParser(description="What training for a target gives back.")
    parser.add_argument("--cases", nargs="+", default=["converters"], choices=sorted(CASES))
    parser.add_argument("--nets", nargs="+", default=["fashion-mlp"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--train", type=int, default=55_000, help="images to train on, at most")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--images", type=int, default=10_000, help="test images, at most")
    parser.add_argument("--log", type=Path, help="JSON lines; what it holds is not run again")
    parser.add_argument("--table", type=Path, metavar="LOG", help="print the table of a log")
    parser.add_argument("--markdown", type=Path, help="write the table there too")
    options = parser.parse_args(arguments)
    if options.table is not None:
        table = markdown(_read(options.table))
        if options.markdown is not None:
            options.markdown.write_text(table, encoding="utf-8")
        print(table, end="")
        return 0
    torch.set_num_threads(1)
    rows = [] if options.log is None or not options.log.exists() else _read(options.log)
    run = {(r.case, r.net, r.seed, r.train, r.epochs, r.batch) for r in rows}
    for case, net, seed in product(options.cases, options.nets, options.seeds):
        if (case, net, seed, options.train, options.epochs, options.batch) in run:
            continue
        line = json.dumps(asdict(measure(case, net, seed, options)))
        print(line, flush=True)
        if options.log is not None:
            with options.log.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
    return 0


def _read(log: Path) -> list[Row]:
    lines = log.read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    return [Row(**{**row, "levels": tuple(row["levels"])}) for row in found]


def markdown(rows: Sequence[Row]) -> str:
    """A line a case, net and length of training: means over seeds, and their spread."""
    lines = [
        f"| {' | '.join(_HEADS)} |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]

    def key(row: Row) -> tuple[Any, ...]:
        return (list(CASES).index(row.case), row.net, row.train, row.epochs, row.batch)

    for _, group in groupby(sorted(rows, key=key), key=key):
        lines.append(_line(list(group)))
    return "\n".join(lines) + "\n"


def _line(rows: list[Row]) -> str:
    one = rows[0]
    means = [
        float(np.mean([getattr(row, name) for row in rows]))
        for name in ("float_top1", "lossless", "mapped", "trained")
    ]
    under = [row.lossless - row.trained for row in rows]
    spread = f" ({min(under):.2f} to {max(under):.2f})" if len(rows) > 1 else ""
    numbers = " | ".join(f"{mean:.2f}" for mean in means)
    return (
        f"| {CASES[one.case].title}{_extras(rows)} | {one.net} | {numbers} "
        f"| {np.mean(under):.2f}{spread} | {one.train:,} | {one.epochs} | {one.batch} "
        f"| {len(rows)} | {np.mean([row.seconds for row in rows]):.0f} |"
    )


def _extras(rows: list[Row]) -> str:
    """What only some cases have: worst chips, and levels of a conversion."""
    said = ""
    if rows[0].worst is not None:
        worst = [min(getattr(row, name) for row in rows) for name in ("worst_mapped", "worst")]
        said += f"; worst of {CHIPS} chips {worst[0]:.2f} mapped, {worst[1]:.2f} trained"
    if "prune_energy" in CASES[rows[0].case].training:
        levels = np.mean([row.levels for row in rows], axis=0)
        said += f"; mean 2**b {levels[0]:.1f} before, {levels[1]:.1f} after"
    return said


if __name__ == "__main__":
    sys.exit(main())
