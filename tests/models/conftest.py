"""Counts that tests of whole models record, shown in pytest's summary."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest


def pytest_terminal_summary(terminalreporter: Any) -> None:
    counts: dict[str, Counter[str]] = {}
    for report in terminalreporter.stats.get("passed", ()):
        for title, text in report.user_properties if isinstance(report, pytest.TestReport) else ():
            number, _, row = str(text).partition(" ")
            counts.setdefault(title, Counter())[row] += int(number)
    for title, rows in counts.items():
        terminalreporter.section(title)
        for row, count in sorted(rows.items(), key=lambda item: (-item[1], item[0])):
            terminalreporter.write_line(f"{count:6} {row}")
