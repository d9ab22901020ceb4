"""The one seam between work and who does it: `map(function, items)`, here or in other processes.

    with worker_map(jobs) as share:
        for result in share(function, items):
            ...

Results come in the order of the items, so nothing depends on how many processes there are. To let
a cluster do the work, write another function with the signature of `WorkerMap`.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from xbarc.dispatch import HandedItem, dispatch
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


class WorkerMap(Protocol):
    """Applies a function to items; results in their order, as they come.

    Items may have an attribute `lane`, a number: those of one lane share work, and go to the same
    worker as long as no other idles. A map that can do so says how many workers it has in an
    attribute `lanes` of its own (`lanes_of`).

    An item at which workers died again and again, or had no memory, ends it with a `WorkerError` in
    the place of that item's result; whoever wants the others calls it again with what is left.
    """

    def __call__(
        self, function: Callable[[_Item], _Result], items: Iterable[_Item]
    ) -> Iterator[_Result]:
        """Function, items and results must be picklable where other processes do the work."""


def lanes_of(share: WorkerMap) -> int:
    """How many lanes a map tells apart; one where it takes items as they come."""
    return int(getattr(share, "lanes", 1))


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
        yield pool
    finally:
        pool.stop()


class _Workers:
    """Processes, each started anew when it dies, and a map over them.

    What a process had when it died is done again; where the same item is at work when it dies once
    more, that item is given up.
    """

    def __init__(self, jobs: int) -> None:
        self.lanes = jobs
        self._pools = [_start_pool(jobs) for _ in range(jobs)]

    def __call__(
        self, function: Callable[[_Item], _Result], items: Iterable[_Item]
    ) -> Iterator[_Result]:
        for task in dispatch(self, function, items):
            yield _result_of(task.work)

    def names(self) -> Sequence[int]:
        """Their numbers."""
        return range(len(self._pools))

    def submit(self, place: int, function: Callable[[Any], Any], item: Any) -> Future[Any]:
        """Give a process an item."""
        try:
            return self._pools[place].submit(function, item)
        except process.BrokenProcessPool as error:  # it died while nobody waited
            return _fail(error)

    def wait(self, works: Sequence[Future[Any]]) -> None:
        """Until one is done."""
        futures.wait(works, return_when=futures.FIRST_COMPLETED)

    def settle(self, waiting: Sequence[HandedItem[Any]]) -> None:
        """Start processes that died anew; each was at the first item that it has no result of."""
        lost = [task for task in waiting if task.is_done and _has_died(task.work)]
        for number in sorted({task.place for task in lost}):
            self._stop(self._pools[number])
            self._pools[number] = _start_pool(self.lanes)
            # All of its work broke with it, and is told so at the same time, or is about to be.
            first, *others = (t for t in waiting if t.place == number and not _has_result(t.work))
            first.deaths += 1
            for task in (first, *others):
                task.take_back()
            if first.deaths > 1:
                first.work = _fail(
                    WorkerError(
                        "a worker process died, and again when its work was repeated",
                        where="--jobs",
                        hint="fewer jobs take less memory; --jobs 1 works in one process",
                    )
                )

    def drop(self, works: Sequence[Future[Any]]) -> None:
        """Cancel what has not begun; what is being done comes to its end."""
        for work in works:
            work.cancel()

    def stop(self) -> None:
        """End every worker now, whatever it is at, and wait until it is gone."""
        self._stop(*self._pools)

    def _stop(self, *pools: process.ProcessPoolExecutor) -> None:
        mine = [one for pool in pools for one in (pool._processes or {}).values()]  # public: 3.14
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
        for worker in mine:
            worker.terminate()
        for worker in mine:
            worker.join()


def _fail(error: Exception) -> Future[Any]:
    failed: Future[Any] = futures.Future()
    failed.set_exception(error)
    return failed


def _has_died(work: Future[Any]) -> bool:
    """Whether the process of work that is done has ended."""
    return not work.cancelled() and isinstance(work.exception(), process.BrokenProcessPool)


def _has_result(work: Future[Any]) -> bool:
    return work.done() and not work.cancelled() and not _has_died(work)


def _result_of(work: Future[_Result]) -> _Result:
    try:
        return work.result()
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        if not _is_about_pickling(error):
            raise
        raise InputError(
            f"cannot be sent to another process: {error}",
            where="--jobs",
            hint="--jobs 1, or define what is passed at the top of a module",
        ) from error


def _is_about_pickling(error: Exception) -> bool:
    return isinstance(error, pickle.PicklingError) or "pickle" in str(error)


def _start_pool(jobs: int) -> process.ProcessPoolExecutor:
    """One of so many processes."""
    # Spawned: a forked process would inherit locks of threads that it does not have.
    context = multiprocessing.get_context("spawn")
    return process.ProcessPoolExecutor(
        1, context, _prepare_worker, (max(1, available_cores() // jobs),)
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
