"""Losses and regularisers as plain functions."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional

from xbarc.train.job import TrainJob


def distill(
    job: TrainJob, x: Any, labels: Tensor | None = None, *, share: float = 0.8, heat: float = 2.0
) -> Tensor:
    """Cross entropy with the float network's answers, and with the labels where there are any.

    Args:
        job: the job; the float network is its teacher.
        x: input of the network, or a tuple of inputs.
        labels: class numbers; axis: sample.
        share: weight of the teacher's part.
        heat: both answers are divided by it before their softmax (Hinton, Vinyals and Dean, 2015).
    """
    inputs = x if isinstance(x, tuple) else (x,)
    answers = job(*inputs)
    softened = functional.log_softmax(answers / heat, dim=-1)
    aim = functional.softmax(job.teach(*inputs) / heat, dim=-1)
    taught = functional.kl_div(softened, aim, reduction="batchmean") * heat * heat
    if labels is None:
        return taught
    return share * taught + (1 - share) * functional.cross_entropy(answers, labels)
