"""Layers as Parquet, as node data of Model Explorer, and as metadata of the nodes of a model."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tests.report.programs import small_program
from xbarc.errors import InputError
from xbarc.report import (
    collect,
    model_notes,
    node_notes,
    parquet_bytes,
    render_csv,
    render_model_explorer,
)


def test_parquet_has_the_columns_of_the_csv_with_types_and_meanings() -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    report = collect(small_program())
    table = parquet.read_table(io.BytesIO(parquet_bytes(report)))
    lines = list(csv.DictReader(io.StringIO(render_csv(report))))[:-1]
    assert table.column_names == list(lines[0])
    for row, line in zip(table.to_pylist(), lines, strict=True):
        assert {name: "" if v is None else str(v) for name, v in row.items()} == line
    assert all(field.metadata[b"meaning"] for field in table.schema)
    assert table.schema.metadata[b"target"] == b"rram128"
    assert parquet_bytes(report) == parquet_bytes(report)


def test_parquet_without_its_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"needs pyarrow; hint: pip install 'xbarc\[tables\]'"):
        parquet_bytes(collect(small_program()))


@pytest.mark.parametrize("column", ["", "arrays", "adc_mean_bits"])
def test_node_data_has_a_number_per_output(column: str) -> None:
    program = small_program()
    report = collect(program)
    data = json.loads(render_model_explorer(program, report, column))
    assert set(data) == {"name", "results", "gradient"}
    assert list(data["results"]) == [step.output for step in program.crossbar_steps]
    assert all(set(result) == {"value"} for result in data["results"].values())
    if not column:
        wanted = [row.energy_uj for row in report.layers]
        assert [result["value"] for result in data["results"].values()] == wanted
    stops = [item["stop"] for item in data["gradient"]]
    assert stops[0] == 0
    assert stops[-1] == 1
    assert stops == sorted(stops)


def test_the_wheel_of_model_explorer_writes_the_same_node_data() -> None:
    builder = pytest.importorskip(
        "model_explorer.node_data_builder", reason="ai-edge-model-explorer is not installed"
    )
    program = small_program()
    data = json.loads(render_model_explorer(program, collect(program)))
    made = builder.GraphNodeData(
        results={key: builder.NodeDataResult(**one) for key, one in data["results"].items()},
        name=data["name"],
        gradient=[builder.GradientItem(**one) for one in data["gradient"]],
    )
    assert json.loads(made.to_json_string()).items() >= data.items()


def test_columns_that_cannot_be_drawn_are_told() -> None:
    program = small_program()
    report = collect(program)
    with pytest.raises(InputError, match="no column 'energy'; hint: did you mean energy_uj"):
        render_model_explorer(program, report, "energy")
    with pytest.raises(InputError, match="column 'encoding' holds text"):
        render_model_explorer(program, report, "encoding")


def test_notes_name_every_node_that_runs() -> None:
    program = small_program()
    report = collect(program)
    notes = node_notes(program, report)
    for step, row in zip(program.crossbar_steps, report.layers, strict=True):
        assert notes[step.output]["xbarc.runs"] == "crossbar"
        assert notes[step.output]["xbarc.arrays"] == str(row.arrays)
    assert all(key.startswith("xbarc.") for each in notes.values() for key in each)
    about = model_notes(report)
    assert about["xbarc.target"] == "rram128"
    assert about["xbarc.write_energy_uj"] == "unknown"
