"""`xbarc train`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xbarc.cli.messages import tell
from xbarc.cli.options import TargetChoice, takes
from xbarc.errors import EXIT_DONE, InputError, XbarcError
from xbarc.options import PANELS, Options, Training, option, read_path, reads

if TYPE_CHECKING:
    from xbarc.api import CompiledProgram
    from xbarc.evaluate import Evaluation
    from xbarc.numerics import AnyArray
    from xbarc.train import Course, Samples, Trainer, TrainJob

# Samples on which layers are compared with the float network: two batches, seconds for small nets.
_COMPARED = 128

# Calibration takes its ranges from this many samples; the pages on accuracy use as many.
_CALIBRATED = 256

_MODEL = typer.Argument(metavar="MODEL.onnx", help="the trained network")
_DATA = typer.Option(metavar="TRAIN.npz", help="arrays by input name, and labels if there are any")
_CALIBRATE = typer.Option(
    metavar="DATA.npz",
    help=f"inputs that choose ranges  [default: {_CALIBRATED} training samples]",
)
_FILE = typer.Option(
    "--options",
    metavar="FILE.toml",
    help="a file of options of compile; options given here win over it",
)


class TrainingFiles(Options):
    """Files of the command beside the model and its data."""

    output: Annotated[Path | None, reads(read_path)] = option(
        None,
        "the trained program",
        metavar="OUT.xbar",
        flags=("-o", "--output"),
        unset="MODEL.xbar in this folder",
    )
    onnx: Annotated[Path | None, reads(read_path)] = option(
        None, "the same as ONNX, as xbarc export writes it", metavar="NET.onnx", unset="none"
    )
    teacher: Annotated[Path | None, reads(read_path)] = option(
        None,
        "the network whose answers are learned, with the same inputs",
        metavar="FLOAT.onnx",
        unset="MODEL.onnx",
    )


@takes(chip=TargetChoice, training=Training, files=TrainingFiles, given=PANELS)
def train_command(
    model: Annotated[Path, _MODEL],
    data: Annotated[Path, _DATA],
    calibrate: Annotated[Path | None, _CALIBRATE] = None,
    file: Annotated[Path | None, _FILE] = None,
    *,
    chip: TargetChoice,
    training: Training,
    files: TrainingFiles,
    given: dict[str, Any],
) -> int:
    """Compile a network and fine-tune its cells on data.

    The float network is the teacher, so labels are not needed. The epoch that does best on samples
    held out is kept. A run that was stopped goes on after its last whole epoch when it is started
    again; its state stands beside the program, in OUT.xbar.training. So does one whose loss was no
    longer a number: its best program is written, and it goes on with the rates given then.

    Needs the extra xbarc[train].
    """
    train = _room()
    from xbarc.ir import check_replaceable, check_writable, read_samples
    from xbarc.options import read_options

    place = files.output or Path(f"{model.stem}.xbar")
    check_replaceable(place)
    state = place.with_name(place.name + ".training")
    if files.onnx is not None:
        _check_outputs(files.onnx, place, state)
        check_writable(files.onnx)
        _check_apart(files.onnx, [model, data, calibrate, files.teacher, file, training.validation])
    base = {} if file is None else read_options(file)
    read: dict[Path, Mapping[str, AnyArray]] = {}
    with _say_own_options(data, calibrate, training.validation), _name_sample(read):
        arrays = read[data] = read_samples(data)
        target = chip.load()
        calibration = _calibration(arrays)
        if calibrate is not None:
            calibration = read[calibrate] = read_samples(calibrate)
        options = {**base, **given}
        job = train.prepare(
            model, target, calibration=calibration, teacher=files.teacher, **options
        )
        _tell_carried(job)
        samples, chosen = _split(train, job, training, _samples(job, arrays, data))
        read.setdefault(training.validation or data, chosen.inputs)
        trainer = train.Trainer(job, samples, chosen, training, state)
        course = _run(trainer, files, place, state)
    program = _write(trainer, files, place)
    if not course.stopped:  # else the same command goes on later
        state.unlink(missing_ok=True)
    _show(course, len(chosen))
    _tell_goal(course, training.prune_energy)
    _tell_lost(course)
    _tell_misfit(course)
    _show_layers(job, _compare(program, chosen, model))
    _tell_unchanged(job, course)
    return EXIT_DONE


def _run(trainer: Trainer, files: TrainingFiles, place: Path, state: Path) -> Course:
    """Train; what is worth keeping is kept, whatever ends it."""
    from xbarc.cli.progress import progress_bar

    try:
        with progress_bar("train") as advance:
            return trainer.run(advance)
    except KeyboardInterrupt:
        _tell_how_to_go_on(state)
        raise
    except XbarcError:
        # the job holds its best epoch again, and the state of the last whole one is kept; before
        # there is one, a program that stands at the place may be better than ours
        if len(trainer.course.epochs) > 1:
            _write(trainer, files, place)
            tell(f"it is epoch {trainer.course.best}, the best before training failed")
        raise


@contextmanager
def _say_own_options(data: Path, calibrate: Path | None, validation: Path | None) -> Iterator[None]:
    """Errors name the options of this command, where what it calls is written for others."""
    source = f"--data {data}" if calibrate is None else f"--calibrate {calibrate}"
    # A file of its own is named as such; samples of the data are calibration data without a name.
    known = {"calibration data": source, str(calibrate): source}
    known |= {"training data": f"--data {data}", str(data): f"--data {data}"}
    if validation is not None:
        known |= dict.fromkeys(("samples held out", str(validation)), f"--validate {validation}")
    try:
        yield
    except XbarcError as error:
        where = error.where.replace("--device", "--noise-device")
        where = "--teacher" if where == "teacher" else where
        where = known.get(where, where)
        hint = error.hint.replace("--device", "--noise-device")
        if (where, hint) == (error.where, error.hint):
            raise
        raise type(error)(error.message, where=where, hint=hint) from error


@contextmanager
def _name_sample(read: Mapping[Path, Mapping[str, AnyArray]]) -> Iterator[None]:
    """Where the network was fed what is no number, say which sample of which file holds one."""
    import numpy as np

    try:
        yield
    except InputError as error:
        named = [(path, *pair) for path, arrays in read.items() for pair in arrays.items()]
        for path, name, array in named if "NaN or infinity" in error.message else ():
            if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
                sample = int(np.argmin(finite.reshape(len(array), -1).all(1)))
                hint = f"sample {sample} of '{name}' in {path} is not finite"
                raise InputError(error.message, where=error.where, hint=hint) from error
        raise


def _tell_how_to_go_on(state: Path) -> None:
    if state.exists():
        tell(
            f"{state} keeps the last whole epoch: the same command goes on from it, and with "
            "--hours 0 writes the best program so far"
        )


def _compare(program: CompiledProgram, chosen: Samples, model: Path) -> Evaluation:
    """Layers beside the float network's, on a few samples that trained nothing."""
    from xbarc.evaluate import evaluate

    first = {name: array[:_COMPARED] for name, array in chosen.inputs.items()}
    return evaluate(program.program, first, model)


