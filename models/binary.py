"""Train the binary Fashion-MNIST networks, seeded, and export them as ONNX and as QONNX.

    python models/binary.py NAME|all [--seed 0] [--out models/] [--cache DIR] [--states DIR]

Hidden weights and activations are +1 and -1; the first layer and the classifier stay real. The
last 5,000 training images choose the epoch; the test images are read once, at the end. With
`--states` alone (`--export`) a saved state dict is exported again without training.
"""

import argparse
import json
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from binary_export import export_binary
from export import STATES
from fetch import CACHE
from torch import Tensor, nn
from train import BATCH, Split, augment, load, logits_of, top1
from verify import ort_logits

CLASSES: Final = 10
THREADS: Final = 1  # part of the recipe: the number of threads changes float sums


class _Sign(torch.autograd.Function):
    """+1 where the value is at least 0, else -1; the gradient passes where |x| <= 1."""

    @staticmethod
    def forward(context: torch.autograd.function.FunctionCtx, value: Tensor) -> Tensor:  # type: ignore[override]
        """Binarise."""
        context.save_for_backward(value)
        return torch.where(value >= 0, 1.0, -1.0)

    @staticmethod
    def backward(context: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:  # type: ignore[override]
        """Straight through, clipped."""
        (value,) = context.saved_tensors  # type: ignore[attr-defined]
        return gradient * (value.abs() <= 1)


def binarise(value: Tensor) -> Tensor:
    """Return the signs of a tensor, with a straight-through gradient."""
    result: Tensor = _Sign.apply(value)  # type: ignore[no-untyped-call]
    return result


class Sign(nn.Module):
    """Binary activation."""

    def forward(self, value: Tensor) -> Tensor:
        """Return +1 and -1."""
        return binarise(value)


class BinaryConv(nn.Conv2d):
    """3x3 convolution with +-1 weights; the border is filled with 0, neither +1 nor -1."""

    def forward(self, image: Tensor) -> Tensor:
        """Return sums of agreements less disagreements."""
        return nn.functional.conv2d(image, binarise(self.weight), None, self.stride, self.padding)


class BinaryLinear(nn.Linear):
    """Fully connected layer with +-1 weights."""

    def forward(self, value: Tensor) -> Tensor:
        """Return sums of agreements less disagreements."""
        return nn.functional.linear(value, binarise(self.weight))


def cnn() -> nn.Module:
    """Real 3x3 to 32 channels, binary 3x3 to 64 and 64, binary 576-256, real classifier."""
    return _chain(
        {
            "conv1": nn.Conv2d(1, 32, 3, padding=1, bias=False),
            "pool1": nn.MaxPool2d(2),
            "bn1": nn.BatchNorm2d(32),
            "sign1": Sign(),
            "conv2": BinaryConv(32, 64, 3, padding=1, bias=False),
            "pool2": nn.MaxPool2d(2),
            "bn2": nn.BatchNorm2d(64),
            "sign2": Sign(),
            "conv3": BinaryConv(64, 64, 3, padding=1, bias=False),
            "pool3": nn.MaxPool2d(2),
            "bn3": nn.BatchNorm2d(64),
            "sign3": Sign(),
            "flatten": nn.Flatten(),
            "fc1": BinaryLinear(64 * 3 * 3, 256, bias=False),
            "bn4": nn.BatchNorm1d(256),
            "sign4": Sign(),
            "fc2": nn.Linear(256, CLASSES),
        }
    )


def mlp() -> nn.Module:
    """784-256 real, 256-512 and 512-512 binary, real classifier on clipped sums."""
    return _chain(
        {
            "flatten": nn.Flatten(),
            "fc1": nn.Linear(784, 256, bias=False),
            "bn1": nn.BatchNorm1d(256),
            "sign1": Sign(),
            "fc2": BinaryLinear(256, 512, bias=False),
            "bn2": nn.BatchNorm1d(512),
            "sign2": Sign(),
            "fc3": BinaryLinear(512, 512, bias=False),
            "bn3": nn.BatchNorm1d(512),
            "clip3": nn.Hardtanh(),
            "fc4": nn.Linear(512, CLASSES),
        }
    )


NETS: Final[dict[str, Callable[[], nn.Module]]] = {"fashion-bnn-cnn": cnn, "fashion-bnn-mlp": mlp}


@dataclass(frozen=True)
class Recipe:
    """How one network is trained."""

    epochs: int
    peak_rate: float
    shift: int


RECIPES: Final = {
    "fashion-bnn-cnn": Recipe(epochs=8, peak_rate=5e-3, shift=1),
    "fashion-bnn-mlp": Recipe(epochs=20, peak_rate=5e-3, shift=0),
}


def train(name: str, seed: int, training: Split, validation: Split) -> tuple[nn.Module, int]:
    """Return the network of the best validation epoch, in inference mode, and that epoch."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    recipe = RECIPES[name]
    # Twice as fast on a CPU; torch declares the argument for tensors only.
    net = NETS[name]().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(net.parameters(), lr=recipe.peak_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        recipe.peak_rate,
        epochs=recipe.epochs,
        steps_per_epoch=len(training.labels) // BATCH,
    )
    best, best_epoch, best_state = -1.0, 0, net.state_dict()
    for epoch in range(1, recipe.epochs + 1):
        _train_epoch(net, optimizer, schedule, training, recipe.shift, generator)
        accuracy = top1(logits_of(net, validation.images), validation.labels)
        _say(f"{name}: epoch {epoch} of {recipe.epochs}: validation {accuracy:.4f}")
        if accuracy >= best:
            best, best_epoch = accuracy, epoch
            best_state = {key: value.clone() for key, value in net.state_dict().items()}
    net.load_state_dict(best_state)
    return net.eval(), best_epoch


def _train_epoch(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    training: Split,
    shift: int,
    generator: torch.Generator,
) -> None:
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    latent = [m.weight for m in net.modules() if isinstance(m, BinaryConv | BinaryLinear)]
    net.train()
    order = torch.randperm(len(training.labels), generator=generator)
    for indices in torch.split(order, BATCH)[: len(order) // BATCH]:
        batch = training.part(indices)
        images = augment(batch.images, shift, generator)
        images = images.contiguous(memory_format=torch.channels_last)
        loss = loss_of(net(images), batch.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            for weight in latent:
                weight.clamp_(-1, 1)


def run(name: str, options: argparse.Namespace) -> dict[str, object]:
    """Train (or load), export and verify one network; return its line of the model card."""
    training, validation, test = load(options.cache)
    file = options.states / f"{name}-seed{options.seed}.pt"
    start, epoch = time.monotonic(), 0
    if options.export:
        net = NETS[name]()
        net.load_state_dict(torch.load(file, weights_only=True))
        net.eval()
    else:
        net, epoch = train(name, options.seed, training, validation)
        options.states.mkdir(parents=True, exist_ok=True)
        torch.save(net.state_dict(), file)
    seconds = time.monotonic() - start
    round_stored(net)
    logits = logits_of(net, test.images)
    stem = name if options.seed == 0 else f"{name}-seed{options.seed}"
    paths = export_binary(name, _arrays(net.state_dict()), options.out, stem)
    for path in paths[:1]:
        check_export(path, logits, test)
    return {
        "name": stem,
        "parameters": sum(value.numel() for value in net.parameters()),
        "bytes": [path.stat().st_size for path in paths],
        "epoch": epoch,
        "validation": top1(logits_of(net, validation.images), validation.labels),
        "test": top1(logits, test.labels),
        "seconds": round(seconds),
    }


def round_stored(net: nn.Module) -> None:
    """Round the weights that the export stores in 16 bits, so that torch runs what is stored."""
    state = net.state_dict()
    if "fc3.weight" in state:
        state["fc1.weight"].copy_(state["fc1.weight"].half().float())


def check_export(path: Path, expected: Tensor, test: Split) -> None:
    """Raise ValueError unless the ONNX file gives torch's classes.

    A real sum within rounding of zero may fall on either side of a sign, in ONNX Runtime as in
    torch, so single logits may differ.
    """
    found = torch.from_numpy(ort_logits(path, test.images.contiguous().numpy()))
    others = int((found.argmax(1) != expected.argmax(1)).sum())
    exact = float(((found - expected).abs().amax(1) < 1e-3).double().mean())
    _say(f"{path.name}: {others} classes differ from torch's, {exact:.4f} of the logits agree")
    if others > len(found) // 500:
        raise ValueError(f"{path.name}: {others} classes differ from torch's")


def main(arguments: list[str] | None = None) -> int:
    """Train one network or both; one JSON line each on stdout."""
    parser = argparse.ArgumentParser(description="Train the binary Fashion-MNIST networks.")
    parser.add_argument("name", choices=[*NETS, "all"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--export", action="store_true", help="export a saved state dict again")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent)
    parser.add_argument("--cache", type=Path, default=CACHE, help="default: .cache/data")
    parser.add_argument("--states", type=Path, default=STATES, help="default: .cache/trained")
    options = parser.parse_args(arguments)
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    # A debugging aid that costs time, NaN in every new tensor; torch's own types lack it.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    for name in NETS if options.name == "all" else [options.name]:
        print(json.dumps(run(name, options)), flush=True)
    return 0


def _arrays(state: Mapping[str, Tensor]) -> dict[str, object]:
    return {key: value.contiguous().numpy() for key, value in state.items()}


def _chain(layers: dict[str, nn.Module]) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
