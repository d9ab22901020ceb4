"""What a step of training costs beside a step of the float network: CPU seconds, one thread.

    python benchmarks/training_speed.py [--net fashion-vgg] [--batch 64] [--rounds 4]

The float network is a program too: its digital fragments, which torch computes as any network of
torch. Steps of all cases take turns, so that other work on the machine falls on all; of each case
the fastest step counts. Validation is left out.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import xbarc.train as xt
from benchmarks.training import data_of  # the repository's root has to be found first
from tests.models.places import MODELS
from xbarc.ir import Window, window_pads
from xbarc.train.layer import ProgramLayer

IMAGES = 55_000
_WHOLE = "prepare and 3 epochs of 55,000 images with the teacher, CPU minutes"
_CASES: dict[str, dict[str, Any]] = {
    "lossless, one cell a sign": {"weight_slices": 1},
    "lossless, four cells a sign": {},
    "2-bit converters, 4-bit inputs, one cell a sign": {
        "weight_slices": 1,
        "activation_bits": 4,
        "adc": "calibrated:2",
    },
    "2-bit converters, 8-bit inputs, four cells a sign": {"adc": "calibrated:2"},
}


class FloatLayer(torch.nn.Module):
    """A layer of the program as torch's own product: the weights that its cells stand for."""

    def __init__(self, layer: ProgramLayer) -> None:
        super().__init__()
        self.step = layer.step
        levels = torch.from_numpy(layer.step.cells.unpack().astype("float32"))
        weight = layer.weight(levels).detach() * layer.scale.detach().reshape(
            layer.step.groups, 1, layer.step.outputs
        )
        self.weight = torch.nn.Parameter(weight)
        self.bias = torch.nn.Parameter(layer.bias.detach().clone())

    def forward(self, tensor: torch.Tensor, _values: object = None) -> torch.Tensor:
        """The product."""
        geometry = self.step.geometry
        if not isinstance(geometry, Window):
            return tensor @ self.weight[0] + self.bias
        pads = window_pads(geometry, tuple(tensor.shape[2:]))
        border = torch.nn.functional.pad(tensor, [p for pad in reversed(pads) for p in pad])
        groups, outputs = self.step.groups, self.step.outputs
        kernel = self.weight.transpose(1, 2).reshape(groups * outputs, -1, *geometry.kernel)
        return torch.nn.functional.conv2d(
            border,
            kernel,
            self.bias,
            stride=geometry.strides,
            dilation=geometry.dilations,
            groups=groups,
        )


def _make_float(path: Path) -> xt.TrainJob:
    """The network with torch's products in place of crossbars."""
    job = xt.prepare(path)
    for name, module in list(job.named_children()):
        if isinstance(module, ProgramLayer):
            job.set_submodule(name, FloatLayer(module))
    return job


def _step_of(job: xt.TrainJob, data: tuple[torch.Tensor, torch.Tensor]) -> Callable[[], None]:
    """One step of Adam with labels alone; the teacher, who costs all the same, is timed apart."""
    optimizer = torch.optim.Adam([p for p in job.parameters() if p.requires_grad], 1e-5, fused=True)
    images, labels = data

    def step() -> None:
        loss = torch.nn.functional.cross_entropy(job(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        job.project()

    job.train()
    step()  # compiles loops, makes the optimiser's moments
    return step


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="What a step of training costs.")
    parser.add_argument("--net", default="fashion-vgg")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    path, data = MODELS / f"{options.net}.onnx", data_of(options.net)
    known = data.taught(256, 0)
    labels = torch.from_numpy(known.pop("labels")[: options.batch])
    images = torch.from_numpy(next(iter(known.values()))[: options.batch])
    jobs, prepared = {"float": _make_float(path)}, {"float": 0.0}
    for name, given in _CASES.items():
        start = time.process_time()
        jobs[name] = xt.prepare(path, calibration=known, **given)
        prepared[name] = time.process_time() - start
    steps = {name: _step_of(job, (images, labels)) for name, job in jobs.items()}
    steps["teacher"] = lambda: jobs["float"].teach(images)
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(options.rounds):
        for name, step in steps.items():
            start = time.process_time()
            step()
            taken[name].append(time.process_time() - start)
    least = {name: min(seconds) for name, seconds in taken.items()}
    print(f"| {options.net}, steps of {options.batch} | CPU ms | times the float step | {_WHOLE} |")
    print("|---|--:|--:|--:|")
    for name, seconds in prepared.items():
        whole = seconds + 3 * (IMAGES // options.batch) * (least[name] + least["teacher"])
        times = least[name] / least["float"]
        print(f"| {name} | {1000 * least[name]:.1f} | {times:.1f} | {whole / 60:.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
