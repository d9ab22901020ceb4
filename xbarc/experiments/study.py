"""Sweeps over the resistance of wires: what is lost as mapped, placed and corrected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from xbarc.chips import FitOptions, fit_program
from xbarc.circuit import Chip, Effects, line_ratio
from xbarc.errors import InputError
from xbarc.executor import Data, Executor, labelled_batches
from xbarc.experiments.sharing import Work, share_work
from xbarc.ir import FileArrays, Program, file_of, label_name, labels_in
from xbarc.mapping import placement_name
from xbarc.numerics import ordered_sums
from xbarc.options import Execution, Method
from xbarc.pipeline import Progress
from xbarc.rows import Row, fact
from xbarc.target import Target, Wires

# Samples to calibrate with, where a study is given no others: the rest judges, and a step of its
# top-1 should stay small.
HELD = 256


class StudyPoint(Row):
    """Top-1 of one program on one chip."""

    scale: float = fact("how many times the target's wires resist")
    ratio: float = fact("`r T**2 / R_on`, how many times", head="r T^2/R_on>", text="{:.3g}")
    placement: str = fact("as `--placement`", head="placement")
    compensations: str = fact("as `--compensate`", head="compensations")
    top1: float = fact("share of labels met, 0 to 1", head="top-1>", text="{:.2%}")


@dataclass(frozen=True)
class LineStudy:
    """A sweep.

    Attributes:
        ideal: top-1 without wires.
        converters: whether the points hold the rounding of converters.
    """

    samples: int
    ideal: float
    points: tuple[StudyPoint, ...]
    converters: bool = True

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "format": 1,
            "samples": self.samples,
            "top1_ideal": self.ideal,
            "converters": self.converters,
            "points": [vars(point) for point in self.points],
        }


@dataclass(frozen=True)
class Sweep:
    """What to vary.

    Attributes:
        scales: factors on every resistance of the target's wires.
        placements: as `placement` of `xbarc.compile` takes them.
        compensations: each a set of names as `--compensate` takes them.
        converters: with their rounding, as `xbarc check` counts it; without takes an eighth of the
            time, and attenuated sums lose less than they do.
    """

    scales: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)
    placements: tuple[str | Method, ...] = ("none", "rows")
    compensations: tuple[frozenset[str], ...] = (
        frozenset(),
        frozenset({"gain"}),
        frozenset({"outputs"}),
    )
    converters: bool = True

    def __post_init__(self) -> None:
        if not all(np.isfinite(scale) and scale > 0 for scale in self.scales):
            raise InputError(f"{self.scales}, expected factors above 0", where="--scales")
        for placement in self.placements:
            for chosen in self.compensations:
                FitOptions(placement, chosen)

    @property
    def cases(self) -> Iterator[tuple[float, str | Method, frozenset[str]]]:
        """Every program to make."""
        for scale in self.scales:
            for placement in self.placements:
                for chosen in self.compensations:
                    yield scale, placement, chosen


def study_lines(
    program: Program,
    calibration: Data,
    data: Data,
    sweep: Sweep,
    progress: Progress | None = None,
    jobs: int = 1,
) -> LineStudy:
    """Fit the program anew for every case and count right answers.

    Each case is what `xbarc compile` makes of the same calibration data, run as by `xbarc check`.

    Args:
        program: as it was compiled.
        calibration: what placement and compensations may see.
        data: inputs and `labels` to be judged by.
        sweep: the cases.
        progress: called with a case that is done, its number and the count of cases.
        jobs: processes that share the cases.

    Raises:
        InputError: the data has no labels.
    """
    count = _count_labels(data, label_name(value.name for value in program.inputs))
    cases = list(sweep.cases)
    found: list[StudyPoint] = []
    how = Execution(jobs=jobs)
    with share_work(program, None, how, data=data, calibration=calibration) as (share, work):
        points = share(partial(_run_case, work, sweep.converters), cases)
        for number, point in enumerate(points):
            found.append(point)
            if progress is not None:
                text = f"{point.placement} x{point.scale:g}, {point.compensations}"
                progress(text, number, len(cases))
    ideal = top1(program, data, Effects())
    return LineStudy(count, ideal, tuple(found), sweep.converters)


def _run_case(
    work: Work, converters: bool, case: tuple[float, str | Method, frozenset[str]]
) -> StudyPoint:
    scale, placement, chosen = case
    # From the program as it was compiled, never from the case before.
    program = work.program()
    wired = replace(program, target=scaled_wires(program.target, scale))
    fitted = _fit_case(wired, work.data("calibration"), FitOptions(placement, chosen))
    share = top1(fitted, work.data(), Effects(frozenset({"lines"}), converters=converters))
    text = ", ".join(sorted(chosen)) or "none"
    return StudyPoint(scale, line_ratio(wired.target), placement_name(placement), text, share)


def held_back(data: Data) -> tuple[Data, Data]:
    """A quarter of the samples without labels, `HELD` at most, and all others with theirs.

    What ranges, placement and compensations saw does not judge them.

    Raises:
        InputError: no labels, too few of them, or arrays that do not count samples first.
    """
    own = labels_in(data)
    count = _count_labels(data, own)
    # A quarter at most: the others judge.
    known = min(HELD, count // 4)
    if not known or any(np.ndim(a) < 1 or len(a) != count for a in data.values()):
        text = f"{count} samples do not fall into some to calibrate with and some to judge by"
        raise InputError(text, where="--data", hint="--calibrate DATA.npz")
    inputs = {name: array for name, array in data.items() if name != own}
    path = file_of(data, "data")
    return (
        FileArrays({name: array[:known] for name, array in inputs.items()}, path),
        FileArrays({name: array[known:] for name, array in data.items()}, path),
    )


def _count_labels(data: Data, own: str) -> int:
    """Count of labels."""
    if own not in data:
        raise InputError(f"holds no {own} to judge by", where="--data")
    if not len(data[own]):
        raise InputError("holds no samples", where="--data")
    return len(data[own])


def _fit_case(program: Program, data: Data, options: FitOptions) -> Program:
    """Nothing is done where nothing was asked, as by `xbarc compile`."""
    if options.placement == "none" and not options.compensations:
        return program
    # Orders depend on comparisons of sums: the last bit of a sum may choose another.
    with ordered_sums():
        return fit_program(program, data, options).program


def scaled_wires(target: Target, scale: float) -> Target:
    """The target with every resistance of its wires times a factor."""
    parts = {
        name: getattr(target.wires, name).model_copy(
            update={"value": getattr(target.wires, name).value * scale}
        )
        for name in Wires.model_fields
    }
    return target.model_copy(update={"wires": target.wires.model_copy(update=parts)})


def top1(program: Program, data: Data, effects: Effects) -> float:
    """Share of right answers on a chip."""
    chip = Chip(program, effects) if effects.kinds else None
    executor = Executor(program, chip=chip)
    right = total = 0
    for feeds, labels, count in labelled_batches(program, data):
        scores = np.asarray(executor.run(feeds)[0]).reshape(count, -1)
        right += int((scores.argmax(axis=1) == labels).sum())
        total += count
    return right / max(1, total)


_COLOURS = ("#444444", "#1b6ca8", "#c0562b", "#2e8b57", "#8a4fa3", "#b58900", "#777777")
_DASHES = ("", "6 3", "2 3", "8 3 2 3", "1 2")
# Points of top-1 lost that get a line, 1-2-5 a decade as far as square roots keep them apart.
_TICKS = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
# Pixels around the drawing: numbers and heading of each axis, the legend on the right, the title.
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 230, 40, 50


@dataclass(frozen=True)
class _StudyFrame:
    """Where points lie: ratios on a logarithmic axis, what is lost on one of square roots.

    Square roots keep apart what is corrected (tenths of a point) beside what is not (tens).
    """

    size: tuple[int, int]
    ratios: tuple[float, float]
    most: float

    def x(self, ratio: float) -> float:
        """Of a resistance."""
        # A little more than the largest, so that a single ratio does not divide by zero.
        low, high = np.log(self.ratios[0]), np.log(self.ratios[1] * 1.0001)
        width = self.size[0] - _LEFT - _RIGHT
        return float(_LEFT + width * (np.log(ratio) - low) / (high - low))

    def y(self, lost: float) -> float:
        """Of points lost; nothing lost is at the top."""
        height = self.size[1] - _TOP - _BOTTOM
        return float(_TOP + height * np.sqrt(max(0.0, lost) / self.most))


def picture(study: LineStudy, size: tuple[int, int] = (760, 440)) -> str:
    """Points of top-1 lost over `r T**2 / R_on` as SVG; colour: placement, dash: compensation.

    What is better than without wires, by chance, lies on the upper edge.
    """
    lost = [100 * (study.ideal - point.top1) for point in study.points]
    ratios = [point.ratio for point in study.points] or [1.0]
    frame = _StudyFrame(size, (min(ratios), max(ratios)), max([1.0, *lost]))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}"'
    title = f"{study.samples:,} samples; without wires {100 * study.ideal:.2f} %"
    parts = [
        head + ' font-family="sans-serif" font-size="11">',
        f'<rect width="{size[0]}" height="{size[1]}" fill="white"/>',
        f'<text x="{_LEFT}" y="18" font-size="13">Points of top-1 lost to wires: {title}</text>',
        *_axes(sorted(set(ratios)), frame),
        *_lines(study, frame),
    ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _lines(study: LineStudy, frame: _StudyFrame) -> list[str]:
    """A line and an entry of the legend for each placement and compensation."""
    placements = list(dict.fromkeys(p.placement for p in study.points))
    kinds = list(dict.fromkeys(p.compensations for p in study.points))
    parts = []
    for turn, (i, j) in enumerate(np.ndindex(len(placements), len(kinds))):
        line = [
            f"{frame.x(p.ratio):.1f},{frame.y(100 * (study.ideal - p.top1)):.1f}"
            for p in study.points
            if (p.placement, p.compensations) == (placements[i], kinds[j])
        ]
        # Colours tell placements apart and dashes compensations, so that a line is found
        # without its neighbours.
        style = (
            f'stroke="{_COLOURS[i % len(_COLOURS)]}" stroke-width="1.6" fill="none"'
            f' stroke-dasharray="{_DASHES[j % len(_DASHES)]}"'
        )
        x, y = frame.size[0] - _RIGHT + 16, _TOP + 6 + 16 * turn
        parts.append(f'<polyline points="{" ".join(line)}" {style}/>')
        parts.append(f'<path d="M{x} {y - 4}h28" {style}/>')
        name = placements[i] if kinds[j] == "none" else f"{placements[i]} + {kinds[j]}"
        parts.append(f'<text x="{x + 34}" y="{y}">{name}</text>')
    return parts


def _axes(ratios: Sequence[float], frame: _StudyFrame) -> list[str]:
    width, height = frame.size
    parts = []
    for tick in [tick for tick in _TICKS if tick <= frame.most]:
        y = frame.y(tick)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{width - _RIGHT}" stroke="#dddddd"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for value in ratios:
        place = f'x="{frame.x(value):.1f}" y="{height - _BOTTOM + 18}" text-anchor="middle"'
        parts.append(f"<text {place}>{value:.2g}</text>")
    middle = (_LEFT + width - _RIGHT) / 2
    label = f'x="{middle:.0f}" y="{height - 12}" text-anchor="middle"'
    parts.append(f"<text {label}>r T\u00b2 / R_on</text>")
    return parts
