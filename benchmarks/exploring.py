"""Studies: what killed processes cost, what Dask costs, how near a search comes to all designs.

python benchmarks/exploring.py kills [--dask] [--rounds 50]
python benchmarks/exploring.py dask [--designs 200]
python benchmarks/exploring.py search [--designs 60]
python benchmarks/exploring.py large [--designs 500]
python benchmarks/exploring.py loop
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import distributed
import numpy as np

import xbarc
from xbarc.evaluate import evaluate
from xbarc.explore import StudyResult, cluster_map, driver, explore, hypervolume
from xbarc.explore.batches import Batch, price_batch
from xbarc.explore.knobs import count_designs
from xbarc.explore.study import make_study
from xbarc.explore.work import Conditions, DesignCosts
from xbarc.ir import read_npz
from xbarc.target import load_target
from xbarc.workers import THREAD_VARIABLES, WorkerMap, worker_map

_MODELS = Path(__file__).resolve().parent.parent / "models"
_DATA = {
    "data": _MODELS / "fashion-test-1000.npz",
    "calibrate": _MODELS / "fashion-calibration-256.npz",
}
_OBJECTIVES = {"top1": "max", "energy_uj": "min", "area_mm2": "min"}

# Who is killed, round after round: the driver, it and one of its workers, a worker alone.
_VICTIMS = ("driver", "both", "worker")

# Batches that a driver may have handed out without a result in the store: four for each of two
# workers, at work, waiting, or done before their turn.
_IN_FLIGHT = 8


def _mlp_study(designs: int) -> dict[str, Any]:
    """The three-layer net for Fashion-MNIST, 0.3 M weights; designs of few milliseconds each."""
    return {
        "models": [_MODELS / "fashion-mlp.onnx"],
        **_DATA,
        "knobs": {
            "array.columns": [64, 96, 128, 192, 256],
            "array.rows": [64, 128],
            "tied": [["array.rows", "array.active_rows"]],
            "adc": ["lossless", 8, 7, 6, 5],
            "activation_bits": [8, 6],
            "duplicate": ["none", "balance"],
        },
        "objectives": _OBJECTIVES,
        "search": {"designs": designs, "sampler": "grid", "images": [64, 256]},
    }


def _vgg_study(**search: Any) -> dict[str, Any]:
    """A grid that can be run whole: 360 designs of the VGG-like net."""
    return {
        "models": [_MODELS / "fashion-vgg.onnx"],
        **_DATA,
        "knobs": {
            "array.rows": [64, 128, 256],
            "tied": [["array.rows", "array.active_rows"]],
            "array.columns": [64, 128, 256],
            "cell.bits": [{"value": 1, "set": {"cell.conductance.values": [2.0, 50.0]}}, 2],
            "adc": ["lossless", 7, 6, 5, 4],
            "hierarchy.arrays_per_macro": [8, 16],
            "duplicate": ["none", "balance"],
        },
        "objectives": _OBJECTIVES,
        "search": search,
    }


def _large_study(**search: Any) -> dict[str, Any]:
    """11,664 designs of nine knobs."""
    study = _vgg_study(**search)
    more = {
        "adc": ["lossless", 8, 7, 6, 5, 4],
        "hierarchy.arrays_per_macro": [4, 8, 16],
        "hierarchy.macros_per_tile": [2, 4, 8],
        "hierarchy.tiles_per_chip": [128, 256],
        "pack": ["none", "layer", "network"],
    }
    return study | {"knobs": study["knobs"] | more}


def _cpu() -> float:
    """CPU seconds of this process and of all below it, those that have ended included."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = time.process_time() + ended.ru_utime + ended.ru_stime
    parents: dict[int, list[tuple[int, float]]] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            words = place.read_text().rpartition(")")[2].split()
            used = sum(map(int, words[11:15])) / os.sysconf("SC_CLK_TCK")
            parents.setdefault(int(words[1]), []).append((int(place.parent.name), used))
    below = parents.get(os.getpid(), [])
    while below:
        pid, used = below.pop()
        total += used
        below += parents.get(pid, [])
    return total


# ---- kills


def _log_prices(log: Path, conditions: Conditions, batch: Batch) -> list[DesignCosts]:
    """`price_batch`, with a line for each design that it came to the end of."""
    found = price_batch(conditions, batch)
    with log.open("a", encoding="utf-8") as file:
        size = len(batch.recipes)
        file.write("".join(f"{size} {recipe.command()}\n" for recipe in batch.recipes))
    return found


