"""What a log gets of long work."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from xbarc.cli.messages import loudness
from xbarc.cli.progress import log_lines, progress_bar


def test_a_log_gets_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    times: Iterator[float] = iter([0.0, 5.0, 19.0, 21.0, 22.0, 100.0])
    advance = log_lines("explore", lambda: next(times))
    for done in range(1, 6):
        advance("designs priced", done, 2000)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "explore designs priced: 3 of 2,000, 21 s",
        "explore designs priced: 5 of 2,000, 100 s",
    ]


@pytest.mark.parametrize(("quiet", "logs"), [(True, True), (False, False), (False, True)])
def test_short_work_and_quiet_work_log_nothing(
    capsys: pytest.CaptureFixture[str], quiet: bool, logs: bool
) -> None:
    with loudness(quiet=quiet, verbose=False), progress_bar("x", logs=logs) as advance:
        for done in range(100):
            advance("step", done, 100)
    assert capsys.readouterr().err == ""


def test_every_step_is_told_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    with loudness(quiet=False, verbose=True), progress_bar("x", logs=True) as advance:
        for name in ("one", "one", "two"):
            advance(name, 1, 2)
    assert capsys.readouterr().err.splitlines() == ["x one: 1 of 2", "x two: 1 of 2"]
