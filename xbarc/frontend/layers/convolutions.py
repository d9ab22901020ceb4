"""Recognising convolutions with constant weights: Conv, ConvTranspose, ConvInteger, QLinearConv."""

from __future__ import annotations

import math

import onnx_ir as ir

from xbarc.errors import ModelError
from xbarc.frontend.graph import text, whole, wholes
from xbarc.frontend.layers.graph_context import (
    GraphContext,
    LayerFindings,
    Layout,
    Matched,
    StaysDigital,
    argument,
    required_input,
)
from xbarc.frontend.layers.quantised_operands import (
    integer_input,
    multiplier,
    parameter,
    requantized_result,
)
from xbarc.frontend.layers.result_scales import (
    added_bias,
    added_integers,
    float_result,
    output_vector,
)
from xbarc.ir import AutoPad, IntegerResult, Scatter, Window
from xbarc.numerics import AnyArray

_AUTO_PADS: dict[str, AutoPad] = {
    "NOTSET": "explicit",
    "VALID": "explicit",
    "SAME_UPPER": "same_upper",
    "SAME_LOWER": "same_lower",
}


# Positions are position * stride + pads and dilations: factors below 2^31 keep products below 2^62,
# so that int64 holds them and a sum of two.
_LARGEST = 1 << 31


def match_conv(node: ir.Node, context: GraphContext) -> Matched:
    """Conv of real numbers."""
    layout = _layout_of(node, context, required_input(node, 1))
    operand = context.real_operand(required_input(node, 1), lambda _: layout)
    bias = output_vector(context, argument(node, 2), layout)
    source = context.real_input(required_input(node, 0))
    result = float_result(operand, layout, bias)
    return context.make_match(
        node,
        LayerFindings(
            _window(node, layout), source, operand.weight(layout), added_integers(layout), result
        ),
    )


def match_conv_transpose(node: ir.Node, context: GraphContext) -> Matched:
    """ConvTranspose of real numbers."""
    groups = _groups(node)
    shape = _weight_shape(node, context, required_input(node, 1))
    layout = _scatter_layout(shape, groups, node)
    operand = context.real_operand(required_input(node, 1), lambda _: layout)
    bias = output_vector(context, argument(node, 2), layout)
    source = context.real_input(required_input(node, 0))
    result = float_result(operand, layout, bias)
    return context.make_match(
        node,
        LayerFindings(
            _scatter(node, shape), source, operand.weight(layout), added_integers(layout), result
        ),
    )


def match_conv_integer(node: ir.Node, context: GraphContext) -> Matched:
    """ConvInteger, with a zero point that may be taken at run time."""
    layout = _layout_of(node, context, required_input(node, 1))
    zero = parameter(context, argument(node, 3), "weight zero point", 0)
    operand = context.integer_operand(required_input(node, 1), _along_first(zero, layout))
    if operand is None:
        raise StaysDigital("weights of more than 17 bits")
    source = integer_input(context, required_input(node, 0), argument(node, 2), 1.0)
    weight = operand.weight(layout)
    return context.make_match(
        node,
        LayerFindings(
            _window(node, layout), source, weight, added_integers(layout), IntegerResult()
        ),
    )


def match_qlinear_conv(node: ir.Node, context: GraphContext) -> Matched:
    """QLinearConv of ONNX or com.microsoft, with constant scales and zero points."""
    if whole(node, "channels_last", 0):
        raise StaysDigital("its channels come last")
    layout = _layout_of(node, context, required_input(node, 3))
    zero = parameter(context, argument(node, 5), "weight zero point", 0)
    operand = context.integer_operand(required_input(node, 3), _along_first(zero, layout))
    if operand is None:
        raise StaysDigital("weights of more than 17 bits")
    scale = parameter(context, argument(node, 1), "input scale")
    source = integer_input(
        context, required_input(node, 0), argument(node, 2), float(scale.reshape(-1)[0])
    )
    weights = _along_first(parameter(context, argument(node, 4), "weight scale"), layout)
    out = parameter(context, argument(node, 6), "output scale")
    result = requantized_result(context, multiplier(scale, weights, out), layout, argument(node, 7))
    constant = output_vector(context, argument(node, 8), layout)
    weight = operand.weight(layout)
    return context.make_match(
        node,
        LayerFindings(_window(node, layout), source, weight, added_bias(layout, constant), result),
    )


def _along_first(array: AnyArray, layout: Layout) -> AnyArray:
    """A vector of parameters, one an output channel, beside weights whose first axis they are."""
    if array.size == 1:
        return array.reshape(())
    return array.reshape(-1, *(1,) * (len(layout.source) - 1))