def drive(store: Path, scheduler: str | None) -> None:
    """One run of the study, in a process of its own."""
    driver.price_batch = partial(_log_prices, store.with_suffix(".log"))
    with cluster_map(scheduler) if scheduler else worker_map(2) as share:
        result = explore(_mlp_study(60), store=store, share=share)
    store.with_suffix(".json").write_text(result.json_text(), encoding="utf-8")


@dataclass(frozen=True)
class Drivers:
    """Runs of the study that may be killed.

    Attributes:
        scheduler: whose workers they use; None: processes of their own.
    """

    scheduler: str | None = None

    def start(self, store: Path) -> subprocess.Popen[bytes]:
        """A run, in a session of its own."""
        words = [sys.executable, __file__, "drive", str(store)]
        if self.scheduler is not None:
            self._wait_for_workers()
            words += ["--scheduler", self.scheduler]
        return subprocess.Popen(words, start_new_session=True)

    def workers(self, made: subprocess.Popen[bytes]) -> list[int]:
        """Processes that do its work."""
        if self.scheduler is None:
            return _workers_of(made.pid)
        with distributed.Client(self.scheduler, set_as_default=False) as client:
            return [*client.run(os.getpid).values()]

    def _wait_for_workers(self) -> None:
        """Until those that were killed are started again."""
        time.sleep(1)  # by then a scheduler knows who was killed
        with distributed.Client(self.scheduler, set_as_default=False) as client:
            client.wait_for_workers(2)


