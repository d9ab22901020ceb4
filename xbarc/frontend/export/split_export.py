"""Layers of comparisons written back as ONNX: what a trainer needs to tune a split network.

Each becomes planes of its two values (and of left-out inputs), one convolution or product
that gives the sums of all groups, comparisons with `LAYER/thresholds`, a sum of votes and a
comparison with `LAYER/votes`. ONNX Runtime gives the program's own values on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise, product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import numpy_helper

from xbarc.errors import ModelError, UnsupportedError
from xbarc.frontend.export.model_graph import ModelGraph
from xbarc.ir import (
    ABSENT,
    DOWN,
    UP,
    BinaryInput,
    CrossbarStep,
    Dense,
    FloatResult,
    Sense,
    SignResult,
    Window,
    conversion_matrix,
)
from xbarc.numerics import AnyArray, Float32Array

_STATES = (UP, DOWN, ABSENT)


def read_split(path: Path) -> dict[str, tuple[AnyArray, AnyArray]]:
    """Thresholds and votes by layer name, from a model that `xbarc export` wrote.

    Raises:
        ModelError: the file is no such model.
    """
    try:
        tensors = onnx.ModelProto.FromString(path.read_bytes()).graph.initializer
        arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in tensors}
    except (DecodeError, ValueError, TypeError) as error:
        raise ModelError("is no ONNX model with data inside", where=str(path)) from error
    names = [n.removesuffix("/thresholds") for n in arrays if n.endswith("/thresholds")]
    if not names:
        raise ModelError("holds no thresholds; xbarc export writes them", where=str(path))
    return {name: _parts(name, arrays) for name in names}


def _parts(name: str, arrays: Mapping[str, AnyArray]) -> tuple[AnyArray, AnyArray]:
    votes = arrays.get(f"{name}/votes", np.zeros(0, np.float32))
    return arrays[f"{name}/thresholds"].reshape(-1), votes.reshape(-1)


def write_comparisons(step: CrossbarStep, graph: ModelGraph) -> None:
    """Add a layer that sense amplifiers read.

    Raises:
        UnsupportedError: it has a form that is not written.
    """
    sense, quantizer = step.sense, step.quantizer
    if sense is None or not isinstance(quantizer, BinaryInput):
        raise UnsupportedError("the layer is read by converters", where=step.name)
    # MatMul of a stack needs another layout of planes than convolutions by group.
    if step.groups > 1 and isinstance(step.geometry, Dense):
        raise UnsupportedError("a stack of products", where=step.name)
    planes = _planes(step, quantizer, graph)
    cells = _cells(step, sense)
    spread = (1, -1) + (1,) * (
        len(step.geometry.kernel) if isinstance(step.geometry, Window) else 0
    )
    outside = cells[:, _STATES.index(quantizer.zero_code)].sum(axis=1)
    sums = _product(step, graph, planes, cells, outside)
    levels = sense.levels
    thresholds = sense.thresholds.reshape(-1, levels).T
    stacked = thresholds.astype(np.float32).reshape(levels, *spread)
    # All levels at once, along a new first axis: a trainer sees one tensor of thresholds per layer.
    limits = graph.constant(f"{step.name}/thresholds", stacked)
    wide = graph.node("Unsqueeze", [sums, _axis(graph)], f"{step.name}/wide")
    reached = graph.node("GreaterOrEqual", [wide, limits], f"{step.name}/reached")
    bits = graph.node("Cast", [reached], f"{step.name}/bits01", to=onnx.TensorProto.FLOAT)
    codes = graph.node("ReduceSum", [bits, _axis(graph)], f"{step.name}/codes", keepdims=0)
    count = _add_votes(step, graph, codes, cells.shape[3])
    _result(step, graph, count, spread[1:], quantizer)


def _axis(graph: ModelGraph) -> str:
    return graph.shared("split/axis", np.array([0], np.int64))


def _planes(step: CrossbarStep, quantizer: BinaryInput, graph: ModelGraph) -> str:
    """Where the input is high, low, or neither, one after another along channels.

    What a left-out input counts as is lowered by one: then it is 0 outside the picture, as
    convolutions pad, and -1 inside where it does not hold. `_product` adds that one back.
    """
    name = step.name
    parts = []
    for kind, number in (("high", quantizer.high), ("low", quantizer.low)):
        limit = graph.constant(f"{name}/{kind}_value", np.array(number, np.float32))
        same = graph.node("Equal", [step.input, limit], f"{name}/is_{kind}")
        parts.append(graph.node("Cast", [same], f"{name}/{kind}", to=onnx.TensorProto.FLOAT))
    one = graph.shared("split/one", np.array(1, np.float32))
    either = graph.node("Add", parts, f"{name}/either")
    parts.append(graph.node("Sub", [one, either], f"{name}/absent"))
    outside = _STATES.index(quantizer.zero_code)
    parts[outside] = graph.node("Sub", [parts[outside], one], f"{parts[outside]}/less_one")
    if step.geometry.kind == "dense":
        return graph.node("Concat", parts, f"{name}/planes", axis=-1)
    planes = graph.node("Concat", parts, f"{name}/planes", axis=1)
    return _by_group(step, graph, planes) if step.groups > 1 else planes


def _by_group(step: CrossbarStep, graph: ModelGraph, planes: str) -> str:
    """The planes of one group side by side, as a grouped convolution reads them."""
    channels = step.inputs // prod(_window(step).kernel)
    number = np.arange(3 * step.groups * channels).reshape(3, step.groups, channels)
    order = graph.constant(f"{step.name}/by_group", number.transpose(1, 0, 2).reshape(-1))
    return graph.node("Gather", [planes, order], f"{planes}/grouped", axis=1)


def _window(step: CrossbarStep) -> Window:
    if not isinstance(step.geometry, Window):
        raise UnsupportedError("a transposed convolution", where=step.name)
    return step.geometry


def _cells(step: CrossbarStep, sense: Sense) -> Float32Array:
    """What a plane's element adds to a sum; axes: group, state, input, segment, conversion."""
    bounds = step.tiling.segment_bounds
    shape = (step.groups, 3, step.inputs, len(bounds) - 1, step.conversions)
    found = np.zeros(shape, np.float32)
    seen = conversion_matrix(step.periphery, step.conversions, step.cells.columns)
    for group, (number, (first, last)) in product(range(step.groups), enumerate(pairwise(bounds))):
        rows = slice(int(first), int(last))
        cells = (seen @ step.cells.unpack((group, rows)).astype(np.int64).T).T
        for place, state in enumerate(_STATES):
            driven = (sense.drive[rows] & state) != 0
            inputs = step.tiling.row_input[rows][driven]
            np.add.at(found, (group, place, inputs, number), cells[driven])
    return found


