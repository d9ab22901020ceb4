"""Work on a cluster, by the extra `cluster`: the seam of `xbarc.workers` on a Dask scheduler.

The store stays with the command that drives the study; workers only compile and answer. They read
models and data by the paths of the study, so those lie on a file system that all machines share.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib import import_module
from typing import Any, TypeVar

from xbarc.errors import InputError, WorkerError
from xbarc.explore.digests import code_digest
from xbarc.workers import WorkerMap

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# Seconds in which a scheduler must answer: one that is there does so at once, and a wrong address
# should not be waited for.
_PATIENCE_S = 20

# Items at work or waiting, a thread of the cluster: as among processes, a worker finds its next one
# there.
_WAITING = 2


@contextlib.contextmanager
def cluster_map(address: str) -> Iterator[WorkerMap]:
    """A map over the workers of a Dask scheduler.

    Args:
        address: such as `tcp://head:8786`.

    Raises:
        InputError: Dask is not installed, nobody answers, or workers run other code.
    """
    try:
        distributed: Any = import_module("distributed")  # an extra, which takes a second to load
    except ImportError as error:
        raise InputError(
            "needs Dask", where="--scheduler", hint="pip install 'xbarc[cluster]'"
        ) from error
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
                    where="--scheduler",
                    hint="workers with more memory, or fewer threads a worker",
                ) from error
            waiting.popleft()
            yield result
    finally:
        client.cancel(list(waiting))