def _workers_of(group: int) -> list[int]:
    """Processes of a driver's session beside itself."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = place.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        pid = int(place.parent.name)
        if int(session) == group and pid != group and state not in "ZX":
            found.append(pid)
    return found


def _known(store: Path) -> int:
    """Results in a store; raises where the file is damaged."""
    if not store.exists():
        return 0
    base = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        if base.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            raise SystemExit("the store is damaged")
        tables = base.execute("SELECT name FROM sqlite_master").fetchall()
        if ("answers",) not in tables:
            return 0
        counts = (
            base.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608  # our names
            for name in ("priced", "answers")
        )
        return sum(counts)
    finally:
        base.close()


def kill_studies(rounds: int, dask: bool) -> None:
    """Kill a study again and again, go on, and compare with one that nobody disturbed."""
    chance, hits, faults = np.random.default_rng(0), Counter[str](), list[str]()
    with (
        _cluster() if dask else contextlib.nullcontext() as scheduler,
        tempfile.TemporaryDirectory() as folder,
    ):
        drivers = Drivers(scheduler)
        store, calm, timed = (Path(folder) / f"{name}.db" for name in ("study", "calm", "timed"))
        drivers.start(calm).wait()
        start = time.monotonic()
        drivers.start(timed).wait()  # workers of a cluster have loaded everything by now
        whole = time.monotonic() - start
        for number in range(rounds):
            victim = _VICTIMS[number % len(_VICTIMS)]
            before = _known(store)
            made = drivers.start(store)
            # From the first second, in which modules load, until most of it is done.
            time.sleep(chance.uniform(0.2, whole * 0.8))
            hits[victim if made.poll() is None else "ended before"] += 1
            faults += _kill(made, drivers.workers(made), victim, chance)
            if _known(store) < before:
                faults.append(f"round {number}: results are gone")
            # A study whose worker died comes to its end, and leaves nothing to kill.
            if victim == _VICTIMS[-1] or number == rounds - 1:
                faults += _check_end(drivers, store, calm)
                for path in Path(folder).glob("study.*"):
                    path.unlink()
    print(f"{whole:.1f} s a study; kills: {dict(hits)}; faults: {faults or 'none'}")


def _kill(
    made: subprocess.Popen[bytes], workers: list[int], victim: str, chance: np.random.Generator
) -> list[str]:
    """Kill what is asked for; afterwards no process of the study may be left."""
    chosen = [int(chance.choice(workers))] if workers and victim != "driver" else []
    if victim != "worker" or not chosen:
        chosen.append(made.pid)
    for pid in chosen:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    made.wait()
    deadline = time.monotonic() + 30
    while _workers_of(made.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    left = _workers_of(made.pid)
    return [f"{len(left)} processes are left"] if left else []


def _check_end(drivers: Drivers, store: Path, calm: Path) -> list[str]:
    """Let the study come to its end, and look for what was lost or done twice."""
    drivers.start(store).wait()
    found, wanted = (json.loads(path.with_suffix(".json").read_text()) for path in (store, calm))
    faults = [] if found == wanted else ["another answer than that of an undisturbed study"]
    lines = [line.split(" ", 1) for line in store.with_suffix(".log").read_text().splitlines()]
    times, largest = Counter(line[1] for line in lines), max(int(line[0]) for line in lines)
    twice = sum(times.values()) - len(times)
    print(f"{twice} designs of {len(times)} priced twice", flush=True)
    if twice > len(_VICTIMS) * _IN_FLIGHT * largest:
        faults.append(f"{twice} designs priced twice")
    return faults


# ---- Dask


def compare_dask(designs: int) -> None:
    """CPU time of a study in process, in two local processes, and on two workers of Dask."""
    # Workers load modules and compiled loops at their first designs, which are others: drawn ones,
    # so that each worker meets every loop.
    search = {"sampler": "random", "designs": 40, "images": [64, 256]}
    warm = make_study({**_mlp_study(40), "fixed": {"weight_bits": 7}, "search": search})
    study = make_study(_mlp_study(designs))
    answers = []
    for name, open_map in (
        ("in process", partial(worker_map, 1)),
        ("2 processes", partial(worker_map, 2)),
        ("2 workers of Dask", _dask_map),
    ):
        start = _cpu()
        with open_map() as share:
            explore(warm, share=share)
            begun = _cpu()
            answers.append(explore(study, share=share).as_json())
            work = _cpu() - begun
        print(f"{name:20} {work:7.1f} s, with start-up {_cpu() - start:7.1f} s", flush=True)
    print("equal tables:", all(one == answers[0] for one in answers))


@contextlib.contextmanager
def _dask_map() -> Iterator[WorkerMap]:
    with _cluster() as scheduler, cluster_map(scheduler) as share:
        yield share


@contextlib.contextmanager
def _cluster() -> Iterator[str]:
    """A scheduler and two workers, started as the docs show; its address."""
    # As `--slurm` starts them: one thread each, no samples of the call stack.
    more = dict.fromkeys(THREAD_VARIABLES, "1")
    environment = os.environ | more | {"DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        address = Path(folder) / "scheduler.json"
        for words in (
            ["scheduler", "--port", "0", "--no-dashboard"],
            ["worker", "--nworkers", "2", "--nthreads", "1", "--no-dashboard"],
        ):
            asked = [sys.executable, "-m", "dask", *words, "--scheduler-file", str(address)]
            made = subprocess.Popen(asked, cwd=folder, env=environment, stderr=subprocess.DEVNULL)
            stack.callback(made.wait)
            stack.callback(made.terminate)
        with distributed.Client(scheduler_file=str(address), set_as_default=False) as client:
            client.wait_for_workers(2)
        yield json.loads(address.read_text())["address"]


# ---- search


def compare_search(designs: int) -> None:
    """The space that a search's front dominates, as a share of that of all designs."""
    whole = _timed("grid", _vgg_study(sampler="grid", images=["all"]))
    fronts = {"all": whole}
    for images in (["all"], [64, 256, "all"]):
        for sampler in ("tpe", "random"):
            search = {"sampler": sampler, "designs": designs, "images": images}
            fronts[f"{sampler} {images}"] = _timed(f"{sampler} {images}", _vgg_study(**search))
    halved = _vgg_study(sampler="grid", images=[64, 256, "all"])
    fronts["all, halved"] = _timed("grid, halved", halved)
    points = {name: _points(result) for name, result in fronts.items()}
    worst = np.max(list(_known_points(whole)), axis=0) + 1e-9
    best = hypervolume(points["all"], worst)
    for name, found in points.items():
        print(f"{name:28} {hypervolume(found, worst) / best:.4f} of the hypervolume")


def search_large(designs: int) -> None:
    """All designs of a large study, and what a search finds of their front."""
    images = [64, 256, "all"]
    whole = _timed("grid", _large_study(sampler="grid", images=images))
    worst = np.max(list(_known_points(whole)), axis=0) + 1e-9
    best = hypervolume(_points(whole), worst)
    for sampler in ("tpe", "random"):
        found = _timed(sampler, _large_study(sampler=sampler, designs=designs, images=images))
        share = hypervolume(_points(found), worst) / best
        print(f"{sampler:28} {share:.4f} of the hypervolume")


