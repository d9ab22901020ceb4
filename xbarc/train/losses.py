"""Losses and regularisers as plain functions."""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor, nn
from torch.nn import functional

from xbarc.errors import InputError
from xbarc.train.job import TrainJob


def distill(
    job: TrainJob | nn.Module,
    x: Any,
    labels: Tensor | None = None,
    *,
    share: float = 0.8,
    heat: float = 2.0,
) -> Tensor:
    """Cross entropy with the float network's answers, and with the labels where there are any.

    The network's first output is what counts; classes lie on its last axis.

    Args:
        job: the job, or what holds it as `module` and is called in its place, as
            `DistributedDataParallel` does; the float network is its teacher.
        x: input of the network, or a tuple of inputs.
        labels: class numbers of any integer type; axes: those of the answers but the last.
        share: weight of the teacher's part.
        heat: both answers are divided by it before their softmax (Hinton, Vinyals and Dean, 2015).

    Raises:
        InputError: the answers have no axis of classes, or one class.
    """
    inputs = x if isinstance(x, tuple) else (x,)
    answers = answers_of(job(*inputs))
    softened = functional.log_softmax(answers / heat, dim=-1)
    aim = functional.softmax(answers_of(_job_in(job).teach(*inputs)) / heat, dim=-1)
    taught = functional.kl_div(softened, aim, reduction="batchmean") * heat * heat
    if labels is None:
        return taught
    # numpy's own class numbers may be of a type that torch's loss refuses
    numbers = labels.flatten()
    numbers = numbers if numbers.is_floating_point() else numbers.long()
    return share * taught + (1 - share) * functional.cross_entropy(answers, numbers)


def _job_in(module: nn.Module) -> TrainJob:
    """The job, whatever holds it as `module`: its teacher is not what gradients are joined for."""
    while not hasattr(module, "teach"):
        module = cast("nn.Module", module.module)
    return cast("TrainJob", module)


def answers_of(outputs: Any) -> Tensor:
    """The first output as scores; axes: answer (sample, then what lies within one), class.

    Raises:
        InputError: there is no axis of classes, or one class.
    """
    first = outputs[0] if isinstance(outputs, tuple) else outputs
    if first.ndim < 2 or first.shape[-1] < 2:
        raise InputError(
            f"answers have shape {list(first.shape)}, expected [sample, ..., class] and two "
            "classes or more",
            where="distill",
            hint="train in a loop of your own with a loss for such answers: xbarc.train.prepare",
        )
    scores: Tensor = first.flatten(0, -2).float()
    return scores
