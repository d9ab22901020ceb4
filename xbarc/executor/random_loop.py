# mypy: disable-error-code="no-untyped-def,no-untyped-call,import-untyped"
"""Philox by position, for many vectors side by side: the words of `xbarc.circuit.raw_words`."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from xbarc.numerics import compiled

# Multipliers and key increments of Philox-4x64 with 10 rounds (Salmon et al., "Parallel random
# numbers: as easy as 1, 2, 3", SC 2011), which numpy implements too.
_FIRST, _SECOND = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_STEPS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B))
_ROUNDS = 10  # as above


@intrinsic
def _wide_product(_context: Any, first: Any, second: Any) -> tuple[Any, Any]:
    """High and low word of a product of 64-bit words."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(word, wide) for word in arguments))
        high = builder.trunc(builder.lshr(product, wide(64)), ir.IntType(64))
        words = [high, builder.trunc(product, ir.IntType(64))]
        return context.make_tuple(builder, signature.return_type, words)

    return types.UniTuple(types.uint64, 2)(first, second), generate


_multiply = cast(Any, _wide_product)


@compiled()
def draw_words(key, place, first, stride, words):
    """Four words for each of some vectors.

    Args:
        key: two words.
        place: three words: upper part of the counter.
        first: lowest word of the counter for the first vector; numpy counts before it draws.
        stride: from one vector's counter to the next one's.
        words: out; axes: word, vector.
    """
    counter = np.uint64(first)
    for vector in range(words.shape[1]):
        a, b, c, d = counter, place[0], place[1], place[2]
        one, two = key
        for _ in range(_ROUNDS):
            high, low = _multiply(_FIRST, a)
            top, bottom = _multiply(_SECOND, c)
            a, b, c, d = top ^ b ^ one, bottom, high ^ d ^ two, low
            one += _STEPS[0]
            two += _STEPS[1]
        words[0, vector], words[1, vector] = a, b
        words[2, vector], words[3, vector] = c, d
        counter += stride
