"""Layers of binary networks: +-1 inputs and weights, and thresholds in place of Sign.

A layer is binary when its input provably holds two values and its weights are plus or minus one
number per output. What follows it up to the next two-valued tensor (BatchNormalization, Mul by a
scale, MaxPool, Sign in any form) is run, in ONNX Runtime, on every sum that the layer can have; if
that is a step, the step is an integer threshold and takes the place of those operators.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from xbarc.errors import UnsupportedError
from xbarc.frontend.binary.levels import LevelMap
from xbarc.frontend.binary.pool_rewrite import pool_bits
from xbarc.frontend.binary.threshold_region import ThresholdRegion, find_regions
from xbarc.frontend.binary.threshold_table import StepTable, step_table
from xbarc.frontend.layers import GraphContext, Matched, frozen_copy
from xbarc.ir import (
    ABSENT,
    BinaryInput,
    Dense,
    FloatResult,
    IntegerInput,
    IntWeight,
    LazyTensor,
    MatrixLayer,
    Pooling,
    Scatter,
    SignResult,
    Window,
)
from xbarc.numerics import AnyArray, Float64Array, Int64Array, IntFormat
from xbarc.operators import find


@dataclass(frozen=True)
class BinaryOptions:
    """How binary networks are read.

    Attributes:
        senses: the target reads sums by comparison only: layers that are not binary stay digital.
        sign_of_zero: what Sign(0) means: `onnx` keeps it 0, `plus` and `minus` give it that side.
        allow_ternary: weights may be 0 too.
    """

    senses: bool = False
    sign_of_zero: str = "onnx"
    allow_ternary: bool = False


@dataclass(frozen=True, eq=False)
class _Signs:
    """Signs of weights and the one size of each output; axes: group, input, output."""

    scale: Float64Array
    ternary: bool
    load: Callable[[], AnyArray]
    sums: Int64Array


def binarise(
    found: Matched, context: GraphContext, levels: LevelMap, options: BinaryOptions
) -> Matched:
    """The same layer as a binary one where it is that, its sign folded into integers.

    Raises:
        UnsupportedError: a comparison is all there is, and cannot say what the model means.
    """
    layer = _binary_layer(found, levels, options)
    if layer is None:
        return found
    binary = Matched(layer, found.reads, found.output)
    known = levels.of(found.reads[0])
    # Comparators are read by the sums of +1 and -1: a report says what a 0 does there.
    zeros = known is not None and bool(known.ties) and not options.senses
    sums = reachable_sums(layer, zeros=zeros)
    for region in find_regions(found.output, context.constants, levels):
        table = step_table(layer, region, context, sums)
        if table is not None:
            return _fold_threshold(binary, region, table, context, levels, options)
    return binary


def _fold_threshold(
    binary: Matched,
    region: ThresholdRegion,
    table: StepTable,
    context: GraphContext,
    levels: LevelMap,
    options: BinaryOptions,
) -> Matched:
    """The layer with a threshold in place of the region, unless a tie stands in the way."""
    if table.ties.any() and options.sign_of_zero == "onnx":
        if options.senses:
            raise _tie_error(binary.layer, table)
        return binary
    return _with_threshold(binary, region, table, context, levels, options)


def is_binary(found: Matched) -> bool:
    """Whether a layer takes binary codes."""
    return isinstance(found.layer.quantizer, BinaryInput)


def _tie_error(layer: MatrixLayer, table: StepTable) -> UnsupportedError:
    row, channel = (int(i[0]) for i in np.nonzero(table.ties))
    return UnsupportedError(
        f"a sum of {table.sums[row]} in output {channel} makes Sign(0), which ONNX defines as 0:"
        f" one bit cannot say it ({int(table.ties.any(axis=0).sum())} outputs have such a sum)",
        where=layer.name,
        hint="--sign-of-zero plus or minus, as the network was trained",
    )


def _binary_layer(found: Matched, levels: LevelMap, options: BinaryOptions) -> MatrixLayer | None:
    layer = found.layer
    known = levels.of(found.reads[0]) if len(found.reads) == 1 else None
    pair = None if known is None else known.pair
    geometry = layer.geometry
    plain = not isinstance(geometry, Scatter) and not (
        isinstance(geometry, Dense) and (geometry.batch or geometry.squeeze)
    )
    if pair is None or not plain or not isinstance(layer.result, FloatResult):
        return None
    if layer.constant.any():
        return None
    signs = _signs(layer, options)
    if signs is None:
        return None
    low, high = pair
    unit = layer.quantizer.scale if isinstance(layer.quantizer, IntegerInput) else 1.0
    quantizer = BinaryInput(low, high, (high - low) / 2)
    scale = layer.result.scale.astype(np.float64) * signs.scale * unit
    # x = centre + half * code with code +1 or -1: inputs of 0 and 1 add the centre times all
    # weights, which is a bias.
    centre = (high + low) / 2 * signs.sums
    bias = layer.result.bias.astype(np.float64) + centre * scale
    shape = layer.weight.tensor.shape
    return replace(
        layer,
        quantizer=quantizer,
        weight=IntWeight(LazyTensor(shape, signs.load), IntFormat(2, signed=True)),
        result=FloatResult(frozen_copy(scale), frozen_copy(bias), layer.result.dtype),
    )


def _signs(layer: MatrixLayer, options: BinaryOptions) -> _Signs | None:
    tensor = layer.weight.tensor
    weights = np.asarray(tensor.load())
    size = np.abs(weights.astype(np.float64)).max(axis=1, keepdims=True, initial=0)
    zeros = weights == 0
    # One size an output, compared exactly: a weight that differs in the last bit has no sign and
    # scale.
    if not np.all(zeros | (np.abs(weights) == size)) or not weights.size:
        return None
    ternary = bool(zeros.any())
    if ternary and not options.allow_ternary:
        if options.senses and np.mean(zeros) < 1:
            raise UnsupportedError(
                f"{int(zeros.sum())} of {zeros.size} weights are 0, neither +1 nor -1",
                where=layer.name,
                hint="--allow-ternary reads them as cells that add nothing",
            )
        return None
    sums = np.sign(weights).astype(np.int64).sum(axis=1).reshape(-1)
    scale = np.where(size > 0, size, 1.0).reshape(-1)

    def load() -> AnyArray:
        array: AnyArray = np.sign(np.asarray(tensor.load())).astype(np.int8)
        array.flags.writeable = False
        return array

    return _Signs(scale, ternary, load, sums)


def reachable_sums(layer: MatrixLayer, *, zeros: bool) -> Int64Array:
    """Every `sum w x` with inputs +1 and -1 that can occur, rising.

    Args:
        layer: with weights of one size.
        zeros: whether an input can be 0 too, from a Sign that met 0: it adds nothing.
    """
    n, any_parity = layer.rows, zeros or _any_parity(layer)
    # A sum of n terms of +1 and -1 has the parity of n; every other number cannot occur.
    found: Int64Array = np.arange(-n, n + 1, 1 if any_parity else 2, dtype=np.int64)
    return found


def _any_parity(layer: MatrixLayer) -> bool:
    """Whether left-out inputs, or weights of zero, may leave an odd number of terms."""
    if not np.asarray(layer.weight.tensor.load()).all():
        return True
    geometry, quantizer = layer.geometry, layer.quantizer
    if not isinstance(geometry, Window) or not isinstance(quantizer, BinaryInput):
        return False
    pads = geometry.auto_pad != "explicit" or any(geometry.pads)
    odd = (layer.rows // int(np.prod(geometry.kernel))) % 2 == 1
    return pads and odd and quantizer.zero_code == ABSENT


def _with_threshold(
    found: Matched,
    region: ThresholdRegion,
    table: StepTable,
    context: GraphContext,
    levels: LevelMap,
    options: BinaryOptions,
) -> Matched:
    side = table.bits | (table.ties if options.sign_of_zero == "plus" else False)
    # An output that falls is compared the other way round.
    turned = side[0] & ~side[-1]
    rising = side != turned
    # One threshold can say it only where an output changes once over all sums.
    if np.any(rising[:-1] & ~rising[1:]):
        return found
    threshold = _first(rising, table.sums)
    if region.pool is None:
        result = SignResult(threshold, turned.astype(np.uint8), table.high, table.low, table.dtype)
        layer = replace(found.layer, result=result, output=region.exit.name or "")
        levels.settle(region.exit)
        return Matched(layer, found.reads, region.exit)
    if table.window is None or found.layer.operator != "Conv":
        return found
    after = table.falling != turned
    result = SignResult(threshold, table.falling.astype(np.uint8), 1.0, -1.0, table.dtype)
    name = _source_behind_moves(region.exit)
    bits = pool_bits(found.output, region, after, (table.low, table.high), context, levels)
    pooling = Pooling(table.window, name)
    levels.settle(region.exit)
    layer = replace(found.layer, result=result, output=bits.name or "", pooling=pooling)
    return Matched(layer, found.reads, bits)


def _source_behind_moves(value: ir.Value) -> str:
    """The tensor that a fragment gives in place of this one: behind what only moves elements."""
    users = value.uses()
    while len(users) == 1 and not value.is_graph_output():
        node = next(iter(users))[0]
        if not find(node.domain, node.op_type).bijective:
            break
        value = node.outputs[0]
        users = value.uses()
    return value.name or ""


def _first(rising: AnyArray, sums: Int64Array) -> Int64Array:
    """The first sum where each column is set; one beyond the last where none is."""
    # An output that is never set gets a threshold that no sum reaches.
    beyond = sums[-1] + 1
    at = rising.argmax(axis=0)
    found: Int64Array = np.where(rising.any(axis=0), sums[at], beyond)
    found.flags.writeable = False
    return found
