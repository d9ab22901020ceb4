"""Networks and programs as text, for people and golden files; weights as shape and checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import fields

import numpy as np

from xbarc.errors import say_count, visible
from xbarc.ir.geometry import Geometry
from xbarc.ir.network import DigitalFragment, FloatWeight, MatrixLayer, Network, Value
from xbarc.ir.program import CrossbarStep, Program
from xbarc.ir.quantizers import Quantizer, Result
from xbarc.numerics import AnyArray


def network_text(network: Network) -> str:
    """A network as text: a line for each value, a few for each layer."""
    lines = [f"network {network.name}", *_borders(network.inputs, network.outputs)]
    for layer in network.layers:
        if isinstance(layer, MatrixLayer):
            lines.extend(_matrix_layer(layer))
        else:
            lines.append(_digital(layer.name, layer.operators, layer.inputs, layer.outputs))
    return "\n".join(map(visible, lines)) + "\n"


def program_text(program: Program) -> str:
    """A program as text: a line for each value and setting, a few for each step."""
    lines = [
        f"program {program.name} on {program.target.name}, {say_count(program.arrays, 'array')}"
    ]
    lines.extend(_borders(program.inputs, program.outputs))
    lines.extend(f"  setting {name} = {value}" for name, value in program.settings)
    for step in program.steps:
        if isinstance(step, DigitalFragment):
            lines.append(_digital(step.name, step.operators, step.inputs, step.outputs))
        else:
            lines.extend(_crossbar(step))
    return "\n".join(map(visible, lines)) + "\n"


def checksum(array: AnyArray) -> str:
    """Type, shape and the first digits of a hash of an array's bytes."""
    # 12 digits are 48 bits: no two arrays of a golden file meet by chance.
    digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:12]
    return f"{array.dtype}{list(array.shape)} {digest}"


def _borders(inputs: tuple[Value, ...], outputs: tuple[Value, ...]) -> Iterator[str]:
    for word, values in (("input", inputs), ("output", outputs)):
        for value in values:
            shape = "[...]" if value.shape is None else str(list(value.shape))
            yield f"  {word} {value.name}: {value.dtype}{shape}"


def _digital(
    name: str,
    operators: tuple[tuple[str, int], ...],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
) -> str:
    what = ", ".join(f"{op} x{count}" if count > 1 else op for op, count in operators)
    return f"  digital {name}: ({', '.join(inputs)}) -> ({', '.join(outputs)}) [{what}]"


def _matrix_layer(layer: MatrixLayer) -> Iterator[str]:
    weight = layer.weight
    kind = "float" if isinstance(weight, FloatWeight) else str(weight.format)
    yield f"  matrix {layer.name}: {layer.operator}({layer.input}) -> {layer.output}"
    yield f"    {describe(layer.geometry)}"
    yield f"    weight {kind} {list(weight.tensor.shape)} {checksum(weight.tensor.load())}"
    yield f"    input {describe(layer.quantizer)}"
    yield f"    result {describe(layer.result)}"


def _crossbar(step: CrossbarStep) -> Iterator[str]:
    tiling = step.tiling
    yield f"  crossbar {step.name}: {step.operator}({step.input}) -> {step.output}"
    yield f"    {describe(step.geometry)}"
    yield f"    input {describe(step.quantizer)}, slices of {say_count(step.dac_bits, 'bit')}"
    if step.facts is not None:
        yield f"    facts {checksum(step.facts.low)} to {checksum(step.facts.high)}"
    yield f"    result {describe(step.result)}"
    yield (
        f"    {step.encoding}, {say_count(step.weight_slices, 'slice')}, cells"
        f" {list(step.cells.shape)} of {say_count(step.cells.bits, 'bit')}"
        f" {checksum(step.cells.data)}"
    )
    yield (
        f"    blocks {list(tiling.array.shape)} in "
        f"{say_count(np.unique(tiling.array).size, 'array')}, "
        f"{say_count(tiling.segment_bounds.size - 1, 'segment')}, "
        f"{say_count(step.conversions, 'conversion')}"
    )
    if step.sense is not None:
        compared, thresholds = step.sense.levels, checksum(step.sense.thresholds)
        many = say_count(compared, "comparison")
        yield f"    sense, {many} per conversion, thresholds {thresholds}"
        return
    low, high = _ends(step.adc.bits)
    yield f"    adc {step.adc.policy}, {low} to {say_count(high, 'bit')}"
    if step.periphery.column_scale is not None:
        yield f"    column scale {checksum(step.periphery.column_scale)}"


def _ends(bits: AnyArray) -> tuple[int, int]:
    """Narrowest and widest conversion; 0 where there is none."""
    return (int(bits.min()), int(bits.max())) if bits.size else (0, 0)


def describe(part: Geometry | Quantizer | Result) -> str:
    """Kind and fields of a small dataclass; arrays as shape and checksum."""
    shown = []
    for item in fields(part):
        value = getattr(part, item.name)
        if item.name == "kind":
            continue
        text = checksum(value) if isinstance(value, np.ndarray) else repr(value)
        shown.append(f"{item.name}={text}")
    return f"{part.kind}({', '.join(shown)})"
