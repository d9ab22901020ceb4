"""Class numbers beside the inputs in one file: under which name they are.

They are `labels`, unless the model has an input of that name: then `labels` is that input, and
class numbers are `labels_` (or `labels__` where that is an input too).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from xbarc.errors import InputError
from xbarc.ir.file_arrays import FileArrays
from xbarc.ir.network import Value
from xbarc.numerics import AnyArray

LABELS = "labels"


def label_name(inputs: Iterable[str]) -> str:
    """The name that class numbers have in a file with these inputs."""
    taken, name = set(inputs), LABELS
    # As many underscores as it takes: any name may be an input of a model.
    while name in taken:
        name += "_"
    return name


def split_labels(
    inputs: Sequence[Value], data: Mapping[str, AnyArray]
) -> tuple[dict[str, AnyArray], AnyArray | None]:
    """Split data into arrays for the model and class numbers, if there are any."""
    own = label_name(value.name for value in inputs)
    rest = {name: array for name, array in data.items() if name != own}
    return FileArrays(rest, data.path) if isinstance(data, FileArrays) else rest, data.get(own)


def labels_in(data: Mapping[str, AnyArray]) -> str:
    """The name of the class numbers in data, found without the model."""
    name = LABELS
    while f"{name}_" in data:
        name += "_"
    return name


def check_labels(
    labels: AnyArray,
    expected: tuple[int, ...],
    where: str,
    name: str = LABELS,
    *,
    classes: int | None = None,
) -> None:
    """Refuse labels that are no class numbers, one for each answer of the network.

    Args:
        labels: class numbers.
        expected: their shape.
        where: the file they come from.
        name: of their array.
        classes: that the network tells apart; None where that is not known.

    Raises:
        InputError: they are no whole numbers, of another shape, or numbers of no class.
    """
    if labels.dtype.kind not in "iu" or labels.shape != expected:
        each = "sample" if len(expected) == 1 else "answer"
        raise InputError(
            f"{name} are {labels.dtype}{list(labels.shape)}, expected int64{list(expected)}",
            where=where,
            hint=f"one class number per {each}",
        )
    if classes is None or not labels.size:
        return
    low, high = int(labels.min()), int(labels.max())
    # No answer ever meets such a label: classes numbered from 1 would read as a bad network.
    if low < 0 or high >= classes:
        raise InputError(
            f"{name} reach from {low} to {high}, expected 0 to {classes - 1}",
            where=where,
            hint=f"the network answers with {classes} classes; leave out samples of none",
        )


def count_classes(outputs: Sequence[Value]) -> int | None:
    """Scores per sample of the first output; None where it does not say, or holds no scores."""
    shape = outputs[0].shape if outputs else None
    if shape is None or len(shape) < 2:
        return None
    sizes = [size for size in shape[1:] if isinstance(size, int)]
    count = math.prod(sizes)
    # One number per sample is no choice among classes, and labels beside it are something else.
    return count if len(sizes) == len(shape) - 1 and count > 1 else None
