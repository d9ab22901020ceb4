"""Tables of figures and of the texts that they come from."""

from __future__ import annotations

from collections.abc import Sequence

from xbarc.report.chip_rows import SourceRow
from xbarc.rows.table import TableData


def sources_table(sources: Sequence[SourceRow]) -> TableData:
    """Every figure with the text it comes from."""
    rows = (
        (
            row.path,
            ", ".join(f"{value:g}" for value in row.values),
            row.unit,
            row.source,
            row.via if row.confirmed else f"{row.via}, not confirmed",
            f"{_scaling(row)}{_carrying(row)}{row.note}",
        )
        for row in sources
    )
    return TableData("Figures", ("figure", "value>", "unit", "source", "via", "note"), tuple(rows))


def _scaling(row: SourceRow) -> str:
    """The factor between nodes, apart from the figure that it was put on."""
    if row.scale_factor is None:
        return ""
    figure = f"{row.scaled_from_value:g} {row.unit} at {row.scaled_from_nm:g} nm"
    return f"{figure} x {row.scale_factor:.4g} by node ({row.scale_source}); "


def _carrying(row: SourceRow) -> str:
    """The law that carried a figure to this array, apart from the figure that it was put on."""
    if row.given_value is None:
        return ""
    return f"{carried_words(row)} by {row.grows} (our model); "


def carried_words(row: SourceRow) -> str:
    """What a figure was where its source gives it, and what was done to it."""
    there = ", ".join(f"{name} {value:g}" for name, value in (row.given_for or {}).items())
    times = "" if row.carry_factor in (None, 1.0) else f" x {row.carry_factor:.4g}"
    added = f" + {row.carry_added:.4g}".replace("+ -", "- ") if row.carry_added else ""
    return f"{row.given_value:g} {row.unit} given for {there}{times}{added}"


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


def citations(sources: Sequence[SourceRow]) -> tuple[tuple[str, str, str], ...]:
    """Each cited source once: id, citation, address."""
    cited = {row.source: (row.source, row.cite, row.url) for row in sources if row.cite}
    cited |= {
        row.scale_source: (row.scale_source, row.scale_cite, row.scale_url)
        for row in sources
        if row.scale_source
    }
    return tuple(cited[name] for name in sorted(cited))
