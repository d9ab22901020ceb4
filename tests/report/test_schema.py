from __future__ import annotations

import json
from pathlib import Path

from tests.report.programs import small_program
from xbarc.report import Report, collect, render_json

NUMBER = Report.model_fields["format"].default
FILE = Path(__file__).resolve().parents[2] / "docs" / "reference" / f"report-{NUMBER}.schema.json"


def test_the_published_schema_is_that_of_the_models() -> None:
    """A changed field needs a new number, a line of history and a new file."""
    published = json.loads(FILE.read_text())
    assert published.pop("$id") == f"xbarc-report-{NUMBER}"
    published.pop("$schema")
    assert published == Report.model_json_schema(mode="serialization")


def test_a_report_has_every_field_of_the_schema() -> None:
    published = json.loads(FILE.read_text())
    report = json.loads(render_json(collect(small_program())))
    assert set(report) == set(published["properties"])
    row = published["$defs"]["Totals"]["properties"]
    assert set(report["totals"]) == set(row)