# ---- a loop of one's own


def compare_loop() -> None:
    """24 designs of the VGG-like net: a study, and a loop over compile, report and evaluate."""
    hardware: dict[str, list[Any]] = {
        "array.rows": [64, 128, 256],
        "array.columns": [64, 128],
        "encoding": ["differential", "acm"],
        "adc": ["lossless", 8],
    }
    converters: dict[str, list[Any]] = {
        "array.rows": [64, 128, 256],
        "encoding": ["differential", "acm"],
        "adc": ["lossless", 6, 5, "calibrated:5"],
    }
    # Both start with compiled loops; who goes first makes no difference then.
    _judge_alone({"array.rows": 64, "encoding": "acm", "adc": "calibrated:5"})
    for name, varied in (("hardware", hardware), ("converters", converters)):
        designs = [dict(zip(varied, values, strict=True)) for values in product(*varied.values())]
        start = time.process_time()
        for design in designs:
            _judge_alone(design)
        alone = time.process_time() - start
        study = {"models": [_MODELS / "fashion-vgg.onnx"], **_DATA, "objectives": _OBJECTIVES}
        knobs = {**varied, "tied": [["array.rows", "array.active_rows"]]}
        with tempfile.TemporaryDirectory() as folder:
            start = time.process_time()
            found = explore({**study, "knobs": knobs}, store=Path(folder) / "loop.db")
            shared = time.process_time() - start
        print(
            f"{name}: {len(designs)} designs in a loop {alone:.1f} CPU s; as a study"
            f" ({len(found.rows) - 1}) {shared:.1f} CPU s, {alone / shared:.1f} times less",
            flush=True,
        )


def _judge_alone(design: dict[str, Any]) -> None:
    options = {name: str(value) for name, value in design.items() if "." not in name}
    settings = [f"{name}={value}" for name, value in design.items() if "." in name]
    made = xbarc.compile(
        _MODELS / "fashion-vgg.onnx",
        load_target("rram128", [*settings, f"array.active_rows={design['array.rows']}"]),
        calibration=read_npz(_DATA["calibrate"]),
        **options,
    )
    made.report()
    evaluate(made.program, read_npz(_DATA["data"]), _MODELS / "fashion-vgg.onnx")


def _timed(name: str, study: dict[str, Any]) -> StudyResult:
    start = time.process_time()
    # A store of its own: results of another search would cost nothing.
    with tempfile.TemporaryDirectory() as folder:
        result = explore(study, store=Path(folder) / "search.db")
    share = result.proved_share or 0.0
    print(
        f"{name:28} {len(result.rows) - 1} of {count_designs(make_study(study).variables())}"
        f" designs, {len(result.front)} on the front, {100 * share:.1f} % proved,"
        f" {time.process_time() - start:.0f} CPU s",
        flush=True,
    )
    return result


def _points(result: StudyResult) -> np.ndarray[Any, Any]:
    rows = [row for row in result.rows if row.state == "front"]
    return np.array([_values(row.figures) for row in rows])


def _known_points(result: StudyResult) -> Iterator[list[float]]:
    for row in result.rows:
        if row.proof:
            yield _values(row.figures)


def _values(figures: Any) -> list[float]:
    signs = {"max": -1.0, "min": 1.0}
    return [signs[way] * figures[name] for name, way in _OBJECTIVES.items()]


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("kills", "dask", "search", "large", "loop", "drive"))
    parser.add_argument("store", nargs="?", type=Path)
    parser.add_argument("--scheduler")
    parser.add_argument("--dask", action="store_true", help="kills: workers of a cluster")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--designs", type=int, help="[default: as the docs show]")
    asked = parser.parse_args()
    designs = asked.designs or {"dask": 200, "search": 60, "large": 500}.get(asked.what, 0)
    if asked.what == "drive":
        drive(asked.store, asked.scheduler)
    elif asked.what == "kills":
        kill_studies(asked.rounds, asked.dask)
    elif asked.what == "dask":
        compare_dask(designs)
    elif asked.what == "search":
        compare_search(designs)
    elif asked.what == "loop":
        compare_loop()
    else:
        search_large(designs)


if __name__ == "__main__":
    main()
