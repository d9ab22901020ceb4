"""Train the Fashion-MNIST networks, seeded, and export them as ONNX.

    python models/train.py NAME|all [--seed 0] [--out models/] [--cache DIR] [--states DIR]

The last 5,000 training images choose the epoch; the test images are read once, at the end.
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from export import STATES, export
from fetch import CACHE, as_input, fashion_mnist, fetch
from nets import NETS
from numpy.typing import NDArray
from torch import Tensor, nn
from verify import ort_logits

TRAINING_IMAGES: Final = 55_000
BATCH: Final = 256
THREADS: Final = 2  # part of the recipe: the number of threads changes float sums


@dataclass(frozen=True)
class Recipe:
    """How one network is trained."""

    epochs: int
    peak_rate: float
    weight_decay: float
    shift: int


RECIPES: Final = {
    "fashion-vgg": Recipe(epochs=12, peak_rate=0.2, weight_decay=5e-4, shift=1),
    "fashion-resnet": Recipe(epochs=9, peak_rate=0.2, weight_decay=5e-4, shift=1),
    "fashion-mlp": Recipe(epochs=40, peak_rate=0.1, weight_decay=2e-4, shift=0),
    "fashion-depthwise": Recipe(epochs=9, peak_rate=0.2, weight_decay=2e-4, shift=1),
}


@dataclass(frozen=True)
class Split:
    """Images as floats 0..1 (axes: image, channel, row, column) and their labels."""

    images: Tensor
    labels: Tensor

    def part(self, indices: Tensor) -> "Split":
        """Return some of the images."""
        return Split(self.images[indices], self.labels[indices])


def load(cache: Path) -> tuple[Split, Split, Split]:
    """Return the training, validation and test images."""
    fetch("fashion-mnist", cache)
    images, labels = fashion_mnist(cache, "train")
    training = _as_split(images[:TRAINING_IMAGES], labels[:TRAINING_IMAGES])
    validation = _as_split(images[TRAINING_IMAGES:], labels[TRAINING_IMAGES:])
    return training, validation, _as_split(*fashion_mnist(cache, "test"))


def augment(images: Tensor, shift: int, generator: torch.Generator) -> Tensor:
    """Mirror half of the images and move each by up to `shift` pixels, edges filled with 0."""
    count = len(images)
    mirrored = torch.rand(count, generator=generator) < 0.5
    images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    if shift == 0:
        return images
    padded = nn.functional.pad(images, [shift] * 4)[:, 0]
    offsets = torch.randint(0, 2 * shift + 1, (2, count, 1), generator=generator)
    rows, columns = offsets + torch.arange(images.shape[2])
    picked = padded[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return picked[:, None]


def train(name: str, seed: int, training: Split, validation: Split) -> tuple[nn.Module, int]:
    """Return the network of the best validation epoch, in inference mode, and that epoch."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    recipe = RECIPES[name]
    # Twice as fast on a CPU; torch declares the argument for tensors only.
    net = NETS[name]().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(
        net.parameters(),
        lr=recipe.peak_rate,
        momentum=0.9,
        nesterov=True,
        weight_decay=recipe.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        recipe.peak_rate,
        epochs=recipe.epochs,
        steps_per_epoch=len(training.labels) // BATCH,
    )
    best, best_epoch, best_state = -1.0, 0, net.state_dict()
    for epoch in range(1, recipe.epochs + 1):
        _train_epoch(net, optimizer, schedule, training, shift=recipe.shift, generator=generator)
        accuracy = top1(logits_of(net, validation.images), validation.labels)
        _say(f"{name}: epoch {epoch} of {recipe.epochs}: validation {accuracy:.4f}")
        if accuracy >= best:
            best, best_epoch = accuracy, epoch
            best_state = {key: value.clone() for key, value in net.state_dict().items()}
    net.load_state_dict(best_state)
    return net.eval(), best_epoch


def logits_of(net: nn.Module, images: Tensor) -> Tensor:
    """Run a network in inference mode over many images."""
    net.eval()
    with torch.inference_mode():
        return torch.cat([net(batch) for batch in torch.split(images, 1000)])


def top1(logits: Tensor, labels: Tensor) -> float:
    """Return the fraction of images whose largest logit is the label's."""
    return float((logits.argmax(1) == labels).double().mean())


def run(name: str, options: argparse.Namespace) -> dict[str, object]:
    """Train, export and verify one network; return its line of the model card."""
    training, validation, test = load(options.cache)
    start = time.monotonic()
    net, epoch = train(name, options.seed, training, validation)
    seconds = time.monotonic() - start
    state = net.state_dict()
    options.states.mkdir(parents=True, exist_ok=True)
    torch.save(state, options.states / f"{name}.pt")
    path = export(name, state, options.out)
    logits = logits_of(net, test.images)
    check_export(path, logits, test)
    return {
        "name": name,
        "parameters": sum(value.numel() for value in net.parameters()),
        "bytes": path.stat().st_size,
        "epoch": epoch,
        "validation": top1(logits_of(net, validation.images), validation.labels),
        "test": top1(logits, test.labels),
        "seconds": round(seconds),
    }


def check_export(path: Path, expected: Tensor, test: Split) -> None:
    """Raise ValueError unless the ONNX file gives torch's logits and labels."""
    found = torch.from_numpy(ort_logits(path, test.images.contiguous().numpy()))
    difference = float((found - expected).abs().max())
    images = round(abs(top1(found, test.labels) - top1(expected, test.labels)) * len(found))
    _say(f"{path.name}: logits differ by up to {difference:.2g}, top-1 by {images} images")
    if difference >= 1e-3 or images > 2:
        raise ValueError(f"{path.name}: logits differ by {difference}, top-1 by {images} images")


def main(arguments: list[str] | None = None) -> int:
    """Train one network or all of them; one JSON line each on stdout."""
    parser = argparse.ArgumentParser(description="Train the Fashion-MNIST networks.")
    parser.add_argument("name", choices=[*NETS, "all"])
    parser.add_argument("--seed", type=int, default=0)
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


def _train_epoch(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    training: Split,
    *,
    shift: int,
    generator: torch.Generator,
) -> None:
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    net.train()
    order = torch.randperm(len(training.labels), generator=generator)
    for indices in torch.split(order, BATCH)[: len(order) // BATCH]:
        batch = training.part(indices)
        images = augment(batch.images, shift, generator)
        loss = loss_of(net(images.contiguous(memory_format=torch.channels_last)), batch.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _as_split(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Split:
    return Split(torch.from_numpy(as_input(images)), torch.from_numpy(labels.astype(np.int64)))


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
