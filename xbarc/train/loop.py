"""The loop of `xbarc train`: epochs over arrays, resumable, of which the best is kept."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Any, NoReturn

import numpy as np
import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from xbarc.errors import InputError, MappingError, say_count
from xbarc.executor import check_data
from xbarc.ir import check_labels, program_text
from xbarc.options import Training
from xbarc.train.job import TrainJob
from xbarc.train.losses import answers_of, distill
from xbarc.train.regularisers import adc_energy, lossless_levels
from xbarc.train.samples import Samples, augment, check_augmentation

Progress = Callable[[str, int, int], None]
Loss = Callable[[TrainJob, tuple[dict[str, Tensor]], Tensor | None], Tensor]

# Learning rates rise over the first tenth of the steps and fall as a half cosine to nothing, so
# that cells between two levels come to rest. Our choice; other courses were not compared.
_WARM_UP = 0.1

# The first price of energy makes all conversions together cost this much of a loss that starts
# near 1; from then on an epoch raises or lowers it by how far its conversions are from the goal,
# at most this many times. Our choice, not tuned.
_FIRST_SHARE = 0.1
_FASTEST = 3.0  # as above

# A program that kept less of what it knew is of no use to anybody, however cheap. Far below what
# training with any sensible rate loses, and above the scatter of answers that are always the same.
_LOST = 0.1

# What a run that goes on may be given anew.
_MAY_CHANGE = ("hours", "validation", "cell_rate", "digital_rate")

# What the numbers in a file of state mean; 2: cells in units of the layer's least significant ones,
# 3: without what is not trained, such as `R`, which was most of the file.
_STATE = 3

# Samples of one step of validation; bounds memory, and nothing depends on it.
_VALIDATED_AT_ONCE = 250

# Cells that deviate are drawn once for so many samples at most: 2,000 samples at 250 a time see as
# many chips, fewer samples should not depend on one. Not tuned.
_CHIPS = 8


@dataclass(frozen=True)
class Epoch:
    """One pass over the data.

    Attributes:
        number: from 1; 0 is the program before training.
        loss: mean over the steps; None before training.
        score: of the validation samples: top-1 with labels, else agreement with the float network;
            where training draws cells that deviate, of such cells, the same draws in all epochs.
        seconds: of this epoch, validation included.
        levels: mean `2**bits` of a lossless conversion.
        lost: whether the answers are hardly better than one answer for all.
        misfit: why the target cannot hold its cells; empty where it can.
    """

    number: int
    loss: float | None
    score: float
    seconds: float
    levels: float
    lost: bool = False
    misfit: str = ""


@dataclass
class Course:
    """What training did.

    Attributes:
        measure: what `score` of an epoch is.
        teacher: the float network's score on the same samples.
        epochs: all of them, the program before training first.
        best: number of the epoch whose cells are kept.
        stopped: why it ended early; empty where all epochs were run.
        price: weight of the conversions' energy in the loss of the next epoch.
    """

    measure: str
    teacher: float
    epochs: list[Epoch] = field(default_factory=list)
    best: int = 0
    stopped: str = ""
    price: float = 0.0


class Trainer:
    """Trains a job on arrays.

    Args:
        job: what to train; its cells are the best epoch's in the end.
        data: samples to train on.
        validation: samples that choose the epoch.
        training: the options.
        checkpoint: a file that is written after each epoch and read at the start; None keeps none.
        loss: of a job, its inputs and their labels; a mean over the samples.
    """

    def __init__(
        self,
        job: TrainJob,
        data: Samples,
        validation: Samples,
        training: Training,
        checkpoint: Path | None = None,
        loss: Loss = distill,
    ) -> None:
        self.job, self.data, self.validation = job, data, validation
        self.training, self._loss = training, loss
        self.checkpoint = checkpoint
        self._device = next(job.parameters()).device
        groups = job.parameter_groups(training.cell_rate, training.digital_rate)
        # one pass over cells and their moments where the default makes a dozen
        self._optimizer = torch.optim.Adam(groups, fused=True)
        self._steps = max(1, len(data) // training.batch)
        total = max(1, training.epochs * self._steps)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer, lambda step: _rate(step, total)
        )
        self._best: dict[str, Tensor] = {}
        self._at_once = job.fixed_batch
        # here and not in each epoch, so that a name that nobody knows is refused before any work
        job.set_noise(training.noise)
        job.set_device(training.noise_device)
        self._deviates = bool(training.noise) or training.noise_device is not None
        measure = "top-1" if validation.labels is not None else "agreement with the float network"
        measure += " with deviating cells" if self._deviates else ""
        for samples, where in ((data, "training data"), (validation, "samples held out")):
            self._check_count(samples, where)
            self._check_inputs(samples, where)
            self._check_labels(samples, where)
        self._check_teacher()
        check_augmentation(data, training.augment)
        self._check_goal()
        self.course = Course(measure, self._score(self._teacher_answers))
        self._constant = self._score_constant()

    def _check_goal(self) -> None:
        """Refuse a goal that no cell can reach."""
        layers = self.job.layers.values()
        if self.training.prune_energy == 1 or any(layer.is_sized_from_cells for layer in layers):
            return
        policies = sorted({layer.step.adc.policy for layer in layers if layer.step.sense is None})
        fixed = f"converters of {', '.join(policies)}" if policies else "comparisons"
        raise MappingError(
            f"{fixed} cost the same whatever the cells become",
            where="--prune-energy",
            hint="--adc lossless, whose converters are sized from the cells; these cost less with "
            "fewer bits alone",
        )

    @torch.no_grad()
    def _check_teacher(self) -> None:
        """Refuse a teacher whose answers are others than the network has."""
        inputs, _ = self.data.take(np.arange(self._at_once or 1)).tensors(self._device)
        taught, own = answers_of(self.job.teach(inputs)), answers_of(self.job.eval()(inputs))
        if taught.shape != own.shape:
            raise InputError(
                f"the teacher answers with {list(taught.shape)} scores, the network with "
                f"{list(own.shape)}",
                where="teacher",
                hint="a network that tells the same classes apart",
            )

    def _check_inputs(self, samples: Samples, where: str) -> None:
        # further arrays are for a loss of one's own
        values = self.job.program.inputs
        known = {value.name for value in values}
        given = {name: array for name, array in samples.inputs.items() if name in known}
        check_data(values, given, where)

    def _check_count(self, samples: Samples, where: str) -> None:
        if not len(samples):
            raise InputError("no samples", where=where, hint="one at least")
        if self._at_once and (len(samples) % self._at_once or self.training.batch % self._at_once):
            raise InputError(
                f"{len(samples)} samples and steps of {self.training.batch}, and the model takes "
                f"{self._at_once} at a time",
                where=where,
                hint="a multiple of that, or a model whose first axis is open",
            )

    def _check_labels(self, samples: Samples, where: str) -> None:
        labels = samples.labels
        if labels is None:
            return
        few = samples.take(np.arange(self._at_once or 1))
        inputs, _ = replace(few, labels=None).tensors(self._device)
        answers = self.job.teach(inputs)
        answers_of(answers)  # says so where there are no classes
        expected, classes = (len(samples), *answers.shape[1:-1]), answers.shape[-1]
        check_labels(labels, expected, where, classes=classes)

    def run(self, progress: Progress | None = None) -> Course:
        """All epochs that are left; the job then holds the best one, whatever ended them.

        Called again, it goes on after the last whole epoch, with the cells of the best one where
        there is no `checkpoint`.

        Raises:
            MappingError: a loss is not a number.
            InputError: a value inside the network is not a number, or data do not fit it.
        """
        start = monotonic()
        if not self._resume() and not self.course.epochs:
            self._book(0, None, start)
        self.course.stopped = ""
        try:
            while self.course.epochs[-1].number < self.training.epochs:
                if self._is_over(start):
                    self.course.stopped = f"{self.training.hours:g} hours are over"
                    break
                self._epoch(self.course.epochs[-1].number + 1, progress)
        finally:
            self._restore(self._best)
        return self.course

    def _is_over(self, start: float) -> bool:
        hours = self.training.hours
        return hours is not None and monotonic() - start > hours * 3600

    def note(self) -> str:
        """What a program says of its training: all that it takes to train it again."""
        # a share that a file of its own replaces would mislead
        without = {"validation"} | ({"held_out"} if self.training.validation else set())
        options = self.training.model_dump(exclude_none=True, exclude=without)
        told = ", ".join(f"{name} {getattr(self.training, name)}" for name in options)
        before, after = (self.course.epochs[n].score for n in (0, self.course.best))
        digest = self.job.teacher_digest
        other = digest and digest != self.job.program.source.sha256
        taught = f"taught by SHA-256 {digest}; " if other else ""
        return (
            f"epoch {self.course.best} of {told}; {taught}{_say_samples(self.data)} trained, "
            f"{_say_samples(self.validation)} chose the epoch; torch {torch.__version__}, "
            f"{say_count(torch.get_num_threads(), 'thread')}; "
            f"validation {self.course.measure} {before:.4f} before, {after:.4f} after"
        )

    def _epoch(self, number: int, progress: Progress | None) -> None:
        start = monotonic()
        self.job.train()
        # order and noise follow from the epoch's number, so that a resumed run is the same run
        torch.manual_seed(self.training.train_seed * 1_000_003 + number)
        losses = []
        for step, batch in enumerate(self._batches(number)):
            losses.append(self._step(batch, number, step))
            if progress is not None:
                done = (number - 1) * self._steps + step + 1
                progress(f"epoch {number}", done, self.training.epochs * self._steps)
        if not all(torch.isfinite(p).all() for p in self._trained.values()):
            self._refuse("a cell, scale, bias or threshold is no number", f"after epoch {number}")
        self._book(number, float(np.mean(losses)), start)
        self._keep()

    def _batches(self, number: int) -> Iterator[Samples]:
        rng, how = np.random.default_rng((self.training.train_seed, number)), self.training.augment
        order = rng.permutation(len(self.data))
        size = min(self.training.batch, len(self.data))
        for start in range(0, self._steps * size, size):
            batch = self.data.take(np.sort(order[start : start + size]))
            yield batch if how is None else augment(batch, how, rng)

    def _step(self, batch: Samples, number: int, step: int) -> float:
        value = 0.0
        for part in self._runs(batch):
            inputs, labels = part.tensors(self._device)
            loss = self._loss(self.job, (inputs,), labels) * (len(part) / len(batch))
            loss.backward()  # type: ignore[no-untyped-call]
            value += float(loss.detach())
        terms = self.job.regulariser()
        if self.course.price:
            terms = terms + self.course.price * adc_energy(self.job)
        if terms.requires_grad:
            terms.backward()  # type: ignore[no-untyped-call]
        value += float(terms.detach())
        if not math.isfinite(value):
            self._refuse(f"the loss is {value}", f"in step {step + 1} of epoch {number}")
        self._optimizer.step()
        cell_rate = self._optimizer.param_groups[0]["lr"]
        self._schedule.step()
        self._optimizer.zero_grad()
        self.job.project(self.training.settle * cell_rate)
        return value

    def _refuse(self, what: str, when: str) -> NoReturn:
        raise MappingError(
            f"{what} {when}",
            where="training",
            hint="a smaller --cell-rate or --digital-rate; the job holds the best epoch so far",
        )

    def _runs(self, samples: Samples) -> Iterator[Samples]:
        """Samples as many at a time as the model takes, all at once where that is open."""
        size = self._at_once or len(samples)
        for start in range(0, len(samples), size):
            yield samples.take(np.arange(start, min(start + size, len(samples))))

    def _book(self, number: int, loss: float | None, start: float) -> None:
        """Measure an epoch, and keep its cells where none was better."""
        before = [self._rank(epoch) for epoch in self.course.epochs]
        score, levels = self._score(self._answers), lossless_levels(self.job)
        lost = bool(self.course.epochs) and self._is_lost(score)
        misfit = self.job.misfit()
        epoch = Epoch(number, loss, score, monotonic() - start, levels, lost, misfit)
        self.course.epochs.append(epoch)
        self._set_price(epoch)
        if not before or self._rank(epoch) > max(before):
            self.course.best = number
            self._best = {n: p.detach().clone() for n, p in self._trained.items()}

    def _is_lost(self, score: float) -> bool:
        """Whether nearly all is gone that the mapped program knew beyond one answer for all."""
        known = self.course.epochs[0].score - self._constant
        return known > 0 and score - self._constant < _LOST * known

    def _rank(self, epoch: Epoch) -> tuple[bool, bool, bool, float, float]:
        """What fits and is not lost, cheap enough, then by score; of the others, the cheapest."""
        wanted = (
            self.course.epochs[0].levels / self.training.prune_energy if self.course.epochs else 0
        )
        cheap = self.training.prune_energy == 1 or epoch.levels <= wanted
        return not epoch.misfit, not epoch.lost, cheap, 0.0 if cheap else -epoch.levels, epoch.score

    def _set_price(self, epoch: Epoch) -> None:
        """Raise the price of energy while conversions are too dear, lower it below the goal."""
        if self.training.prune_energy == 1:
            return
        wanted = self.course.epochs[0].levels / self.training.prune_energy
        price = self.course.price or _FIRST_SHARE / max(1.0, epoch.levels)
        excess = epoch.levels / max(1.0, wanted)
        self.course.price = price * min(_FASTEST, max(1 / _FASTEST, excess))

    @torch.no_grad()
    def _score(self, answers: Callable[[dict[str, Tensor]], Tensor]) -> float:
        right = count = 0
        # the same draws for all epochs, and none that the steps between them would miss
        with torch.random.fork_rng():
            torch.manual_seed(self.training.train_seed)
            for inputs, wanted in self._validated():
                right += int((answers(inputs) == wanted).sum())
                count += wanted.numel()
        return right / count

    @torch.no_grad()
    def _score_constant(self) -> float:
        """Score of the one answer that suits most of the validation samples."""
        wanted = torch.cat([labels for _, labels in self._validated()])
        counts = torch.unique(wanted, return_counts=True)[1]
        return float(counts.max()) / wanted.numel()

    def _validated(self) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        """Validation samples, some at a time, and what should be answered."""
        size = _VALIDATED_AT_ONCE
        if self._deviates:
            size = min(size, math.ceil(len(self.validation) / _CHIPS))
        size = self._at_once or size
        for start in range(0, len(self.validation), size):
            index = np.arange(start, min(start + size, len(self.validation)))
            inputs, labels = self.validation.take(index).tensors(self._device)
            yield inputs, self._teacher_answers(inputs) if labels is None else labels.flatten()

    def _answers(self, inputs: dict[str, Tensor]) -> Tensor:
        # cells deviate in `train` alone: the epoch that stands noise is not the best without it
        self.job.train(self._deviates)
        answers: Tensor = answers_of(self.job(inputs)).argmax(-1)
        return answers

    def _teacher_answers(self, inputs: dict[str, Tensor]) -> Tensor:
        return answers_of(self.job.teach(inputs)).argmax(-1)

    @torch.no_grad()
    def _restore(self, state: Mapping[str, Tensor]) -> None:
        for name, tensor in state.items():
            self._trained[name].copy_(tensor)

    @property
    def _trained(self) -> dict[str, torch.nn.Parameter]:
        """What training changes, by name."""
        return {n: p for n, p in self.job.named_parameters() if p.requires_grad}

    # between runs

    def _keep(self) -> None:
        """Write cells, the best cells and the optimiser's state; whole or not at all."""
        if self.checkpoint is None:
            return
        tensors = {f"now/{n}": p.detach() for n, p in self._trained.items()}
        tensors |= {f"best/{n}": t for n, t in self._best.items()}
        state = self._optimizer.state_dict()["state"]
        for number, parts in state.items():
            tensors |= {f"adam/{number}/{key}": part for key, part in parts.items()}
        about = {
            "run": self._run_text,
            "course": json.dumps(asdict(self.course)),
        }
        made = {n: t.detach().cpu().clone().contiguous() for n, t in tensors.items()}
        part = self.checkpoint.with_name(self.checkpoint.name + ".partial")
        try:
            save_file(made, part, about)
            part.replace(self.checkpoint)
        except (OSError, SafetensorError) as error:
            raise InputError(
                f"the state of training cannot be written: {error}",
                where=str(self.checkpoint),
                hint="choose another -o",
            ) from error

    @cached_property
    def _run_text(self) -> str:
        """What has to be the same for a run to go on where it stopped."""
        # rates may change: after a loss that is no number, training goes on with smaller ones
        options = self.training.model_dump(exclude={*_MAY_CHANGE, "noise_device"})
        device = self.training.noise_device
        options["noise_device"] = getattr(device, "name", device)
        program = hashlib.sha256(program_text(self.job.program).encode()).hexdigest()
        digests = [program, self.job.teacher_digest, self.data.digest, self.validation.digest]
        about = [_STATE, self.job.program.source.sha256, digests, options]
        return json.dumps(about, sort_keys=True)

    def _resume(self) -> bool:
        """Go on where a run with the same settings stopped; says whether there was one.

        Raises:
            InputError: the file is damaged, or of a run with other settings.
        """
        if self.checkpoint is None or not self.checkpoint.exists():
            return False
        where = str(self.checkpoint)
        again = "delete the file to start anew, or train with the settings it was made with"
        try:
            with safe_open(self.checkpoint, "pt") as file:
                about = file.metadata() or {}
                if about.get("run") != self._run_text:
                    raise InputError(
                        "it keeps the state of a run with other settings, data or network",
                        where=where,
                        hint=again,
                    )
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            self._take(about, tensors)
        except (SafetensorError, KeyError, ValueError, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"no state of a training run: {reason}", where=where, hint=again
            ) from error
        return True

    def _take(self, about: Mapping[str, str], tensors: Mapping[str, Tensor]) -> None:
        """Take a state whole, or not at all.

        Raises:
            KeyError, ValueError: it is not what `_keep` writes.
        """
        course = TypeAdapter(Course).validate_json(about["course"])
        numbers = [epoch.number for epoch in course.epochs]
        if numbers != list(range(len(numbers))) or course.best not in numbers:
            raise ValueError("its epochs are not those of a run")
        self._check_tensors(tensors)
        self.course = course
        self._restore(_below("now/", tensors))
        self._best = {n: t.to(self._device) for n, t in _below("best/", tensors).items()}
        state: dict[int, dict[str, Any]] = {}
        for name, tensor in _below("adam/", tensors).items():
            number, key = name.split("/")
            state.setdefault(int(number), {})[key] = tensor
        whole = self._optimizer.state_dict()
        self._optimizer.load_state_dict({**whole, "state": state})
        steps = self._steps * numbers[-1]
        for group, base in zip(self._optimizer.param_groups, self._schedule.base_lrs, strict=True):
            total = max(1, self.training.epochs * self._steps)
            group["lr"] = base * _rate(steps, total)
        self._schedule.last_epoch = steps

    def _check_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Refuse tensors of other names or shapes than `_keep` writes, or that are no numbers."""
        shapes = {
            f"{part}/{n}": p.shape for part in ("now", "best") for n, p in self._trained.items()
        }
        missing = shapes.keys() - tensors.keys()
        moved = (p for group in self._optimizer.param_groups for p in group["params"])
        for number, parameter in enumerate(moved):
            for key, shape in (("exp_avg", parameter.shape), ("exp_avg_sq", parameter.shape)):
                shapes[f"adam/{number}/{key}"] = shape
            shapes[f"adam/{number}/step"] = torch.Size()
        wrong = [
            name
            for name, tensor in tensors.items()
            if shapes.get(name) != tensor.shape or not torch.isfinite(tensor).all()
        ]
        if missing or wrong:
            raise ValueError(f"'{min([*missing, *wrong])}' is not what such a file holds")


def _rate(step: int, total: int) -> float:
    """The learning rate's share of its largest value."""
    warm = max(1, round(_WARM_UP * total))
    if step < warm:
        return (step + 1) / warm
    done = (step - warm) / max(1, total - warm)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def _say_samples(samples: Samples) -> str:
    # 12 digits are 48 bits: other data do not have the same by chance.
    return f"{say_count(len(samples), 'sample')} (sha256 {samples.digest[:12]})"


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
