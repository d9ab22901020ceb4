"""Kills, full disks and races; `python -m tests.kills` prints what came of each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_nothing_is_torn() -> None:
    """In a process of its own: it forks, which a process with threads must not do."""
    root = Path(__file__).parents[2]
    words = [sys.executable, "-m", "tests.kills", "200"]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
