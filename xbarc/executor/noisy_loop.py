# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Real column sums with noise: sums by lookup, random numbers by position, converter, shift-add.

The definition is `analog_loop.add_noise` followed by its converter, in float64: a sum and its noise
are added, rounded to float32 and converted. Here float32 decides, and where it lands so close to
the border of a code that its errors could matter, the definition does.
"""

from __future__ import annotations

from math import floor
from typing import Any, cast

import numpy as np

from xbarc.executor import digit_sums, noisy_read
from xbarc.executor.digit_sums import SETTINGS as BASES
from xbarc.executor.lanes import DIGITS, LANES, NIBBLES
from xbarc.executor.noisy_read import SETTINGS
from xbarc.executor.random_loop import draw_words
from xbarc.numerics import compiled

_read_planes = cast(Any, noisy_read.read_planes)
_sum_two = cast(Any, digit_sums.sum_two)
_sum_one = cast(Any, digit_sums.sum_one)


def _compile(function=None, **options):
    """Compile with numpy's division, which has no branch for zero."""
    decorate = compiled(error_model="numpy", **options)
    return decorate if function is None else decorate(function)


@_compile(inline="always")
def _sum_conversion(where, planes, nibbles):
    """Sums of a conversion of a chunk; `where` is tables, planes, bases and the sums themselves."""
    table, index, base, out = where
    stride, groups = np.intp(nibbles * LANES), np.intp(nibbles // NIBBLES)
    for plane in range(0, planes - 1, 2):
        places = (table, np.intp(index + plane * stride), stride, groups)
        at = np.intp(base + plane * BASES * 2)
        _sum_two(places, at, np.intp(out + plane * LANES * 4))
    if planes % 2:
        plane = planes - 1
        places = (table, np.intp(index + plane * stride), stride, groups)
        at = np.intp(base + plane * BASES * 2)
        _sum_one(places, at, np.intp(out + plane * LANES * 4))


@_compile(inline="always")
def _draw_numbers(stream, first, numbers, words, indices, quantiles, drawn):
    """Normal numbers of a conversion; axes: plane, vector.

    Args:
        stream: two words of the key, three of the upper counter, blocks that a vector takes.
        first: lowest word of the counter for the first vector of the chunk.
        numbers: of the first plane and the end.
        words: sixteen numbers of each vector that are under way; axes: word, vector.
        indices: the same; axes: word, vector, index in the word.
        quantiles: of a standard normal.
        drawn: out.
    """
    for number in range(numbers[0], numbers[1]):
        if number % 16 == 0:
            counter = first + np.uint64(number // 16)
            draw_words(stream[:2], stream[2:5], counter, stream[5], words)
        plane, word, part = number - numbers[0], (number // 4) % 4, number % 4
        for lane in range(LANES):
            drawn[plane, lane] = quantiles[indices[word, lane, part]]


@_compile
def _read_near(waiting, sums, sigma, drawn, reading, lanes):
    """The definition, for the codes that are near a border.

    Args:
        waiting: a bit for each of them; axis: plane.
        sums: without noise, in steps of the grid; axes: plane, vector.
        sigma: axes: plane, vector.
        drawn: normal numbers; axes: plane, vector.
        reading: settings of the conversion, axes: input slice or 1, number; steps of the grid a
            level.
        lanes: joined codes and misses, 32 bits; axes: which, vector.
    """
    settings, grid = reading
    for plane in range(len(waiting)):
        if not waiting[plane]:
            continue
        _, _, lo, step, top = settings[min(plane, settings.shape[0] - 1)]
        for lane in range(LANES):
            if not (waiting[plane] >> np.uint32(lane)) & np.uint32(1):
                continue
            noise = sigma[plane, lane] * np.float64(drawn[plane, lane])
            whole = np.float64(np.float32(np.float64(sums[plane, lane]) + noise)) / grid
            code = floor((2.0 * (whole - lo) + step) / (2.0 * step))
            kept = min(max(code, np.int64(0)), np.int64(top))
            lanes[0, lane] += np.int32(kept * step + lo) << np.int32(plane)
            lanes[1, lane] += np.int32(kept != code)


@_compile
def _align(shape, kind):
    """Zeros of 32 bits that start on a 64-byte border, where vectors of 64 bytes are quick."""
    size = shape[0] * shape[1]
    memory = np.zeros(size + 16, kind)
    first = (-memory.ctypes.data % 64) // 4
    return memory[first : first + size].reshape(shape)


@_compile(inline="always")
def _spread(acc, values, span, chunk, lanes):
    """Add joined codes to the accumulators of some entries of `R`, from the first to the end."""
    for entry in range(span[0], span[1]):
        row, factor = values[0, entry], values[1, entry] << values[2, entry]
        for lane in range(LANES):
            acc[row, chunk * LANES + lane] += factor * np.int64(lanes[lane])


@_compile
def convert_and_add(tables, packed, reading, draw, entries, totals, span):
    """Everything from packed inputs to accumulators, for one group and one segment.

    Args:
        tables: as `digit_loop.make_tables` fills them.
        packed: as `lookup.pack_planes` fills it.
        reading: how sums are read.
        draw: where noise comes from.
        entries: of `R`.
        totals: in and out.
        span: first chunk and the end; other threads may work on other chunks at the same time.
    """
    bases, settings = reading.bases, reading.settings
    kinds, quantiles, acc, values = draw.kinds, draw.quantiles, totals.acc, entries.values
    starts, stride, origin, all_sigma = entries.starts, draw.stride, draw.first, draw.sigma
    planes, nibbles, slices = bases.shape[1], packed.shape[2], settings.shape[1]
    stream = (draw.key[0], draw.key[1], draw.place[0], draw.place[1], draw.place[2], stride)
    grid, window = np.float64(1 << reading.bits), np.float32(reading.window)
    sums, waiting = _align((planes, LANES), np.int32), np.zeros(planes, np.uint32)
    drawn = _align((planes, LANES), np.float32)
    words = np.zeros((4, LANES), np.uint64)
    indices = words.reshape(-1).view(np.uint16).reshape((4, LANES, 4))
    lanes = _align((2, LANES), np.int32)
    rounded = draw.rounded
    vectors, row, out = rounded.shape[2], np.intp(LANES * 4), np.intp(sums.ctypes.data)
    # Numba frees an array after its last use by name, whoever knows its address: all of these are
    # named in the loop below.
    at_drawn, at_waiting = np.intp(drawn.ctypes.data), np.intp(waiting.ctypes.data)
    at_lanes = np.intp(lanes.ctypes.data)
    apart = np.intp(SETTINGS * 4 if slices > 1 else 0)
    strides = (row, np.intp(vectors * 4), row, np.intp(4), apart)
    for chunk in range(span[0], span[1]):
        lanes[1] = 0
        first = origin + np.uint64(chunk * LANES) * stride
        for k in range(tables.shape[0]):
            where = (
                np.intp(tables.ctypes.data + k * nibbles * 16 * DIGITS),
                np.intp(packed.ctypes.data + chunk * packed.shape[1] * nibbles * LANES),
                np.intp(bases.ctypes.data + k * planes * BASES * 2),
                out,
            )
            _sum_conversion(where, planes, nibbles)
            numbers = (k * planes, (k + 1) * planes)
            _draw_numbers(stream, first, numbers, words, indices, quantiles, drawn)
            sigma = (kinds[k] * planes * vectors + chunk * LANES) * 4
            places = (
                out,
                np.intp(rounded.ctypes.data + sigma),
                at_drawn,
                at_waiting,
                np.intp(settings.ctypes.data + k * slices * SETTINGS * 4),
                at_lanes,
                np.intp(at_lanes + row),
            )
            if _read_planes(places, strides, (np.intp(planes), window)):
                own = all_sigma[kinds[k], :, chunk * LANES : (chunk + 1) * LANES]
                _read_near(waiting, sums, own, drawn, (settings[k], grid), lanes)
            _spread(acc, values, (starts[k], starts[k + 1]), chunk, lanes[0])
        totals.missed[chunk] += lanes[1]
