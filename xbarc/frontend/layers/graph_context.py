"""What the recognisers of matrix operators share: the graph's facts, and how they answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import onnx_ir as ir

from xbarc.errors import ModelError
from xbarc.frontend.graph import Constants, name_of, unique
from xbarc.frontend.quantised import (
    WIDEST,
    IntegerView,
    Views,
    integer_format,
    lost_input,
    lost_weights,
    scalar_of,
)
from xbarc.ir import (
    FloatInput,
    FloatWeight,
    Geometry,
    IntegerInput,
    IntWeight,
    LazyTensor,
    MatrixLayer,
    Quantizer,
    Result,
    Weight,
)
from xbarc.numerics import AnyArray, FloatArray, Int64Array, IntFormat, narrowest_format

WIDEST_WEIGHT = 17
"""Bits of integers of 16 bits with a zero point subtracted."""
_REAL_NAMES = ("float16", "float32", "float64")
_REAL = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.DOUBLE)


class StaysDigital(Exception):  # noqa: N818  # a finding, not an error
    """A matrix operator that no crossbar can take; the text says why."""


@dataclass(frozen=True, eq=False)
class Matched:
    """A matrix layer found in the graph.

    Attributes:
        reads: values that it needs: its input, and a zero point taken at run time.
        output: the value that it gives.
    """

    layer: MatrixLayer
    reads: tuple[ir.Value, ...]
    output: ir.Value


@dataclass(frozen=True, eq=False)
class Layout:
    """How a constant tensor of the model is a stack of matrices.

    Attributes:
        source: shape of the tensor in the model.
        shape: axes: group, input, output.
        arrange: from the first to the second.
        summed: axes of the tensor that are no outputs.
        repeat: how often the outputs' own entries are repeated, group by group.
    """

    source: tuple[int, ...]
    shape: tuple[int, int, int]
    arrange: Callable[[AnyArray], AnyArray]
    summed: tuple[int, ...]
    repeat: int = 1

    @property
    def entries(self) -> int:
        """Length of arrays with one entry per output."""
        rest = [n for axis, n in enumerate(self.source) if axis not in self.summed]
        return int(np.prod(rest, dtype=np.int64)) * self.repeat

    def per_output(self, array: AnyArray) -> AnyArray | None:
        """One entry per output, or None where the array differs along a summed axis."""
        rank = len(self.source)
        if array.size == 1:
            return np.full(self.entries, array.reshape(-1)[0])
        if array.ndim > rank:
            return None
        padded = array.reshape((1,) * (rank - array.ndim) + array.shape)
        if self.repeat > 1 and padded.shape[0] > 1:
            return self._per_group(padded)
        for axis in self.summed:
            whole, padded = padded, padded.take([0], axis)
            if not np.array_equal(np.broadcast_to(padded, whole.shape), whole):
                return None
        extent = tuple(1 if axis in self.summed else n for axis, n in enumerate(self.source))
        try:
            full = np.broadcast_to(padded, extent)
        except ValueError:
            return None
        return np.tile(full.reshape(-1), self.repeat)

    def _per_group(self, array: AnyArray) -> AnyArray | None:
        """One entry per output, where the first axis holds the inputs of all groups."""
        rows = self.source[0] // self.repeat
        full = np.broadcast_to(array, (self.source[0], *array.shape[1:]))
        apart = replace(
            self,
            source=(self.repeat, rows, *self.source[1:]),
            summed=(1, *(axis + 1 for axis in self.summed if axis)),
            repeat=1,
        )
        return apart.per_output(full.reshape(self.repeat, rows, *array.shape[1:]))


@dataclass(frozen=True, eq=False)
class Operand:
    """The constant side of a matrix operator.

    Attributes:
        format: of integer weights with the zero point subtracted; None for real ones.
        scale: of integer weights: a scalar, or what broadcasts against the tensor.
        load: the tensor in the model's axes.
        dtype: numpy name of the real element type.
        lost: why integers that the model declares are not used; empty where it declares none.
    """

    shape: tuple[int, ...]
    format: IntFormat | None
    scale: FloatArray
    load: Callable[[], AnyArray]
    dtype: str = "float32"
    lost: str = ""

    def weight(self, layout: Layout) -> Weight:
        """Weights in a layer's axes."""
        load, arrange = self.load, layout.arrange

        def arrange_array() -> AnyArray:
            array = arrange(load())
            array.flags.writeable = False
            return array

        tensor = LazyTensor(layout.shape, arrange_array)
        if self.format is None:
            return FloatWeight(tensor, self.lost)
        return IntWeight(tensor, self.format)


