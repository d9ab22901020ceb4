"""Jobs and networks that several files of tests train."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import xbarc.train as xt
from tests.frontend.onnx_models import model_file


def disturb(job: xt.TrainJob, share: float = 0.5) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        for layer in job.layers.values():
            for parameter in layer.parameters():
                if parameter.requires_grad:
                    parameter.add_(share * parameter.abs().mean() * torch.randn_like(parameter))
    job.project()


def small_mlp(folder: Path, count: int = 60) -> tuple[Path, xt.Samples]:
    rng = np.random.default_rng(0)
    path = model_file(
        folder,
        """net (float[N, 8] x) => (float[N, 3] y) {
        h = MatMul (x, w) r = Relu (h) y = MatMul (r, v) }""",
        w=rng.normal(size=(8, 12)).astype(np.float32),
        v=rng.normal(size=(12, 3)).astype(np.float32),
    )
    x = rng.normal(size=(count, 8)).astype(np.float32)
    return path, xt.Samples({"x": x}, None)
