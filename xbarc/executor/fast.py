"""The fast engine: the same bits as the reference, by a shorter way where one is proven.

Conversions that are provably lossless leave the sliced path: slices, segments and periphery
collapse into one exact integer product with the effective weights. The others go through lookup
tables, with the converter and the shift-add in the same loop. A layer may need both: they add up.
"""

from __future__ import annotations

from functools import cached_property
from math import prod

import numpy as np

from xbarc.errors import ModelError
from xbarc.executor.adc import conversions_of_vector
from xbarc.executor.layer import Accumulate
from xbarc.executor.reference import ReferenceLayer
from xbarc.executor.saturating import fits_lookup
from xbarc.executor.sliced import SlicedLayer
from xbarc.executor.windows import gather
from xbarc.ir import CrossbarStep, LayerTrace, Window, effective_weights, lossless_conversions
from xbarc.numerics import FLOAT32_EXACT, AnyArray, IntArray, exact_matmul
from xbarc.runtime import IntegerProduct

# Inputs whose magnitudes are summed at a time: of 4,096 outputs, 16 MiB of 32-bit numbers.
_ROWS = 1 << 10


class FastLayer(Accumulate):
    """One crossbar layer, prepared once.

    Args:
        step: the layer.
        threads: of products and loops; 0 takes all. The results do not depend on it.
        tables: of the engine of a layer that differs in digital numbers only, to be shared: it has
            the same cells, converters and signs.
    """

    def __init__(
        self, step: CrossbarStep, threads: int = 0, tables: FastLayer | None = None
    ) -> None:
        self.step = step
        lossless = lossless_conversions(step)
        self._reference = ReferenceLayer(step)
        self._product: CollapsedLayer | None = None
        self._threads = threads
        self._shared = tables
        self._saturating = None if lossless.all() else ~lossless
        self._by_definition = self._saturating is not None and not fits_lookup(step)
        if self._by_definition:
            return
        if lossless.any() or not lossless.size or step.periphery.input_sum.any():
            self._product = CollapsedLayer(step, lossless, threads)

    @property
    def has_tables(self) -> bool:
        """Whether tables execute conversions that may saturate; making them loads loops."""
        return self._saturating is not None and not self._by_definition

    @property
    def weights(self) -> IntArray | None:
        """What the layer multiplies by, where one product is all of it; group, input, output."""
        return None if self._saturating is not None or not self._product else self._product.weights

    @cached_property
    def tables(self) -> SlicedLayer | None:
        """What executes conversions that may saturate, if tables do."""
        if not self.has_tables:
            return None
        made = None if self._shared is None else self._shared.tables
        return made or SlicedLayer(self.step, self._saturating, threads=self._threads)

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None = None) -> IntArray:
        """As `ReferenceLayer.accumulate`; codes are kept by the reference itself."""
        if self._by_definition or (trace is not None and trace.keep_codes):
            return self._reference.accumulate(vectors, trace)
        if trace is not None:
            count_conversions(self.step, vectors.shape[0], trace)
        if self._product is None:
            return self._partial(vectors, trace)
        acc = self._product.accumulate(vectors)
        return acc if not self.has_tables else acc + self._partial(vectors, trace)

    def convolve(
        self, padded: IntArray, geometry: Window, trace: LayerTrace | None = None
    ) -> IntArray | None:
        """Lossless conversions need no gathered windows; the others are added to their sums."""
        if self._product is None or (trace is not None and trace.keep_codes):
            return None
        acc = self._product.convolve(padded, geometry)
        if acc is None:
            return None
        if trace is not None:
            count_conversions(self.step, acc.shape[0] * prod(acc.shape[2:]), trace)
        if not self.has_tables:
            return acc
        partial = self._partial(gather(padded, geometry, self.step.groups), trace)
        by_channel = partial.transpose(1, 2, 0).reshape(acc.shape[1], acc.shape[0], -1)
        return acc + by_channel.transpose(1, 0, 2).reshape(acc.shape)

    def _partial(self, vectors: IntArray, trace: LayerTrace | None) -> IntArray:
        if self.tables is None:
            raise ValueError(f"{self.step.name}: every conversion is lossless")
        return self.tables.accumulate(vectors, trace)


