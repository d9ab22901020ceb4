"""A comparison as a page: totals, components and layers of programs as pictures, side by side."""

from __future__ import annotations

from collections.abc import Sequence

from xbarc.report.model import Report
from xbarc.report.pages import Drawing, PageChapter, charts, page, render_chapters, render_contents
from xbarc.report.program_comparison.compare import ComparedRow, ProgramComparison
from xbarc.rows import TableData

# Totals that are drawn: what a reader asks first. The table has all of them.
_DRAWN = (
    ("energy per inference", "energy_uj"),
    ("area", "area_mm2"),
    ("latency", "latency_us"),
    ("inferences per second", "inferences_per_s"),
    ("efficiency", "tops_per_watt"),
    ("arrays", "arrays"),
)
# Layers of a drawing, those that take most: bounds the length of a page.
_MOST_LAYERS = 30


def render_comparison_html(comparison: ProgramComparison, reports: Sequence[Report]) -> str:
    """The whole comparison as one document.

    Args:
        comparison: of the reports.
        reports: in the order of the comparison.
    """
    chapters = _chapters(comparison, reports)
    title = " and ".join(dict.fromkeys(comparison.programs))
    named = tuple((str(i + 1), name) for i, name in enumerate(comparison.programs))
    head = (
        page.render_heading("Programs side by side", 1),
        page.table(TableData("", ("", "program"), named)),
    )
    main = "\n".join([*head, render_chapters(chapters)])
    split = f'<div class="split">{render_contents(chapters)}\n<main>\n{main}\n</main></div>'
    return page.page(title, page.fragment(split), script=True)


def _chapters(comparison: ProgramComparison, reports: Sequence[Report]) -> tuple[PageChapter, ...]:
    tables = {table.title.partition(",")[0]: table for table in comparison.tables()}
    stacks = [_stack(comparison, reports, what) for what in ("energy", "area")]
    layers = [_layers(comparison, field) for field in ("energy_uj", "latency_us")]
    return (
        PageChapter("Settings that differ", (), _known(tables, "Settings that differ")),
        PageChapter("Totals", [_totals(comparison)], _known(tables, "Totals")),
        PageChapter("Energy and area", [one for one in stacks if one.inline]),
        PageChapter("Layers", [one for one in layers if one.inline], _known(tables, "Layers")),
    )


def _known(tables: dict[str, TableData], name: str) -> list[TableData]:
    return [tables[name]] if name in tables else []


def _names(comparison: ProgramComparison) -> list[str]:
    return [f"{i + 1}: {name}" for i, name in enumerate(comparison.programs)]


def _totals(comparison: ProgramComparison) -> Drawing:
    rows = {row.name: row for row in comparison.totals}
    groups = [
        charts.Group(label, rows[field].values, "" if field == "arrays" else rows[field].unit)
        for label, field in _DRAWN
    ]
    title = "Totals, each to its own scale"
    return Drawing(title, charts.draw_groups(title, _names(comparison), groups, shared=False))


def _stack(comparison: ProgramComparison, reports: Sequence[Report], what: str) -> Drawing:
    energy = what == "energy"
    parts = [r.components.energy if energy else r.components.area for r in reports]
    # uJ of pJ, mm2 of um2: both are a millionth.
    sums = [
        {part.name: part.total / 1e6 for part in each if part.total is not None} for each in parts
    ]
    title, unit = ("Energy per inference", "uJ") if energy else ("Area", "mm2")
    stacks = list(zip(_names(comparison), sums, strict=True))
    unknown = [
        f"{part.name} of {name}"
        for name, each in zip(_names(comparison), parts, strict=True)
        for part in each
        if part.total is None and part.count
    ]
    named = charts.name_unknown(f"{title} by component", unknown)
    return Drawing(named, charts.draw_stacks(named, stacks, unit))


def _layers(comparison: ProgramComparison, field: str) -> Drawing:
    rows = [row for row in comparison.layers if row.name.endswith(f" {field}")]
    most = sorted(rows, key=lambda row: -max(_numbers(row), default=0.0))[:_MOST_LAYERS]
    kept = {id(row) for row in most}
    groups = [
        charts.Group(row.name.removesuffix(f" {field}"), row.values, row.unit)
        for row in rows
        if id(row) in kept
    ]
    title = {"energy_uj": "Energy of layers", "latency_us": "Latency of layers"}[field]
    return Drawing(title, charts.draw_groups(title, _names(comparison), groups))


def _numbers(row: ComparedRow) -> list[float]:
    return [value for value in row.values if value is not None]
