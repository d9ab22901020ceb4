"""Studies on a Dask scheduler, with workers in processes of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.explore.conftest import MakeStudy
from xbarc.errors import InputError
from xbarc.explore import explore
from xbarc.explore.cluster import cluster_map

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


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xbarc.explore.cluster._PATIENCE_S", 1)
    with pytest.raises(InputError, match="no scheduler answers"), cluster_map("tcp://127.0.0.1:9"):
        pass
