"""The answer to a study as one page that needs no network: front, designs, what each knob does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from xbarc.explore.answer import BEATEN, FRONT, DesignRow, StudyResult
from xbarc.explore.figures import JUDGED, SHARES, figure_text, heading, title_and_unit
from xbarc.pages import WebPage

_FOLDER = Path(__file__).parent

# Designs of the front that are compared model by model.
_COMPARED = 10


def render_page(result: StudyResult, title: str) -> str:
    """A whole HTML document.

    Args:
        result: the answer.
        title: of the page.
    """
    return WebPage(
        title=title,
        body=f"<main>\n{_body(result, title)}</main>\n",
        styles=(_FOLDER / "page.css",),
        scripts=(_FOLDER / "page.js",),
        data={"study": result.as_json(), "figures": _names_of(result)},
    ).render()


def _names_of(result: StudyResult) -> dict[str, dict[str, Any]]:
    """What the script calls each figure, and how it writes it."""
    names = {*result.objectives, *(name for row in result.rows for name in row.figures)}
    found = {}
    for name in sorted(names):
        title, unit = title_and_unit(name)
        symbol = unit.replace("u", "µ").replace("2", "²")
        found[name] = {
            "title": title,
            "unit": symbol,
            "infinite": figure_text(name, math.inf).replace("inf", "∞"),
            "share": name in SHARES,
            "judged": name in JUDGED,
        }
    return found


def _body(result: StudyResult, title: str) -> str:
    return "\n".join(
        [
            f"<h1>{escape(title)}</h1>",
            f'<p class="quiet">{escape(_question(result))}</p>',
            _facts(result),
            _PLOT,
            _LINES,
            _effect(result),
            _by_model(result),
            _TABLE,
            '<div id="tip"></div>',
            "",
        ]
    )


_PLOT = """<div class="split"><div>
<h2>The front</h2>
<p><label>across <select id="x"></select></label> <label>up <select id="y"></select></label>
<label>colour <select id="colour"><option value="state">front</option>
<option value="proof">proved</option></select></label>
<span class="key" style="background: var(--best)"></span>no other design beats it
<span class="key" style="background: var(--dot)"></span>all others</p>
<canvas id="plot" role="img" aria-label="designs as points; the table holds the same"></canvas>
</div><div id="card" aria-live="polite"></div></div>"""

_LINES = """<h2>All knobs at once</h2>
<p class="quiet">A line is a design, the front is orange. Drag along an axis to keep only the
designs there; double-click keeps all of them again.</p>
<canvas id="lines" role="img" aria-label="designs over knobs and objectives"></canvas>"""

_TABLE = """<h2>Designs</h2>
<p id="bounds"></p>
<p><label><input type="checkbox" id="only"> front only</label>
<span id="count" class="quiet"></span></p>
<div class="scroll"><table id="table"></table></div>"""


def _question(result: StudyResult) -> str:
    wanted = ", ".join(
        f"{'most' if way == 'max' else 'least'} {heading(name)}"
        for name, way in result.objectives.items()
    )
    rules = ", ".join(f"{name} {text}" for name, text in result.constraints.items())
    models = ", ".join(result.models)
    return f"{models}: {wanted}{'; where ' + rules if rules else ''}. {result.conditions}."


def _facts(result: StudyResult) -> str:
    looked = sum(bool(row.values) for row in result.rows)
    share = result.proved_share
    facts = [
        (f"{looked:,}", f"designs of {result.possible:,}"),
        (f"{len(result.front):,}", "on the front"),
        (f"{result.classes:,}", "classes of equal designs"),
    ]
    if share is not None:
        facts.append((f"{100 * share:.1f} %", "of known accuracies proved, not run"))
    facts += [
        (figure_text(name, value), f"{name} of the float model")
        for name, value in result.floats.items()
        if name == "top1" and value is not None
    ]
    items = "".join(f"<li><b>{escape(n)}</b>{escape(text)}</li>" for n, text in facts)
    return f'<ul class="facts">{items}</ul>'


def _effect(result: StudyResult) -> str:
    """How far each knob moves each objective."""
    names = list(result.objectives)
    most = {n: max((abs(e.get(n, 0.0)) for e in result.effect.values()), default=0) for n in names}
    head = "".join(f"<th>{escape(heading(name))}</th>" for name in names)
    rows = []
    for knob, moved in result.effect.items():
        cells = "".join(_bar(name, moved.get(name, 0.0), most[name]) for name in names)
        rows.append(f"<tr><td>{escape(knob)}</td>{cells}</tr>")
    return (
        "<h2>What each knob does</h2>"
        '<p class="quiet">Between the best and the worst choice of a knob, each averaged over all '
        "designs that have it; accuracies on the samples that all of them answered.</p>"
        f"<table><thead><tr><th>knob</th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _bar(name: str, value: float, most: float) -> str:
    width = round(90 * value / most) if most else 0
    text = f"{100 * value:.2f} points" if name in SHARES else f"{value:.4g}"
    return f'<td><span class="bar" style="width: {width}px"></span> {escape(text)}</td>'


def _by_model(result: StudyResult) -> str:
    """What one chip for all models costs each of them against the best design for it alone."""
    if len(result.models) < 2:
        return ""
    # One that was given up has answered a part of the samples, or breaks a rule for sure.
    known = [row for row in result.rows if row.by_model and row.state in (FRONT, BEATEN)]
    names = [name for name in result.objectives if any(name in r.figures for r in known)]
    lines = []
    for row in result.front[:_COMPARED]:
        for model in result.models:
            cells = "".join(f"<td>{_regret(known, row, model, n, result)}</td>" for n in names)
            lines.append(f"<tr><td>{row.number}</td><td>{escape(model)}</td>{cells}</tr>")
    head = "".join(f"<th>{escape(heading(name))}</th>" for name in names)
    return (
        "<h2>What one chip costs each model</h2>"
        '<p class="quiet">Figures on each model; in brackets, how far the best design for that '
        "model alone would be ahead, of those judged to the end.</p>"
        f"<table><thead><tr><th>design</th><th>model</th>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def _regret(
    known: list[DesignRow], row: DesignRow, model: str, name: str, result: StudyResult
) -> str:
    own: Mapping[str, float | None] = row.by_model[model]
    value = own.get(name)
    others = [v for one in known if (v := one.by_model[model].get(name)) is not None]
    if value is None or not others:
        return "-"
    best = max(others) if result.objectives[name] == "max" else min(others)
    if name in JUDGED:
        gap = (
            f"{100 * (best - value):.2f} points" if name != "sqnr_db" else f"{best - value:.2f} dB"
        )
    else:
        gap = f"{100 * (value / best - 1):.1f} %" if best else "-"
    return f"{escape(figure_text(name, value))} ({gap})"
