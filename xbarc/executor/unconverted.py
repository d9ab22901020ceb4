"""Layers on one chip without their converters: one product with what the cells really stand for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import ceil, log2

import numpy as np

from xbarc.circuit import real_weights
from xbarc.executor.analog import GRID_BITS
from xbarc.executor.layer import Accumulate
from xbarc.ir import CrossbarStep, LayerTrace
from xbarc.numerics import Float64Array, Int64Array, IntArray, available_cores, ordered_sums

# Numbers of one product at a time, inputs or outputs: 1 MB in float64, which stays near while codes
# become floats and results are rounded. Whole pieces of 2**24 codes took 2.6 times as long.
_BLOCK = 1 << 17


class UnconvertedLayer(Accumulate):
    """One crossbar layer on one chip whose converters neither round nor clamp nor make noise.

    Real weights are rounded to a grid on which every sum is exact in float64, so results depend
    neither on threads nor on the order of additions.

    Args:
        step: the layer.
        levels: what each cell contributes, in level units; axes: group, row, column.
        threads: share the vectors; 0 takes all.
    """

    def __init__(self, step: CrossbarStep, levels: Float64Array, threads: int = 0) -> None:
        weights = real_weights(step, levels)
        largest = float(np.abs(weights).sum(axis=1).max(initial=1)) * ((1 << step.input_bits) - 1)
        grid = 2.0 ** min(GRID_BITS, 52 - ceil(log2(max(2.0, largest))))
        rounded = np.rint(weights * grid) / grid
        self._weights = np.ascontiguousarray(rounded.transpose(0, 2, 1))
        self._threads = threads or available_cores()

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None = None) -> Int64Array:
        """Accumulators, rounded to whole numbers once; nothing is counted."""
        del trace
        groups, outputs, inputs = self._weights.shape
        count = vectors.shape[0]
        found = np.empty((groups, outputs, count), dtype=np.int64)
        size = max(1, _BLOCK // max(1, inputs, outputs))
        blocks = [slice(at, min(count, at + size)) for at in range(0, count, size)]
        work = partial(self._multiply, vectors, found)
        threads = max(1, min(self._threads, len(blocks)))
        parts = [blocks[number::threads] for number in range(threads)]
        # Threads of BLAS would be others than those asked for, and wait in loops that burn a core:
        # on two busy cores a product of a millisecond took twelve.
        with ordered_sums():
            if threads == 1:
                work(blocks)
            else:
                with ThreadPoolExecutor(threads) as pool:
                    list(pool.map(work, parts))
        return found.transpose(2, 0, 1)

    def _multiply(self, vectors: IntArray, found: Int64Array, blocks: list[slice]) -> None:
        """Some vectors through the layer, block by block.

        Args:
            vectors: axes: vector, group, input.
            found: is filled; axes: group, output, vector.
            blocks: which vectors, the largest number of them first.
        """
        groups, outputs, inputs = self._weights.shape
        largest = blocks[0].stop - blocks[0].start if blocks else 0
        # Kept from block to block: fresh pages for each took four times as long as filling them.
        room = np.empty(groups * inputs * largest), np.empty(groups * outputs * largest)
        for block in blocks:
            count = block.stop - block.start
            codes = room[0][: groups * inputs * count].reshape(groups, inputs, count)
            product = room[1][: groups * outputs * count].reshape(groups, outputs, count)
            # Vectors are the innermost axis, as windows are gathered.
            np.copyto(codes, vectors[block].transpose(1, 2, 0))
            np.matmul(self._weights, codes, out=product)
            np.copyto(found[:, :, block], np.rint(product, out=product), casting="unsafe")
