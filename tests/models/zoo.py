"""Running a program and its float model over a data set, and counting answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx

from xbarc.compiler import CompileOptions, compile_model
from xbarc.evaluate import Evaluation, evaluate


def measured(
    model: Path,
    data: dict[str, Any],
    bits: tuple[int, int] = (8, 8),
    calibration: dict[str, Any] | None = None,
) -> Evaluation:
    """Compile for the default target with these bits of weights and activations, and evaluate."""
    program = compile_model(
        model,
        options=CompileOptions(weight_bits=bits[0], activation_bits=bits[1]),
        calibration=calibration,
    )
    return evaluate(program, data, model)


def assert_close_to_float(result: Evaluation, points: float) -> None:
    """Crossbar top-1 lies within so many points of float, which itself is a trained net's."""
    assert result.top1_float is not None
    assert result.top1_crossbar is not None
    assert result.top1_float > 0.85
    assert abs(result.top1_crossbar - result.top1_float) * 100 <= points


def batched_mnist(source: Path, path: Path) -> Path:
    """mnist-conv with a dynamic batch, so that evaluation is quick: the flattening takes -1."""
    model = onnx.load(source)
    graph = model.graph
    for value in (*graph.input, *graph.output):
        if value.name in (graph.input[0].name, graph.output[0].name):
            value.type.tensor_type.shape.dim[0].dim_param = "N"
    for tensor in graph.initializer:
        if tensor.name == "Pooling160_Output_0_reshape0_shape":
            tensor.int64_data[0] = -1
    del graph.value_info[:]
    path.write_bytes(model.SerializeToString())
    return path
