"""Tables of figures and of the texts that they come from."""

from __future__ import annotations

from collections.abc import Sequence

from xbarc.report.chip_rows import SourceRow
from xbarc.report.table import TableData


def sources_table(sources: Sequence[SourceRow]) -> TableData:
    """Every figure with the text it comes from."""
    rows = (
        (
            row.path,
            ", ".join(f"{value:g}" for value in row.values),
            row.unit,
            row.source,
            row.via if row.confirmed else f"{row.via}, not confirmed",
            f"{_scaling(row)}{row.note}",
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


def citations(sources: Sequence[SourceRow]) -> tuple[tuple[str, str, str], ...]:
    """Each cited source once: id, citation, address."""
    cited = {row.source: (row.source, row.cite, row.url) for row in sources if row.cite}
    cited |= {
        row.scale_source: (row.scale_source, row.scale_cite, row.scale_url)
        for row in sources
        if row.scale_source
    }
    return tuple(cited[name] for name in sorted(cited))
