"""Write the JSON schema of `report.json` under its format number.

python docs/schema.py
"""

import json
import sys
from pathlib import Path

from xbarc.report import Report

NUMBER = Report.model_fields["format"].default
FILE = Path(__file__).resolve().parent / "reference" / f"report-{NUMBER}.schema.json"


def main() -> int:
    """Write the file of the present number; older ones stay as they are."""
    schema = Report.model_json_schema(mode="serialization")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["$id"] = f"xbarc-report-{NUMBER}"
    FILE.write_text(json.dumps(schema, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
