"""Figures of layers as node data for Model Explorer, which colours the graph of a model by them.

The format is `GraphNodeData` of its wheel (module `node_data_builder`): results by the name of an
output tensor of each node, and a gradient.
"""

from __future__ import annotations

import json

from xbarc.errors import InputError, visible
from xbarc.ir import Program
from xbarc.options import nearest
from xbarc.report.model import Report
from xbarc.report.records import columns_of, record_of
from xbarc.report.sections import LayerRow

# Pale to dark, as tile maps: a print in grey keeps the order.
_GRADIENT = (
    {"stop": 0, "bgColor": "#f7fafc", "textColor": "#1d2430"},
    {"stop": 0.5, "bgColor": "#a6cee3", "textColor": "#1d2430"},
    {"stop": 1, "bgColor": "#144078", "textColor": "#ffffff"},
)


def render_model_explorer(program: Program, report: Report, column: str = "") -> str:
    """One figure of every layer on crossbars.

    Args:
        program: whose layers they are.
        report: of it.
        column: a numeric column of the CSV; empty: `energy_uj`.

    Raises:
        InputError: there is no such column, or it holds no numbers.
    """
    name = column or "energy_uj"
    records = {row.name: record_of(row) for row in report.layers}
    if name not in columns_of(LayerRow):
        hint = nearest(name, columns_of(LayerRow)) or "xbarc report --format csv has the columns"
        raise InputError(f"no column '{name[:40]}'", where="--format", hint=hint)
    values = {step.output: records[step.name][name] for step in program.crossbar_steps}
    words = [value for value in values.values() if isinstance(value, str)]
    if words:
        told = f"column '{name}' holds text ('{visible(words[0])[:40]}')"
        raise InputError(told, where="--format", hint="a column of numbers, such as energy_uj")
    data = {
        "name": f"{name} of {visible(program.name)} on {visible(program.target.name)}",
        # What is not known has no value: it would be drawn as the least.
        "results": {key: {"value": value} for key, value in values.items() if value is not None},
        "gradient": _GRADIENT,
    }
    return json.dumps(data, indent=1) + "\n"