@dataclass(frozen=True, eq=False)
class LayerFindings:
    """What a recogniser found out about a layer.

    Attributes:
        source: how the input becomes integers, and the values that are read for it.
    """

    geometry: Geometry
    source: tuple[Quantizer, tuple[ir.Value, ...]]
    weight: Weight
    constant: Int64Array
    result: Result


@dataclass(eq=False)
class GraphContext:
    """Facts about the graph that is being read.

    Attributes:
        ranks: number of axes of values, where it is known.
    """

    constants: Constants
    views: Views
    ranks: dict[ir.Value, int]
    _names: set[str] = field(default_factory=set)

    def layer_name(self, node: ir.Node) -> str:
        """A name that no other layer has."""
        base = node.name or f"{node.op_type}:{name_of(node.outputs[0])}"
        return unique(base, self._names)

    def make_match(self, node: ir.Node, parts: LayerFindings) -> Matched:
        """Put a layer together."""
        quantizer, reads = parts.source
        name = self.layer_name(node)
        layer = MatrixLayer(
            name=name,
            operator=node.op_type,
            geometry=parts.geometry,
            input=name_of(reads[0]),
            output=name_of(node.outputs[0]),
            weight=check_weight(parts.weight, name),
            quantizer=quantizer,
            constant=parts.constant,
            result=parts.result,
        )
        return Matched(layer, reads, node.outputs[0])

    def real_input(self, value: ir.Value) -> tuple[Quantizer, tuple[ir.Value, ...]]:
        """How a real activation enters: as the integers it is declared to be, where it is."""
        view = self.views.of(value)
        if view is None or not view.is_scalar or view.dtype not in _REAL_NAMES:
            return FloatInput(lost_input(value, self.views)), (value,)
        check_input_scale(scalar_of(view.scale))
        zero = int(view.zero_point.reshape(-1)[0])
        # The zero point has to be a code too: it is what padding and left-out inputs hold.
        form = narrowest_format(min(view.format.min, zero), max(view.format.max, zero))
        if form.bits > WIDEST or form.bits == view.format.bits:
            form = view.format
        return IntegerInput(form.min, form.bits, scalar_of(view.scale), zero), (view.integers,)

    def real_operand(self, value: ir.Value, layout: Callable[[tuple[int, ...]], Layout]) -> Operand:
        """Constant real weights, as integers where the model declares them so."""
        view = self.views.of(value)
        if view is not None and self.constants.holds(view.integers):
            found = self._view_operand(view, layout)
            if found is not None:
                return found
        return replace(self._floats(value), lost=lost_weights(value, view, self.views))

    def _view_operand(
        self, view: IntegerView, layout: Callable[[tuple[int, ...]], Layout]
    ) -> Operand | None:
        shape = self.constants.shape(view.integers)
        found = self.integer_operand(view.integers, view.zero_point, view.format)
        if found is None or view.dtype not in _REAL_NAMES:
            return None
        # Accumulators of one output have one scale: integers whose scale changes along the sum do
        # not add up.
        if layout(shape).per_output(view.scale) is None:
            raise StaysDigital("the scale of its weights changes along the sum")
        return Operand(shape, found.format, view.scale, found.load, view.dtype)

    def _floats(self, value: ir.Value) -> Operand:
        kind = self.constants.dtype(value)
        if kind not in _REAL:
            raise StaysDigital(f"weights of type {kind.name if kind else 'unknown'}")
        shape, load = self.constants.shape(value), self.constants.load
        # The constant is looked at now and loaded again later, so that a network holds no weights.
        _check_weights(load(value))

        def floats() -> AnyArray:
            array = load(value)
            return array if array.dtype == np.float32 else array.astype(np.float32)

        return Operand(shape, None, np.ones((), np.float32), floats, str(kind.numpy()))

    def integer_operand(
        self, value: ir.Value, zero: AnyArray, form: IntFormat | None = None
    ) -> Operand | None:
        """Constant integers less their zero point; None where that needs more than 17 bits."""
        form = form or integer_format(self.constants.dtype(value))
        if form is None:
            return None
        zero = zero.astype(np.int64)
        wide = narrowest_format(form.min - int(zero.max()), form.max - int(zero.min()))
        if wide.bits > WIDEST_WEIGHT:
            return None
        stored = self.constants.dtype(value)
        if stored is not None and stored.is_floating_point():
            _check_finite(self.constants.load(value))
        # Differences of 8-bit codes need 9 bits: int16 holds half of what int32 takes.
        load, kind = self.constants.load, np.int16 if wide.signed and wide.bits <= 16 else np.int32

        def integers() -> AnyArray:
            return np.subtract(load(value).astype(np.int32), zero.astype(np.int32)).astype(kind)

        one = np.ones((), np.float32)
        return Operand(self.constants.shape(value), wide, one, integers)


