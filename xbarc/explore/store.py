"""Where results are kept: one SQLite file, which a study reads before it works and writes after.

A result is stored under the digest of exactly what it was made from, so it serves this study after
an interruption, and every other one that uses the file. One process writes; the others only ever
hand results to it.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from pydantic import TypeAdapter, ValidationError

from xbarc.errors import InputError
from xbarc.explore.work import Answers, DesignCosts
from xbarc.numerics import AnyArray

# Of the file; raised when an older xbarc could not read it.
FORMAT = 1
_APPLICATION = 0x78626172  # `xbar`: what SQLite calls an application id
_TABLES = """
CREATE TABLE IF NOT EXISTS priced (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answers (
    key TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    seconds REAL NOT NULL, body BLOB NOT NULL, PRIMARY KEY (key, first, last)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS driver (
    only INTEGER PRIMARY KEY CHECK (only = 1), host TEXT, pid INTEGER, since REAL
);
"""

# Stores that this process has open: its own number does not tell whether it still works on one.
_OPEN_HERE: set[Path] = set()

_COSTS = TypeAdapter(DesignCosts)

# What to do about an error of the database that holds these words.
_WHOLE = "results that were stored are whole"
_HINTS = {
    "full": f"{_WHOLE}; start again once there is room",
    "disk I/O": f"as a rule no room, or a limit on the size of files; {_WHOLE}",
    "no such column": "written by something else; name another file with --store",
}

# What a sample takes in a row of answers: classes as int32 twice, label as int64, two float64.
_RECORD = np.dtype(
    [
        ("classes", "<i4"),
        ("expected", "<i4"),
        ("labels", "<i8"),
        ("error", "<f8"),
        ("signal", "<f8"),
    ]
)


class Store:
    """Results on disk; one driver at a time.

    Args:
        path: the file; it is made where there is none.

    Raises:
        InputError: it is no store, one of another format, damaged, or in use by another process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._where = str(path)
        self._place = path.resolve()
        with self._guarded():
            self._base = sqlite3.connect(path, timeout=5.0, isolation_level=None)
        try:
            with self._guarded():
                self._open()
        except BaseException:
            self._base.close()
            raise

    def _open(self) -> None:
        self._check_kind()
        # Written ahead: a process that is killed leaves the file as the last whole result left it.
        self._base.execute("PRAGMA journal_mode = WAL")
        self._base.execute("PRAGMA synchronous = NORMAL")
        # One process makes the tables and enters itself, so two that start together cannot both.
        self._base.execute("BEGIN IMMEDIATE")
        try:
            for statement in _TABLES.split(";")[:-1]:
                self._base.execute(statement)
            self._base.execute(f"PRAGMA application_id = {_APPLICATION}")
            self._base.execute(f"PRAGMA user_version = {FORMAT}")
            self._enter()
        except BaseException:
            self._base.execute("ROLLBACK")
            raise
        self._base.execute("COMMIT")
        _OPEN_HERE.add(self._place)

    def _check_kind(self) -> None:
        kind = self._base.execute("PRAGMA application_id").fetchone()[0]
        version = self._base.execute("PRAGMA user_version").fetchone()[0]
        tables = self._base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and kind != _APPLICATION:
            raise InputError("is a database, but no store of a study", where=self._where)
        if tables and version != FORMAT:
            raise InputError(
                f"format {version}, expected {FORMAT}",
                where=self._where,
                hint="name another file with --store; results are computed again",
            )

    def _enter(self) -> None:
        """Take the place of the one driver."""
        row = self._base.execute("SELECT host, pid, since FROM driver").fetchone()
        if row is not None and not self._is_driver_gone(*row):
            host, pid, _ = row
            raise InputError(
                f"process {pid} on {host} is working on it",
                where=self._where,
                hint="wait for it, or name another file with --store"
                if host == socket.gethostname()
                else f"if {host} is gone, copy the file to another name and use that",
            )
        self._base.execute(
            "INSERT OR REPLACE INTO driver VALUES (1, ?, ?, ?)",
            (socket.gethostname(), os.getpid(), _start_of(os.getpid())),
        )

    def _is_driver_gone(self, host: Any, pid: Any, since: Any) -> bool:
        if host == socket.gethostname() and pid == os.getpid():
            # Two studies of one process are two drivers. A number from before a restart is none.
            return self._place not in _OPEN_HERE
        return _is_gone(host, pid, since)

    def close(self) -> None:
        """Leave the file to others."""
        _OPEN_HERE.discard(self._place)
        try:
            self._base.execute("DELETE FROM driver WHERE pid = ?", (os.getpid(),))
        except sqlite3.Error:  # a full disk must not hide what the study came to
            return
        finally:
            self._base.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def priced(self, key: str) -> DesignCosts | None:
        """What a design costs, if it is known."""
        with self._guarded():
            row = self._base.execute("SELECT body FROM priced WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        with self._readable():
            return _read_costs(row[0])

    def put_priced(self, key: str, found: DesignCosts) -> None:
        """Keep what a design costs."""
        body = json.dumps(asdict(found), allow_nan=True)
        with self._guarded():
            self._base.execute("INSERT OR REPLACE INTO priced VALUES (?, ?)", (key, body))

    def answers(self, key: str, first: int, last: int) -> Answers | None:
        """What a class of designs says of these samples, if all of it is known."""
        with self._guarded():
            rows = self._base.execute(
                "SELECT first, last, body FROM answers"
                " WHERE key = ? AND first < ? AND last > ? ORDER BY first",
                (key, last, first),
            ).fetchall()
        with self._readable():
            parts = _join_rows(rows, first, last)
        if parts is None:
            return None
        joined = np.concatenate(parts)
        return Answers(
            classes=joined["classes"].copy(),
            expected=joined["expected"].copy(),
            labels=joined["labels"].copy(),
            error=joined["error"].copy(),
            signal=joined["signal"].copy(),
        )

    def put_answers(self, key: str, first: int, found: Answers) -> None:
        """Keep what a class of designs says of the samples from `first` on."""
        records = np.empty(len(found.classes), dtype=_RECORD)
        columns: dict[str, AnyArray] = vars(found)
        for name in _RECORD.names or ():
            records[name] = columns[name]
        row = (key, first, first + len(records), found.seconds, records.tobytes())
        with self._guarded():
            self._base.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", row)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turn errors of the database into errors about the file."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise InputError(
                f"{error}",
                where=self._where,
                hint=next(
                    (hint for words, hint in _HINTS.items() if words in str(error)),
                    "is the folder there, and may it be written?",
                ),
            ) from error
        except sqlite3.DatabaseError as error:
            raise InputError(
                f"damaged, or no store: {error}",
                where=self._where,
                hint="name another file with --store; results are computed again",
            ) from error

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """A row that cannot be read is a damaged file."""
        try:
            yield
        except (ValueError, TypeError, RecursionError) as error:
            raise InputError(
                f"damaged: {error}",
                where=self._where,
                hint="name another file with --store; results are computed again",
            ) from error


def _read_costs(body: str) -> DesignCosts:
    """A row of costs; every field has to be there, since no default is anybody's figure.

    Raises:
        ValueError: it is no such row.
    """
    values = json.loads(body)
    if not isinstance(values, dict) or set(values) != {item.name for item in fields(DesignCosts)}:
        raise ValueError("a row of costs with other fields")
    try:
        return _COSTS.validate_python(values)
    except ValidationError as error:
        raise ValueError("a row of costs with values of other types") from error


def _join_rows(rows: Iterable[Any], first: int, last: int) -> list[AnyArray] | None:
    """Records of these samples, of rows in the order of their beginnings; None: some are missing.

    Raises:
        ValueError, TypeError: a row is not what was written.
    """
    parts, reached = [], first
    for start, stop, body in rows:
        if start > reached:
            return None
        if stop > reached:
            records = np.frombuffer(body, dtype=_RECORD)
            if len(records) != stop - start:
                raise ValueError("a row of another length")
            parts.append(records[reached - start : min(stop, last) - start])
            reached = stop
    return None if reached < last else parts


def _is_gone(host: Any, pid: Any, since: Any) -> bool:
    """Whether a driver of this machine has ended; those of other machines cannot be asked."""
    if host != socket.gethostname() or not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # of no process, or of none that could be
        return True
    except PermissionError:
        pass
    # Its number may be another process's by now, above all after a power cut.
    return bool(_start_of(pid) != since)


def _start_of(pid: int) -> float | None:
    """When a process began, in ticks since the machine did; None for one that ended; 0: unknown."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        return 0.0
    # Behind the command in brackets, which may hold anything: the state, 19 fields on the start.
    state, *rest = text.rpartition(")")[2].split()
    # Killed, and not yet waited for by its parent: it keeps its number and works no more.
    return None if state in "ZX" else float(rest[18])
