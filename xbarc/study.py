"""Sweeps over the resistance of wires: what is lost as mapped, placed and corrected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xbarc.circuit import Chip, Effects
from xbarc.errors import InputError
from xbarc.evaluate import labelled_batches
from xbarc.executor.run import Executor
from xbarc.ir.program import Program
from xbarc.numerics.types import AnyArray
from xbarc.placing import FitOptions, fit_program
from xbarc.target import Target, Wires

Data = Mapping[str, AnyArray]


@dataclass(frozen=True)
class Point:
    """Top-1 of one program on one chip; shares between 0 and 1.

    Attributes:
        scale: factor on the target's wires.
        ratio: `r T**2 / R_on`.
    """

    scale: float
    ratio: float
    placement: str
    corrections: str
    top1: float


@dataclass(frozen=True)
class LineStudy:
    """A sweep; `ideal` is the top-1 without wires."""

    samples: int
    ideal: float
    points: tuple[Point, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "format": 1,
            "samples": self.samples,
            "top1_ideal": self.ideal,
            "points": [vars(point) for point in self.points],
        }


@dataclass(frozen=True)
class Sweep:
    """What to vary.

    Attributes:
        scales: factors on every resistance of the target's wires.
        placements: names as `--placement` takes them.
        corrections: each a set of names as `--correct` takes them.
        converters: without them the sweep is quicker, and their rounding is left out.
    """

    scales: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)
    placements: tuple[str, ...] = ("none", "srs", "rows", "optimal")
    corrections: tuple[frozenset[str], ...] = (
        frozenset(),
        frozenset({"gain"}),
        frozenset({"outputs"}),
        frozenset({"predistort", "gain"}),
    )
    converters: bool = True

    def __post_init__(self) -> None:
        if not all(np.isfinite(scale) and scale > 0 for scale in self.scales):
            raise InputError(f"{self.scales}, expected factors above 0", where="--scales")
        for placement in self.placements:
            for chosen in self.corrections:
                FitOptions(placement, chosen)

    @property
    def cases(self) -> Iterator[tuple[float, str, frozenset[str]]]:
        """Every program to make."""
        for scale in self.scales:
            for placement in self.placements:
                for chosen in self.corrections:
                    yield scale, placement, chosen


def study_lines(
    program: Program,
    calibration: Data,
    data: Data,
    sweep: Sweep,
    progress: Callable[[str, int, int], None] | None = None,
) -> LineStudy:
    """Fit the program anew for every case and count right answers.

    Args:
        program: as it was compiled.
        calibration: what placement and corrections may see.
        data: inputs and `labels` to be judged by.
        sweep: the cases.
        progress: called with a case, its number and the count of cases.

    Raises:
        InputError: the data has no labels.
    """
    if "labels" not in data:
        raise InputError("holds no labels to judge by", where="--data")
    if not len(data["labels"]):
        raise InputError("holds no samples", where="--data")
    cases = list(sweep.cases)
    found = []
    for number, (scale, placement, chosen) in enumerate(cases):
        if progress is not None:
            progress(f"{placement} x{scale:g}", number, len(cases))
        wired = replace(program, target=scaled_wires(program.target, scale))
        fitted = fit_program(wired, calibration, FitOptions(placement, chosen)).program
        effects = Effects(frozenset({"lines"}), converters=sweep.converters)
        text = ", ".join(sorted(chosen)) or "none"
        share = top1(fitted, data, effects)
        found.append(Point(scale, ratio(wired.target), placement, text, share))
    count = len(data["labels"])
    return LineStudy(count, top1(program, data, Effects()), tuple(found))


def scaled_wires(target: Target, scale: float) -> Target:
    """The target with every resistance of its wires times a factor."""
    parts = {
        name: getattr(target.wires, name).model_copy(
            update={"value": getattr(target.wires, name).value * scale}
        )
        for name in Wires.model_fields
    }
    return target.model_copy(update={"wires": target.wires.model_copy(update=parts)})


def ratio(target: Target) -> float:
    """`r T**2 / R_on`: r the mean of both lines, T the mean side, R_on of the highest level."""
    wires, array = target.wires, target.array
    r = (wires.wordline.value + wires.bitline.value) / 2
    side = (array.rows + array.columns) / 2
    return r * side * side * target.cell.conductance.values[-1] * 1e-6


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


def picture(study: LineStudy, size: tuple[int, int] = (720, 420)) -> str:
    """Top-1 over `r T**2 / R_on` as SVG: a colour a placement, a dash a correction."""
    placements = list(dict.fromkeys(p.placement for p in study.points))
    kinds = list(dict.fromkeys(p.corrections for p in study.points))
    least = min([point.top1 for point in study.points], default=0.0)
    low = np.floor(20 * least) / 20
    ratios = [point.ratio for point in study.points] or [1.0]
    left, right = np.log(min(ratios)), np.log(max(ratios) * 1.0001)
    width, height = size

    def at(point: Point) -> str:
        x = 60 + (width - 280) * (np.log(point.ratio) - left) / (right - left)
        y = height - 40 - (height - 70) * (point.top1 - low) / max(1e-9, 1 - low)
        return f"{x:.1f},{y:.1f}"

    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
    parts = [
        head + ' font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        *_axes(sorted(set(ratios)), (low, left, right), size),
    ]
    turn = 0
    for i, placement in enumerate(placements):
        for j, kind in enumerate(kinds):
            line = [p for p in study.points if (p.placement, p.corrections) == (placement, kind)]
            style = (
                f'stroke="{_COLOURS[i % len(_COLOURS)]}" stroke-width="1.6" fill="none"'
                f' stroke-dasharray="{_DASHES[j % len(_DASHES)]}"'
            )
            parts.append(f'<polyline points="{" ".join(map(at, line))}" {style}/>')
            y = 30 + 16 * turn
            parts.append(f'<path d="M{width - 210} {y - 4}h28" {style}/>')
            parts.append(f'<text x="{width - 176}" y="{y}">{placement}; {kind}</text>')
            turn += 1
    return "\n".join([*parts, "</svg>"]) + "\n"


def _axes(
    ratios: Sequence[float], span: tuple[float, float, float], size: tuple[int, int]
) -> list[str]:
    low, left, right = span
    width, height = size
    parts = []
    for share in np.linspace(low, 1, 6):
        y = height - 40 - (height - 70) * (share - low) / max(1e-9, 1 - low)
        parts.append(f'<path d="M60 {y:.1f}H{width - 220}" stroke="#dddddd"/>')
        parts.append(f'<text x="22" y="{y + 4:.1f}">{100 * share:.0f} %</text>')
    for value in ratios:
        x = 60 + (width - 280) * (np.log(value) - left) / (right - left)
        parts.append(f'<text x="{x - 8:.1f}" y="{height - 22}">{value:.2g}</text>')
    parts.append(f'<text x="60" y="{height - 6}">r T2 / R_on; top-1</text>')
    return parts
