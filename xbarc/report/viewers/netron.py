"""What a report says of each node of the model, for the metadata that Netron shows beside it."""

from __future__ import annotations

from xbarc.ir import Program
from xbarc.onnx_graph import OnnxGraph
from xbarc.report.model import Report
from xbarc.report.records import record_of
from xbarc.rows import number

_PREFIX = "xbarc."


def model_notes(report: Report) -> dict[str, str]:
    """Metadata of the whole model: for which target, and the totals that are one number."""
    about = {"program": report.name, "target": report.target.name, "settings": report.settings_line}
    totals = {name: _text(value) for name, value in record_of(report.totals).items()}
    return {f"{_PREFIX}{name}": value for name, value in (about | totals).items()}


def node_notes(program: Program, report: Report) -> dict[str, dict[str, str]]:
    """Metadata by the name of an output of the node: facts of layers, and where others run."""
    rows = {row.name: row for row in report.layers}
    found = {}
    for part in program.digital_steps:
        for node in OnnxGraph(part.model, part.name).nodes:
            for output in node.outputs:
                found[output] = {f"{_PREFIX}runs": f"digital, in {part.name}"}
    for step in program.crossbar_steps:
        record = record_of(rows[step.name])
        facts = {f"{_PREFIX}{name}": _text(value) for name, value in record.items()}
        found[step.output] = {f"{_PREFIX}runs": "crossbar"} | facts
    return found


def _text(value: object) -> str:
    return number(value) if isinstance(value, float) or value is None else str(value)