def _product(
    step: CrossbarStep, graph: ModelGraph, planes: str, cells: Float32Array, outside: Float32Array
) -> str:
    """Sums of all groups.

    Args:
        step: the layer.
        graph: is added to.
        planes: tensor of the layer's input.
        cells: as `_cells` gives them.
        outside: sums where every input counts as left out; axes: group, segment, conversion.
    """
    geometry, name = step.geometry, f"{step.name}/sums"
    start = graph.constant(f"{name}_start", outside.reshape(-1))
    if isinstance(geometry, Dense):
        if geometry.contract_axis != -1 or geometry.output_axis != -1:
            raise UnsupportedError("a product with its constant on the left", where=step.name)
        matrix = graph.constant(f"{name}_cells", cells.reshape(3 * step.inputs, -1))
        inside = graph.node("MatMul", [planes, matrix], f"{name}_inside")
        return graph.node("Add", [inside, start], name)
    window = _window(step)
    kernel = cells.reshape(step.groups, 3 * step.inputs, -1).transpose(0, 2, 1)
    shape = (-1, 3 * step.inputs // prod(window.kernel), *window.kernel)
    weights = graph.constant(f"{name}_cells", kernel.reshape(shape))
    loop: dict[str, Any] = {"strides": list(window.strides), "dilations": list(window.dilations)}
    if window.auto_pad == "explicit":
        loop["pads"] = list(window.pads)
    else:
        loop["auto_pad"] = window.auto_pad.upper()
    return graph.node("Conv", [planes, weights, start], name, group=step.groups, **loop)


def _add_votes(step: CrossbarStep, graph: ModelGraph, codes: str, segments: int) -> str:
    name = f"{step.name}/count"
    once = np.zeros((step.conversions, step.outputs), np.float32)
    once[step.periphery.r_conversion, step.periphery.r_output] = 1
    # Votes of all segments of an output are counted by a product with zeros and ones: exact in
    # float32 up to 2^24 of them.
    adder = np.tile(once, (segments, 1))
    if isinstance(step.geometry, Dense):
        return graph.node("MatMul", [codes, graph.constant(f"{name}_adder", adder)], name)
    rank = len(_window(step).kernel)
    kernel = np.tile(adder.T, (step.groups, 1))
    ones = graph.constant(f"{name}_adder", kernel.reshape(*kernel.shape, *(1,) * rank))
    return graph.node("Conv", [codes, ones], name, group=step.groups)


def _result(
    step: CrossbarStep,
    graph: ModelGraph,
    count: str,
    spread: tuple[int, ...],
    quantizer: BinaryInput,
) -> None:
    name, result = step.name, step.result
    if isinstance(result, SignResult):
        votes = result.threshold.astype(np.float32).reshape(spread)
        fires = graph.node(
            "GreaterOrEqual", [count, graph.constant(f"{name}/votes", votes)], f"{name}/fires"
        )
        high = graph.constant(f"{name}/result_high", np.array(result.high, result.dtype))
        low = graph.constant(f"{name}/result_low", np.array(result.low, result.dtype))
        graph.last("Where", [fires, high, low], step.output)
    elif isinstance(result, FloatResult):
        unit = float(np.float32(quantizer.scale))
        scale = (result.scale.astype(np.float64) * unit).astype(np.float32).reshape(spread)
        scaled = graph.node(
            "Mul", [count, graph.constant(f"{name}/slope", scale)], f"{name}/scaled"
        )
        bias = graph.constant(f"{name}/start", result.bias.astype(np.float32).reshape(spread))
        graph.last("Add", [scaled, bias], step.output)
    else:
        raise UnsupportedError(f"comparisons with a {result.kind} result", where=name)
