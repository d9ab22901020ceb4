"""Training for the target: a program as a torch module, and a program out of it again.

Needs the extra `xbarc[train]`. `prepare` makes a `TrainJob`; `distill` is the loss most start with.
"""

try:
    import torch as _torch  # noqa: F401  # the one thing that only this room needs
except ModuleNotFoundError as error:
    raise ImportError("training needs torch, which is not installed") from error

from xbarc.train.job import Checked, TrainJob, prepare
from xbarc.train.layer import ProgramLayer
from xbarc.train.loop import Course, Epoch, Trainer
from xbarc.train.losses import distill
from xbarc.train.regularisers import adc_energy, group_lasso, hoyer_balance, lossless_levels
from xbarc.train.samples import Samples, split_held_out

__all__ = [
    "Checked",
    "Course",
    "Epoch",
    "ProgramLayer",
    "Samples",
    "TrainJob",
    "Trainer",
    "adc_energy",
    "distill",
    "group_lasso",
    "hoyer_balance",
    "lossless_levels",
    "prepare",
    "split_held_out",
]
