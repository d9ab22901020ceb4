"""What training for a target gives back: one JSON line a trained program.

    python benchmarks/training.py TABLE ... --log FILE [--cases C ...] [--nets NET ...]
        [--seeds 0 1] [--train N] [--epochs N] [--batch N] [--cell-rate R] [--digital-rate R]
        [--settle R] [--alone] [--augment A] [--images 10000]
    python benchmarks/training.py --table LOG [--markdown FILE]

`training_cases.py` holds the tables; the options take some of a table's rows, or train them
otherwise. What the log holds already is not run again, so a run that was killed goes on.

Fashion-MNIST: trained on images that the nets were trained on; 2,000 others choose the epoch. HAPT:
the people that `activity.py` names. Accuracy is that of the test samples, measured once. A seed
draws the samples to train on, those that choose ranges and converters, the order, and the noise.
The float network is the teacher; a fifth of the loss comes from labels. `models/fetch.py` fetches
the data.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import xbarc
import xbarc.train as xt
from benchmarks import activity, fashion_nets  # the repository's root has to be found first
from benchmarks.training_cases import CASES, TABLES, Case, Plan
from tests.models.places import (
    CACHE,
    MODELS,
    fashion_held_out,
    fashion_labelled,
    fashion_test,
)
from xbarc.api import CompiledProgram
from xbarc.circuit import Chip, Effects
from xbarc.executor import Executor
from xbarc.frontend import runnable_model
from xbarc.ir import Program
from xbarc.numerics import AnyArray
from xbarc.options import Training, parse_augmentation
from xbarc.runtime import OnnxSession

VALIDATED = 2_000
CHECKED = 256
_AT_ONCE = 500
_HEADS = (
    *("case", "net", "float", "lossless", "mapped", "trained", "lost to float", "under lossless"),
    *("trained on", "by", "epochs", "step", "rates", "seeds", "CPU s"),
)


# How a program was trained, as a plan asks and a row tells.
_WAY = ("epochs", "batch", "cell_rate", "digital_rate", "settle", "alone", "augment")


def _way_of(asked: Plan | Row) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in _WAY}


@dataclass(frozen=True)
class Row:
    """One trained program; accuracies in per cent of the test samples.

    Attributes:
        lossless: the same mapping behind lossless converters, layers with ranges of their own, not
            trained; of a split binary network the unsplit one.
        mapped: not trained.
        noisy: by the cells' spread, mean and worst of the chips, mapped and trained.
        widths: by the rule that sizes lossless converters, mean bits and mean `2**bits` of a
            reading, mapped and trained.
        seconds: CPU seconds of training, validation included.
        settle: held cells at their levels, as the option of this name.
        alone: whether the teacher alone taught, without labels.
        augment: how samples changed at random; empty where they did not.
        best: the epoch that was kept; 0 is the mapped program.
        validation: score of the mapped program and of the best epoch, per cent.
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
    seconds: float
    cell_rate: float = 0.05
    digital_rate: float = 0.1
    settle: float = 0.0
    alone: bool = False
    augment: str = ""
    best: int = -1
    validation: tuple[float, float] = (0.0, 0.0)
    noisy: dict[str, list[float]] = field(default_factory=dict)
    widths: dict[str, list[float]] = field(default_factory=dict)

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells one run from another."""
        return (self.case, self.net, self.seed, self.train, *_way_of(self).values())


@dataclass(frozen=True)
class Data:
    """Samples of a network: its input's name, and labels.

    Attributes:
        taught: so many to train on, drawn with a seed.
        held_out: those that choose the epoch.
        test: all there are.
    """

    taught: Callable[[int, int], dict[str, AnyArray]]
    held_out: dict[str, AnyArray]
    test: dict[str, AnyArray]


@cache
def data_of(net: str) -> Data:
    """The data that a network is for."""
    if net in activity.NETS:
        taught = lambda count, seed: activity.windows("train", count, seed)  # noqa: E731
        return Data(taught, activity.windows("validation"), activity.windows("test"))
    return Data(fashion_labelled, fashion_held_out(VALIDATED), fashion_test())


def float_model(net: str) -> Path:
    """The network's file; nets that do not ship are trained where there is none."""
    if net in activity.NETS:
        return activity.network(net)
    own = net in fashion_nets.NETS
    return fashion_nets.network(net) if own else MODELS / f"{net}.onnx"


