"""Single layers: conversions that saturate, and products that are lossless."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse
from timing import Row, compare, spread_of, take_turns

from xbarc.executor import FastLayer
from xbarc.executor.byte_ops import HAS_SHUFFLE
from xbarc.executor.lanes import LANES
from xbarc.ir.effective import lossless_conversions
from xbarc.ir.geometry import Dense
from xbarc.ir.network import IntWeight, LazyTensor, MatrixLayer
from xbarc.ir.program import CrossbarStep
from xbarc.ir.quantizers import IntegerInput, IntegerResult
from xbarc.mapping import ArrayPool, map_layer
from xbarc.numerics import IntFormat, compiled
from xbarc.options import MapOptions
from xbarc.runtime import IntegerProduct
from xbarc.target import load_target

# Vectors that the numpy executor takes at a time: the quickest is its figure.
_BATCHES = (16, 32, 64, 128, 256)
_CLOCK_STEPS = 20_000_000


def dense_weights(size: int) -> Any:
    """Weights of a square layer; axes: group, input, output."""
    return np.random.default_rng(0).integers(-127, 128, (1, size, size))


def dense_step(
    size: int, adc: str, encoding: str = "differential", vectors: int = 256
) -> tuple[CrossbarStep, Any]:
    """A square int8 layer on rram128, and input vectors."""
    weights = dense_weights(size)
    tensor = LazyTensor(weights.shape, lambda: weights)
    layer = MatrixLayer(
        name="layer",
        operator="MatMulInteger",
        geometry=Dense(),
        input="x",
        output="y",
        weight=IntWeight(tensor, IntFormat(8, signed=True)),
        quantizer=IntegerInput(low=0, bits=8),
        constant=np.zeros(size, dtype=np.int64),
        result=IntegerResult("int64"),
    )
    target = load_target("rram128")
    options = MapOptions(adc=adc, encoding=encoding)
    step = map_layer(layer, target, options, ArrayPool(target.array, options.pack))
    codes = np.random.default_rng(1).integers(0, 256, (vectors, 1, size), dtype=np.uint8)
    return step, codes


class NumpyLayer:
    """A bit-sliced executor as a careful user of numpy writes it.

    All bit planes of some vectors are one float32 product a segment, which is exact; it is clamped
    where it lies, planes are joined by another product, and `R` is a sparse matrix.
    """

    def __init__(self, step: CrossbarStep) -> None:
        p = step.periphery
        self.step = step
        self.cells = step.cells.unpack((slice(None),))[0].astype(np.float32)
        self.top = np.float32((1 << int(step.adc.bits.max())) - 1)
        self.weights = (1 << np.arange(step.input_slices)).astype(np.float32)
        shape = (step.outputs, step.conversions)
        at = (p.r_output.astype(np.int64), p.r_conversion.astype(np.int64))
        blocks = p.r_value[0].astype(np.float64)
        self.joins = [sparse.csr_array((block, at), shape) for block in blocks]
        self.batch = 64

    def run(self, vectors: Any) -> Any:
        """Accumulators; axes: vector, output."""
        codes = vectors[:, 0]
        beta = self.step.periphery.input_sum
        found = codes.sum(axis=1, dtype=np.int64)[:, None] * beta.astype(np.float64)
        for first in range(0, len(codes), self.batch):
            self._add(codes[first : first + self.batch], found[first : first + self.batch])
        return found

    def _add(self, codes: Any, found: Any) -> None:
        count, slices = len(codes), len(self.weights)
        planes = ((codes >> np.arange(slices, dtype=np.uint8)[:, None, None]) & 1).astype(
            np.float32
        )
        for number, (first, last) in enumerate(pairwise(self.step.tiling.segment_bounds)):
            inputs = planes[:, :, self.step.tiling.row_input[first:last]]
            sums = inputs.reshape(slices * count, -1) @ self.cells[first:last]
            np.minimum(sums, self.top, out=sums)
            joined = (self.weights @ sums.reshape(slices, -1)).reshape(count, -1)
            found += (self.joins[number % len(self.joins)] @ joined.T).T


def executed(step: CrossbarStep, vectors: int) -> int:
    """Conversions that the fast engine makes one by one: those that are not proven lossless."""
    proven = lossless_conversions(step)
    return vectors * step.input_slices * int(proven.size - proven.sum())


@compiled()
def wait_in_chain(steps: int) -> int:  # pragma: no cover
    """Six instructions of one cycle each that wait for each other, a step."""
    x = np.uint64(88172645463325252)
    for _ in range(steps):
        x ^= x << np.uint64(13)
        x ^= x >> np.uint64(7)
        x ^= x << np.uint64(17)
    return x


def saturating(quick: bool) -> Iterator[Row]:
    """Layers whose converters saturate, where every conversion is executed and where some are."""
    cases = [(512, 256, "offset", ">= 2.5 G"), (512, 256, "differential", "")]
    if not quick:
        cases += [(4096, 16, "offset", ">= 2 G"), (4096, 16, "differential", "")]
    for case in cases:
        yield _saturating(*case)


def _saturating(size: int, count: int, encoding: str, goal: str) -> Row:
    step, vectors = dense_step(size, "6", encoding, count)
    layer, numpy_layer = FastLayer(step, threads=1), NumpyLayer(step)
    if not np.array_equal(layer.accumulate(vectors)[:, 0], numpy_layer.run(vectors)):
        raise SystemExit("the fast engine and the numpy executor differ")
    _choose_batch(numpy_layer, vectors)
    works: dict[str, Callable[[], object]] = {
        "ours": lambda: layer.accumulate(vectors),
        "numpy": lambda: numpy_layer.run(vectors),
        "clock": lambda: wait_in_chain(_CLOCK_STEPS // 10),
    }
    times = take_turns(works, 9 if size < 1024 else 5)
    amount, every = executed(step, count), count * step.input_slices
    every *= step.conversions * (len(step.tiling.segment_bounds) - 1)
    # A column of 128 rows takes 32 shuffles for as many conversions as a register has lanes.
    shuffles = step.tiling.segment_bounds[1] / 4 / LANES
    cycles = 6 * (_CLOCK_STEPS // 10)
    used = [
        amount * shuffles / ours / (cycles / clock)
        for ours, clock in zip(times["ours"], times["clock"], strict=True)
    ]
    bound = f"{spread_of(used).median:.2f} of 2 shuffles per cycle" if HAS_SHUFFLE else "no shuffle"
    rate = every / min(times["numpy"])
    note = f"{bound}; {amount / every:.0%} executed; numpy {rate / 1e9:.2f} G/s"
    return compare(
        f"layer {size}x{size}, {count} vectors, 6-bit, {encoding}",
        *(times["ours"], times["numpy"]),
        peer=f"numpy, {numpy_layer.batch} at a time",
        unit="executed conversions per CPU s",
        amount=amount,
        note=note,
        goal=goal,
    )


def _choose_batch(layer: NumpyLayer, vectors: Any) -> None:
    """Let the numpy executor take the batch at which it is quickest."""

    def seconds(batch: int) -> float:
        layer.batch = batch
        return min(take_turns({"": lambda: layer.run(vectors)}, 2)[""])

    layer.batch = min((b for b in _BATCHES if b <= len(vectors)), key=seconds)


def lossless(_: bool) -> list[Row]:
    """A lossless layer, against exact products of the same integers."""
    rows = []
    weights = dense_weights(512)[0]
    product = IntegerProduct(weights, threads=1)
    real = weights.astype(np.float32)
    for encoding in ("offset", "differential"):
        step, vectors = dense_step(512, "lossless", encoding)
        codes = np.ascontiguousarray(vectors[:, 0])
        layer = FastLayer(step, threads=1)
        # 512 products of 8 bits each stay below 2**24, so float32 is exact.
        works: dict[str, Callable[[], object]] = {
            "ours": partial(layer.accumulate, vectors),
            "ONNX Runtime, MatMulInteger": partial(product.run, codes),
            "numpy, float32 product": lambda codes=codes: codes.astype(np.float32) @ real,
        }
        times = take_turns(works, 21)
        ours = times.pop("ours")
        work = f"layer 512x512, 256 vectors, lossless, {encoding}"
        for peer, theirs in times.items():
            goal = ">= 0.5 times" if peer.startswith("ONNX") else ""
            rows.append(compare(work, ours, theirs, peer=peer, goal=goal))
    return rows


def growth(quick: bool) -> list[Row]:
    """Work per CPU second over four sizes of a layer: conversions executed, and weights mapped."""
    rows = []
    for size in (128, 256, 512) if quick else (128, 256, 512, 1024):
        step, vectors = dense_step(size, "6", "offset")
        times = take_turns({"": partial(FastLayer(step, threads=1).accumulate, vectors)}, 5)[""]
        shown = spread_of([executed(step, len(vectors)) / one for one in times])
        work = f"growth: layer {size}x{size}, 256 vectors, 6-bit, offset"
        rows.append(Row(work, shown, "executed conversions per CPU s", goal="even"))
    for size in (512, 1024) if quick else (512, 1024, 2048, 4096):
        times = take_turns({"": partial(dense_step, size, "lossless")}, 3)[""]
        shown = spread_of([size * size / one for one in times])
        work = f"growth: layer {size}x{size} mapped"
        rows.append(Row(work, shown, "weights per CPU s", goal="even"))
    return rows
