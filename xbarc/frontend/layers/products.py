"""Recognising matrix products with a constant side: MatMul, Gemm and their quantised forms."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from xbarc.frontend.canonical import is_output_vector, transposes
from xbarc.frontend.graph import real
from xbarc.frontend.layers.graph_context import (
    GraphContext,
    LayerFindings,
    Layout,
    Matched,
    Operand,
    StaysDigital,
    argument,
    required_input,
)
from xbarc.frontend.layers.quantised_operands import (
    integer_input,
    multiplier,
    parameter,
    requantized_result,
    scalar,
)
from xbarc.frontend.layers.result_scales import (
    added_bias,
    added_integers,
    float_result,
    frozen_copy,
    output_vector,
    real_numbers,
)
from xbarc.ir import Dense, FloatResult, IntegerResult, Result
from xbarc.numerics import AnyArray


@dataclass(frozen=True)
class _Sides:
    """Which operand is the matrix, and whether the operator transposes it and the other one.

    Attributes:
        on_right: the constant stands on the right.
        matrix: the constant operand.
        vectors: the other one.
    """

    on_right: bool
    matrix: ir.Value
    vectors: ir.Value
    matrix_turned: bool = False
    vectors_turned: bool = False

    @property
    def inputs_last(self) -> bool:
        """Say whether the last axis of the matrix is the one that is summed."""
        return self.on_right == self.matrix_turned

    def layout(self, shape: tuple[int, ...]) -> Layout:
        """The constant as a stack of matrices; axes: group, input, output."""
        if not shape or 0 in shape:
            raise StaysDigital(f"its constant operand has the shape {list(shape)}")
        # A vector is a matrix with one output; MatMul drops that axis again (`squeeze` below).
        if len(shape) == 1:
            return Layout(shape, (1, shape[0], 1), lambda array: array.reshape(1, -1, 1), (0,))
        inputs_last = self.inputs_last
        rank, groups = len(shape), math.prod(shape[:-2])
        rows, outputs = (shape[-1], shape[-2]) if inputs_last else (shape[-2], shape[-1])

        def arrange(array: AnyArray) -> AnyArray:
            stack = array.reshape(groups, *shape[-2:])
            return stack.transpose(0, 2, 1) if inputs_last else stack

        summed = (rank - 1 if inputs_last else rank - 2,)
        return Layout(shape, (groups, rows, outputs), arrange, summed)

    def geometry(self, shape: tuple[int, ...]) -> Dense:
        """How the other operand becomes vectors."""
        last = self.on_right != self.vectors_turned
        return Dense(
            contract_axis=-1 if last else -2,
            output_axis=-1 if self.on_right else -2,
            squeeze=len(shape) == 1,
            batch=shape[:-2],
        )

    def along_outputs(self, array: AnyArray) -> AnyArray:
        """A vector of parameters beside the matrix whose outputs it belongs to."""
        if array.size == 1:
            return array.reshape(())
        return array.reshape(-1, 1) if array.ndim == 1 and self.inputs_last else array


def match_matmul(node: ir.Node, context: GraphContext) -> Matched:
    """MatMul of real numbers."""
    sides = _sides(node, context, 0, 1)
    operand = context.real_operand(sides.matrix, sides.layout)
    layout = sides.layout(operand.shape)
    return _real(node, context, sides, operand, float_result(operand, layout, None))


def match_gemm(node: ir.Node, context: GraphContext) -> Matched:
    """Gemm of real numbers, with an addend that is a vector of its outputs."""
    sides = _sides(node, context, 0, 1, transposes(node))
    operand = context.real_operand(sides.matrix, sides.layout)
    if len(operand.shape) != 2:
        raise StaysDigital(f"its constant operand has the shape {list(operand.shape)}")
    layout = sides.layout(operand.shape)
    bias = output_vector(context, argument(node, 2), layout, shared=True)
    if bias is not None:
        # float64 holds the product of two float32 exactly, so that it is rounded once, in
        # `float_result`.
        with np.errstate(invalid="ignore"):  # zeros times an infinite beta stay digital
            bias = bias.astype(np.float64) * real(node, "beta", 1.0)
    result = float_result(operand, layout, bias, real(node, "alpha", 1.0))
    return _real(node, context, sides, operand, result)


def match_matmul_integer(node: ir.Node, context: GraphContext) -> Matched:
    """MatMulInteger, with a zero point of the input that may be taken at run time."""
    sides = _sides(node, context, 0, 1)
    points = (argument(node, 2), argument(node, 3))
    own, other = (points[1], points[0]) if sides.on_right else points
    operand = _integers(context, sides, own)
    source = integer_input(context, sides.vectors, other, 1.0)
    layout = sides.layout(operand.shape)
    geometry = sides.geometry(operand.shape)
    return context.make_match(
        node,
        LayerFindings(
            geometry, source, operand.weight(layout), added_integers(layout), IntegerResult()
        ),
    )


def match_qlinear_matmul(node: ir.Node, context: GraphContext) -> Matched:
    """QLinearMatMul with constant scales and zero points."""
    sides = _sides(node, context, 0, 3)
    own, other = (3, 0) if sides.on_right else (0, 3)
    operand = _integers(context, sides, argument(node, own + 2))
    mine = sides.along_outputs(parameter(context, argument(node, own + 1), "weight scale"))
    scale = scalar(context, argument(node, other + 1), "input scale")
    out = parameter(context, argument(node, 6), "output scale")
    layout = sides.layout(operand.shape)
    factors = multiplier(np.asarray(scale, np.float32), mine, out)
    result = requantized_result(context, factors, layout, argument(node, 7))
    source = integer_input(context, sides.vectors, argument(node, other + 2), scale)
    geometry = sides.geometry(operand.shape)
    return context.make_match(
        node,
        LayerFindings(geometry, source, operand.weight(layout), added_integers(layout), result),
    )


def match_qgemm(node: ir.Node, context: GraphContext) -> Matched:
    """com.microsoft QGemm; without an output scale its result is real."""
    sides = _sides(node, context, 0, 3, transposes(node))
    if not sides.on_right:
        raise StaysDigital("its constant operand stands on the left")
    operand = _integers(context, sides, argument(node, 5))
    layout = sides.layout(operand.shape)
    scale = scalar(context, argument(node, 1), "input scale")
    source = integer_input(context, sides.vectors, argument(node, 2), scale)
    addend = argument(node, 6)
    known = addend is not None and context.constants.holds(addend)
    shape = context.constants.shape(addend) if known and addend is not None else ()
    if not is_output_vector(shape, on_right=True):
        raise StaysDigital("its addend is not a vector of its outputs")
    added = output_vector(context, addend, layout, shared=True)
    result = _qgemm_result(node, context, sides, layout, np.float32(scale))
    constant = added_bias(layout, added)
    geometry = sides.geometry(operand.shape)
    return context.make_match(
        node, LayerFindings(geometry, source, operand.weight(layout), constant, result)
    )


def _qgemm_result(
    node: ir.Node, context: GraphContext, sides: _Sides, layout: Layout, scale: np.float32
) -> Result:
    mine = parameter(context, argument(node, 4), "weight scale").astype(np.float32)
    mine = sides.along_outputs(mine)
    alpha = np.float32(real(node, "alpha", 1.0))
    if argument(node, 7) is None:
        whole = layout.per_output(mine)
        if whole is None:
            raise StaysDigital("the scale of its weights changes along the sum")
        with np.errstate(all="ignore"):  # what comes of an infinite alpha stays digital
            own = real_numbers(alpha * whole, "scale")
        return FloatResult(own, frozen_copy(np.zeros(layout.entries)))
    out = parameter(context, argument(node, 7), "output scale")
    factors = multiplier(np.asarray(alpha * scale), mine, out)
    return requantized_result(context, factors, layout, argument(node, 8))


def _real(
    node: ir.Node, context: GraphContext, sides: _Sides, operand: Operand, result: Result
) -> Matched:
    source = context.real_input(sides.vectors)
    layout = sides.layout(operand.shape)
    weight, geometry = operand.weight(layout), sides.geometry(operand.shape)
    return context.make_match(
        node, LayerFindings(geometry, source, weight, added_integers(layout), result)
    )


def _sides(
    node: ir.Node,
    context: GraphContext,
    left: int,
    right: int,
    turned: tuple[bool, bool] = (False, False),
) -> _Sides:
    first, second = required_input(node, left), required_input(node, right)
    # Where both are constant the product is a constant too, and never comes here.
    if context.constants.holds(second):
        return _Sides(True, second, first, turned[1], turned[0])
    if context.constants.holds(first):
        return _Sides(False, first, second, turned[0], turned[1])
    raise StaysDigital("neither of its operands is constant")


def _integers(context: GraphContext, sides: _Sides, zero: ir.Value | None) -> Operand:
    points = parameter(context, zero, "weight zero point", 0.0)
    operand = context.integer_operand(sides.matrix, sides.along_outputs(points))
    if operand is None:
        raise StaysDigital("weights that are not integers of at most 17 bits")
    return operand