def model_of(net: str, case: Case, seed: int) -> Path:
    """The network's file; with weights drawn anew where training starts from scratch."""
    path = float_model(net)
    if not case.from_scratch:
        return path
    made = CACHE.parent / "trained" / f"{net}-untrained-{seed}.onnx"
    made.parent.mkdir(parents=True, exist_ok=True)
    model, rng = onnx.load(str(path)), np.random.default_rng(seed)
    for tensor in model.graph.initializer:
        old = numpy_helper.to_array(tensor)
        if old.dtype == np.float32:
            tensor.CopyFrom(numpy_helper.from_array(_draw_anew(old, rng), tensor.name))
    onnx.save(model, str(made))
    return made


def _draw_anew(old: AnyArray, rng: np.random.Generator) -> AnyArray:
    """Normal weights of the power that He et al. (2015) give them; vectors become zero."""
    if old.ndim < 2:
        return np.zeros_like(old)
    fan_in = old[0].size
    drawn: AnyArray = rng.normal(0, np.sqrt(2 / fan_in), old.shape).astype(np.float32)
    return drawn


@dataclass(frozen=True)
class Run:
    """One row to be made."""

    case: str
    net: str
    seed: int
    plan: Plan
    images: int

    def key(self, data: Data) -> tuple[Any, ...]:
        """As that of the row it makes."""
        count = len(self._taught(data)["labels"])
        return (self.case, self.net, self.seed, count, *_way_of(self.plan).values())

    def training(self, data: Data) -> Row:
        """Compile, train and test one program."""
        case, plan, net = CASES[self.case], self.plan, self.net
        test = {name: array[: self.images] for name, array in data.test.items()}
        job, known = self._prepare(case, data)
        torch.manual_seed(self.seed)
        start = time.process_time()
        course = self._train(job, case, data)
        seconds = time.process_time() - start
        trained, mapped = job.finish().program, job.program
        if not job.check(test[_name(test)][:CHECKED]):
            raise SystemExit(f"{self.case} {net}: torch and the program differ")
        reference = self._score_lossless(case, mapped, known, test)
        before = reference if case.is_lossless and not _senses(mapped) else _score(mapped, test)
        scores = [100 * course.epochs[number].score for number in (0, course.best)]
        return Row(
            *(self.case, net, self.seed, len(self._taught(data)["labels"])),
            images=len(test["labels"]),
            float_top1=float_top1(net, self.images),
            lossless=reference,
            mapped=before,
            trained=_score(trained, test),
            seconds=round(seconds, 1),
            **_way_of(plan),
            best=course.best,
            validation=(scores[0], scores[1]),
            noisy={str(s): _noisy(case, s, (mapped, trained), test) for s in case.spreads},
            widths=_widths(mapped, trained) if case.counts_widths else {},
        )

    def _taught(self, data: Data) -> dict[str, AnyArray]:
        return data.taught(self.plan.train, self.seed)

    def _prepare(self, case: Case, data: Data) -> tuple[xt.TrainJob, dict[str, AnyArray] | None]:
        known = data.taught(case.calibration, self.seed) if case.calibration else None
        if known is not None:
            del known["labels"]
        model = model_of(self.net, case, self.seed)
        job = xt.prepare(model, case.load_target(), calibration=known, **case.compiling)
        for layer in job.layers.values():
            if case.masked:
                kept = (layer.cells.detach() > 0).float()
                layer.cells.register_hook(lambda grad, kept=kept: grad * kept)
        if case.balanced:
            job.regularise(xt.hoyer_balance, case.balanced)
        return job, known

    def _train(self, job: xt.TrainJob, case: Case, data: Data) -> xt.Course:
        plan = self.plan
        way = _way_of(plan) | {"augment": parse_augmentation(plan.augment)}
        del way["alone"]
        taught = _samples(self._taught(data))
        trainer = xt.Trainer(
            job,
            replace(taught, labels=None) if plan.alone else taught,
            _samples(data.held_out),
            Training(train_seed=self.seed, **way, **case.training),
            loss=_labels_alone if case.from_scratch else xt.distill,
        )
        course = trainer.run()
        scores = ", ".join(f"{100 * epoch.score:.2f}" for epoch in course.epochs)
        losses = ", ".join(f"{epoch.loss:.4f}" for epoch in course.epochs if epoch.loss is not None)
        told = f"{self.case} {self.net} {self.seed}: validation {scores}; loss {losses}"
        print(told, file=sys.stderr, flush=True)
        return course

    def _score_lossless(
        self,
        case: Case,
        mapped: Program,
        known: dict[str, AnyArray] | None,
        test: dict[str, AnyArray],
    ) -> float:
        if _senses(mapped):
            return float_top1(self.net, self.images)
        if case.is_lossless:
            return _score(mapped, test)
        plain, model = case.reference, model_of(self.net, case, self.seed)
        made = xbarc.compile(model, plain.load_target(), calibration=known, **plain.compiling)
        return _score(made.program, test)


