"""Folding what follows a layer, output by output, into its weights, scales and biases.

BatchNormalization with constant statistics and arithmetic with one constant an output are both
`y * factor + shift`. Nothing is folded past a quantiser, past a graph output or past a value that
somebody else reads too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from xbarc.frontend.graph import name_of, real, whole
from xbarc.frontend.layers.graph_context import GraphContext, Matched, argument
from xbarc.frontend.layers.result_scales import frozen_copy, lost_digits
from xbarc.ir import Dense, FloatResult, FloatWeight, LazyTensor, MatrixLayer, Weight
from xbarc.numerics import AnyArray, Float64Array


@dataclass(frozen=True, eq=False)
class _Affine:
    """`y * factor + shift`, one entry per output, that gives `output`."""

    factor: Float64Array
    shift: Float64Array
    output: ir.Value


def fold_followers(found: Matched, context: GraphContext) -> Matched:
    """Fold as many followers as there are."""
    reach = 1.0
    step = _follower(found, context)
    while step is not None:
        reach *= _size(step.factor)
        folded = _fold_step(found.layer, step) if _LEAST <= reach <= 1 / _LEAST else None
        if folded is None:
            return found
        found = Matched(folded, found.reads, step.output)
        step = _follower(found, context)
    return found


def _size(factor: Float64Array) -> float:
    """The largest factor; 1 where all are zero."""
    return float(np.abs(factor).max(initial=0.0)) or 1.0


def _follower(found: Matched, context: GraphContext) -> _Affine | None:
    uses = found.output.uses()
    # Whoever else reads the value wants it without the step.
    if len(uses) != 1 or found.output.is_graph_output():
        return None
    if not isinstance(found.layer.result, FloatResult):
        return None
    node, index = next(iter(uses))
    # A reader inside a body may run often, or never.
    if node.domain != "" or node.graph is not context.views.graph:
        return None
    if node.op_type == "BatchNormalization" and index == 0:
        step = _normalisation(node, found.layer, context)
    elif node.op_type in ("Add", "Sub", "Mul", "Div"):
        step = _arithmetic(node, index, found, context)
    else:
        step = None
    return step if step is not None and _is_finite(step) else None


_LEAST = 2.0**-60
"""What is folded into a layer may change its weights by this factor, up or down, and no more:
`context` admits weights whose scales float32 then still holds."""


def _is_finite(step: _Affine) -> bool:
    return bool(np.all(np.isfinite(step.factor)) and np.all(np.isfinite(step.shift)))


def _fold_step(layer: MatrixLayer, step: _Affine) -> MatrixLayer | None:
    """The layer with a step in it; None where float32 does not hold what comes of it."""
    result = layer.result
    if not isinstance(result, FloatResult):
        raise TypeError("only real results can be folded into")
    # In float64 and rounded once a step: a product and a sum in float32 would round twice.
    bias = frozen_copy(result.bias.astype(np.float64) * step.factor + step.shift)
    if isinstance(layer.weight, FloatWeight):
        weight: Weight = _scale_weights(layer, step.factor)
        scale = result.scale
    else:
        weight = layer.weight
        scale = frozen_copy(result.scale.astype(np.float64) * step.factor)
    if not np.all(np.isfinite(bias + scale)) or lost_digits(scale):
        return None
    result = FloatResult(scale, bias, result.dtype)
    return replace(layer, weight=weight, result=result, output=name_of(step.output))


def _scale_weights(layer: MatrixLayer, factor: Float64Array) -> FloatWeight:
    """Weights times a factor per output: products in float64, rounded once."""
    tensor = layer.weight.tensor
    lost = getattr(layer.weight, "lost", "")
    if np.all(factor == 1):
        return FloatWeight(tensor, lost)
    repeats = tensor.shape[0] * tensor.shape[2] // factor.size
    spread = np.repeat(factor, repeats).reshape(tensor.shape[0], 1, tensor.shape[2])

    def load() -> AnyArray:
        weights = tensor.load()
        out = np.empty(weights.shape, np.float32)
        np.multiply(weights, spread, out=out, casting="same_kind")
        out.flags.writeable = False
        return out

    return FloatWeight(LazyTensor(tensor.shape, load), lost)


def _normalisation(node: ir.Node, layer: MatrixLayer, context: GraphContext) -> _Affine | None:
    if whole(node, "training_mode", 0) or not whole(node, "spatial", 1):
        return None
    if any(output.uses() or output.is_graph_output() for output in node.outputs[1:]):
        return None
    if not _channels_are_outputs(node, layer, context):
        return None
    entries = layer.constant.size
    loaded = [context.constants.small(argument(node, index)) for index in range(1, 5)]
    arrays = [array.astype(np.float64) for array in loaded if array is not None]
    if len(arrays) != 4 or any(array.shape != (entries,) for array in arrays):
        return None
    gamma, beta, mean, variance = arrays
    if np.any(variance + real(node, "epsilon", 1e-5) <= 0):
        return None
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite then is not folded
        factor = gamma / np.sqrt(variance + real(node, "epsilon", 1e-5))
        shift = beta - mean * factor
    return _Affine(factor, shift, node.outputs[0])


def _channels_are_outputs(node: ir.Node, layer: MatrixLayer, context: GraphContext) -> bool:
    """Axis 1, which BatchNormalization means, must hold the layer's outputs."""
    geometry = layer.geometry
    if not isinstance(geometry, Dense):
        return True
    value = node.inputs[0]
    # Of a product of higher rank axis 1 is a position, and its statistics are no outputs'.
    plain = geometry.output_axis == -1 and not geometry.squeeze and not geometry.batch
    return plain and value is not None and context.ranks.get(value) == 2


def _arithmetic(node: ir.Node, index: int, found: Matched, context: GraphContext) -> _Affine | None:
    other = argument(node, 1 - index)
    turned = index == 1 and node.op_type in ("Sub", "Div")
    if other is None or turned or not context.constants.holds(other):
        return None
    rank = context.ranks.get(found.output)
    entries = _per_output(context.constants.load(other), found.layer, rank)
    if entries is None:
        return None
    ones, zeros = np.ones_like(entries), np.zeros_like(entries)
    if node.op_type in ("Add", "Sub"):
        return _Affine(ones, entries if node.op_type == "Add" else -entries, node.outputs[0])
    with np.errstate(divide="ignore"):
        factor = entries if node.op_type == "Mul" else ones / entries
    return _Affine(factor, zeros, node.outputs[0])


def _per_output(array: AnyArray, layer: MatrixLayer, rank: int | None) -> Float64Array | None:
    """A constant operand as one entry per output, or None where it is no such thing."""
    # Integers beside real sums do not pass ONNX's checker.
    if array.dtype.kind != "f":
        return None
    geometry = layer.geometry
    if not isinstance(geometry, Dense):
        return _along(array, len(geometry.kernel) + 2, 1, layer)
    if geometry.batch and array.size > 1:
        return None
    known = rank if rank is not None else (0 if geometry.squeeze else 1)
    axis = known + geometry.output_axis
    return _along(array, known, -1 if geometry.squeeze or axis < 0 else axis, layer)


def _along(array: AnyArray, rank: int, axis: int, layer: MatrixLayer) -> Float64Array | None:
    entries = layer.constant.size
    if array.ndim > rank:
        return None
    shape = (1,) * (rank - array.ndim) + array.shape
    others = [size for place, size in enumerate(shape) if place != axis]
    if any(size != 1 for size in others) or array.size not in (1, entries):
        return None
    full = np.broadcast_to(array.reshape(-1).astype(np.float64), (entries,))
    return full.copy()
