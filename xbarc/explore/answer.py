"""What a study came to: a row a design, the front, and what every knob does."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xbarc.errors import InputError, say_count, visible
from xbarc.explore.candidates import TriedDesign
from xbarc.explore.driver import Explorer
from xbarc.explore.figures import JUDGED, figure_text, heading, known_figures
from xbarc.explore.goals import Figures
from xbarc.explore.judging import BOUNDED
from xbarc.explore.knobs import count_designs, values_of
from xbarc.rows import TableData, render_card
from xbarc.version import VERSION

# Of the JSON; raised when readers of older ones would misread it.
FORMAT = 1

# Figures that every table has, beside those that the study asks for.
_SHOWN = ("energy_uj", "area_mm2", "latency_us", "arrays", "chips")

# Why samples do not tell a figure.
_NO_SCORES = "the first output has no scores per sample"
_NO_ANSWER = {
    "top1": _NO_SCORES,
    "agreement": _NO_SCORES,
    "sqnr_db": "outputs are not finite, or the float model's are all zero",
}

# States of a design, the word that tables and files use.
FRONT, BEATEN, GIVEN_UP, BROKEN, FAILED = "front", "beaten", "given up", "breaks", "does not map"
FAILS, LATE, UNKNOWN = "fails on a sample", "not judged", "unknown"


@dataclass(frozen=True)
class DesignRow:
    """One design that was looked at.

    Attributes:
        number: its name in tables and pages; 0: the target as it is.
        values: of every knob; empty for the target as it is.
        figures: of one model, or joined over several as the study says.
        state: `front`; `beaten` by another design; `given up` once it could not win; `breaks` a
            constraint; `does not map`; `fails on a sample`; `unknown`: an objective is; or `not
            judged`: time was over, or workers died at it.
        reason: what it breaks, why it does not map or fails, which objective is unknown and why,
            what workers died of, or after how many samples it was given up.
        proof: `measured` where its own answers were taken, `proved` where they are those of
            another design, beyond doubt; empty where nothing was judged.
        because: why they are equal, a line a model where there are several.
        answered_by: number of the design that answered for it.
        samples: answered.
        commands: what to type for its program, one a model.
        by_model: figures of each model, where there are several.
    """

    number: int
    values: Mapping[str, Any]
    figures: Figures
    state: str
    reason: str = ""
    proof: str = ""
    because: str = ""
    answered_by: int | None = None
    samples: int = 0
    commands: tuple[str, ...] = ()
    by_model: Mapping[str, Figures] = field(default_factory=dict)


@dataclass(frozen=True)
class StudyResult:
    """The answer to a study.

    Attributes:
        knobs: names.
        objectives: figures with their direction.
        constraints: as the study states them.
        models: that every design was judged on.
        across: how figures of several models became one; `each`: designs were compared on every
            model, and tables show the worst.
        conditions: data, samples, effects and seeds, in words.
        floats: what the float models reach, by figure.
        rows: every design that was looked at, the target as it is first.
        possible: designs that there are.
        classes: groups of designs with provably equal answers.
        executed: samples that ran in this run; those of the store are not among them.
        effect: of every knob on each objective: the mean change between its best and worst choice,
            of accuracies on the samples that all designs answered.
    """

    knobs: tuple[str, ...]
    objectives: Mapping[str, str]
    constraints: Mapping[str, str]
    models: tuple[str, ...]
    conditions: str
    floats: Figures
    rows: tuple[DesignRow, ...]
    possible: int
    classes: int
    executed: int
    effect: Mapping[str, Mapping[str, float]]
    across: str = "worst"

    @property
    def front(self) -> tuple[DesignRow, ...]:
        """Designs that no other beats, the best by the first objective first."""
        name, way = next(iter(self.objectives.items()))
        sign = 1.0 if way == "min" else -1.0
        best = [row for row in self.rows if row.state == FRONT]
        return tuple(sorted(best, key=lambda row: sign * (row.figures.get(name) or 0.0)))

    @property
    def proved_share(self) -> float | None:
        """Share of designs with known answers that are proved, not executed."""
        known = [row for row in self.rows if row.proof]
        return sum(row.proof == "proved" for row in known) / len(known) if known else None

    @property
    def common_failure(self) -> str:
        """Why the first design fails, where all do; empty where one does not, or none is there.

        A design of which an objective is unknown fails too: nothing can be said of it.
        """
        rows = [row for row in self.rows if row.values]
        failed = [row.reason for row in rows if row.state in (FAILED, FAILS, UNKNOWN)]
        return failed[0] if failed and len(failed) == len(rows) else ""

    def row(self, number: int) -> DesignRow:
        """A design by its number.

        Raises:
            InputError: there is none.
        """
        for row in self.rows:
            if row.number == number:
                return row
        known = f"0 to {len(self.rows) - 1}" if self.rows else "time was over before the first"
        raise InputError(f"no design {number}", hint=known)

    def front_table(self, most: int) -> TableData:
        """The first designs of the front, and the target as it is above them."""
        rules = [name for name in self.constraints if name not in self.objectives]
        names = [*self.objectives, *rules]
        heads = ("design>", *self.knobs, *(f"{heading(name)}>" for name in names), "")
        shown = list(self.front[:most])
        if self.rows and self.rows[0].figures and self.rows[0].state != FRONT:
            shown.insert(0, self.rows[0])
        count = len(self.front)
        more = f"; {count - most} more in the files" if count > most else ""
        title = f"{count} design{'s' if count != 1 else ''} that no other beats{more}"
        return TableData(title, heads, tuple(_cells(row, self.knobs, names) for row in shown))

    def __repr__(self) -> str:
        models = ", ".join(map(visible, self.models))
        looked = sum(bool(row.values) for row in self.rows)
        counts = f"{looked:,} of {self.possible:,} designs, {len(self.front):,} on the front"
        return f"<StudyResult of {models}: {counts}>"

    def _repr_html_(self) -> str:
        table = self.front_table(len(self.front))
        lines = (self.conditions, f"{table.title}, of {self.possible:,}")
        plain = TableData("", table.headings, table.rows)
        return render_card(f"Study of {', '.join(self.models)}", lines, (plain,))

    def as_json(self) -> dict[str, Any]:
        """Plain data; numbers that JSON does not know are text."""
        return {
            "format": FORMAT,
            "xbarc": VERSION,
            "knobs": list(self.knobs),
            "objectives": dict(self.objectives),
            "constraints": dict(self.constraints),
            "models": list(self.models),
            "across": self.across,
            "conditions": self.conditions,
            "float": _plain(self.floats),
            "possible": self.possible,
            "classes": self.classes,
            "proved_share": self.proved_share,
            "effect": {name: _plain(one) for name, one in self.effect.items()},
            "designs": [_row_json(row) for row in self.rows],
        }

    def json_text(self) -> str:
        """The same as text."""
        return json.dumps(self.as_json(), indent=1, allow_nan=False) + "\n"

    def csv_text(self) -> str:
        """A line a design."""
        names = list(dict.fromkeys(name for row in self.rows for name in row.figures))
        head = ["design", *self.knobs, "state", "proof", "samples", *names, "reason"]
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(head)
        for row in self.rows:
            values = [row.values.get(name, "") for name in self.knobs]
            figures = ["" if row.figures.get(n) is None else row.figures[n] for n in names]
            writer.writerow(
                [row.number, *values, row.state, row.proof, row.samples, *figures, row.reason]
            )
        return out.getvalue()


def _cells(row: DesignRow, knobs: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    values = [str(row.values.get(name, "")) for name in knobs]
    figures = [figure_text(name, row.figures.get(name)) for name in names]
    return (str(row.number), *values, *figures, row.proof if row.values else "as it is")


def _row_json(row: DesignRow) -> dict[str, Any]:
    found = {
        name: value for name, value in vars(row).items() if name not in ("figures", "by_model")
    }
    found["values"] = dict(row.values)
    found["commands"] = list(row.commands)
    found["figures"] = _plain(row.figures)
    found["by_model"] = {name: _plain(one) for name, one in row.by_model.items()}
    return found


def _plain(figures: Mapping[str, float | None]) -> dict[str, Any]:
    return {
        name: value if value is None or math.isfinite(value) else str(value)
        for name, value in figures.items()
    }


def result_of(explorer: Explorer) -> StudyResult:
    """Gather what a run of a study found."""
    study, goals = explorer.study, explorer.goals
    items = list(explorer.candidates.values())
    number = {id(item): place for place, item in enumerate(items)}
    front = {id(item) for item in explorer.front()}
    rows = tuple(_row_of(explorer, item, number, front) for item in items)
    return StudyResult(
        knobs=tuple(knob.name for knob in explorer.knobs),
        objectives=dict(goals.objectives),
        constraints=dict(study.constraints),
        models=goals.models,
        conditions=_conditions_of(explorer),
        floats=_floats_of(explorer),
        rows=rows,
        possible=count_designs(explorer.knobs),
        classes=len(explorer.classes),
        executed=explorer.executed,
        effect=_effects_of(explorer, rows),
        across=goals.across,
    )


def _row_of(
    explorer: Explorer, item: TriedDesign, number: Mapping[int, int], front: set[int]
) -> DesignRow:
    each = explorer.figures_of(item)
    names = [name for name in known_figures() if name in _SHOWN or name in _asked(explorer)]
    shown = [{name: one.get(name) for name in names} for one in each]
    made = None if item.error else explorer.classes[item.key]
    own = made is not None and made.members[0] is item
    judged = made is not None and made.samples > 0 and not made.failed
    state, reason = _state_of(explorer, item, front)
    return DesignRow(
        number=number[id(item)],
        values=values_of(explorer.knobs, item.design) if item.design else {},
        figures=_joined(explorer, shown) if shown else {},
        state=state,
        reason=reason,
        proof=("measured" if own else "proved") if judged else "",
        because=_reason_of(explorer, item) if judged else "",
        answered_by=number[id(made.members[0])] if made is not None and judged else None,
        samples=made.samples if made is not None else 0,
        commands=tuple(recipe.command() for recipe in item.recipes),
        by_model=dict(zip(explorer.goals.models, shown, strict=True)) if len(shown) > 1 else {},
    )


def _reason_of(explorer: Explorer, item: TriedDesign) -> str:
    """Why a design is equal to others of its class, on each model."""
    proofs = [one.proof for one in item.priced]
    if len(proofs) == 1:
        return proofs[0]
    return "\n".join(f"{m}: {p}" for m, p in zip(explorer.goals.models, proofs, strict=True))


def _asked(explorer: Explorer) -> set[str]:
    goals = explorer.goals
    rules = {rule.figure for rule in goals.constraints}
    judged = set(JUDGED) if explorer.rungs else set()
    return {name for name, _ in goals.objectives} | rules | judged


def _state_of(explorer: Explorer, item: TriedDesign, front: set[int]) -> tuple[str, str]:
    if item.error or item.failed:
        lost = any(one.lost for one in item.priced)
        return (LATE if lost else FAILED if item.error else FAILS), item.error or item.failed
    if item.broken:
        return BROKEN, "; ".join(_broken_text(explorer, item, rule) for rule in item.broken)
    if id(item) in front:
        return FRONT, ""
    if explorer.is_whole(item):
        unknown = _unknown_of(explorer, item)
        return (UNKNOWN, unknown) if unknown else (BEATEN, "")
    if item.given_up:
        return GIVEN_UP, f"after {item.given_up} samples: {item.why_given_up}"
    return LATE, ""


def _broken_text(explorer: Explorer, item: TriedDesign, rule: str) -> str:
    """A rule that a design breaks, and why its figure is unknown where it is."""
    figure = rule.split(maxsplit=1)[0]
    why = _why_unknown(explorer, item, figure)
    return rule if why is None else f"{rule}: {figure} is unknown: {why}"


def _unknown_of(explorer: Explorer, item: TriedDesign) -> str:
    """Objectives that are unknown, each with the reason; such a design is on no front."""
    whys = {name: _why_unknown(explorer, item, name) for name, _ in explorer.goals.objectives}
    return "; ".join(f"{name} is unknown: {why}" for name, why in whys.items() if why is not None)


def _why_unknown(explorer: Explorer, item: TriedDesign, figure: str) -> str | None:
    """Why a figure is unknown, of the first model of which it is; None: it is known of all."""
    for one, priced in zip(explorer.figures_of(item), item.priced, strict=True):
        if one.get(figure) is None:
            return priced.unknown.get(figure) or _NO_ANSWER.get(figure, "")
    return None


def _joined(explorer: Explorer, each: Sequence[Figures]) -> Figures:
    """Figures of several models as one: worst in the direction of the objective, or the mean."""
    if len(each) == 1:
        return each[0]
    ways = dict(explorer.goals.objectives)
    mean = explorer.goals.across == "mean"
    found: dict[str, float | None] = {}
    for name in each[0]:
        values = [value for one in each if (value := one[name]) is not None]
        if len(values) < len(each):
            found[name] = None
        elif mean:
            found[name] = float(np.mean(values))
        else:
            more = ways.get(name, "max" if name in JUDGED else "min") == "max"
            found[name] = min(values) if more else max(values)
    return found


def _conditions_of(explorer: Explorer) -> str:
    study, search = explorer.study, explorer.study.search
    count = len(study.models)
    joined = "mean" if study.across == "mean" else "worst"
    figures = f"; figures are the {joined} of {count} models" if count > 1 else ""
    if not explorer.rungs:
        return f"costs only; no sample ran{figures}"
    text = (
        f"{say_count(explorer.rungs[-1], 'sample')} of {study.data}, drawn with seed {search.seed}"
    )
    if explorer.conditions.kinds:
        kinds = ", ".join(sorted(explorer.conditions.kinds))
        text += f"; {say_count(search.seeds, 'chip')} with {kinds}, seed {search.seed}"
    if study.data and study.calibrate and study.data.resolve() == study.calibrate.resolve():
        text += "; the same samples set ranges, which flatters accuracy"
    return text + figures


def _floats_of(explorer: Explorer) -> Figures:
    whole = [
        c for c in explorer.classes.values() if explorer.rungs and c.samples == explorer.rungs[-1]
    ]
    return _joined(explorer, [one.floats for one in whole[0].judged]) if whole else {}


def _figure_on(explorer: Explorer, item: TriedDesign, name: str, samples: int) -> float:
    """An accuracy on the first samples alone, joined over models."""
    each = [
        {name: float(one.right[name][:samples].mean())} for one in explorer.classes[item.key].judged
    ]
    value = _joined(explorer, each)[name]
    return math.nan if value is None else value


def _effects_of(explorer: Explorer, rows: Sequence[DesignRow]) -> dict[str, dict[str, float]]:
    """How far each knob moves each objective, on average over its choices.

    Accuracies are those on the samples that all designs answered: the ones that were given up early
    answered the first only, and those may be easier or harder than the rest.
    """
    pairs = zip(rows, explorer.candidates.values(), strict=True)
    known = [(row, item) for row, item in pairs if row.values]
    common = min((row.samples for row, _ in known if row.proof), default=0)
    found: dict[str, dict[str, float]] = {}
    for knob in explorer.knobs:
        own: dict[str, float] = {}
        for name, _ in explorer.goals.objectives:
            groups: dict[str, list[float]] = {}
            for row, item in known:
                value = row.figures.get(name)
                if name in BOUNDED and value is not None:
                    value = _figure_on(explorer, item, name, common)
                if value is not None and math.isfinite(value):
                    groups.setdefault(str(row.values[knob.name]), []).append(value)
            means = [float(np.mean(group)) for group in groups.values()]
            own[name] = max(means) - min(means) if len(means) > 1 else 0.0
        found[knob.name] = own
    return found
