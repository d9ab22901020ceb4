"""Work in other processes: results in order, errors as at home, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import xbarc
from tests.cli.conftest import MLP
from tests.workers_tasks import Die, name_threads, refuse, return_local, square
from xbarc.circuit import Effects
from xbarc.cli import main
from xbarc.errors import InputError, WorkerError
from xbarc.experiments.sharing import Piece, cut_pieces
from xbarc.workers import worker_map

_SCRIPT = """
import sys
from pathlib import Path
from tests.workers_tasks import wait
from xbarc.cli.app import main
from xbarc.workers import worker_map

def boom() -> None:
    with worker_map(2) as share:
        list(share(wait, [Path(sys.argv[1])] * 4))

if __name__ == "__main__":
    import xbarc.cli.executing as executing
    executing.verify_command = boom
    sys.exit(main(["verify"]))
"""


def test_one_job_stays_at_home() -> None:
    with worker_map(1) as share:
        assert list(share(lambda number: number + 1, range(3))) == [1, 2, 3]


def test_results_come_in_order_and_errors_as_they_were() -> None:
    with worker_map(2) as share:
        assert list(share(square, range(12))) == [n * n for n in range(12)]
        assert list(share(name_threads, range(1))) == [
            (str(max(1, _cores() // 2)), max(1, _cores() // 2))
        ]
        with pytest.raises(InputError, match="number: 3 is too much; hint: take less"):
            list(share(refuse, range(9)))
        with pytest.raises(InputError, match="cannot be sent to another process"):
            list(share(return_local, range(2)))


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def test_a_dead_worker_is_one_retry(tmp_path: Path) -> None:
    (tmp_path / "once").mkdir()
    with worker_map(2) as share:
        assert list(share(Die(tmp_path / "once", 1), range(6))) == list(range(6))
    (tmp_path / "always").mkdir()
    with pytest.raises(WorkerError, match="died, and again"), worker_map(2) as share:
        list(share(Die(tmp_path / "always", 99), range(6)))


def test_pieces_hold_every_batch_of_every_chip_once() -> None:
    noisy = Effects(frozenset({"noise"}))
    for effects, chips in ((None, [None]), (Effects(frozenset({"variation"})), [0, 1, 2])):
        for batches in (1, 2, 16, 17, 100):
            for jobs in (1, 2, 7):
                pieces = cut_pieces(effects, 3, batches, jobs)
                held = [(p.sample, n) for p in pieces for n in range(p.first, p.last)]
                assert held == [(chip, n) for chip in chips for n in range(batches)]
                assert all(p.last > p.first for p in pieces)
    # Noise goes on from batch to batch: among processes each chip is one piece.
    assert cut_pieces(noisy, 2, 40, 2) == [Piece(0, 0, 40), Piece(1, 0, 40)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("jobs")
    xbarc.compile(MLP, adc="5").save(made / "net.xbar")
    rng = np.random.default_rng(0)
    images = rng.random((70, 1, 28, 28), np.float32)
    np.savez(made / "data.npz", image=images, labels=rng.integers(0, 10, 70))
    return made


@pytest.mark.slow
@pytest.mark.parametrize("effects", ["", "variation", "variation,noise"])
def test_jobs_change_no_byte(
    folder: Path, effects: str, capsys: pytest.CaptureFixture[str]
) -> None:
    suffered = ["--effects", effects, "--samples", "2"] if effects else []
    program, data = str(folder / "net.xbar"), str(folder / "data.npz")
    printed, written = [], []
    for jobs in ("1", "2"):
        shared = ["--jobs", jobs, "--batch", "32", *suffered]
        assert main(["check", program, "--data", data, "--json", "--jobs", jobs, *suffered]) == 0
        printed.append(capsys.readouterr().out)
        out, trace = folder / f"out{jobs}.npz", folder / f"trace{jobs}.npz"
        files = ["--inputs", data, "--outputs", str(out), "--trace", str(trace)]
        assert main(["run", program, *files, *shared]) == 0
        written.append((out.read_bytes(), trace.read_bytes()))
    assert printed[0] == printed[1]
    assert written[0] == written[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["compare", "--encodings", "differential,unipolar", "--noise", "0.05", "--seeds", "1"],
        ["study", "lines", "--scales", "1", "--placements", "none", "--compensations", "none,gain"],
    ],
)
def test_jobs_change_no_row(
    folder: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(folder / "data.npz"), "--json"]
    shown = []
    for jobs in ("1", "2"):
        assert main([*command, str(MLP), *data, "--jobs", jobs]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_stays_behind_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    script, running = tmp_path / "script.py", tmp_path / "running"
    script.write_text(_SCRIPT)
    running.mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    started = subprocess.Popen(
        [sys.executable, str(script), str(running)], env=environment, stderr=subprocess.PIPE
    )
    workers = [int(path.name) for path in _wait_for(running, 2)]
    started.send_signal(number)
    _, said = started.communicate(timeout=60)
    expected = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}
    assert started.returncode == expected[number], said
    assert b"Traceback" not in said
    deadline = time.monotonic() + 30
    while any(map(_is_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(_is_alive, workers))


def _wait_for(folder: Path, count: int) -> list[Path]:
    deadline = time.monotonic() + 60
    while len(found := list(folder.iterdir())) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"
