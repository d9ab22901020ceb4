"""Random numbers by position: whatever is asked for first, a cell's numbers are its own.

Philox turns a key and a counter into bits. The key holds seed and effect, the upper words of the
counter say which array, sample or layer it is about, and its lowest word walks through the block.
So no result depends on threads, on the order of evaluation, on batches, or on what else is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.random import Philox

from xbarc.numerics import AnyArray, Float64Array

WORDS = 4
"""64-bit words that one step of the counter gives."""


def raw_words(seed: int, effect: str, place: Sequence[int], count: int, start: int = 0) -> AnyArray:
    """Uniform 64-bit words.

    Args:
        seed: the user's.
        effect: what the numbers are for; each name has a stream of its own.
        place: at most three numbers that say where they belong.
        count: how many.
        start: first word, a multiple of `WORDS`.
    """
    if start % WORDS:
        raise ValueError(f"words start at multiples of {WORDS}, not at {start}")
    key, upper = stream_of(seed, effect, place)
    counter = np.array([start // WORDS, *upper], dtype=np.uint64)
    words: AnyArray = Philox(key=key, counter=counter).random_raw(count)
    return words


def stream_of(seed: int, effect: str, place: Sequence[int]) -> tuple[AnyArray, AnyArray]:
    """Key of a stream of words, and the three upper words of its counter; as for `raw_words`."""
    # crc32, not `hash`: the same in every process and version.
    key = np.array([seed % (1 << 64), crc32(effect.encode())], dtype=np.uint64)
    return key, np.array([*place, 0, 0, 0][:3], dtype=np.uint64)


def uniforms(
    seed: int, effect: str, place: Sequence[int], count: int, start: int = 0
) -> Float64Array:
    """Numbers in [0, 1)."""
    words = raw_words(seed, effect, place, count, start)
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normals(
    seed: int, effect: str, place: Sequence[int], count: int, start: int = 0
) -> Float64Array:
    """Standard normal numbers; each word gives two of them (Box and Muller, up to 6.7 sigma).

    Args:
        seed: the user's.
        effect: as in `raw_words`.
        place: as in `raw_words`.
        count: how many.
        start: first number, a multiple of `2 * WORDS`.
    """
    words = raw_words(seed, effect, place, -(-count // 2), start // 2)
    # Half a step is added, so that the logarithm never meets zero.
    radius = np.sqrt(-2 * np.log(((words >> np.uint64(32)).astype(np.float64) + 0.5) * 2.0**-32))
    angle = (words & np.uint64(0xFFFFFFFF)).astype(np.float64) * (2 * np.pi * 2.0**-32)
    both = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return both.reshape(-1)[:count]