def _split(
    train: Any, job: TrainJob, training: Training, samples: Samples
) -> tuple[Samples, Samples]:
    """Samples to train on, and those that choose the epoch."""
    from xbarc.ir import read_samples

    if training.validation is not None:
        return samples, _samples(job, read_samples(training.validation), training.validation)
    held: tuple[Samples, Samples] = train.split_held_out(
        samples, training.held_out, training.train_seed, at_once=job.fixed_batch or 1
    )
    return held


def _write(trainer: Trainer, files: TrainingFiles, place: Path) -> CompiledProgram:
    program = trainer.job.finish(trainer.note())
    program.save(place)
    if files.onnx is not None:
        program.export(files.onnx)
    written = [str(path) for path in (place, files.onnx) if path is not None]
    tell(f"wrote {' and '.join(written)}")
    return program


def _check_outputs(onnx: Path, place: Path, state: Path) -> None:
    """Refuse to write two things to one place.

    Raises:
        InputError: the ONNX file would stand where the program or the state of training does.
    """
    if onnx.resolve() in (place.resolve(), state.resolve()):
        raise InputError(
            "is where the program or the state of its training is written",
            where=f"--onnx {onnx}",
            hint="choose another path",
        )


def _check_apart(output: Path, inputs: list[Path | None]) -> None:
    """Refuse to write over a file that is read.

    Raises:
        InputError: it is one of them.
    """
    if output.exists() and any(p.exists() and p.samefile(output) for p in inputs if p is not None):
        raise InputError(
            "is read by this command, and would be lost",
            where=f"--onnx {output}",
            hint="choose another path",
        )


