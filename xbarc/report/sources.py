"""Every figure of a target: its source, its law, and what was done to it on the way here."""

from __future__ import annotations

from typing import Any

from xbarc.report.chip_rows import SourceRow
from xbarc.target import Figure, FigureList, Provenance, Target, figures, law_of


def source_rows(target: Target) -> tuple[SourceRow, ...]:
    """Every figure of a target with the text that it comes from."""
    return tuple(_source_row(path, figure, target) for path, figure in figures(target))


def _source_row(path: str, figure: Provenance, target: Target) -> SourceRow:
    source = target.sources.get(figure.source)
    was = figure.scaled if isinstance(figure, Figure) else None
    law = target.sources.get(was.source) if was else None
    return SourceRow(
        path=path,
        values=_values(figure),
        unit=figure.unit,
        source=figure.source,
        via=figure.via,
        confirmed=figure.confirmed,
        note=figure.note,
        kind=source.kind if source else "assumed",
        cite=source.cite if source else "",
        url=source.url if source else "",
        scaled_from_nm=was.from_nm if was else None,
        scaled_from_value=was.value if was else None,
        scale_factor=was.factor if was else None,
        scale_source=was.source if was else "",
        scale_cite=law.cite if law else "",
        scale_url=law.url if law else "",
        **_growth(path, figure, target),
    )


def _growth(path: str, figure: Provenance, target: Target) -> dict[str, Any]:
    """What a figure is given per, its law, and what carried it to the target's array."""
    law = law_of(target, path, figure)
    was = figure.carried if isinstance(figure, Figure) else None
    if law is None:
        return {}
    found = {"per": law.per, "grows": str(law), "why": law.why}
    if was is None:
        return found
    return {
        **found,
        "given_for": was.given_for.entries(),
        "given_value": was.value,
        "carry_factor": was.factor,
        "carry_added": was.added,
    }


def _values(figure: Provenance) -> tuple[float, ...]:
    if isinstance(figure, FigureList):
        return figure.values
    return (figure.value,) if isinstance(figure, Figure) else ()
