"""The row of one crossbar layer."""

from __future__ import annotations

from typing import Literal

import numpy as np

from xbarc.cost import LayerCost, area_parts, energy_parts, total
from xbarc.cost.counts import Histogram
from xbarc.cost.hardware import cells_of_array
from xbarc.ir.program import CrossbarStep
from xbarc.ir.quantize import DynamicInput, StaticInput
from xbarc.report.fits import fitted
from xbarc.report.model import AdcRow, LayerRow
from xbarc.target import Target

_MOST_ARRAYS = 256


def layer_row(layer: LayerCost, target: Target) -> LayerRow:
    """What a layer is, how it sits on arrays, and what it costs."""
    step, known = layer.step, layer.positions is not None
    groups, row_blocks, column_blocks = step.tiling.array.shape
    arrays = int(np.unique(step.tiling.array).size)
    capacity = arrays * target.array.rows * (target.array.columns + target.array.spare_columns)
    energy = total(energy_parts(layer.counts, target)) if known else None
    area = total(area_parts(layer.counts, target))
    return LayerRow(
        name=step.name,
        operator=step.operator,
        encoding=step.encoding,
        activation_range=activation_range(step),
        weight_bits=step.weight_bits,
        weight_slices=step.weight_slices,
        input_bits=step.input_bits,
        input_slices=step.input_slices,
        inputs=step.inputs,
        outputs=step.outputs,
        groups=groups,
        row_blocks=row_blocks,
        column_blocks=column_blocks,
        blocks=step.tiling.array.size,
        arrays=arrays,
        copies=layer.copies,
        cells=step.cells.count,
        zero_cells=int(layer.levels[0]),
        utilization=step.cells.count / capacity if capacity else None,
        filling=_filling(step, target),
        adc=adc_row(step.adc.policy, layer.vector.conversions),
        timing=layer.timing,
        positions=layer.positions,
        macs=int(layer.counts.crossbar_macs) if known else None,
        conversions_per_vector=int(layer.vector.all_conversions),
        conversions=int(layer.counts.all_conversions) if known else None,
        buffer_bytes=int(layer.counts.buffer_bytes) if known else None,
        energy_uj=None if energy is None else energy / 1e6,
        latency_us=None if layer.latency_ns is None else layer.latency_ns / 1e3,
        area_mm2=(area or 0.0) / 1e6,
        choice=step.choice,
        fit=fitted(step.fit),
    )


def _filling(step: CrossbarStep, target: Target) -> tuple[float, ...]:
    """Share of the cells in use of the first arrays of a layer."""
    first = int(step.tiling.array.min(initial=0))
    used = cells_of_array(step, int(step.tiling.array.max(initial=-1)) + 1)[first:]
    cells = target.array.rows * (target.array.columns + target.array.spare_columns)
    return tuple((used[used > 0][:_MOST_ARRAYS] / cells).tolist())


def activation_range(step: CrossbarStep) -> Literal["static", "dynamic", "as given"]:
    """Where the range of the layer's input comes from."""
    match step.quantizer:
        case StaticInput():
            return "static"
        case DynamicInput():
            return "dynamic"
        case _:
            return "as given"


def adc_row(policy: str, conversions: Histogram) -> AdcRow:
    """Widths in use; all zero for a layer without conversions."""
    used = {bits: int(count) for bits, count in enumerate(conversions) if count}
    count = sum(used.values())
    mean = sum(bits * number for bits, number in used.items()) / count if count else 0.0
    return AdcRow(
        policy=policy,
        min_bits=min(used, default=0),
        mean_bits=mean,
        max_bits=max(used, default=0),
        histogram=used,
    )
