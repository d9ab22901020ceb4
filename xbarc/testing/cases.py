"""A small layer on a small target: what the checks of plug-ins, and our own tests, are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args

import numpy as np

from xbarc.ir import (
    CrossbarStep,
    Dense,
    Geometry,
    IntegerInput,
    IntegerResult,
    IntWeight,
    LazyTensor,
    MatrixLayer,
    ModelSource,
    Program,
    Quantizer,
    Result,
    Scatter,
    Value,
)
from xbarc.mapping import ArrayPool, map_layer
from xbarc.numerics import AnyArray, IntFormat
from xbarc.options import MapOptions
from xbarc.target import Target, TargetName, load_target


@dataclass(frozen=True, eq=False, repr=False)
class Case:
    """A layer, an input for it, a target, and mapping options."""

    layer: MatrixLayer
    tensor: AnyArray
    target: Target
    options: dict[str, Any]

    def __repr__(self) -> str:
        array = self.target.array
        return (
            f"Case({self.layer.geometry}, weights {self.layer.weight.tensor.shape}, input "
            f"{self.tensor.shape} of {self.layer.quantizer}, {array.rows}x{array.columns} with "
            f"{array.active_rows} active, {self.target.cell.bits}-bit cells, "
            f"{self.target.input.dac_bits}-bit DAC, {self.options})"
        )

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text("..." if cycle else repr(self))


def small_target(base: str = "rram128", **overrides: Any) -> Target:
    """A shipped target with `section__field=value` overrides; levels follow the cell's bits."""
    settings = [f"{key.replace('__', '.')}={value}" for key, value in overrides.items()]
    if "cell__bits" in overrides:
        levels = 1 << int(overrides["cell__bits"])
        values = [float(level + 1) for level in range(levels)]
        settings.append(f"cell.conductance={values}")
    # As wide as a target may state, so that layers of many rows are lossless unless a case asks for
    # less.
    if "adc__max_bits" not in overrides:
        settings.append("adc.max_bits=16")
    # Files of users may change.
    load = _load_shipped if base in get_args(TargetName) else load_target
    return load(base, tuple(settings))


@lru_cache(maxsize=256)  # a property asks for few targets, each for hundreds of cases
def _load_shipped(base: str, settings: tuple[str, ...]) -> Target:
    return load_target(base, settings)


def int_layer(
    weights: AnyArray,
    *,
    geometry: Geometry | None = None,
    weight_bits: int = 8,
    quantizer: Quantizer | None = None,
    result: Result | None = None,
    constant: AnyArray | None = None,
    name: str = "layer",
) -> MatrixLayer:
    """A matrix layer with integer weights of axes group, input, output, reading `x`."""
    values = np.ascontiguousarray(weights)
    channels = values.shape[0] * values.shape[2]
    if isinstance(geometry, Scatter):
        # A transposed convolution has an output for each kernel position; biases go by channel.
        channels //= int(np.prod(geometry.kernel))
    return MatrixLayer(
        name=name,
        operator="MatMulInteger",
        geometry=geometry or Dense(),
        input="x",
        output="y",
        weight=IntWeight(LazyTensor(values.shape, lambda: values), IntFormat(weight_bits, True)),
        quantizer=quantizer or IntegerInput(low=0, bits=8),
        constant=np.zeros(channels, dtype=np.int64) if constant is None else constant,
        result=result or IntegerResult("int64"),
    )


def mapped(
    layer: MatrixLayer, target: Target, *, pool: ArrayPool | None = None, **options: Any
) -> CrossbarStep:
    """A layer on crossbars."""
    chosen = MapOptions(**options)
    return map_layer(layer, target, chosen, pool or ArrayPool(target.array, chosen.pack))


def program_of(steps: Sequence[CrossbarStep], target: Target, shape: Sequence[Any]) -> Program:
    """A program of crossbar steps in a row, reading `x`."""
    arrays = max(int(step.tiling.array.max()) for step in steps) + 1
    return Program(
        name="test",
        source=ModelSource("test.onnx", "0" * 64),
        target=target,
        inputs=(Value("x", "uint8", tuple(shape)),),
        outputs=(Value(steps[-1].output, "int64", None),),
        steps=tuple(steps),
        arrays=arrays,
        settings=(),
    )