def _groups(node: ir.Node) -> int:
    groups = whole(node, "group", 1)
    if groups < 1:
        raise ModelError(f"{groups} groups", where=node.name or "")
    return groups


def _weight_shape(node: ir.Node, context: GraphContext, value: ir.Value) -> tuple[int, ...]:
    if not context.constants.holds(value):
        raise StaysDigital("its weights are not constant")
    shape = context.constants.shape(value)
    if not 3 <= len(shape) <= 5:
        raise StaysDigital(f"{len(shape) - 2} spatial axes")
    if 0 in shape:
        raise StaysDigital("a dimension of its weights is zero")
    declared = wholes(node, "kernel_shape", shape[2:])
    if declared != shape[2:]:
        raise ModelError(
            f"kernel_shape is {list(declared)}, the weights are {list(shape)}",
            where=node.name or "",
        )
    return shape


def _layout_of(node: ir.Node, context: GraphContext, value: ir.Value) -> Layout:
    """Weights of a convolution; axes: output channel, channel of the group, kernel."""
    shape, groups = _weight_shape(node, context, value), _groups(node)
    if shape[0] % groups:
        raise ModelError(
            f"{shape[0]} output channels do not divide into {groups} groups", where=node.name or ""
        )
    rows, outputs = math.prod(shape[1:]), shape[0] // groups

    def arrange(array: AnyArray) -> AnyArray:
        return array.reshape(groups, outputs, rows).transpose(0, 2, 1)

    return Layout(shape, (groups, rows, outputs), arrange, tuple(range(1, len(shape))))


def _scatter_layout(shape: tuple[int, ...], groups: int, node: ir.Node) -> Layout:
    """Weights of a transposed one; axes: channel, output channel of the group, kernel."""
    if shape[0] % groups:
        raise ModelError(
            f"{shape[0]} channels do not divide into {groups} groups", where=node.name or ""
        )
    matrix = (groups, shape[0] // groups, math.prod(shape[1:]))
    # Kernel positions are columns of the matrix here, yet one output channel reads them all: a
    # scale that changes along them cannot be one an output.
    summed = (0, *range(2, len(shape)))
    return Layout(shape, matrix, lambda array: array.reshape(matrix), summed, groups)


def _window(node: ir.Node, layout: Layout) -> Window:
    kernel = layout.source[2:]
    rank = len(kernel)
    return Window(
        kernel=kernel,
        strides=_extent(node, "strides", (1,) * rank, 1),
        dilations=_extent(node, "dilations", (1,) * rank, 1),
        pads=_pads(node, rank),
        auto_pad=_auto_pad(node),
    )


def _scatter(node: ir.Node, shape: tuple[int, ...]) -> Scatter:
    kernel = shape[2:]
    rank = len(kernel)
    asked = wholes(node, "output_shape", ())
    return Scatter(
        kernel=kernel,
        strides=_extent(node, "strides", (1,) * rank, 1),
        dilations=_extent(node, "dilations", (1,) * rank, 1),
        pads=_pads(node, rank),
        output_padding=_extent(node, "output_padding", (0,) * rank, 0),
        output_shape=_countable("output_shape", asked[-rank:]) if asked else None,
        auto_pad=_auto_pad(node),
    )


def _extent(node: ir.Node, name: str, default: tuple[int, ...], least: int) -> tuple[int, ...]:
    values = wholes(node, name, default)
    if len(values) != len(default) or min(values) < least:
        raise ModelError(
            f"{name} is {list(values)}, expected {len(default)} numbers of at least {least}",
            where=node.name or "",
        )
    return _countable(name, values)


def _countable(name: str, values: tuple[int, ...]) -> tuple[int, ...]:
    """Leave loops whose steps need more than 32 bits to ONNX Runtime: positions stay in int64."""
    if any(abs(value) >= _LARGEST for value in values):
        raise StaysDigital(f"{name} is {list(values)}")
    return values


def _pads(node: ir.Node, rank: int) -> tuple[int, ...]:
    zeros = (0,) * (2 * rank)
    if text(node, "auto_pad", "NOTSET") != "NOTSET":
        return zeros
    pads = wholes(node, "pads", zeros)
    if len(pads) != 2 * rank:
        raise ModelError(
            f"pads is {list(pads)}, expected {2 * rank} numbers", where=node.name or ""
        )
    # They crop the input, which a window of the program cannot; ONNX Runtime does.
    if min(pads) < 0:
        raise StaysDigital("negative pads")
    return _countable("pads", pads)


def _auto_pad(node: ir.Node) -> AutoPad:
    name = text(node, "auto_pad", "NOTSET")
    if name not in _AUTO_PADS:
        raise ModelError(f"unknown auto_pad {name[:40]!r}", where=node.name or "")
    return _AUTO_PADS[name]
