"""Every figure of a target: its source, its law, and what was done to it on the way here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from xbarc.cost import CostLaw, CostPart, law_of_costs, law_origin
from xbarc.report.section import Section
from xbarc.rows import Row, TableData, fact, table_of
from xbarc.target import Figure, FigureList, Provenance, Target, figures, law_of


def _values_text(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _scaling_text(row: SourceRow) -> str:
    """The factor between nodes, apart from the figure that it was put on."""
    if row.scale_factor is None:
        return ""
    figure = f"{row.scaled_from_value:g} {row.unit} at {row.scaled_from_nm:g} nm"
    return f"{figure} x {row.scale_factor:.4g} by node ({row.scale_source}); "


def _carrying_text(row: SourceRow) -> str:
    """The law that carried a figure to this array, apart from the figure that it was put on."""
    if row.given_value is None:
        return ""
    return f"{carried_words(row)} by {row.grows} (our model); "


def carried_words(row: SourceRow) -> str:
    """What a figure was where its source gives it, and what was done to it."""
    there = ", ".join(f"{name} {value:g}" for name, value in (row.given_for or {}).items())
    times = "" if row.carry_factor in (None, 1.0) else f" x {row.carry_factor:.4g}"
    # Lines of a smaller array settle sooner, so what is added may be negative.
    added = f" + {row.carry_added:.4g}".replace("+ -", "- ") if row.carry_added else ""
    return f"{row.given_value:g} {row.unit} given for {there}{times}{added}"


class SourceRow(Row, title="Figures"):
    """A figure of the target and where it comes from."""

    path: str = fact("dotted path of the figure in the target", head="figure")
    values: tuple[float, ...] = fact("the numbers, in `unit`", head="value>", text=_values_text)
    unit: str = fact("unit of the values", head="unit")
    source: str = fact("id of the source, or assumed", head="source")
    via: str = fact(
        "direct, code, quoted, derived, rebuilt, recalled, assumed: how it was taken",
        head="via",
        of=lambda row: row.via if row.confirmed else f"{row.via}, not confirmed",
    )
    confirmed: bool = fact("whether the figure was read in a source text")
    note: str = fact(
        "what a reader must know to use the figure",
        head="note",
        of=lambda row: f"{_scaling_text(row)}{_carrying_text(row)}{row.note}",
    )
    kind: str = fact("paper, survey, software, manual, digest; assumed")
    cite: str = fact("author, title, place, year; empty where assumed")
    url: str = fact("where to read it; may be empty")
    scaled_from_nm: float | None = fact(
        "node that the source gives the figure for, nm; null: the target's",
        default=None,
        later=True,
    )
    scaled_from_value: float | None = fact(
        "the figure there, in `unit`; null where it was not scaled", default=None, later=True
    )
    scale_factor: float | None = fact(
        "how many times that the figure is; null where it was not scaled", default=None, later=True
    )
    scale_source: str = fact("id of the factor's source; may be empty", default="", later=True)
    scale_cite: str = fact("author, title, place, year of that", default="", later=True)
    scale_url: str = fact("where to read that", default="", later=True)
    per: str = fact(
        "what a figure of a cost is given per; empty for other figures", default="", later=True
    )
    grows: str = fact(
        "law by which it grows with the array, our model; empty as `per`", default="", later=True
    )
    why: str = fact(
        "a remark on the law: why this one, why no more; may be empty", default="", later=True
    )
    given_for: dict[str, float] | None = fact(
        "what differs in the array that the source gives the figure for; null: nothing "
        "that matters to the law. Units are those of the target's fields",
        default=None,
        later=True,
    )
    given_value: float | None = fact(
        "the figure there, in `unit`; null where nothing differs", default=None, later=True
    )
    carry_factor: float | None = fact(
        "how many times that the figure is; null where nothing differs", default=None, later=True
    )
    carry_added: float | None = fact(
        "what is added then, in `unit`; null where nothing differs", default=None, later=True
    )


def source_rows(target: Target) -> tuple[SourceRow, ...]:
    """Every figure of a target with the text that it comes from."""
    law = law_of_costs(target)
    rows = tuple(_source_row(path, figure, target) for path, figure in figures(target))
    # The target's own figures of converters are left out of `figures` then: no row shows a number
    # that did not count.
    return rows if law is None else (*rows, _law_row(law))


def _law_row(law: CostLaw) -> SourceRow:
    """Stands in place of the target's figures of converters."""
    return SourceRow(
        path="costs.adc",
        values=(),
        unit="",
        source=law.name,
        via="code",
        confirmed=False,
        note="energy, area and time of converters by their width: a cost law, not the target's",
        kind="software",
        cite=law_origin(law),
        url="",
    )


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


def sources_of(parts: Iterable[CostPart], sources: Sequence[SourceRow]) -> tuple[SourceRow, ...]:
    """The figures that parts are counted with, in the order of the target."""
    figures = {part.figure for part in parts}
    return tuple(row for row in sources if any(_counts_with(figure, row) for figure in figures))


def _counts_with(figure: str, row: SourceRow) -> bool:
    if figure == f"cost law {row.source}":
        return row.path == "costs.adc"
    # `costs.adc.energy_*` stands for all figures of the converter's law.
    stem = figure.removesuffix("*")
    return row.path.startswith(stem) if stem != figure else row.path == figure


def source_tables(sources: Sequence[SourceRow]) -> tuple[TableData, ...]:
    """Every figure with the text it comes from, then the laws."""
    return table_of(SourceRow, sources), laws_table(sources)


def carried_table(sources: Sequence[SourceRow]) -> TableData:
    """The figures that were given for another array, and what was done to them."""
    rows = tuple(
        (row.path, f"{row.values[0]:.4g}", row.unit, carried_words(row), row.grows)
        for row in sources
        if row.given_value is not None
    )
    headings = ("figure", "value>", "unit", "how it came about", "grows with")
    return TableData("Given for another array, carried to this one (our model)", headings, rows)


def laws_table(sources: Sequence[SourceRow]) -> TableData:
    """What each cost figure is given per, and how it grows with the array."""
    rows = tuple((row.path, row.per, row.grows, row.why) for row in sources if row.per)
    headings = ("figure", "per", "grows with", "remark")
    return TableData("How figures grow with the array (our model)", headings, rows)


def citation_table(sources: Sequence[SourceRow]) -> TableData:
    """The texts that are cited."""
    return TableData("Sources", ("id", "text", "address"), citations(sources))


def citations(sources: Sequence[SourceRow]) -> tuple[tuple[str, str, str], ...]:
    """Each cited source once: id, citation, address."""
    cited = {row.source: (row.source, row.cite, row.url) for row in sources if row.cite}
    # The factor between two nodes has a source of its own, which deserves its place in the list.
    cited |= {
        row.scale_source: (row.scale_source, row.scale_cite, row.scale_url)
        for row in sources
        if row.scale_source
    }
    return tuple(cited[name] for name in sorted(cited))


SOURCES = Section(lambda subject: source_rows(subject.target), source_tables, chapter="Sources")
