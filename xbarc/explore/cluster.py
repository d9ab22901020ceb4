"""Work on a cluster, by the extra `cluster`: the seam of `xbarc.workers` on a Dask scheduler.

The store stays with the command that drives the study; workers only compile and answer. They read
models and data by the paths of the study, so those lie on a file system that all machines share.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from typing import Any, TypeVar

from xbarc.dispatch import HandedItem, dispatch
from xbarc.errors import InputError, WorkerError
from xbarc.explore.digests import changed_since, code_digest
from xbarc.workers import THREAD_VARIABLES, WorkerMap

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# Seconds in which a scheduler must answer: one that is there does so at once, and a wrong address
# should not be waited for.
_PATIENCE_S = 20

# Seconds after which workers are counted again: more may have come, and each count is a message.
_LOOK_S = 2

# Seconds after which a job that reaches no scheduler ends: the command that it worked for may have
# been killed, and cannot cancel it then.
_ORPHAN_S = 60

# Seconds for one result, of some KiB, to come: beyond that it is taken for lost with its worker.
_FETCH_S = 20

# Workers that may end at one item: a job may end at its time limit, and a machine be switched off.
_DEATHS = 2

# Memory of a job where dask-jobqueue's own file says nothing: a study of a VGG for 28 x 28 pixels
# took 0.6 GB, so there is room for larger networks.
_MEMORY = "4GB"

# Free bytes at the end of the heap that go back to the system, as Dask's nanny sets it for each of
# its workers. Once set, glibc no longer learns from what is freed: the system hands out every
# array over 128 KiB page by page, a third of the time of designs that cost seconds.
_TRIM_VARIABLE, _TRIMMED_BY_NANNY = "MALLOC_TRIM_THRESHOLD_", "65536"

# How far glibc learns: arrays up to 32 MiB come from the heap, and twice that stays free there.
_KEPT_BYTES = 32 << 20

# Numbers of these settings in glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

# One thread a worker, of every library that xbarc calls, and no samples of the call stack, which
# nobody would look at.
_PROLOGUE = (
    *(f"export {name}=1" for name in THREAD_VARIABLES),
    "export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False",
)


@contextlib.contextmanager
def slurm_map(jobs: int) -> Iterator[WorkerMap]:
    """A map over Slurm jobs of one core each, which are cancelled when the block ends.

    Partition, account, time and memory are those of dask-jobqueue's file,
    `~/.config/dask/jobqueue.yaml`. A job that ends early is submitted again.

    Args:
        jobs: how many.

    Raises:
        InputError: dask-jobqueue or Slurm is not there, or Slurm refuses such a job.
    """
    if shutil.which("sbatch") is None:
        raise InputError(
            "no sbatch on PATH", where="--slurm", hint="run it where jobs are submitted"
        )
    jobqueue, distributed = _load("dask_jobqueue", "--slurm"), _load("distributed", "--slurm")
    config = import_module("dask.config")
    with jobqueue.SLURMCluster(
        cores=1,
        processes=1,
        memory=config.get("jobqueue.slurm.memory") or _MEMORY,
        nanny=False,  # a worker that dies ends its job, which is then submitted again
        death_timeout=_ORPHAN_S,
        job_script_prologue=list(_PROLOGUE),
        scheduler_options={"dashboard": False},
    ) as cluster:
        _try_job(cluster.job_script())
        cluster.adapt(minimum=jobs, maximum=jobs)
        with distributed.Client(cluster, set_as_default=False) as client:
            client.wait_for_workers(1)  # as long as the queue is
            yield _Cluster(client, distributed)


def _try_job(script: str) -> None:
    """Ask Slurm whether it would take a job; dask-jobqueue only logs why one was refused."""
    with tempfile.NamedTemporaryFile("w", suffix=".sh", encoding="utf-8") as file:
        file.write(script)
        file.flush()
        asked = ["sbatch", "--test-only", file.name]
        # The words are ours, and so is the file.
        done = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise InputError(
            f"Slurm takes no such job: {done.stderr.strip()}"[:300],
            where="--slurm",
            hint="partition, account and time stand in ~/.config/dask/jobqueue.yaml",
        )


def _load(module: str, where: str) -> Any:
    """A package of the extra, which takes a second to load."""
    try:
        return import_module(module)
    except ImportError as error:
        raise InputError("needs Dask", where=where, hint="pip install 'xbarc[cluster]'") from error


@contextlib.contextmanager
def cluster_map(address: str) -> Iterator[WorkerMap]:
    """A map over the workers of a Dask scheduler.

    Args:
        address: such as `tcp://head:8786`.

    Raises:
        InputError: Dask is not installed, nobody answers, or workers run other code.
    """
    distributed = _load("distributed", "--scheduler")
    try:
        client = distributed.Client(address, timeout=_PATIENCE_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(
            f"no scheduler answers: {error}"[:200],
            where=f"--scheduler {address[:80]}",
            hint="dask scheduler prints its address when it starts",
        ) from error
    try:
        _check_code(client)
        yield _Cluster(client, distributed)
    finally:
        client.close()


def _work_at(function: Callable[[_Item], _Result], item: _Item) -> _Result:
    """What a worker does."""
    _keep_freed_memory()
    return function(item)


@cache
def _keep_freed_memory() -> None:
    """Let arrays have the memory of earlier ones in a worker that a nanny started."""
    if os.environ.get(_TRIM_VARIABLE) != _TRIMMED_BY_NANNY:
        return  # there is no nanny, or somebody chose another setting
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, 2 * _KEPT_BYTES)


def _code_here() -> tuple[str, bool]:
    """The code of this worker, and whether it changed since the worker was started."""
    psutil = import_module("psutil")  # comes with Dask
    return code_digest(), changed_since(psutil.Process().create_time())


def _check_code(client: Any) -> None:
    """Refuse workers whose results would be those of another version."""
    with contextlib.suppress(TimeoutError):
        client.wait_for_workers(1, timeout=_PATIENCE_S)  # they may be starting
    found = client.run(_code_here)
    if not found:
        raise InputError(
            f"the scheduler has no workers after {_PATIENCE_S} s",
            where="--scheduler",
            hint="start some: dask worker ADDRESS --nthreads 1 --nworkers N",
        )
    other = [worker for worker, (digest, _) in found.items() if digest != code_digest()]
    if other:
        raise InputError(
            f"{len(other)} workers have another version of xbarc: {other[0]}",
            where="--scheduler",
            hint="install the same one on all machines, and start workers anew",
        )
    old = [worker for worker, (_, changed) in found.items() if changed]
    if old:
        raise InputError(
            f"xbarc was changed after {len(old)} workers were started: {old[0]}",
            where="--scheduler",
            hint="start them anew, so that they execute what is there now",
        )
    # What designs share in a process has no locks, and compiled loops have threads of their own.
    threaded = [worker for worker, threads in client.nthreads().items() if threads > 1]
    if threaded:
        raise InputError(
            f"{len(threaded)} workers have several threads: {threaded[0]}",
            where="--scheduler",
            hint="dask worker --nthreads 1 --nworkers N",
        )


class _Cluster:
    """Workers of a Dask scheduler, and a map over them.

    What a lost worker had is done by another, which the scheduler sees to.

    Args:
        client: of the scheduler.
        distributed: the package.
    """

    def __init__(self, client: Any, distributed: Any) -> None:
        self._client, self._distributed = client, distributed
        self._names: list[str] = []
        self._counted = float("-inf")

    def __call__(
        self, function: Callable[[_Item], _Result], items: Iterable[_Item]
    ) -> Iterator[_Result]:
        for task in dispatch(self, function, items):
            result: _Result = task.work.result()
            yield result

    @property
    def lanes(self) -> int:
        """How many workers there are now."""
        return max(1, len(self.names()))

    def names(self) -> list[str]:
        """Their addresses."""
        if not self._names or time.monotonic() - self._counted > _LOOK_S:
            self._names, self._counted = sorted(self._client.nthreads()), time.monotonic()
        return self._names

    def submit(self, place: str, function: Callable[[Any], Any], item: Any) -> Any:
        """Give a worker an item, which nobody else takes: `settle` sees whether it is still there.

        Dask's own way, workers that are only preferred, leaves an item with nobody for ever once
        all of them have ended.
        """
        work = partial(_work_at, function)
        return self._client.submit(work, item, pure=False, workers=[place])

    def wait(self, works: Sequence[Any]) -> None:
        """Until one is done, or for a while: there may be other workers by then."""
        if not works:  # nobody works here now
            time.sleep(_LOOK_S)
            return
        with self._client.as_current(), contextlib.suppress(TimeoutError):
            self._distributed.wait(works, timeout=_LOOK_S, return_when="FIRST_COMPLETED")

    def settle(self, waiting: Sequence[HandedItem[Any]]) -> None:
        """Take back what workers had that have ended, and fetch the first result."""
        gone = {task.place for task in waiting if task.is_at_work} - {*self._names}
        for place in sorted(gone):
            first, *others = (task for task in waiting if task.is_at_work and task.place == place)
            self.drop([task.work for task in (first, *others)])
            # A worker of one thread was at the first of them when it ended.
            _count_death(first)
            for task in others:
                task.take_back()
        if waiting[0].is_done:
            self._fetch(waiting[0])

    def _fetch(self, task: HandedItem[Any]) -> None:
        """Bring a result here, before its worker ends."""
        if isinstance(task.work, _Settled):
            return
        if task.work.status == "error":
            # A worker with the address of the one that it follows is never gone.
            if isinstance(task.work.exception(), self._distributed.KilledWorker):
                _count_death(task)
            return
        try:
            task.work = _Settled(task.work.result(timeout=_FETCH_S))
        except (TimeoutError, CancelledError):
            task.take_back()  # its worker ended with the result

    def drop(self, works: Sequence[Any]) -> None:
        """Cancel what is not done."""
        self._client.cancel([work for work in works if not isinstance(work, _Settled)])


def _count_death(task: HandedItem[Any]) -> None:
    """Give an item to another worker, or give it up."""
    task.take_back()
    task.deaths += 1
    if task.deaths > _DEATHS:
        error = WorkerError(
            f"{task.deaths} workers ended, one after another, while they were at the same work",
            where="--scheduler or --slurm",
            hint="workers with more memory, or fewer of them on a machine",
        )
        task.work = _Settled(error=error)


@dataclass(frozen=True)
class _Settled:
    """A result that is here, or why there will be none."""

    value: Any = None
    error: WorkerError | None = None

    def done(self) -> bool:
        """It is."""
        return True

    def result(self) -> Any:
        """What the work came to."""
        if self.error is not None:
            raise self.error
        return self.value
