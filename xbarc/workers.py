"""The one seam between work and who does it: `map(function, items)`, here or in other processes.

    with worker_map(jobs) as share:
        for result in share(function, items):
            ...

Results come in the order of the items, so nothing depends on how many processes there are. To let
a cluster do the work, write another function with the signature of `WorkerMap`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from xbarc.errors import InputError, WorkerError
from xbarc.lazy import lazy_module
from xbarc.numerics import THREADS, available_cores

if TYPE_CHECKING:
    import multiprocessing
    from concurrent import futures
    from concurrent.futures import Future, process
else:  # one process needs none of it
    multiprocessing = lazy_module("multiprocessing")
    futures = lazy_module("concurrent.futures")
    process = lazy_module("concurrent.futures.process")

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

THREAD_VARIABLES = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS", THREADS),
)
"""What BLAS, OpenMP, numba and xbarc read. Whoever sets one of them is obeyed."""

# Items that wait beside those at work: a worker finds its next one there, and no more results than
# twice the workers are held until their turn comes.
_WAITING = 2


class WorkerMap(Protocol):
    """Applies a function to items; results in their order, as they come."""

    def __call__(
        self, function: Callable[[_Item], _Result], items: Iterable[_Item]
    ) -> Iterator[_Result]:
        """Function, items and results must be picklable where other processes do the work."""


def work_here(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """Apply a function in this process."""
    return map(function, items)


@contextlib.contextmanager
def worker_map(jobs: int) -> Iterator[WorkerMap]:
    """A map over processes, which are gone when the block ends, however it ends.

    Args:
        jobs: how many; 1 works in this process, one item after another; 0 takes one a core.
    """
    jobs = jobs or available_cores()
    if jobs == 1:
        yield work_here
        return
    pool = _Workers(jobs)
    try:
        yield pool.map
    finally:
        pool.stop()


class _Workers:
    """Processes that are started anew, once for each item, when one of them dies."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._pool = _start_pool(jobs)

    def map(
        self, function: Callable[[_Item], _Result], items: Iterable[_Item]
    ) -> Iterator[_Result]:
        left = iter(items)
        waiting: deque[tuple[_Item, Future[_Result]]] = deque()
        retried = False
        while True:
            for item in itertools.islice(left, _WAITING * self._jobs - len(waiting)):
                waiting.append((item, self._submit(function, item)))
            if not waiting:
                return
            try:
                result = waiting[0][1].result()
            except process.BrokenProcessPool as error:
                if retried:
                    raise WorkerError(
                        "a worker process died, and again when its work was repeated",
                        where="--jobs",
                        hint="fewer jobs take less memory; --jobs 1 works in one process",
                    ) from error
                retried = True
                self.stop()
                self._pool = _start_pool(self._jobs)
                waiting = deque((item, self._submit(function, item)) for item, _ in waiting)
                continue
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                if not _is_about_pickling(error):
                    raise
                raise InputError(
                    f"cannot be sent to another process: {error}",
                    where="--jobs",
                    hint="--jobs 1, or define what is passed at the top of a module",
                ) from error
            retried = False
            waiting.popleft()
            yield result

    def stop(self) -> None:
        """End every worker now, whatever it is at, and wait until it is gone."""
        mine = list((self._pool._processes or {}).values())  # public from 3.14 on
        self._pool.shutdown(wait=False, cancel_futures=True)
        for worker in mine:
            worker.terminate()
        for worker in mine:
            worker.join()

    def _submit(self, function: Callable[[_Item], _Result], item: _Item) -> Future[_Result]:
        try:
            return self._pool.submit(function, item)
        except (
            process.BrokenProcessPool
        ) as error:  # one died while nobody waited: told with its result
            failed: Future[_Result] = futures.Future()
            failed.set_exception(error)
            return failed


def _is_about_pickling(error: Exception) -> bool:
    return isinstance(error, pickle.PicklingError) or "pickle" in str(error)


def _start_pool(jobs: int) -> process.ProcessPoolExecutor:
    # Spawned: a forked process would inherit locks of threads that it does not have.
    context = multiprocessing.get_context("spawn")
    return process.ProcessPoolExecutor(
        jobs, context, _prepare_worker, (max(1, available_cores() // jobs),)
    )


def _prepare_worker(threads: int) -> None:
    """First thing in a worker, before numpy loads."""
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, str(threads))
    # Ctrl-C reaches every process of a terminal; the one that the user started ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    """Leave with the parent, also where it is killed: the queue of work would never end."""
    parent: Any = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
