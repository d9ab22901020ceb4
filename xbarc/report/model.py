"""The report as plain values, without a clock: the same program gives the same bytes.

Units end the names. A number that cannot be known is None, and `totals.unknown` says why. Each
section is gathered and shown by a file of its own; its field here puts it into every format.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

from pydantic import Field

from xbarc.cost import AdcOpinion, Estimate, LeftOut, reported_settings
from xbarc.errors import visible
from xbarc.ir import FrontPoint, RowsPoint
from xbarc.report.document import Document
from xbarc.report.pages import (
    Drawing,
    DrawingName,
    FoldedTables,
    PageChapter,
    draw,
    drawings_of,
    key_figures,
    page,
    render_chapters,
)
from xbarc.report.records import TableName, frame_of
from xbarc.report.section import Chapter, Section, Subject, reading_order, section, sections_of
from xbarc.report.sections import (
    ACTIVE_ROWS,
    ADC_MODELS,
    CHIP,
    COMPONENTS,
    CONVERTERS,
    DEVICE,
    DIGITAL,
    FACTS,
    FRONT,
    LAYERS,
    OPERANDS,
    SCHEDULE,
    SOLVER,
    SOURCES,
    TOTALS,
    ChipRow,
    Components,
    ConverterRow,
    DigitalRow,
    FactsRow,
    LayerRow,
    OperandsRow,
    ScheduleRow,
    SolverRow,
    SourceRow,
    Totals,
    TotalsContext,
    citation_table,
    key_lines,
    totals_table,
    unknown_table,
)
from xbarc.rows import Row, Rows, Shown, TableData, fact, number
from xbarc.target import describe

if TYPE_CHECKING:
    import pandas

_OPEN = ("Energy and area", "Layers", "Schedule")
"""Chapters that a reader sees at first; the others are folded."""
_DRAWN_IN: dict[str, tuple[DrawingName, ...]] = {
    "Energy and area": ("energy", "area", "layers"),
    "Layers": ("utilisation",),
    "Schedule": ("schedule", "roofline"),
    "Converters": ("adc-bits",),
}
"""Drawings by the chapter that has their numbers."""


def _energy_text(row: LayerRow) -> str:
    return "" if row.energy_uj is None else f"{number(row.energy_uj)} uJ, "


class TargetRow(Row):
    """What the program was compiled for."""

    name: str = fact("name of the target")
    description: str = fact("one sentence about the target")
    kind: str = fact("silicon, modelled or assumed: how its figures came about")
    technology: str = fact("memory cell, such as rram-1t1r")
    node_nm: int = fact("technology node of the costs, nm")

    @property
    def origin(self) -> str:
        """How its figures came about, node and cell."""
        return f"{self.kind}, {self.node_nm} nm, {self.technology}"


def _target_row(subject: Subject) -> TargetRow:
    target = subject.target
    return TargetRow(
        name=target.name,
        description=describe(target),
        kind=target.kind,
        technology=target.cell.technology,
        node_nm=target.node_nm,
    )


class Report(Document):
    """Counts, costs and sources of a program."""

    format: Literal[3] = Field(
        default=3,
        description="1: the first one; 2: schedule, copies, bands and models beside; 3: 0 bits are "
        "no conversion, totals count what can be counted beside `left_out`, and what is always on "
        "is charged for the interval; later, layers and fragments with their components",
    )
    name: str = section("name of the program", Section(lambda subject: subject.program.name))
    model_sha256: str = section(
        "digest of the model and its external data, SHA-256 in hex",
        Section(lambda subject: subject.program.source.sha256),
    )
    target: Shown[TargetRow] = section("what the program was compiled for", Section(_target_row))
    settings: dict[str, str] = section(
        "what the compiler was told, by name",
        Section(lambda subject: reported_settings(subject.program)),
    )
    totals: Shown[Totals] = section(
        "the whole program, one inference, but for what `left_out` names", TOTALS
    )
    left_out: Rows[LeftOut] = section(
        "work that no total holds; empty where everything is counted",
        Section(lambda subject: subject.cost.left_out),
        default=(),
    )
    layers: Rows[LayerRow] = section("layers on crossbars, in execution order", LAYERS)
    digital: Rows[DigitalRow] = section("fragments that stay digital, in execution order", DIGITAL)
    converters: Rows[ConverterRow] = section(
        "converters under several rules, by layer and in all", CONVERTERS, default=()
    )
    front: Rows[FrontPoint] = section(
        "energy against error of converter bits; empty without a budget", FRONT, default=()
    )
    facts: Rows[FactsRow] = section(
        "layers of whose inputs something is known whatever the network reads", FACTS, default=()
    )
    rows: Rows[RowsPoint] = section(
        "choices of rows driven at a time; empty without --adc-savings rows",
        ACTIVE_ROWS,
        default=(),
    )
    solver: Rows[SolverRow] = section(
        "stages that a solver decided, with what it proved", SOLVER, default=()
    )
    components: Shown[Components] = section("the parts of every total", COMPONENTS)
    schedule: Shown[ScheduleRow] | None = section(
        "when each layer works; null where a shape is not known", SCHEDULE
    )
    operands: Shown[OperandsRow] | None = section(
        "energy from operands; null where no data was given", OPERANDS, default=None
    )
    adc_models: Rows[AdcOpinion] = section(
        "converters in use by several models, the target's own first", ADC_MODELS
    )
    chip: Shown[ChipRow] = section("one whole chip of the target", CHIP)
    device: Rows[Estimate] = section(
        "estimates of devices; `xbarc check --effects` executes the effects themselves", DEVICE
    )
    sources: Rows[SourceRow] = section("every figure of the target with its source", SOURCES)
    notes: tuple[str, ...] = Field(description="what the model leaves out")

    @property
    def settings_line(self) -> str:
        """What the compiler was told; values may hold commas."""
        return "; ".join(f"{name} = {value}" for name, value in self.settings.items()) or "defaults"

    def __repr__(self) -> str:
        return f"<Report of {visible(self.name)} on {visible(self.target.name)}>"

    __str__ = __repr__  # pydantic's own would print every row

    @property
    def _totals_context(self) -> TotalsContext:
        return TotalsContext(self.totals, self.left_out, self.chip, self.schedule, self.components)

    def totals_table(self) -> TableData:
        """Totals that are known, each with what limits it."""
        return totals_table(self._totals_context)

    def unknown_table(self) -> TableData:
        """Totals that are not known, each with the reason."""
        return unknown_table(self._totals_context)

    def tables(self) -> tuple[TableData, ...]:
        """Every table that has rows, in reading order; what is not known comes last."""
        sections = sections_of(type(self))
        # Not by its section: totals are shown with what other sections hold.
        found = [self.totals_table()]
        for name in reading_order(sections):
            found += sections[name].tables(getattr(self, name))
        return tuple(table for table in (*found, self.unknown_table()) if table.rows)

    def chapters(self) -> tuple[PageChapter, ...]:
        """The chapters of a page: drawings beside the tables that have their numbers."""
        sections, drawn = sections_of(type(self)), drawings_of(self)
        found: dict[str, list[TableData]] = {name: [] for name in get_args(Chapter)}
        for name in reading_order(sections):
            tables = sections[name].tables(getattr(self, name))
            found[sections[name].chapter] += [table for table in tables if table.rows]
        found["Sources"] += [citation_table(self.sources)]
        own = (
            PageChapter(
                title,
                [drawn[name] for name in _DRAWN_IN.get(title, ()) if name in drawn],
                tables,
                is_open=title in _OPEN,
                folded=self._layer_parts() if title == "Layers" else (),
            )
            for title, tables in found.items()
        )
        unknown = [table for table in [self.unknown_table()] if table.rows]
        return (
            # The first ones stand in boxes above.
            PageChapter("Further totals", (), [totals_table(self._totals_context, whole=False)]),
            *own,
            PageChapter("Notes", (), (), self.notes),
            PageChapter("Not known", (), unknown),
        )

    def _layer_parts(self) -> tuple[FoldedTables, ...]:
        """Of each layer its energy and area by component."""
        return tuple(
            FoldedTables(
                f"{row.name} by component: {_energy_text(row)}{number(row.area_mm2)} mm2",
                [table for table in COMPONENTS.tables(row.components) if table.rows],
            )
            for row in self.layers
            if row.components is not None
        )

    def key_figures(self) -> str:
        """What a reader asks first, as HTML: each total with what limits it."""
        known = (
            line
            for line in key_lines(self._totals_context)
            if line.field not in self.totals.unknown
        )
        return key_figures(
            [(one.label, f"{one.value} {one.unit}".strip(), one.remark) for one in known]
        )

    def headline(self) -> tuple[tuple[str, str, str], ...]:
        """Energy, area, latency and rate: name, value and unit of those that are known."""
        lines = key_lines(self._totals_context)[:4]
        known = (line for line in lines if line.field not in self.totals.unknown)
        return tuple((line.label, line.value, line.unit) for line in known)

    def heading(self) -> tuple[str, ...]:
        """What the report is of, as HTML."""
        return (
            page.render_heading(f"{self.name} on {self.target.name}", 1),
            page.paragraph(f"{self.target.description} ({self.target.origin})", quiet=True),
            page.paragraph(f"Settings: {self.settings_line}", quiet=True),
        )

    def plot(self, kind: DrawingName = "energy") -> Drawing:
        """A drawing of the report; a notebook shows it, `save` writes it as SVG.

        Args:
            kind: which one.

        Raises:
            InputError: there is no such drawing, or the report has nothing to draw.
        """
        return draw(kind, self)

    def to_frame(self, table: TableName = "layers") -> pandas.DataFrame:
        """A table of the report as a data frame: a line per row, a column per fact.

        Columns are those of the CSV and of `report.json`; units end their names.

        Args:
            table: which one; `energy` and `area` hold components, `totals` is one line.

        Raises:
            InputError: pandas is not installed, or there is no such table.
        """
        plan = self.schedule
        return frame_of(
            {
                "layers": self.layers,
                "digital": self.digital,
                "energy": self.components.energy,
                "area": self.components.area,
                "schedule": () if plan is None else plan.layers,
                "sources": self.sources,
                "totals": (self.totals,),
            },
            table,
        )

    # Jupyter asks for this name. It has what the HTML format has, most of it folded, without
    # contents and without a script, which notebooks do not run.
    def _repr_html_(self) -> str:
        # Parts of layers are left out: of fifty layers they are longer than all the rest.
        folded = [
            replace(each, is_open=each.title == "Layers", folded=()) for each in self.chapters()
        ]
        return page.fragment(*self.heading(), self.key_figures(), render_chapters(folded))