def check_input_scale(scale: float) -> None:
    """Refuse a scale that no quantiser has: the converters count in positive steps."""
    if not np.finfo(np.float32).tiny <= scale <= np.finfo(np.float32).max:
        raise StaysDigital(f"the scale of its input is {scale:g}")


_SMALLEST_PEAK, _LARGEST_PEAK = 2.0**-62, 2.0**62
"""Between these, weights of up to 16 bits have scales that float32 holds in all digits, and what
is folded into them (see `fold`) may be as large or small again."""


def _check_weights(array: AnyArray) -> None:
    """Refuse weights that cells cannot hold, or whose scales leave float32."""
    if not array.size:
        return
    peak = _check_finite(array)
    if peak and not _SMALLEST_PEAK <= peak <= _LARGEST_PEAK:
        raise StaysDigital(f"its largest weight is {peak:g}, too far from 1 for scales in float32")


def _check_finite(array: AnyArray) -> float:
    """The largest size of an entry; NaN and infinity are no weights of a cell."""
    peak = max(float(array.max(initial=0)), -float(array.min(initial=0)))  # no copy is made
    if not np.isfinite(peak):  # NaN stays NaN
        raise StaysDigital("its weights hold NaN or infinity")
    return peak


def check_weight(weight: Weight, name: str) -> Weight:
    """Weights that raise ModelError, naming the layer, when they hold no real numbers."""
    if isinstance(weight, IntWeight):
        return weight
    tensor = weight.tensor

    def load() -> AnyArray:
        array = tensor.load()
        ends = np.array([array.min(initial=0), array.max(initial=0)])  # NaN stays NaN
        if not np.isfinite(ends).all():
            bad = int(np.size(array) - np.count_nonzero(np.isfinite(array)))
            raise ModelError(f"{bad} weights are NaN or infinite", where=name)
        return array

    return FloatWeight(LazyTensor(tensor.shape, load), weight.lost)


def argument(node: ir.Node, index: int) -> ir.Value | None:
    """An input of a node, or None where it is left out."""
    return node.inputs[index] if index < len(node.inputs) else None


def required_input(node: ir.Node, index: int) -> ir.Value:
    """An input that a node must have."""
    value = argument(node, index)
    if value is None:
        raise ModelError(f"{node.op_type} has no input {index}", where=node.name or "")
    return value
