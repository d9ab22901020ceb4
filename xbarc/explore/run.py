"""A study from its file to its answer."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from xbarc.explore.answer import StudyResult, result_of
from xbarc.explore.driver import Explorer, Progress
from xbarc.explore.store import Store
from xbarc.explore.study import Study, make_study, read_study
from xbarc.workers import WorkerMap, worker_map


def explore(
    study: Study | Mapping[str, Any] | str | Path,
    *,
    store: str | Path | None = None,
    jobs: int = 1,
    share: WorkerMap | None = None,
    progress: Progress | None = None,
) -> StudyResult:
    """Look for the designs that no other beats.

    Args:
        study: a study, its fields as plain data, or the path of its file.
        store: the file that keeps results, for this study and later ones; None: nothing is kept.
        jobs: processes that share the work; 0 takes one a core. The answer does not depend on it.
        share: who does the work in place of local processes: anything with the signature of
            `xbarc.workers.WorkerMap`.
        progress: told what is done, its number and the count.

    Raises:
        XbarcError: the study, a model, the data or the store is at fault; a single design that
            does not map is a row of the answer.
    """
    if isinstance(study, str | Path):
        study = read_study(Path(study))
    elif not isinstance(study, Study):
        study = make_study(study)
    with ExitStack() as stack:
        if store is None:
            store = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "study.db"
        kept = stack.enter_context(Store(Path(store)))
        work = share or stack.enter_context(worker_map(jobs))
        explorer = Explorer(study, kept, work, progress)
        explorer.run()
        return result_of(explorer)
