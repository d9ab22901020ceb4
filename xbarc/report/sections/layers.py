"""The rows of crossbar layers, and their tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from xbarc.cost import Histogram, LayerCost, Timing, cells_of_array, total
from xbarc.ir import Candidate, ChoiceRecord, CrossbarStep, DynamicInput, FitRecord, StaticInput
from xbarc.report.section import Section, Subject
from xbarc.report.sections.components import Components, count_components
from xbarc.rows import (
    Row,
    Share,
    TableData,
    cells,
    fact,
    headings,
    histogram,
    table_of,
)
from xbarc.target import Target

# Squares of one layer in the drawing of arrays: bounds the size of a page.
_MOST_ARRAYS = 256
_MEASURES = {
    "output": "error: of the products, held-back samples",
    "weight": "error: of the weights",
    "none": "no error",
}
_COSTS = "name operator inputs groups positions arrays conversions energy_uj latency_us area_mm2"
_PLACEMENT = "name encoding weight_bits input_bits activation_range blocks utilization"


class AdcRow(Row):
    """Converter widths of a layer, weighted by conversions."""

    policy: str = fact("lossless, worst-case, or the largest number of bits asked for", csv=False)
    min_bits: int = fact(
        "narrowest conversion, bits; 0 where there is none",
        head="ADC bits>",
        of=lambda adc: f"{adc.min_bits} / {adc.mean_bits:.3g} / {adc.max_bits}",
    )
    mean_bits: float = fact("mean over conversions, bits")
    max_bits: int = fact("widest conversion, bits")
    histogram: dict[int, int] = fact(
        "conversions of one input vector by width in bits, count",
        head="conversions of one vector by ADC bits",
        text=histogram,
    )


class LayerRow(Row):
    """One layer on crossbars; `area_mm2` and the arrays' surroundings are its share."""

    name: str = fact("name of the layer in the model", head="layer")
    operator: str = fact("ONNX operator", head="operator")
    encoding: str = fact("how signed weights sit on cells", head="encoding")
    activation_range: Literal["static", "dynamic", "as given"] = fact(
        "static: from data; dynamic: at run time; as given: the model's own integers",
        head="range",
    )
    weight_bits: int = fact(
        "bits of a weight, sign included",
        head="weight>",
        of=lambda row: f"{row.weight_bits} bit / {row.weight_slices}",
    )
    weight_slices: int = fact("bit slices of a weight, count")
    input_bits: int = fact(
        "bits of an input code",
        head="input>",
        of=lambda row: f"{row.input_bits} bit / {row.input_slices}",
    )
    input_slices: int = fact("input slices, one a cycle, count")
    inputs: int = fact(
        "rows of the matrix of one group, count",
        head="matrix>",
        of=lambda row: f"{row.inputs} x {row.outputs}",
    )
    outputs: int = fact("outputs of one group, count")
    groups: int = fact("matrices of the layer, count", head="groups>")
    row_blocks: int = fact("blocks along the inputs, count", csv=False)
    column_blocks: int = fact("blocks along the columns, count", csv=False)
    blocks: int = fact("groups times row blocks times column blocks, count", head="blocks>")
    arrays: int = fact("arrays that one copy of the layer touches, count", head="arrays>")
    copies: int = fact(
        "weight duplication: how often the layer stands on the chip, count", csv=False
    )
    cells: int = fact("cells in use, count")
    zero_cells: int = fact("cells at level 0, count", csv=False)
    utilization: Share | None = fact(
        "cells over cells of the arrays it touches, 0 to 1", head="used>"
    )
    filling: tuple[float, ...] = fact(
        "utilisation of each array it touches, the first 256: share of cells in use, 0 to 1"
    )
    adc: AdcRow = fact("converter widths")
    timing: Timing = fact("time of one input vector")
    positions: int | None = fact("input vectors of one inference, count", head="positions>")
    macs: int | None = fact("multiply-accumulates, count per inference")
    conversions_per_vector: int = fact("conversions of one input vector, count", csv=False)
    conversions: int | None = fact("conversions, count per inference", head="conversions>")
    buffer_bytes: int | None = fact("bytes through buffers, count per inference", csv=False)
    energy_uj: float | None = fact(
        "energy of the layer's share of the components, uJ per inference",
        head="energy uJ>",
    )
    latency_us: float | None = fact(
        "time that its arrays work in one inference, copies side by side, us",
        head="latency us>",
    )
    area_mm2: float = fact("area of the layer's share of the components, mm2", head="area mm2>")
    choice: ChoiceRecord | None = fact(
        "why this encoding; null where it was asked for by name", default=None, later=True
    )
    fit: FitRecord | None = fact(
        "how the integers were chosen; null where nothing was", default=None, later=True
    )
    components: Components | None = fact(
        "the parts of its `energy_uj` and `area_mm2`, all copies included; null in reports of "
        "earlier versions",
        default=None,
        later=True,
    )