def largest_sum(weights: AnyArray) -> int:
    """The largest sum of magnitudes of an output's weights; axes: group, input, output.

    A thousand inputs at a time: the magnitudes of a whole layer are as large as the layer.
    """
    sums = np.zeros((weights.shape[0], weights.shape[2]), dtype=np.int64)
    for first in range(0, weights.shape[1], _ROWS):
        sums += np.abs(weights[:, first : first + _ROWS]).sum(axis=1, dtype=np.int64)
    return int(sums.max(initial=0))


class CollapsedLayer(Accumulate):
    """Lossless conversions: one exact integer product a group.

    Args:
        step: the layer.
        lossless: conversions to collapse; axes: group, segment, conversion.
        threads: of the product.

    Attributes:
        weights: what these conversions multiply by; axes: group, input, output.
    """

    def __init__(self, step: CrossbarStep, lossless: AnyArray, threads: int = 0) -> None:
        self.step = step
        self._threads = threads
        weights = effective_weights(step, lossless)
        top = (1 << step.input_bits) - 1
        self._bound = largest_sum(weights) * top
        narrow = bool(-128 <= weights.min(initial=0) <= weights.max(initial=0) <= 127)
        # A quarter of the memory for as long as the layer lives.
        self.weights: IntArray = weights.astype(np.int8) if narrow else weights
        narrow = narrow and step.input_bits <= 8
        # Weights go in as uint8 (see `IntegerProduct`), so that a product is at most 255 * 255, and
        # kernels add in int32.
        self._fits_int8 = narrow and step.inputs * 255 * 255 < 1 << 31
        self._dense: IntegerProduct | None = None
        self._conv: IntegerProduct | None = None
        self._float: AnyArray | None = None
        self._no_kernel = False

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None = None) -> IntArray:
        """Axes: vector, group, input -> vector, group, output."""
        del trace
        by_group = vectors.transpose(1, 0, 2)
        if self._fits_int8 and vectors.size:
            if self._dense is None:
                self._dense = IntegerProduct(self.weights, threads=self._threads)
            return self._dense.run(by_group).transpose(1, 0, 2)
        if self._float is None:
            # Half the memory and a shorter product, wherever no sum can leave 24 bits.
            dtype = np.float32 if self._bound < FLOAT32_EXACT else np.float64
            self._float = self.weights.astype(dtype)
        return exact_matmul(by_group, self._float, self._bound).transpose(1, 0, 2)

    def convolve(
        self, padded: IntArray, geometry: Window, trace: LayerTrace | None = None
    ) -> IntArray | None:
        """Whole blocks, where ONNX Runtime has a kernel for the convolution."""
        del trace
        if not self._fits_int8 or not padded.size or self._no_kernel:
            return None
        try:
            if self._conv is None:
                attributes = self._attributes(geometry)
                self._conv = IntegerProduct(self._kernels(geometry), attributes, self._threads)
        # No kernel for this geometry in this version: asked once, and then gathered.
        except ModelError:
            self._no_kernel = True
            return None
        return self._conv.run(padded)

    def _kernels(self, geometry: Window) -> IntArray:
        """Axes of Conv: channel, input of the group, kernel."""
        groups, inputs, outputs = self.weights.shape
        shape = (groups * outputs, inputs // prod(geometry.kernel), *geometry.kernel)
        return self.weights.transpose(0, 2, 1).reshape(shape)

    def _attributes(self, geometry: Window) -> dict[str, object]:
        return {
            "kernel_shape": list(geometry.kernel),
            "strides": list(geometry.strides),
            "dilations": list(geometry.dilations),
            "group": self.step.groups,
        }


def count_conversions(step: CrossbarStep, vectors: int, trace: LayerTrace) -> None:
    """Book the conversions that this many input vectors cost; of 0 bits there are none."""
    trace.vectors += vectors
    trace.conversions += vectors * conversions_of_vector(step)
