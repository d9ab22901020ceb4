"""Samples to train on: arrays by input name, held out, or changed at random."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from xbarc.errors import InputError
from xbarc.numerics import AnyArray, BoolArray, Int64Array
from xbarc.options import Augmentation

# A patch is between an eighth and half of the sample along each axis: what the trials of
# docs/appendix/training.md used. The share of a patch was not tuned.
_LEAST_PATCH, _LARGEST_PATCH = 8, 2


@dataclass(frozen=True, eq=False)
class Samples:
    """Arrays by input name, and class numbers where there are any; the first axis is the sample."""

    inputs: Mapping[str, AnyArray]
    labels: AnyArray | None

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values()), ()))

    def take(self, index: AnyArray) -> Samples:
        """Some of the samples."""
        labels = None if self.labels is None else self.labels[index]
        return Samples({name: array[index] for name, array in self.inputs.items()}, labels)

    @cached_property  # hashing takes about a second a gigabyte
    def digest(self) -> str:
        """SHA-256 of names, types, shapes and numbers, so that others know the same samples."""
        digest = hashlib.sha256()
        named = dict(sorted(self.inputs.items())) | {"": self.labels}
        for name, array in named.items():
            if array is not None:
                digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def tensors(self, device: torch.device) -> tuple[dict[str, Tensor], Tensor | None]:
        """As torch takes them."""
        made = {n: torch.from_numpy(np.ascontiguousarray(a)) for n, a in self.inputs.items()}
        labels = None if self.labels is None else torch.from_numpy(self.labels.astype(np.int64))
        here = {name: tensor.to(device) for name, tensor in made.items()}
        return here, None if labels is None else labels.to(device)


def check_augmentation(samples: Samples, how: Augmentation | None) -> None:
    """Refuse inputs without an axis to mirror or move along.

    Raises:
        InputError: an input has no axis behind samples and channels.
    """
    if how is None:
        return
    for name, array in samples.inputs.items():
        if array.ndim < 3:
            raise InputError(
                f"input '{name}' has shape {list(array.shape)}, expected samples, channels and "
                "at least one axis of space or time",
                where=f"--augment {how}",
                hint="leave it out",
            )


def augment(samples: Samples, how: Augmentation, rng: np.random.Generator) -> Samples:
    """Samples as they might have been too; inputs of one shape change in the same way.

    Args:
        samples: inputs with the axes sample, channel, and one or more of space or time.
        how: what changes; a sample's patches come from one other, whatever the shapes.
        rng: the only source of chance.

    Returns:
        As many; without labels where patches of other samples make them wrong.
    """
    seed = int(rng.integers(1 << 62))
    changed = {
        name: _change(array, how, np.random.default_rng(seed))
        for name, array in samples.inputs.items()
    }
    return Samples(changed, None if how.cutmix else samples.labels)


def _change(array: AnyArray, how: Augmentation, rng: np.random.Generator) -> AnyArray:
    # first what does not depend on the shape of an input
    mirrored, partner = rng.random(len(array)) < 0.5, rng.permutation(len(array))
    if how.flip:
        array = np.where(_of_sample(mirrored, array), array[..., ::-1], array)
    if how.shift:
        for axis in range(2, array.ndim):
            array = _move(array, axis, rng.integers(-how.shift, how.shift + 1, len(array)))
    if how.cutmix:
        array = np.where(_patches(array, rng), array[partner], array)
    return array


def _move(array: AnyArray, axis: int, by: Int64Array) -> AnyArray:
    """Each sample moved along an axis; what moves in repeats the border."""
    size = array.shape[axis]
    shape = [1] * array.ndim
    shape[axis] = size
    places = np.arange(size).reshape(shape) - _of_sample(by, array)
    moved: AnyArray = np.take_along_axis(array, places.clip(0, size - 1), axis)
    return moved


def _patches(array: AnyArray, rng: np.random.Generator) -> BoolArray:
    """Where the patch of each sample lies; axes as `array`, with one channel."""
    inside = np.ones((len(array), *[1] * (array.ndim - 1)), bool)
    for axis in range(2, array.ndim):
        size = array.shape[axis]
        least, largest = -(-size // _LEAST_PATCH), max(1, size // _LARGEST_PATCH)
        length = rng.integers(least, largest + 1, len(array))
        first = rng.integers(0, size - length + 1)
        shape = [1] * array.ndim
        shape[axis] = size
        from_first = np.arange(size).reshape(shape) - _of_sample(first, array)
        inside = inside & (from_first >= 0) & (from_first < _of_sample(length, array))
    return inside


def _of_sample(values: AnyArray, array: AnyArray) -> AnyArray:
    """A number for each sample, as it broadcasts against `array`."""
    return values.reshape(-1, *[1] * (array.ndim - 1))


def split_held_out(
    samples: Samples, share: float, seed: int, *, at_once: int = 1
) -> tuple[Samples, Samples]:
    """Samples to train on, and those that choose the epoch.

    Args:
        samples: to split.
        share: of those that choose the epoch, about.
        seed: of the draw.
        at_once: samples that the model takes at a time; it divides how many choose the epoch.

    Raises:
        InputError: nothing is left for one of the two.
    """
    order = np.random.default_rng((seed, 0)).permutation(len(samples))
    count = round(share * len(samples) / at_once) * at_once
    if not 0 < count < len(samples):
        raise InputError(
            f"{share:g} of {len(samples)} samples leaves none to choose the epoch or none to train",
            where="--held-out",
            hint="more data, another share, or a file of its own with --validate",
        )
    return samples.take(np.sort(order[count:])), samples.take(np.sort(order[:count]))
