"""The store: whole or not there, one driver, nothing that is not its own."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from xbarc.errors import InputError
from xbarc.explore import Store
from xbarc.explore.work import Answers, DesignCosts


def answers(first: int, last: int) -> Answers:
    index = np.arange(first, last)
    return Answers(
        classes=index.astype(np.int32) % 7,
        expected=index.astype(np.int32) % 5,
        labels=index.astype(np.int64) % 3,
        error=(index / 3).astype(np.float64),
        signal=(index * 2.0).astype(np.float64),
    )


def test_what_is_put_is_found_again(tmp_path: Path) -> None:
    found = DesignCosts({"area_mm2": 1.25, "energy_uj": None}, {"energy_uj": "why"}, "d", "p", True)
    with Store(tmp_path / "s.db") as store:
        store.put_priced("key", found)
        for first, last in ((0, 20), (20, 50), (50, 51)):
            store.put_answers("class", first, answers(first, last))
    with Store(tmp_path / "s.db") as store:
        assert store.priced("key") == found
        assert store.priced("other") is None
        got = store.answers("class", 3, 51)
        assert got is not None
        for name in ("classes", "expected", "labels", "error", "signal"):
            assert np.array_equal(getattr(got, name), getattr(answers(3, 51), name))
        assert store.answers("class", 0, 52) is None
        assert store.answers("other", 0, 1) is None


def test_a_gap_is_no_answer(tmp_path: Path) -> None:
    with Store(tmp_path / "s.db") as store:
        store.put_answers("class", 0, answers(0, 10))
        store.put_answers("class", 11, answers(11, 20))
        assert store.answers("class", 0, 20) is None
        assert store.answers("class", 12, 15) is not None


def test_a_second_driver_is_told_who_the_first_is(tmp_path: Path) -> None:
    text = (
        "import sys; from pathlib import Path; from xbarc.explore import Store\n"
        "store = Store(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    )
    path = tmp_path / "s.db"
    with subprocess.Popen(
        [sys.executable, "-c", text, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(InputError, match=f"process {other.pid} on .* is working on it"):
            Store(path)
        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        # Whoever was killed left no lock, even where its parent has not asked for its end.
        with Store(path) as store:
            store.put_priced("key", DesignCosts())


def test_a_driver_whose_number_another_process_has_is_gone(tmp_path: Path) -> None:
    """After a power cut numbers start again."""
    path = tmp_path / "s.db"
    Store(path).close()
    row = (socket.gethostname(), os.getppid(), -1.0)
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("INSERT INTO driver VALUES (1, ?, ?, ?)", row)
    with Store(path) as store:
        assert store.priced("key") is None


def test_two_studies_of_one_process_are_two_drivers(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with Store(path) as first:
        with pytest.raises(InputError, match=f"process {os.getpid()} on .* is working on it"):
            Store(path)
        first.put_priced("key", DesignCosts())
    with Store(path) as again:
        assert again.priced("key") is not None
    # A process before a restart may have had the number of this one.
    row = (socket.gethostname(), os.getpid(), -1.0)
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("INSERT INTO driver VALUES (1, ?, ?, ?)", row)
    Store(path).close()


DIGEST, TOTALS = '"digest": ""', '"totals": {}'


@pytest.mark.parametrize(
    "change",
    [
        "priced SET body = '[1]'",
        "priced SET body = '{}'",
        f"priced SET body = replace(body, '{DIGEST}', '\"digest\": 5')",
        f'priced SET body = replace(body, \'{TOTALS}\', \'"totals": {{"arrays": "x"}}\')',
        f"priced SET body = replace(body, '{TOTALS}', '\"totals\": \"x\"')",
        "priced SET body = replace(hex(zeroblob(100000)), '0', '[')",
        "priced SET body = x'ff00'",
        "answers SET body = 'text'",
        "answers SET body = x'00'",
        "answers SET last = last + 1",
        "answers SET last = 'z'",
        "driver SET pid = 1 << 40",
        "driver SET host = x'ff', pid = 'q'",
    ],
)
def test_rows_that_somebody_changed(tmp_path: Path, change: str) -> None:
    """An error about the file, or as if there was no such row: nothing that ends the program."""
    path = tmp_path / "s.db"
    with Store(path) as store:
        store.put_priced("key", DesignCosts())
        store.put_answers("class", 0, answers(0, 10))
    with closing(sqlite3.connect(path)) as base, base:
        if change.startswith("driver"):
            base.execute("INSERT INTO driver VALUES (1, ?, 5, 0)", (socket.gethostname(),))
        assert base.execute(f"UPDATE {change}").rowcount == 1
    if change.startswith("driver SET pid"):
        Store(path).close()
        return
    with pytest.raises(InputError, match=r"s\.db: .*hint"), Store(path) as store:
        assert store.priced("key") is None or store.answers("class", 0, 10) is None


@pytest.mark.parametrize("what", ["text", "foreign", "format", "row", "folder", "nowhere"])
def test_what_is_no_store_is_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / "s.db"
    if what == "text":
        path.write_bytes(b"no database at all, and long enough to be looked at" * 30)
    elif what == "folder":
        path.mkdir()
    elif what == "nowhere":
        path = tmp_path / "none" / "s.db"
    elif what == "foreign":
        with sqlite3.connect(path) as base:
            base.execute("CREATE TABLE other (x)")
    else:
        with Store(path) as store:
            store.put_priced("key", DesignCosts())
        with sqlite3.connect(path) as base:
            if what == "format":
                base.execute("PRAGMA user_version = 99")
            else:
                base.execute("UPDATE priced SET body = '{\"no\": 1}'")
    before = path.read_bytes() if path.is_file() else b""
    # A row is only read when it is asked for.
    with pytest.raises(InputError) as caught, Store(path) as store:
        store.priced("key")
    assert str(path) in str(caught.value)
    if what in ("text", "foreign"):
        assert path.read_bytes() == before
