"""Samples changed at random, and the options that say how."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbarc.errors import InputError, MappingError
from xbarc.options import Augmentation, Training, parse_augmentation
from xbarc.train.samples import Samples, augment, check_augmentation

COUNT = 400


def _images() -> Samples:
    """Every pixel tells its sample, row and column; a second input says the same differently."""
    place = np.arange(COUNT * 63, dtype=np.float32).reshape(COUNT, 1, 7, 9)
    return Samples({"a": place, "b": -place.repeat(2, 1)}, np.arange(COUNT))


def _changed(how: Augmentation, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images of `_images`, before and after; the second input has changed as the first."""
    given = _images()
    found = augment(given, how, np.random.default_rng(seed))
    for channel in range(2):
        assert np.array_equal(found.inputs["b"][:, channel], -found.inputs["a"][:, 0])
    return given.inputs["a"][:, 0], found.inputs["a"][:, 0]


def test_half_of_the_samples_are_mirrored() -> None:
    before, after = _changed(Augmentation(flip=True))
    mirrored = (after == before[:, :, ::-1]).all((1, 2))
    kept = (after == before).all((1, 2))
    assert (mirrored ^ kept).all()
    assert 150 < mirrored.sum() < 250


def test_samples_move_by_up_to_so_many_places_and_repeat_their_border() -> None:
    before, after = _changed(Augmentation(shift=2))
    found = set()
    for image, moved in zip(before, after, strict=True):
        padded = np.pad(image, 2, mode="edge")
        fits = [
            (row, column)
            for row in range(5)
            for column in range(5)
            if np.array_equal(padded[row : row + 7, column : column + 9], moved)
        ]
        assert len(fits) == 1
        found.update(fits)
    assert len(found) == 25


def test_a_patch_of_one_other_sample_lies_in_each() -> None:
    before, after = _changed(Augmentation(cutmix=True))
    partners = []
    for number in range(COUNT):
        other = after[number] != before[number]
        rows, columns = other.any(1).nonzero()[0], other.any(0).nonzero()[0]
        if not rows.size:  # its own partner
            continue
        patch = np.ix_(rows, columns)
        assert other[patch].all()  # one rectangle
        assert 1 <= len(rows) <= 3
        assert 2 <= len(columns) <= 4
        (partner,) = set((after[number][patch] // 63).astype(int).flat)
        assert np.array_equal(after[number][patch], before[partner][patch])
        partners.append(partner)
    assert len(set(partners)) == len(partners) > 390


def test_patches_of_inputs_of_other_shapes_come_from_the_same_sample() -> None:
    number = np.arange(COUNT, dtype=np.float32)
    shapes = {"image": (1, 7, 9), "signal": (2, 12)}
    given = {
        n: np.broadcast_to(number.reshape(-1, *[1] * len(s)), (COUNT, *s))
        for n, s in shapes.items()
    }
    how = Augmentation(flip=True, shift=1, cutmix=True)
    found = augment(Samples(given, None), how, np.random.default_rng(3)).inputs
    partners = [
        np.array(
            [max({*sample.flat} - {float(own)}, default=own) for own, sample in enumerate(array)]
        )
        for array in found.values()
    ]
    assert np.array_equal(partners[0], partners[1])
    assert len(set(partners[0])) == COUNT


def test_labels_stay_where_they_fit() -> None:
    rng = np.random.default_rng(0)
    assert augment(_images(), Augmentation(flip=True, shift=1), rng).labels is not None
    assert augment(_images(), Augmentation(cutmix=True), rng).labels is None


@given(flip=st.booleans(), shift=st.integers(0, 3), cutmix=st.booleans(), seed=st.integers(0, 99))
def test_the_seed_alone_decides(flip: bool, shift: int, cutmix: bool, seed: int) -> None:
    how = Augmentation(flip, shift, cutmix)
    before, first = _changed(how, seed)
    assert np.array_equal(first, _changed(how, seed)[1])
    assert np.isin(first, before).all()
    signal = replace(_images(), inputs={"x": before[:, None, 0]})
    moved = augment(signal, how, np.random.default_rng(seed)).inputs["x"]
    assert moved.shape == (COUNT, 1, 9)


def test_a_shift_beyond_the_sample_repeats_its_border() -> None:
    _, after = _changed(Augmentation(shift=999))
    assert (after[:, :, 0] == after[:, :, -1]).mean() > 0.9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flip", Augmentation(flip=True)),
        ("cutmix, shift:2", Augmentation(shift=2, cutmix=True)),
        ("none", None),
        ("", None),
    ],
)
def test_what_is_written_is_read(text: str, expected: Augmentation | None) -> None:
    assert Training.model_validate({"augment": text}).augment == expected
    if expected is not None:
        assert parse_augmentation(str(expected)) == expected


@pytest.mark.parametrize("text", ["mirror", "shift", "shift:0", "shift:-1", "shift:1000", "flip:2"])
def test_what_is_not_available_is_named(text: str) -> None:
    with pytest.raises(MappingError, match="not available") as caught:
        parse_augmentation(text)
    assert "shift:N" in caught.value.hint


def test_vectors_have_nothing_to_mirror() -> None:
    vectors = Samples({"x": np.zeros((5, 8), np.float32)}, None)
    check_augmentation(vectors, None)
    with pytest.raises(InputError, match="'x' has shape \\[5, 8\\], expected"):
        check_augmentation(vectors, Augmentation(flip=True))
