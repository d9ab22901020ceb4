"""What the page knows of a program from the start: layers, figures, graph, floor plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from xbarc.cost import parse_policy, program_cost
from xbarc.ir import (
    CrossbarStep,
    DigitalFragment,
    Program,
    Scatter,
    Window,
    dataflow,
    layer_inputs,
    layer_outputs,
)
from xbarc.numerics import IntArray
from xbarc.report import (
    HUES,
    MINUS,
    NEITHER,
    PLUS,
    REST,
    LayerRow,
    Subject,
    layer_rows,
    level_colours,
    totals_row,
)
from xbarc.viewer.floor import floor_plan
from xbarc.viewer.measured import Measured


@dataclass(frozen=True)
class _Metric:
    """A figure that colours the graph: its name, its unit, where a layer's report holds it."""

    name: str
    unit: str
    read: Callable[[LayerRow], float | None]


_METRICS = (
    _Metric("energy", "µJ per inference", lambda row: row.energy_uj),
    _Metric("area", "mm²", lambda row: row.area_mm2),
    _Metric("latency", "µs per inference", lambda row: row.latency_us),
    _Metric("arrays", "with copies", lambda row: row.arrays * row.copies),
    _Metric("ADC bits", "mean over conversions", lambda row: row.adc.mean_bits),
    _Metric("utilisation", "cells in use over cells of its arrays", lambda row: row.utilization),
    _Metric(
        "cells at level 0", "share of its cells", lambda row: row.zero_cells / max(1, row.cells)
    ),
)


def describe_program(
    program: Program,
    place: str,
    measured: Mapping[str, Measured] | None = None,
) -> dict[str, Any]:
    """Everything of the page but its arrays, as JSON holds it.

    Args:
        program: what is shown.
        place: where it lies, for the commands that the page names.
        measured: what layers did on data, by name; None: nothing was run.
    """
    policy = parse_policy(dict(program.settings).get("duplicate", "none"), program.target)
    cost = program_cost(program, policy)
    subject = Subject(program, cost)
    rows = {row.name: row for row in layer_rows(subject)}
    totals, target = totals_row(subject), program.target
    found = {
        step.name: _crossbar(step, rows[step.name], (measured or {}).get(step.name))
        for step in program.crossbar_steps
    }
    return {
        "name": program.name,
        "place": place,
        "target": target.name,
        "rows": target.array.rows,
        "columns": target.array.columns + target.array.spare_columns,
        "arrays": program.arrays,
        "inks": {"plus": PLUS, "minus": MINUS, "neither": NEITHER, "hues": HUES, "rest": REST},
        "colours": {str(n): level_colours(n) for n in _level_counts(program)},
        "energy": totals.energy_uj,
        "area": totals.area_mm2,
        "metrics": _metrics(measured is not None),
        "steps": [found.get(step.name) or _digital(step) for step in program.steps],
        "edges": _edges(program),
        "inputs": [value.name for value in program.inputs],
        "outputs": [value.name for value in program.outputs],
        "floor": floor_plan(program, cost),
    }


def _level_counts(program: Program) -> list[int]:
    return sorted({1 << step.cells.bits for step in program.crossbar_steps})


def _metrics(was_run: bool) -> list[list[str]]:
    found = [[one.name, one.unit] for one in _METRICS]
    run = [["SQNR", "dB, errors of earlier layers included"], ["clipped", "share of conversions"]]
    return found + (run if was_run else [])


def _crossbar(step: CrossbarStep, row: LayerRow, seen: Measured | None) -> dict[str, Any]:
    kernel = getattr(step.geometry, "kernel", ())
    clipped = None if seen is None or not seen.conversions else seen.saturated / seen.conversions
    run = [] if seen is None else [seen.sqnr_db, clipped]
    return {
        "kind": "crossbar",
        "name": step.name,
        "operator": step.operator,
        "encoding": step.encoding,
        "groups": step.groups,
        "inputs": step.inputs,
        "outputs": step.outputs,
        "kernel": list(kernel),
        "kernel_of": _kernel_side(step),
        "spans": _runs(np.unique(np.asarray(step.tiling.array))),
        "weight_bits": step.weight_bits,
        "input_bits": step.input_bits,
        "dac_bits": step.dac_bits,
        "cell_bits": step.cells.bits,
        "adc": step.adc.policy,
        "sense": step.sense is not None,
        "copies": row.copies,
        "vectors": row.positions,
        "conversions": row.conversions_per_vector,
        "histogram": {str(bits): count for bits, count in row.adc.histogram.items()},
        "figures": [*(one.read(row) for one in _METRICS), *run],
        "parts": _energy_parts(row),
    }


def _energy_parts(row: LayerRow) -> list[tuple[str, float | None]]:
    """Components of the energy in uJ per inference, the largest first; an unknown one is None."""
    parts = () if row.components is None else row.components.energy
    used = [(part.name, _in_uj(part.total)) for part in parts if part.count]
    return sorted(used, key=lambda item: -(item[1] or 0.0))


def _in_uj(energy_pj: float | None) -> float | None:
    return None if energy_pj is None else energy_pj / 1e6


def _runs(numbers: IntArray) -> list[list[int]]:
    """First and last of each run of numbers that follow each other."""
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    return [[int(run[0]), int(run[-1])] for run in np.split(numbers, breaks) if run.size]


def _kernel_side(step: CrossbarStep) -> str:
    """Whether places in a kernel count among inputs or among outputs."""
    match step.geometry:
        case Window():
            return "inputs"
        case Scatter():
            return "outputs"
        case _:
            return ""


def _digital(step: object) -> dict[str, Any]:
    if not isinstance(step, DigitalFragment):
        raise TypeError(f"{type(step).__name__} is no digital fragment")
    return {
        "kind": "digital",
        "name": step.name,
        "operators": [f"{name} x{count}" if count > 1 else name for name, count in step.operators],
        "macs": step.macs,
        "notes": list(step.notes),
    }


def _edges(program: Program) -> list[list[int]]:
    """Steps that follow each other, by number; -1 is the input, and the count is the output."""
    number = {step.name: at for at, step in enumerate(program.steps)}
    found = {(number[a], number[b]) for a, b in dataflow(program).edges}
    inputs, outputs = ({value.name for value in side} for side in (program.inputs, program.outputs))
    for at, step in enumerate(program.steps):
        if inputs & set(layer_inputs(step)):
            found.add((-1, at))
        if outputs & set(layer_outputs(step)):
            found.add((at, len(number)))
    return [list(edge) for edge in sorted(found)]
