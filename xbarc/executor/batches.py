"""Arrays of a data file, cut into batches that the model takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from xbarc.errors import InputError
from xbarc.executor.run import Values, check_feeds
from xbarc.ir.labels import label_name, split_labels
from xbarc.ir.network import Value
from xbarc.ir.program import Program
from xbarc.numerics.types import AnyArray

BATCH = 64


def labelled_batches(
    program: Program, data: Mapping[str, AnyArray]
) -> list[tuple[dict[str, AnyArray], AnyArray | None, int]]:
    """Feeds, labels and sample count of each batch.

    Raises:
        InputError: unknown arrays, no samples, or labels that do not match the samples.
    """
    feeds, labels = split_labels(program.inputs, data)
    _check_samples(program.inputs, feeds, "data")
    batches = split_batches(program.inputs, feeds)
    first = program.inputs[0].name if program.inputs else None
    sizes = [len(b[first]) if first in b and np.ndim(b[first]) else 1 for b in batches]
    if labels is not None and (labels.shape != (sum(sizes),) or labels.dtype.kind not in "iu"):
        name = label_name(value.name for value in program.inputs)
        raise InputError(
            f"{name} are {labels.dtype}{list(labels.shape)}, expected int64[{sum(sizes)}]",
            where="data",
            hint="one class number a sample",
        )
    ends = np.cumsum(sizes)
    return [
        (batch, None if labels is None else labels[end - size : end], size)
        for batch, size, end in zip(batches, sizes, ends.tolist(), strict=True)
    ]


def calibration_batches(
    inputs: Sequence[Value], data: Mapping[str, AnyArray], least: int = 1
) -> list[Values]:
    """Cut calibration data into batches that the model takes; labels are left out.

    Args:
        inputs: of the model.
        data: arrays by name.
        least: batches to make at least, where the model and the samples allow it.

    Raises:
        InputError: an input is missing, or shapes and types do not fit.
    """
    feeds, _ = split_labels(inputs, data)
    _check_samples(inputs, feeds, "calibration data")
    try:
        samples = max((len(feeds[v.name]) for v in inputs if _is_batched(v, feeds)), default=1)
        most = max(1, min(BATCH, samples // least))
        return [check_feeds(inputs, batch) for batch in split_batches(inputs, feeds, most)]
    except InputError as error:
        raise InputError(error.message, where="calibration data", hint=error.hint) from error


def split_batches(
    inputs: Sequence[Value], feeds: Mapping[str, AnyArray], most: int = BATCH
) -> list[Values]:
    """Cut feeds along their first axis: by the model's own batch where it is fixed, else by `most`.

    Inputs without axes, and inputs that already have the model's fixed shape while others have
    more samples, go into every batch as they are.

    Raises:
        InputError: the samples of the inputs differ in number, or leave a batch half full.
    """
    size = _batch_size(inputs) or most
    counts = {len(feeds[v.name]) for v in inputs if v.name in feeds and _is_batched(v, feeds)}
    if len(counts) > 1:
        raise InputError(
            f"inputs have {', '.join(map(str, sorted(counts)))} samples, expected the same number"
        )
    total = counts.pop() if counts else 0
    if total <= size:
        return [dict(feeds)]
    if _batch_size(inputs) and total % size:
        raise InputError(
            f"{total} samples are no multiple of the model's fixed batch of {size}",
            hint="cut the data, or export the model with a dynamic batch",
        )
    batched = {v.name for v in inputs if _is_batched(v, feeds)}
    return [
        {n: a[at : at + size] if n in batched else a for n, a in feeds.items()}
        for at in range(0, total, size)
    ]


def _check_samples(inputs: Sequence[Value], feeds: Mapping[str, AnyArray], where: str) -> None:
    """Refuse data that measures nothing: whatever is said of no samples holds."""
    for value in inputs:
        if _is_batched(value, feeds) and not len(feeds[value.name]):
            shape = list(np.shape(feeds[value.name]))
            raise InputError(
                f"input '{value.name}' has no samples: shape {shape}, expected at least one",
                where=where,
                hint="give samples of what the model will see",
            )


def _batch_size(inputs: Sequence[Value]) -> int | None:
    """The first axis where the model fixes it, and all inputs agree."""
    firsts = {v.shape[0] for v in inputs if v.shape}
    only = firsts.pop() if len(firsts) == 1 else None
    return only if isinstance(only, int) and only > 0 else None


def _is_batched(value: Value, feeds: Mapping[str, AnyArray]) -> bool:
    fed = feeds.get(value.name)
    return fed is not None and value.dtype != "other" and bool(value.shape) and np.ndim(fed) > 0
