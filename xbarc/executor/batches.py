"""Arrays of a data file, cut into batches that the model takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from xbarc.errors import InputError
from xbarc.executor.run import check_feeds
from xbarc.executor.walk import Values
from xbarc.ir import (
    Dim,
    Program,
    Value,
    check_labels,
    count_classes,
    file_of,
    label_name,
    split_labels,
)
from xbarc.numerics import AnyArray

# Samples of a batch: two chunks of 32 lanes for a dense layer, and at most 64 times one sample's
# tensors in memory. Results do not depend on it.
BATCH = 64
LabelledBatch = tuple[dict[str, AnyArray], AnyArray | None, int]
"""Feeds, labels if any, and the count of samples."""

Data = Mapping[str, AnyArray]
"""Arrays by the name of an input, labels among them; the first axis counts samples."""


def labelled_batches(program: Program, data: Mapping[str, AnyArray]) -> list[LabelledBatch]:
    """Feeds, labels and sample count of each batch.

    Raises:
        InputError: unknown arrays, no samples, labels that do not match the samples, or labels of
            classes that the model does not have.
    """
    feeds, labels = split_labels(program.inputs, data)
    where = file_of(data, "data")
    check_data(program.inputs, feeds, where)
    _check_samples(program.inputs, feeds, where)
    batches = split_batches(program.inputs, feeds)
    fed = [value for value in program.inputs if _is_batched(value, feeds)]
    first = next((value.name for value in (*_inputs_of_samples(program.inputs, feeds), *fed)), None)
    sizes = [1 if first is None else len(batch[first]) for batch in batches]
    if labels is not None:
        name = label_name(value.name for value in program.inputs)
        classes = count_classes(program.outputs)
        check_labels(labels, (sum(sizes),), where, name, classes=classes)
    # Batches may differ in size: the last one holds what is left.
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
    where = file_of(data, "calibration data")
    check_data(inputs, feeds, where)
    _check_samples(inputs, feeds, where)
    samples = max((len(feeds[v.name]) for v in _inputs_of_samples(inputs, feeds)), default=1)
    most = max(1, min(BATCH, samples // least))
    return [check_feeds(inputs, batch) for batch in split_batches(inputs, feeds, most)]


def calibration_labels(
    inputs: Sequence[Value], outputs: Sequence[Value], data: Mapping[str, AnyArray]
) -> AnyArray | None:
    """Class numbers in calibration data that `calibration_batches` takes, if there are any.

    Raises:
        InputError: they are not one number for each sample, or numbers of no class.
    """
    feeds, labels = split_labels(inputs, data)
    if labels is None:
        return None
    samples = max((len(feeds[v.name]) for v in _inputs_of_samples(inputs, feeds)), default=1)
    name, where = label_name(value.name for value in inputs), file_of(data, "calibration data")
    check_labels(labels, (samples,), where, name, classes=count_classes(outputs))
    return labels


def check_data(inputs: Sequence[Value], feeds: Mapping[str, AnyArray], where: str) -> None:
    """Refuse samples that the model does not take, before anything runs.

    Args:
        inputs: of the model.
        feeds: arrays by name, without labels.
        where: their file, or what they are.

    Raises:
        InputError: names, types or shapes are wrong.
    """
    try:
        # The first batch tells: all have the type, and all axes but the first, of their array.
        check_feeds(inputs, split_batches(inputs, feeds)[0])
    except InputError as error:
        raise InputError(error.message, where=where, hint=error.hint) from error


def split_batches(
    inputs: Sequence[Value], feeds: Mapping[str, AnyArray], most: int = BATCH
) -> list[Values]:
    """Cut feeds along their first axis: by the model's own batch where it is fixed, else by `most`.

    Inputs without axes, and those whose first axis the model fixes while others leave theirs open
    or get more samples, go into every batch as they are; a named axis of samples is cut wherever it
    stands.

    Raises:
        InputError: the samples of the inputs differ in number, or leave a batch half full.
    """
    batched = _inputs_of_samples(inputs, feeds)
    counts = {len(feeds[value.name]) for value in batched}
    if len(counts) > 1:
        raise InputError(
            f"inputs have {', '.join(map(str, sorted(counts)))} samples, expected the same number"
        )
    fixed = _batch_size(batched)
    size, total = fixed or most, counts.pop() if counts else 0
    axes = _sample_axes(inputs, batched, feeds)
    # Nothing to cut, or nobody knows along which axis: ONNX Runtime judges the whole.
    if total <= size or axes is None:
        return [dict(feeds)]
    if fixed and total % size:
        raise InputError(
            f"{total} samples are not a multiple of the model's fixed batch of {size}",
            hint="cut the data, or export the model with a dynamic batch",
        )
    return [
        {n: _cut(a, axes[n], at, at + size) if n in axes else a for n, a in feeds.items()}
        for at in range(0, total, size)
    ]


def fill_batch(inputs: Sequence[Value], feeds: Mapping[str, AnyArray]) -> Values:
    """The same samples, some of them again behind the last, until they fill the model's own batch.

    Feeds of a model that fixes no batch come back as they are.
    """
    batched = _inputs_of_samples(inputs, feeds)
    size = _batch_size(batched)
    if not size:
        return dict(feeds)
    found = dict(feeds)
    for value in batched:
        array = feeds[value.name]
        found[value.name] = array[np.arange(-(-len(array) // size) * size) % len(array)]
    return found


def _inputs_of_samples(inputs: Sequence[Value], feeds: Mapping[str, AnyArray]) -> list[Value]:
    """Inputs whose first axis counts samples."""
    fed = [value for value in inputs if _is_batched(value, feeds)]
    # An input whose first axis the model fixes may be a table or a state, as long as another one is
    # open.
    free = [value for value in fed if not _fixed_first(value)]
    # All fixed: samples are what comes in other numbers than the model takes at once.
    return free or [v for v in fed if len(feeds[v.name]) != _fixed_first(v)]


def _fixed_first(value: Value) -> int:
    """Extent of the first axis where the model fixes it, else 0."""
    first = value.shape[0] if value.shape else None
    return first if isinstance(first, int) and first > 0 else 0


def _sample_axes(
    inputs: Sequence[Value], batched: Sequence[Value], feeds: Mapping[str, AnyArray]
) -> dict[str, int] | None:
    """The axis of samples of each input that has one; None where data cannot be cut.

    A state of layers x samples has its samples on another axis than the first one: its name says
    which, and without a name nobody knows.
    """
    axes = {value.name: 0 for value in batched}
    name = next((value.shape[0] for value in batched if value.shape), None)
    for value in inputs:
        shape = value.shape or ()
        if value.name in axes or value.name not in feeds or all(map(_is_fixed, shape)):
            continue
        if not isinstance(name, str) or name not in shape:
            return None
        axes[value.name] = shape.index(name)
    return axes


def _is_fixed(size: Dim) -> bool:
    return isinstance(size, int) and size > 0


def _cut(array: AnyArray, axis: int, first: int, last: int) -> AnyArray:
    return array[(slice(None),) * axis + (slice(first, last),)]


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


def _batch_size(batched: Sequence[Value]) -> int | None:
    """The first axis where the model fixes it, and all inputs agree."""
    firsts = {_fixed_first(value) for value in batched}
    return firsts.pop() or None if len(firsts) == 1 else None


def _is_batched(value: Value, feeds: Mapping[str, AnyArray]) -> bool:
    fed = feeds.get(value.name)
    return fed is not None and value.dtype != "other" and bool(value.shape) and np.ndim(fed) > 0