def _labels_alone(job: xt.TrainJob, inputs: Any, labels: Any) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(job(*inputs), labels)


def _name(arrays: dict[str, AnyArray]) -> str:
    return next(name for name in arrays if name != "labels")


def _samples(arrays: dict[str, AnyArray]) -> xt.Samples:
    name = _name(arrays)
    return xt.Samples({name: arrays[name]}, arrays["labels"])


def _senses(program: Program) -> bool:
    return any(step.sense is not None for step in program.crossbar_steps)


@cache
def float_top1(net: str, images: int) -> float:
    """Accuracy of the network as it was trained, in ONNX Runtime."""
    path = float_model(net)
    test = {name: array[:images] for name, array in data_of(net).test.items()}
    session = OnnxSession(runnable_model(path), where=net)
    return _top1(lambda x: session.run({_name(test): x})[0], test)


def _score(program: Program, test: dict[str, AnyArray]) -> float:
    executor, name = Executor(program), _name(test)
    return _top1(lambda x: executor.run({name: x})[0], test)


def _top1(answers: Callable[[AnyArray], AnyArray], test: dict[str, AnyArray]) -> float:
    right, name = 0, _name(test)
    for start in range(0, len(test["labels"]), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        right += int((answers(test[name][part]).argmax(1) == test["labels"][part]).sum())
    return 100 * right / len(test["labels"])


def _noisy(
    case: Case, spread: float, programs: Sequence[Program], test: dict[str, AnyArray]
) -> list[float]:
    """Mean and worst of the chips of each program; zeros for one that knows nothing yet."""
    name, found = _name(test), []
    for number, program in enumerate(programs):
        if case.from_scratch and not number:
            found += [0.0, 0.0]
            continue
        deviating = replace(program, target=case.load_target(spread))
        scores = []
        for chip in range(case.chips):
            effects = Effects(frozenset({"variation"}), sample=chip)
            executor = Executor(deviating, chip=Chip(deviating, effects))
            scores.append(_top1(lambda x, made=executor: made.run({name: x})[0], test))
        found += [float(np.mean(scores)), min(scores)]
    return found


def _widths(*programs: Program) -> dict[str, list[float]]:
    """Of each rule, mean bits and mean `2**bits` of each program."""
    found: dict[str, list[float]] = {}
    for program in programs:
        for row in CompiledProgram(program).report().converters:
            if row.layer == "all layers":
                found.setdefault(row.rule, []).extend((row.mean_bits, row.mean_levels))
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run what the log lacks, or print its table."""
    options = _parser().parse_args(arguments)
    if options.table is not None:
        table = markdown(read_log(options.table))
        if options.markdown is not None:
            options.markdown.write_text(table, encoding="utf-8")
        print(table, end="")
        return 0
    torch.set_num_threads(1)
    made = {row.key for row in read_log(options.log)}
    for run in planned(options):
        data = data_of(run.net)
        if run.key(data) in made:
            continue
        line = json.dumps(asdict(run.training(data)))
        print(line, flush=True)
        if options.log is not None:
            with options.log.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="What training for a target gives back.")
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(TABLES))
    parser.add_argument("--cases", nargs="+", choices=sorted(CASES))
    parser.add_argument("--nets", nargs="+")
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--train", type=int, help="samples to train on, at most")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--cell-rate", type=float)
    parser.add_argument("--digital-rate", type=float)
    parser.add_argument("--settle", type=float)
    parser.add_argument("--alone", action="store_true", default=None, help="no labels")
    parser.add_argument("--augment", help="how samples change: flip,shift:N,cutmix")
    parser.add_argument("--images", type=int, default=10_000, help="test samples, at most")
    parser.add_argument("--log", type=Path, help="JSON lines; what it holds is not run again")
    parser.add_argument("--table", type=Path, metavar="LOG", help="print the table of a log")
    parser.add_argument("--markdown", type=Path, help="write the table there too")
    return parser


def planned(options: argparse.Namespace) -> Iterator[Run]:
    """Rows of the tables named, or of the cases alone, as the options change them."""
    plans = [plan for name in options.tables for plan in TABLES[name]]
    if not plans:
        plans = [Plan(tuple(options.cases), tuple(options.nets or ("fashion-mlp",)))]
    fields = ("train", *_WAY)
    changed = {n: getattr(options, n) for n in fields if getattr(options, n) is not None}
    for plan in plans:
        for net in plan.nets:
            for case in plan.cases:
                if options.nets and net not in options.nets:
                    continue
                if options.cases and case not in options.cases:
                    continue
                for seed in options.seeds or range(plan.seeds):
                    yield Run(case, net, seed, replace(plan, **changed), options.images)


def read_log(log: Path | None) -> list[Row]:
    """Rows of a log; none where there is no file."""
    if log is None or not log.exists():
        return []
    lines = log.read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    return [Row(**{**row, "validation": tuple(row["validation"])}) for row in found]


def markdown(rows: Sequence[Row]) -> str:
    """A line a case, net and length of training: means over seeds, and their spread."""
    lines = [f"| {' | '.join(_HEADS)} |", f"|---|---|{'--:|' * (len(_HEADS) - 2)}"]

    def key(row: Row) -> tuple[Any, ...]:
        case, net, _, *rest = row.key
        return (list(CASES).index(case), net, *rest)

    for _, group in groupby(sorted(rows, key=key), key=key):
        lines.append(_line(list(group)))
    return "\n".join(lines) + "\n"


def _line(rows: list[Row]) -> str:
    one = rows[0]
    names = ("float_top1", "lossless", "mapped", "trained")
    means = [float(np.mean([getattr(row, name) for row in rows])) for name in names]
    shown = [f"{mean:.2f}" for mean in means]
    if CASES[one.case].from_scratch:
        shown[1:3] = "", ""  # a program of random weights is no measure
    numbers = " | ".join(shown)
    lost = [row.float_top1 - row.trained for row in rows]
    under = [row.lossless - row.trained for row in rows]
    below = "" if CASES[one.case].from_scratch else f"{np.mean(under):.2f}{_range(under)}"
    return (
        f"| {CASES[one.case].title}{_extras(rows)} | {one.net} | {numbers} "
        f"| {np.mean(lost):.2f}{_range(lost)} | {below} "
        f"| {one.train:,} | {_means(one)} | {one.epochs} | {one.batch} "
        f"| {one.cell_rate:g}, {one.digital_rate:g} "
        f"| {len(rows)} | {np.mean([row.seconds for row in rows]):.0f} |"
    )


def _means(row: Row) -> str:
    """What else was done in training."""
    settled = f"settle {row.settle:g}" if row.settle else ""
    return ", ".join(filter(None, (settled, "no labels" if row.alone else "", row.augment)))


def _range(values: list[float]) -> str:
    return f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""


def _extras(rows: list[Row]) -> str:
    """What only some cases have: chips whose cells deviate, and widths of converters."""
    said = ""
    for spread in rows[0].noisy:
        found = np.array([row.noisy[spread] for row in rows])
        (before, _, after, _), (_, worst, _, least) = found.mean(0), found.min(0)
        case = CASES[rows[0].case]
        said += f"; {case.chips} chips at {100 * float(spread):.0f} %: "
        if not case.from_scratch:
            said += f"mapped {before:.2f}, worst {worst:.2f}; "
        said += f"trained {after:.2f}, worst {least:.2f}"
    for rule in rows[0].widths if CASES[rows[0].case].counts_widths else ():
        bits, levels, less_bits, less_levels = np.mean([row.widths[rule] for row in rows], axis=0)
        said += f"; {rule}: b {bits:.2f} to {less_bits:.2f}, 2**b {levels:.1f} to {less_levels:.1f}"
    return said


if __name__ == "__main__":
    sys.exit(main())