def layer_rows(subject: Subject) -> tuple[LayerRow, ...]:
    """A row per layer, in execution order."""
    return tuple(_layer_row(layer, subject.target) for layer in subject.cost.layers)


def _layer_row(layer: LayerCost, target: Target) -> LayerRow:
    """What a layer is, how it sits on arrays, and what it costs."""
    step, known = layer.step, layer.positions is not None
    # `array` has an entry per block, which is the number of the array that it stands on.
    groups, row_blocks, column_blocks = step.tiling.array.shape
    # Arrays that are touched, packed ones too: several small layers may count the same one, and
    # only the totals know of that.
    arrays = int(np.unique(step.tiling.array).size)
    capacity = arrays * target.array.rows * (target.array.columns + target.array.spare_columns)
    parts = count_components(layer.counts, target)
    if not known:
        # What its share of the hardware takes is no energy of the layer while its work is missing.
        parts = replace(parts, energy=())
    energy, area = total(parts.energy) if known else None, total(parts.area)
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
        filling=_array_utilisation(step, target),
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
        fit=chosen_fit(step.fit),
        components=parts,
    )


def _array_utilisation(step: CrossbarStep, target: Target) -> tuple[float, ...]:
    """Share of the cells in use of the first arrays of a layer."""
    first = int(step.tiling.array.min(initial=0))
    # Arrays are numbered over the whole program; what lies before the first one of this layer is
    # not looked at.
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


def chosen_fit(record: FitRecord | None) -> FitRecord | None:
    """The record where anything was chosen; None where integers were plainly rounded."""
    # Most layers are plainly rounded, and a table of lines that say so would hide the others.
    return None if record == FitRecord("rounding") else record


def layer_tables(layers: Sequence[LayerRow]) -> tuple[TableData, ...]:
    """Costs, places, and how encodings and integers were chosen."""
    return (
        layers_table(layers),
        placement_table(layers),
        candidates_table(layers),
        fit_table(layers),
    )


def layers_table(layers: Sequence[LayerRow]) -> TableData:
    """What each layer costs."""
    return table_of(LayerRow, layers, _COSTS, "Layers on crossbars")


def placement_table(layers: Sequence[LayerRow]) -> TableData:
    """How each layer sits on its arrays."""
    names = (*headings(LayerRow, _PLACEMENT), *headings(AdcRow), *headings(Timing))
    rows = tuple((*cells(row, _PLACEMENT), *cells(row.adc), *cells(row.timing)) for row in layers)
    return TableData("Placement (bits / slices; least, mean and most ADC bits)", names, rows)


def chosen_table(layers: Sequence[LayerRow]) -> TableData:
    """What was chosen, a row per layer."""
    rows = tuple(
        (row.name, row.encoding, row.choice.reason, _MEASURES[row.choice.measure])
        for row in layers
        if row.choice is not None
    )
    return TableData("Encodings chosen", ("layer", "encoding", "why", "by"), rows)


def candidates_table(layers: Sequence[LayerRow]) -> TableData:
    """What there was to choose from, a row a candidate."""
    name, *others = headings(Candidate)
    rows = tuple(
        (row.name, encoding, "chosen" if encoding == row.encoding else "", *rest)
        for row in layers
        if row.choice is not None
        for encoding, *rest in map(cells, row.choice.candidates)
    )
    return TableData(Candidate.title, ("layer", name, "", *others), rows)


def fit_table(layers: Sequence[LayerRow]) -> TableData:
    """A row for each layer whose weights were fitted or whose outputs were put in order."""
    rows = tuple((row.name, *cells(row.fit)) for row in layers if row.fit is not None)
    return TableData(FitRecord.title, ("layer", *headings(FitRecord)), rows)


LAYERS = Section(layer_rows, layer_tables, chapter="Layers")
