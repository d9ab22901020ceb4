"""What the operators behind a layer make of every sum that it can have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir

from xbarc.errors import XbarcError
from xbarc.frontend.binary.threshold_region import ThresholdRegion
from xbarc.frontend.graph import ModelPart, emit_model, name_of, text, whole, wholes
from xbarc.frontend.layers import GraphContext
from xbarc.ir import BinaryInput, Dense, FloatResult, MatrixLayer, Window
from xbarc.numerics import AnyArray, BoolArray, Int64Array
from xbarc.runtime import OnnxSession

# Entries a run: 16 MiB of float32 for the input of ONNX Runtime and for each value it holds.
_CHUNK = 1 << 22


@dataclass(frozen=True, eq=False)
class StepTable:
    """The two-valued result for every sum.

    Attributes:
        sums: axis: row.
        bits: where the result is `high`; axes: row, output.
        ties: where it is neither, because Sign met 0; axes as `bits`.
        falling: outputs whose values fall in front of the pool; axis: output.
        window: the pool.
    """

    sums: Int64Array
    bits: BoolArray
    ties: BoolArray
    falling: BoolArray
    low: float
    high: float
    dtype: str
    window: Window | None


def step_table(
    layer: MatrixLayer, region: ThresholdRegion, context: GraphContext, sums: Int64Array
) -> StepTable | None:
    """Run the region on every sum; None where that is impossible or gives no two values."""
    shape = _shape(layer, region, context)
    window = None if region.pool is None else pool_window(region.pool)
    if shape is None or (region.pool is not None and window is None):
        return None
    real = _reals(layer, sums)
    try:
        before = _run(context, region.before, region.start, _input(region), real, shape)
        pooled = region.exit if region.pool is None else region.pool.outputs[0]
        final = before
        if region.after or region.pool is not None:
            final = _run(context, region.after, pooled, region.exit, before, shape)
    # A region that does not run on this shape stays as it is, in a fragment.
    except XbarcError:
        return None
    return _judge(sums, before, final, window)


def _input(region: ThresholdRegion) -> ir.Value:
    if region.pool is None:
        return region.exit
    source = region.pool.inputs[0]
    return region.start if source is None else source


def _reals(layer: MatrixLayer, sums: Int64Array) -> AnyArray:
    """The layer's own outputs for these sums; axes: row, output."""
    result, quantizer = layer.result, layer.quantizer
    if not isinstance(result, FloatResult) or not isinstance(quantizer, BinaryInput):
        raise TypeError("only real results of binary layers have a table")
    unit = float(np.float32(quantizer.scale))
    factor = unit * result.scale.astype(np.float64)
    # In float64 and rounded once, as the executor computes it: the table is what will happen.
    real = sums[:, None] * factor + result.bias.astype(np.float64)
    return real.astype(result.dtype)


def _shape(
    layer: MatrixLayer, region: ThresholdRegion, context: GraphContext
) -> tuple[int, ...] | None:
    """Axes in which rows and outputs broadcast as the model's own tensors do."""
    channels = layer.constant.size
    if isinstance(layer.geometry, Window):
        return (-1, channels, *(1,) * len(layer.geometry.kernel))
    if not isinstance(layer.geometry, Dense) or layer.geometry.output_axis != -1:
        return None
    rank = max(2, context.ranks.get(region.start, 2))
    return (-1, *(1,) * (rank - 2), channels)


def _run(
    context: GraphContext,
    nodes: tuple[ir.Node, ...],
    start: ir.Value,
    end: ir.Value,
    table: AnyArray,
    shape: tuple[int, ...],
) -> AnyArray:
    """A part of the region on a table, some rows at a time; axes: row, output."""
    if not nodes:
        return table
    constants = context.constants
    held = [v for node in nodes for v in node.inputs if constants.holds(v) and v is not None]
    own, roots = constants.ancestors(list(dict.fromkeys(held)))
    kind = onnx.helper.np_dtype_to_tensor_dtype(table.dtype)
    fed = onnx.helper.make_tensor_value_info(name_of(start), kind, None)
    piece = ModelPart(
        "steps",
        (*own, *nodes),
        (fed,),
        (onnx.ValueInfoProto(name=name_of(end)),),
        tuple(value for value in roots if value.is_initializer()),
    )
    session = OnnxSession(emit_model(context.constants.model, piece), where=name_of(end), threads=1)
    rows = max(1, _CHUNK // max(1, table.shape[1]))
    parts = [
        np.asarray(session.run({name_of(start): table[at : at + rows].reshape(shape)})[0])
        for at in range(0, len(table), rows)
    ]
    return np.concatenate([part.reshape(-1, table.shape[1]) for part in parts])


def _judge(
    sums: Int64Array, before: AnyArray, final: AnyArray, window: Window | None
) -> StepTable | None:
    if final.dtype.kind != "f" or not np.isfinite(final).all():
        return None
    found = np.unique(final)
    usual = found[found != 0] if found.size == 3 else found
    if usual.size != 2 or found.size > 3:
        return None
    low, high = (float(x) for x in usual)
    falling = np.zeros(final.shape[1], dtype=np.bool_)
    # A pool moves behind the threshold only where values rise or fall with the sum: then the
    # largest value is that of the largest, or of the least sum.
    if window is not None:
        steps = np.diff(before.astype(np.float64), axis=0)
        falling = np.any(steps < 0, axis=0)
        if np.any(falling & np.any(steps > 0, axis=0)):
            return None
    ties = (final != low) & (final != high)
    return StepTable(sums, final == high, ties, falling, low, high, str(final.dtype), window)


def pool_window(node: ir.Node) -> Window | None:
    """The loop of a MaxPool; None where it is one that bits do not follow."""
    kernel = tuple(wholes(node, "kernel_shape", ()))
    if not kernel or whole(node, "ceil_mode", 0) or whole(node, "storage_order", 0):
        return None
    if text(node, "auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return None
    ones = (1,) * len(kernel)
    return Window(
        kernel=kernel,
        strides=tuple(wholes(node, "strides", ones)),
        dilations=tuple(wholes(node, "dilations", ones)),
        pads=tuple(wholes(node, "pads", (0,) * (2 * len(kernel)))),
    )
