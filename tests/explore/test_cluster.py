"""Studies on a Dask scheduler, with workers in processes of their own."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.explore.conftest import MakeStudy
from xbarc.errors import InputError, WorkerError
from xbarc.explore import explore
from xbarc.explore.attempts import try_each
from xbarc.explore.cluster import cluster_map, slurm_map
from xbarc.explore.digests import changed_since, code_digest

# Slurm on this machine: a job is a process group that lists itself, and starts at once.
SBATCH = """#!/bin/sh
if [ "$1" = --test-only ]; then
  grep -q -e '--cpus-per-task=1' "$2" || exit 1
  exit 0
fi
cp "$1" "{folder}/job-$$.sh"
setsid sh "{folder}/job-$$.sh" > "{folder}/job-$$.log" 2>&1 < /dev/null &
echo $! >> "{folder}/jobs"
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
kill -TERM -- "-$1"
"""

distributed = pytest.importorskip("distributed", reason="pip install 'xbarc[cluster]'")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture
def cluster() -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as made:
        yield made


def test_a_cluster_changes_nothing(cluster: Any, study: MakeStudy) -> None:
    made = study()
    with cluster_map(cluster.scheduler_address) as share:
        found = explore(made, share=share)
    assert found.as_json() == explore(made).as_json()


# Pages that the system had to hand out for arrays of 1 MiB, each freed before the next is made.
ARRAYS_AND_PAGES = """
import resource, threading
import numpy as np
from xbarc.explore import cluster

def make_arrays():
    for _ in range(200):
        np.ones(1 << 17)

def work():
    global pages
    cluster._work_at(lambda _: make_arrays(), None)  # the first ones, which nobody had before
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    cluster._work_at(lambda _: make_arrays(), None)
    pages = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

thread = threading.Thread(target=work)  # as Dask has it
thread.start()
thread.join()
print(pages)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="settings of glibc")
@pytest.mark.parametrize(("trimmed", "most"), [("65536", 2_000), ("65537", None)])
def test_memory_of_an_array_serves_the_next(trimmed: str, most: int | None) -> None:
    given = os.environ | {"MALLOC_TRIM_THRESHOLD_": trimmed}
    asked = [sys.executable, "-c", ARRAYS_AND_PAGES]
    pages = int(subprocess.run(asked, env=given, capture_output=True, check=True).stdout)
    if most is None:  # what somebody else chose is left, and costs 256 pages an array
        assert pages > 40_000
    else:
        assert pages < most


def test_one_worker_and_four_give_equal_tables(study: MakeStudy) -> None:
    made = study(knobs={"array.columns": [64, 128], "adc": ["lossless", 5, 4, 3], "tile": ["even"]})
    tables = []
    for workers in (1, 4):
        with (
            distributed.LocalCluster(
                n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=50
            ) as cluster,
            cluster_map(cluster.scheduler_address) as share,
        ):
            tables.append(explore(made, share=share).csv_text())
    assert tables[0] == tables[1] == explore(made).csv_text()


def kill_once(item: tuple[str, int]) -> int:
    """A worker dies at the first work that it is given; the file says that one did."""
    flag, number = item
    try:
        os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return number * number
    os.kill(os.getpid(), signal.SIGKILL)
    return -1


def test_what_a_killed_worker_had_is_done_again(cluster: Any, tmp_path: Path) -> None:
    flag = str(tmp_path / "killed")
    with cluster_map(cluster.scheduler_address) as share:
        found = list(share(kill_once, [(flag, number) for number in range(12)]))
    assert found == [number * number for number in range(12)]
    assert Path(flag).exists()


def kill_always(number: int) -> int:
    """A worker dies at 2, whoever it is."""
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_what_kills_every_worker_costs_itself_alone(cluster: Any) -> None:
    with cluster_map(cluster.scheduler_address) as share:
        found = list(try_each(share, kill_always, range(6)))
    assert isinstance(found[2], WorkerError)
    assert found[:2] + found[3:] == [0, 1, 3, 4, 5]


def test_workers_older_than_the_code_are_refused(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert changed_since(0.0)
    assert not changed_since(time.time())
    monkeypatch.setattr("xbarc.explore.cluster._code_here", partial(_upgraded, code_digest()))
    with (
        pytest.raises(InputError, match=r"changed after 2 workers.*start them anew"),
        cluster_map(cluster.scheduler_address),
    ):
        pass


def _upgraded(digest: str) -> tuple[str, bool]:
    return digest, True


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xbarc.explore.cluster._PATIENCE_S", 1)
    with pytest.raises(InputError, match="no scheduler answers"), cluster_map("tcp://127.0.0.1:9"):
        pass


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of commands that do as Slurm's; `jobs` in it lists process groups."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name, text in (("sbatch", SBATCH.format(folder=folder)), ("scancel", SCANCEL)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def _jobs(slurm: Path) -> list[int]:
    return [int(line) for line in (slurm / "jobs").read_text().split()]


def _running(slurm: Path) -> list[int]:
    """Jobs of which a process is left; those that only wait to be collected are gone."""
    states = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, group = place.read_text().rpartition(")")[2].split()[:3]
            if state not in "ZX":
                states[int(group)] = state
    return [job for job in _jobs(slurm) if job in states]


def test_slurm_starts_works_and_ends(slurm: Path, study: MakeStudy) -> None:
    made = study()
    with slurm_map(2) as share:
        found = explore(made, share=share)
        assert _running(slurm)
    assert found.as_json() == explore(made).as_json()
    deadline = time.monotonic() + 30
    while _running(slurm) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _jobs(slurm)
    assert not _running(slurm)


def test_a_slurm_job_that_ends_early_is_made_up_for(slurm: Path, tmp_path: Path) -> None:
    flag = str(tmp_path / "killed")
    with slurm_map(1) as share:
        found = list(share(kill_once, [(flag, number) for number in range(6)]))
    assert found == [number * number for number in range(6)]
    assert len(_jobs(slurm)) > 1


def test_slurm_that_takes_no_such_job(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (slurm / "sbatch").write_text("#!/bin/sh\necho invalid account >&2\nexit 1\n")
    with pytest.raises(InputError, match="invalid account"), slurm_map(1):
        pass
    monkeypatch.setenv("PATH", str(slurm))
    (slurm / "sbatch").unlink()
    with pytest.raises(InputError, match="no sbatch"), slurm_map(1):
        pass


def test_slurm_jobs_end_with_a_command_that_is_killed(slurm: Path) -> None:
    code = "\n".join(
        [
            "import time",
            "from xbarc.explore import slurm_map",
            "with slurm_map(1):",
            "    print('ready', flush=True)",
            "    time.sleep(300)",
        ]
    )
    driver = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    assert driver.stdout.readline() == "ready\n"
    assert _running(slurm)
    driver.kill()
    driver.wait()
    driver.stdout.close()
    deadline = time.monotonic() + 90
    while _running(slurm) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not _running(slurm)
