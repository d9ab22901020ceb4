"""`xbarc explore` and `xbarc sweep`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xbarc.cli.messages import tell
from xbarc.cli.options import TargetChoice, takes
from xbarc.errors import EXIT_DONE, EXIT_NO, InputError, visible
from xbarc.options import Jobs, Options, option, read_path, reads

if TYPE_CHECKING:
    from xbarc.explore import Study, StudyResult


_OPTION_OF = {
    "knobs": "--vary",
    "fixed": "--set",
    "objectives": "--objectives",
    "search.effects": "--effects",
    "search.seeds": "--seeds",
}
"""What `sweep` calls the parts of a study."""


_KINDS = (".html", ".csv", ".json")
"""Files of an answer by the end of their names: the page, the table, all of it as data."""


class ExploreOutput(Options):
    """Where results go."""

    output: Annotated[Path | None, reads(read_path)] = option(
        None,
        "name of the files that are written: NAME.html, NAME.csv and NAME.json",
        metavar="NAME",
        flags=("-o", "--output"),
        unset="the study's",
    )
    store: Annotated[Path | None, reads(read_path)] = option(
        None,
        "file that keeps results for this study and later ones; a study that was stopped goes on "
        "from it",
        metavar="FILE.db",
        unset="NAME.db",
    )
    scheduler: str | None = option(
        None,
        "a Dask scheduler whose workers do the work, in place of --jobs",
        metavar="tcp://HOST:PORT",
        unset="none",
    )
    slurm: int | None = option(
        None,
        "Slurm jobs of one core each that do the work, in place of --jobs",
        metavar="N",
        unset="none",
        bounds=(1, 100_000),
    )
    as_json: bool = option(False, "print the answer as JSON", flags=("--json",), unset=" ")


class Wanted(Options):
    """What is best."""

    objectives: str = option(
        "top1:max,energy_uj:min,area_mm2:min",
        "figures, and whether less or more is better",
        metavar="FIGURE:min|max,...",
    )
    images: str = option(
        "64,256,1024,all", "samples that designs are judged on, rung after rung", metavar="LIST"
    )
    designs: int | None = option(
        None, "designs that are looked at, at most", metavar="N", bounds=(1, None), unset="all"
    )
    effects: str = option("", "as --effects of check", metavar="LIST", unset="none")
    seeds: int = option(1, "with --effects: chips to draw", metavar="K", bounds=(1, 10_000))


@takes(shared=Jobs, shown=ExploreOutput)
def explore_command(
    file: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="what to vary, and for what")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say how many designs there are, and stop")
    ] = False,
    explain: Annotated[
        int | None,
        typer.Option(metavar="DESIGN", help="one design by its number: figures, proof, command"),
    ] = None,
    *,
    shared: Jobs,
    shown: ExploreOutput,
) -> int:
    """Find the designs that no other beats.

    A study says what to vary, what is better and what must hold. Designs whose outputs are provably
    equal share one accuracy, and a design that cannot win is not run to the end. Results are kept,
    so a study that was stopped goes on where it was when it is started again.
    """
    from xbarc.explore import read_study

    study = read_study(file)
    place = _find_place(shown, file.stem)
    if dry_run:
        print(_describe(study))
        return EXIT_DONE
    result = _run(study, place, shown, shared.jobs)
    if explain is not None:
        from xbarc.explore import render_explanation

        print(render_explanation(result, explain), end="")
        return EXIT_DONE
    _show(result, shown, _write(result, place))
    return _answer(result)


@takes(chip=TargetChoice, wanted=Wanted, shared=Jobs, shown=ExploreOutput)
def sweep_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="the trained network")],
    vary: Annotated[
        list[str],
        typer.Option(
            "--vary",
            metavar="NAME=VALUES",
            help="an option, or a field of the target: array.rows=64,128,256 or adc=4..8; may be "
            "repeated",
        ),
    ],
    data: Annotated[
        Path | None, typer.Option(metavar="DATA.npz", help="samples and labels to judge by")
    ] = None,
    calibrate: Annotated[
        Path | None,
        typer.Option(metavar="DATA.npz", help="samples that set ranges and converters"),
    ] = None,
    *,
    chip: TargetChoice,
    wanted: Wanted,
    shared: Jobs,
    shown: ExploreOutput,
) -> int:
    """Vary options and target fields: a table and a plot.

    It needs no study file.

    The short form of xbarc explore. Without --data only costs are compared.
    """
    from xbarc.explore import make_study
    from xbarc.explore import vary as read_varied

    asked = {
        "models": (model,),
        "data": data,
        "calibrate": calibrate,
        "target": str(chip.target),
        "fixed": _read_fixed(chip),
        "knobs": read_varied(vary),
        "objectives": _read_goals(wanted.objectives, judged=data is not None),
        "search": {
            "images": _read_images(wanted.images),
            "designs": wanted.designs,
            "effects": wanted.effects,
            "seeds": wanted.seeds,
        },
    }
    place = _find_place(shown, f"{model.stem}-sweep")
    with _name_options():
        result = _run(make_study(asked, where="sweep"), place, shown, shared.jobs)
    _show(result, shown, _write(result, place))
    return _answer(result)


@contextmanager
def _name_options() -> Iterator[None]:
    """Errors name the option that was typed, and not the field of a study that it becomes.

    Raises:
        InputError: as inside the block.
    """
    try:
        yield
    except InputError as error:
        where = _OPTION_OF.get(error.where)
        if where is None:
            raise
        raise InputError(error.message, where=where, hint=error.hint) from error


def _find_place(shown: ExploreOutput, usual: str) -> Path:
    """NAME of the files, which `NAME.html` means too: other commands take that."""
    place = shown.output or Path(usual)
    return place.with_suffix("") if place.suffix in _KINDS else place


def _answer(result: StudyResult) -> int:
    """1 where every design fails: a script must not take that for an answer."""
    why = result.common_failure
    if not why:
        return EXIT_DONE
    print(f"xbarc: every design fails, the first: {visible(why)}", file=sys.stderr)
    return EXIT_NO


def _read_fixed(chip: TargetChoice) -> dict[str, Any]:
    from xbarc.explore import read_value

    found: dict[str, Any] = {}
    for text in chip.settings:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"'{text[:40]}' is not key.path=value", where="--set")
        found[name.strip()] = read_value(value.strip())
    return found


def _read_goals(text: str, *, judged: bool) -> dict[str, str]:
    """Objectives of a command line; those that need samples go where there are none."""
    from xbarc.explore import JUDGED

    found = {}
    for part in text.split(","):
        name, _, way = part.strip().partition(":")
        if name in found:
            raise InputError(f"'{name[:40]}' is there twice", where="--objectives")
        found[name] = way or ("max" if name in JUDGED else "min")
    wrong = [way for way in found.values() if way not in ("min", "max")]
    if wrong:
        raise InputError(f"'{wrong[0][:20]}', expected min or max", where="--objectives")
    counted = {name: way for name, way in found.items() if name not in JUDGED}
    if not judged and not counted:
        raise InputError("accuracy needs samples", where="--objectives", hint="add --data")
    return found if judged else counted


def _read_images(text: str) -> tuple[int | str, ...]:
    found: list[int | str] = []
    for part in text.split(","):
        # Files of more samples than 18 digits count do not exist.
        if part.strip() != "all" and re.fullmatch(r"\s*[0-9]{1,18}\s*", part) is None:
            raise InputError(f"'{part[:20]}', expected a number or all", where="--images")
        found.append("all" if part.strip() == "all" else int(part))
    return tuple(found)


def _describe(study: Study) -> str:
    """How many designs there are, knob by knob."""
    from xbarc.explore import count_designs

    knobs, models = study.variables(), len(study.models)
    lines = [f"{knob.name:24} {len(knob.choices):6} values" for knob in knobs]
    on = f"on {models} model{'s' if models != 1 else ''}"
    lines.append(f"{'designs':24} {count_designs(knobs):6} {on}")
    return "\n".join(lines)


def _run(study: Study, place: Path, shown: ExploreOutput, jobs: int) -> StudyResult:
    from contextlib import ExitStack

    from xbarc.cli.progress import progress_bar
    from xbarc.explore import cluster_map, explore, slurm_map
    from xbarc.ir import check_writable

    if place.name in ("", ".."):
        raise InputError("names a folder", where=f"--output {place}", hint="--output FOLDER/NAME")
    # First of all: hours of work must not end at a folder that is not there.
    for kind in _KINDS:
        check_writable(place.with_name(place.name + kind))
    store = shown.store or place.with_name(place.name + ".db")
    if shown.scheduler is not None and shown.slurm is not None:
        raise InputError("both start workers", where="--scheduler, --slurm", hint="one of the two")
    with ExitStack() as stack:
        share = None
        if shown.scheduler is not None:
            share = stack.enter_context(cluster_map(shown.scheduler))
        elif shown.slurm is not None:
            share = stack.enter_context(slurm_map(shown.slurm))
        advance = stack.enter_context(progress_bar("explore", logs=True))
        return explore(study, store=store, jobs=jobs, share=share, progress=advance)


def _write(result: StudyResult, place: Path) -> tuple[Path, ...]:
    """All files of an answer, each whole or absent: the page, CSV and JSON."""
    from xbarc.cli.files import write_text
    from xbarc.explore import render_page

    texts = (render_page(result, place.name), result.csv_text(), result.json_text())
    files = tuple(place.with_name(place.name + kind) for kind in _KINDS)
    for path, text in zip(files, texts, strict=True):
        write_text(path, text)
    return files


def _show(result: StudyResult, shown: ExploreOutput, files: tuple[Path, ...]) -> None:
    from xbarc.cli.reporting import emit
    from xbarc.explore import render_result

    if shown.as_json:
        emit(result.json_text())
        return
    emit(render_result(result))
    tell(f"wrote {', '.join(str(path) for path in files)}")
