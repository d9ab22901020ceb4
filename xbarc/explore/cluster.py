"""Work on a cluster, by the extra `cluster`: the seam of `xbarc.workers` on a Dask scheduler.

The store stays with the command that drives the study; workers only compile and answer. They read
models and data by the paths of the study, so those lie on a file system that all machines share.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib import import_module
from typing import Any, TypeVar

from xbarc.errors import InputError, WorkerError
from xbarc.explore.digests import code_digest
from xbarc.workers import THREAD_VARIABLES, WorkerMap

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# Seconds in which a scheduler must answer: one that is there does so at once, and a wrong address
# should not be waited for.
_PATIENCE_S = 20

# Items at work or waiting, a thread of the cluster: as among processes, a worker finds its next one
# there.
_WAITING = 2


# Seconds after which a job that reaches no scheduler ends: the command that it worked for may have
# been killed, and cannot cancel it then.
_ORPHAN_S = 60

# Memory of a job where dask-jobqueue's own file says nothing: a study of a VGG for 28 x 28 pixels
# took 0.6 GB, so there is room for larger networks.
_MEMORY = "4GB"

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
            yield partial(_map, client, distributed.KilledWorker)


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
        yield partial(_map, client, distributed.KilledWorker)
    finally:
        client.close()


def _check_code(client: Any) -> None:
    """Refuse workers whose results would be those of another version."""
    found = client.run(code_digest)
    if not found:
        raise InputError("the scheduler has no workers", where="--scheduler", hint="dask worker")
    other = [worker for worker, digest in found.items() if digest != code_digest()]
    if other:
        raise InputError(
            f"{len(other)} workers have another version of xbarc: {other[0]}",
            where="--scheduler",
            hint="install the same one on all machines",
        )
    # What designs share in a process has no locks, and compiled loops have threads of their own.
    threaded = [worker for worker, threads in client.nthreads().items() if threads > 1]
    if threaded:
        raise InputError(
            f"{len(threaded)} workers have several threads: {threaded[0]}",
            where="--scheduler",
            hint="dask worker --nthreads 1 --nworkers N",
        )


def _map(
    client: Any,
    killed: type[Exception],
    function: Callable[[_Item], _Result],
    items: Iterable[_Item],
) -> Iterator[_Result]:
    """Results in the order of the items; what a lost worker had is done by another."""
    left = iter(items)
    waiting: deque[Any] = deque()
    try:
        while True:
            threads = sum(client.nthreads().values()) or 1
            for item in itertools.islice(left, max(0, _WAITING * threads - len(waiting))):
                waiting.append(client.submit(function, item, pure=False))
            if not waiting:
                return
            try:
                result = waiting[0].result()
            except killed as error:
                raise WorkerError(
                    f"workers died at the same work, again and again: {error}"[:200],
                    where="--scheduler or --slurm",
                    hint="workers with more memory, or fewer of them on a machine",
                ) from error
            waiting.popleft()
            yield result
    finally:
        client.cancel(list(waiting))
