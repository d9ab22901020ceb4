"""The answer to a study in a terminal: the front as a table, and a small plot of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from xbarc.explore.answer import (
    BEATEN,
    BROKEN,
    FAILED,
    FAILS,
    FRONT,
    GIVEN_UP,
    LATE,
    UNKNOWN,
    DesignRow,
    StudyResult,
)
from xbarc.explore.figures import JUDGED, figure_text, heading
from xbarc.report import rich_table

# Rows of a table in a terminal; files hold all of them.
_SHOWN = 20

# Characters of the plot, without its axes: it fits a terminal of 80 columns with a row to spare.
_WIDE, _HIGH = 60, 12

# Reasons why designs do not map that are told; most often one knob has a wrong value.
_REASONS = 2

# States as several designs have them, where a design alone says it otherwise.
_PLURAL = {
    BROKEN: "break a constraint",
    FAILED: "do not map",
    FAILS: "fail on a sample",
    UNKNOWN: "with an unknown objective",
}


def render_result(result: StudyResult) -> Group:
    """Front, counts and plot."""
    parts: list[RenderableType] = [rich_table(result.front_table(_SHOWN)), Text(_summary(result))]
    plot = plot_text(result)
    if plot:
        parts.append(Text("\n" + plot))
    return Group(*parts)


def _summary(result: StudyResult) -> str:
    """How many designs came to what, and what was run for it."""
    rows = [row for row in result.rows if row.values]
    counts = Counter(row.state for row in rows)
    states = (FRONT, BEATEN, GIVEN_UP, BROKEN, FAILED, FAILS, UNKNOWN, LATE)
    told = ", ".join(
        f"{counts[state]} {_PLURAL.get(state, state)}" for state in states if counts[state]
    )
    lines = [f"{len(rows)} of {result.possible} designs: {told}"]
    # Where none meets the rules, which one is the question; else the files tell.
    no_way = (BROKEN,) if counts[BROKEN] == len(rows) else ()
    for state in (*no_way, FAILED, FAILS, UNKNOWN):
        reasons = Counter(row.reason for row in rows if row.state == state)
        said = _PLURAL[state]
        lines += [f"  {count} {said}: {why}" for why, count in reasons.most_common(_REASONS)]
    share = result.proved_share
    if share is not None:
        known = sum(bool(row.proof) for row in result.rows)
        lines.append(
            f"answers of {known} designs from {result.classes} classes of equal ones: "
            f"{100 * share:.1f} % proved"
        )
        lines.append(f"the rest executed, {result.executed:,} samples of it now")
    top1 = result.floats.get("top1")
    floats = "" if top1 is None else f"; float model: top1 {figure_text('top1', top1)}"
    lines.append(f"{result.conditions}{floats}")
    return "\n".join(lines) + "\n"


def plot_text(result: StudyResult) -> str:
    """The first judged objective over the first cost; empty where there are no two objectives."""
    names = list(result.objectives)
    if len(names) < 2:
        return ""
    up = next((name for name in names if name in JUDGED), names[0])
    across = next(name for name in names if name != up)
    points = [
        (x, y, row.state == FRONT)
        for row in result.rows
        if (x := row.figures.get(across)) is not None
        and (y := row.figures.get(up)) is not None
        and math.isfinite(x + y)
    ]
    if len({point[:2] for point in points}) < 2:
        return ""
    return "\n".join(_grid(points, heading(across), heading(up), up))


def _grid(
    points: Sequence[tuple[float, float, bool]], across: str, up: str, name: str
) -> list[str]:
    """Lines of the plot, with the ends of both axes."""
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    (left, right), (low, high) = (min(xs), max(xs)), (min(ys), max(ys))
    field = [[" "] * _WIDE for _ in range(_HIGH)]
    for x, y, best in sorted(points, key=lambda point: point[2]):  # the front is drawn last
        column = round((x - left) / ((right - left) or 1) * (_WIDE - 1))
        line = _HIGH - 1 - round((y - low) / ((high - low) or 1) * (_HIGH - 1))
        field[line][column] = "o" if best else "."
    ends = {0: figure_text(name, high), _HIGH - 1: figure_text(name, low)}
    width = max(len(text) for text in ends.values())
    lines = [f"{up}  (o: the front)"]
    lines += [f"{ends.get(n, ''):>{width}} |{''.join(row).rstrip()}" for n, row in enumerate(field)]
    lines.append(f"{'':>{width}} +{'-' * _WIDE}")
    first, last = f"{left:.4g}", f"{right:.4g}"
    space = _WIDE - len(first) - len(last)
    lines.append(f"{'':>{width}}  {first}{across:^{max(1, space)}}{last}")
    return lines


def render_explanation(result: StudyResult, number: int) -> str:
    """One design: its knobs, its figures, where its accuracy comes from, how to rebuild it.

    Raises:
        InputError: there is no such design.
    """
    row = result.row(number)
    lines = [f"design {number}: {row.state}" + (f" ({row.reason})" if row.reason else "")]
    lines += [f"  {name} = {value}" for name, value in row.values.items()]
    lines += ["", *(f"  {heading(n):16} {figure_text(n, v)}" for n, v in row.figures.items())]
    if row.proof == "measured":
        lines.append(f"\nmeasured on {row.samples} samples")
    elif row.proof:
        lines.append(
            f"\nproved equal to design {row.answered_by}, which answered {row.samples} samples:"
        )
        lines += [f"  {text}" for text in row.because.splitlines()]
    if row.state == BEATEN:
        lines.append(
            f"\nbeaten by {', '.join(map(str, _beaten_by(result, row))) or 'equal designs'}"
        )
    lines += ["", *row.commands]
    return "\n".join(lines) + "\n"


def _beaten_by(result: StudyResult, row: DesignRow) -> list[int]:
    """Designs of the front that are at least as good at everything."""
    mine = _compared(result, row)
    return [
        best.number
        for best in result.front
        if all(a <= b for a, b in zip(_compared(result, best), mine, strict=True))
    ]


def _compared(result: StudyResult, row: DesignRow) -> list[float]:
    """The numbers by which designs were compared, less is better."""
    several = result.across == "each" and row.by_model
    each = list(row.by_model.values()) if several else [row.figures]
    return [
        math.nan if (value := one.get(name)) is None else value if way == "min" else -value
        for name, way in result.objectives.items()
        for one in each
    ]
