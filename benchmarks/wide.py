"""A network that is wider than its task needs, to see what pruning for converters can save.

    python benchmarks/wide.py

Two dense layers of 1,024 outputs and the classifier, for Fashion-MNIST: eight times as many weights
as `fashion-mlp`, and 88.22 % of the test images right in place of 89.54. It is trained once on the
images that the other nets were trained on, and kept as ONNX in `.cache/trained`.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.models.places import CACHE, fashion_held_out, fashion_labelled

NET = "fashion-wide"
_WIDTH = 1_024
# Two CPU minutes; other lengths were not compared.
_EPOCHS = 6


def network() -> Path:
    """The trained network's file; it is trained first where there is none."""
    path = CACHE.parent / "trained" / f"{NET}.onnx"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        _export(_train(), path)
    return path


def _make() -> nn.Module:
    return nn.Sequential(
        *(nn.Flatten(), nn.Linear(784, _WIDTH), nn.ReLU(), nn.Dropout(0.3)),
        *(nn.Linear(_WIDTH, _WIDTH), nn.ReLU(), nn.Dropout(0.3), nn.Linear(_WIDTH, 10)),
    )


def _train() -> nn.Module:
    """Adam, one cycle with a peak of .002, batches of 128."""
    torch.manual_seed(0)
    net, taught = _make(), fashion_labelled(55_000)
    x, y = torch.from_numpy(taught["image"]), torch.from_numpy(taught["labels"])
    optimizer = torch.optim.Adam(net.parameters(), weight_decay=1e-4, fused=True)
    steps = _EPOCHS * (len(x) // 128)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.002, total_steps=steps)
    for _ in range(_EPOCHS):
        order = torch.randperm(len(x))
        net.train()
        for start in range(0, len(x) - 127, 128):
            part = order[start : start + 128]
            loss = nn.functional.cross_entropy(net(x[part]), y[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rate.step()
        print(f"{NET}: validation {_score(net):.2f} %", file=sys.stderr, flush=True)
    return net


@torch.no_grad()
def _score(net: nn.Module) -> float:
    data = fashion_held_out(2_000)
    answers = net.eval()(torch.from_numpy(data["image"])).argmax(1).numpy()
    return 100 * float((answers == data["labels"]).mean())


def _export(net: nn.Module, path: Path) -> None:
    example = torch.zeros(1, 1, 28, 28)
    axes = {name: {0: "batch"} for name in ("image", "scores")}
    names = {"input_names": ["image"], "output_names": ["scores"], "dynamic_axes": axes}
    with warnings.catch_warnings():
        # the exporter warns of its own successor, which needs another package
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(net.eval(), (example,), path, dynamo=False, opset_version=17, **names)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(network())
