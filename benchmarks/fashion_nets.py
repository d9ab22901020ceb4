"""Networks for Fashion-MNIST that do not ship, because only measurements of training use them.

    python benchmarks/fashion_nets.py NAME

- `fashion-wide`: wider than its task needs, to see what pruning for converters can save. Two dense
  layers of 1,024 outputs and the classifier: eight times as many weights as `fashion-mlp`, and
  88.22 % of the test images right in place of 89.54.
- `fashion-resnet20`: the network of twenty layers that He et al. (2016) made for CIFAR-10, with a
  1x1 convolution where a stage widens, on one channel of 28 x 28 pixels; 92.80 % right.

Each is trained once on the images that the other nets were trained on, and kept as ONNX in
`.cache/trained`.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.models.places import CACHE, fashion_held_out, fashion_labelled

_WIDTH = 1_024
_BATCH = 128


@dataclass(frozen=True)
class _Recipe:
    """How a network is trained: Adam, one cycle up to a peak rate."""

    make: Callable[[], nn.Module]
    epochs: int
    peak_rate: float
    mirrored: bool = False


def network(name: str) -> Path:
    """The trained network's file; it is trained first where there is none."""
    path = CACHE.parent / "trained" / f"{name}.onnx"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        _export(_train(name, NETS[name]), path)
    return path


def _make_wide() -> nn.Module:
    return nn.Sequential(
        *(nn.Flatten(), nn.Linear(784, _WIDTH), nn.ReLU(), nn.Dropout(0.3)),
        *(nn.Linear(_WIDTH, _WIDTH), nn.ReLU(), nn.Dropout(0.3), nn.Linear(_WIDTH, 10)),
    )


class _Block(nn.Module):
    """Two convolutions and what goes past them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        stride = outputs // inputs  # a stage that doubles its channels halves its image
        self.body = nn.Sequential(
            *(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)),
            *(nn.ReLU(), nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)),
        )
        self.past: nn.Module = nn.Identity()
        if stride > 1:
            widen = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.past = nn.Sequential(widen, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Their sum."""
        return torch.relu(self.body(x) + self.past(x))


def _make_resnet20() -> nn.Module:
    widths = (16, 16, 16, 16, 32, 32, 32, 64, 64, 64)
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
        *(_Block(*pair) for pair in pairwise(widths)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)),
    )


# Lengths are what some CPU minutes allow (two, and about twenty); others were not compared.
NETS = {
    "fashion-wide": _Recipe(_make_wide, 6, 0.002),
    "fashion-resnet20": _Recipe(_make_resnet20, 5, 0.01, mirrored=True),
}


def _train(name: str, recipe: _Recipe) -> nn.Module:
    torch.manual_seed(0)
    # twice as fast on a CPU; torch declares the argument for tensors only
    net = recipe.make().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    taught = fashion_labelled(55_000)
    x, y = torch.from_numpy(taught["image"]), torch.from_numpy(taught["labels"])
    optimizer = torch.optim.Adam(net.parameters(), weight_decay=1e-4, fused=True)
    steps = recipe.epochs * (len(x) // _BATCH)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.peak_rate, total_steps=steps)
    for _ in range(recipe.epochs):
        net.train()
        order = torch.randperm(len(x))
        for start in range(0, len(x) - _BATCH + 1, _BATCH):
            part = order[start : start + _BATCH]
            images = _mirror_half(x[part]) if recipe.mirrored else x[part]
            given = images.contiguous(memory_format=torch.channels_last)
            loss = nn.functional.cross_entropy(net(given), y[part])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            rate.step()
        print(f"{name}: validation {_score(net):.2f} %", file=sys.stderr, flush=True)
    return net


def _mirror_half(images: Tensor) -> Tensor:
    mirrored = torch.rand(len(images), 1, 1, 1) < 0.5
    return torch.where(mirrored, images.flip(3), images)


@torch.no_grad()
def _score(net: nn.Module) -> float:
    data = fashion_held_out(2_000)
    parts = torch.from_numpy(data["image"]).split(500)
    answers = torch.cat([net.eval()(part) for part in parts]).argmax(1).numpy()
    return 100 * float((answers == data["labels"]).mean())


def _export(net: nn.Module, path: Path) -> None:
    example = torch.zeros(1, 1, 28, 28)
    axes = {name: {0: "batch"} for name in ("image", "scores")}
    names = {"input_names": ["image"], "output_names": ["scores"], "dynamic_axes": axes}
    whole = net.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    with warnings.catch_warnings():
        # the exporter warns of its own successor, which needs another package
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(whole, (example,), path, dynamo=False, opset_version=17, **names)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(network(sys.argv[1]))
