import numpy as np
import pytest

from xbarc.circuit.random import normals, raw_words, uniforms


def test_a_block_is_part_of_the_whole() -> None:
    whole = normals(3, "noise", (1, 2), 400)
    assert np.array_equal(normals(3, "noise", (1, 2), 96, 104), whole[104:200])


@pytest.mark.parametrize(
    "other",
    [(4, "noise", (1, 2)), (3, "faults", (1, 2)), (3, "noise", (2, 2)), (3, "noise", (1, 3))],
)
def test_every_stream_is_its_own(other: tuple[int, str, tuple[int, int]]) -> None:
    assert not np.array_equal(raw_words(3, "noise", (1, 2), 64), raw_words(*other, 64))


def test_moments_of_normals_and_uniforms() -> None:
    drawn = normals(0, "variation", (0,), 200_000)
    assert abs(drawn.mean()) < 0.01
    assert abs(drawn.std() - 1) < 0.01
    assert abs((drawn**4).mean() - 3) < 0.1
    flat = uniforms(0, "faults", (0,), 200_000)
    assert flat.min() >= 0
    assert flat.max() < 1
    assert abs(flat.mean() - 0.5) < 0.01


def test_blocks_start_where_the_counter_does() -> None:
    with pytest.raises(ValueError, match="multiples"):
        raw_words(0, "noise", (0,), 4, 3)