def _tell_carried(job: TrainJob) -> None:
    """Say why training does not start from the cells that the model carries."""
    from xbarc.frontend import CARRIED_SETTING

    said = dict(job.program.settings).get(CARRIED_SETTING, "")
    if said.startswith("not taken: "):
        reason = said.removeprefix("not taken: ")
        if "--range-analysis" in reason:
            reason += "; training needs --range-analysis structure, so compile with it, then export"
        tell(f"training starts from layers mapped anew, not from the model's own cells: {reason}")


def _room() -> Any:
    """The room that needs torch."""
    try:
        from xbarc import train
    except ImportError as error:
        raise InputError(
            str(error), where="xbarc train", hint="pip install 'xbarc[train]'"
        ) from error
    return train


def _calibration(arrays: dict[str, AnyArray]) -> dict[str, AnyArray]:
    """Some samples, evenly spread over the file, which may be sorted by class."""
    import numpy as np

    count = len(next(iter(arrays.values())))
    index = np.unique(np.linspace(0, count - 1, min(count, _CALIBRATED)).astype(np.int64))
    return {name: array[index] for name, array in arrays.items()}


def _samples(job: TrainJob, arrays: dict[str, AnyArray], path: Path) -> Samples:
    """Samples of a file.

    Raises:
        InputError: an input is missing, unknown, or of another type or shape.
    """
    from xbarc.executor import check_data
    from xbarc.ir import split_labels
    from xbarc.train import Samples

    inputs, labels = split_labels(job.program.inputs, arrays)
    check_data(job.program.inputs, inputs, str(path))
    return Samples({value.name: inputs[value.name] for value in job.program.inputs}, labels)


def _show(course: Course, count: int) -> None:
    """Scores before and after."""
    before, after = course.epochs[0].score, course.epochs[course.best].score
    print(f"{course.measure} of {count} samples that chose the epoch:")
    print(f"  float network         {100 * course.teacher:6.2f} %")
    print(f"  mapped, not trained   {100 * before:6.2f} %")
    print(f"  trained for target    {100 * after:6.2f} %   epoch {course.best}")
    if course.price:
        first, last = course.epochs[0].levels, course.epochs[course.best].levels
        print(f"mean 2**bits of a lossless conversion: {first:.1f} before, {last:.1f} after")
    if course.stopped:
        print(f"  stopped early: {course.stopped}")


def _tell_goal(course: Course, times: float) -> None:
    before, after = course.epochs[0].levels, course.epochs[course.best].levels
    if times > 1 and after * times > before:
        rate = "" if any(epoch.lost for epoch in course.epochs) else ", a larger --cell-rate"
        tell(
            f"no epoch made lossless conversions {times:g} times cheaper and kept what the network "
            f"knows; the cheapest was kept: more --epochs{rate}, or a lower --prune-energy"
        )


def _tell_lost(course: Course) -> None:
    lost, trained = sum(epoch.lost for epoch in course.epochs), len(course.epochs) - 1
    if lost:
        tell(
            f"after {lost} of {trained} epochs the network answered hardly better than with one "
            "class for all: a smaller --cell-rate or --digital-rate"
        )


def _tell_misfit(course: Course) -> None:
    why = [epoch.misfit for epoch in course.epochs if epoch.misfit]
    if why:
        tell(
            f"after {len(why)} of {len(course.epochs) - 1} epochs the target could not hold the "
            f"cells, and none of these was kept: {why[-1]}"
        )


def _show_layers(job: TrainJob, found: Evaluation) -> None:
    """Cells that changed, and how far each layer's values are from the float network's."""
    noise = {layer.name: layer.sqnr_db for layer in found.layers}
    changed = job.changed_cells()
    width = max(len(name) for name in changed)
    print(f"\n{'layer':<{width}}  cells written anew  SQNR, with errors of earlier layers")
    for name, share in changed.items():
        decibels = noise.get(name)
        quality = "not compared" if decibels is None else f"{decibels:.1f} dB"
        print(f"{name:<{width}}  {100 * share:16.2f} %  {quality}")


def _tell_unchanged(job: TrainJob, course: Course) -> None:
    """Say why no cell is another one."""
    if any(job.changed_cells().values()):
        return
    why = (
        "more --epochs, or a larger --cell-rate (a cell moves by about that share of a level in "
        "one step)"
    )
    if course.best == 0 and len(course.epochs) > 1:
        why = "no epoch was better than the mapped program, which was kept as it is"
        if not any(epoch.lost for epoch in course.epochs):
            why += "; another --cell-rate or --digital-rate, or more --epochs may be"
    tell(f"no cell holds another level than before: {why}")
