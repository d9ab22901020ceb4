"""The report as plain values, without a clock: the same program gives the same bytes.

Units end the names. A number that cannot be known is None, and `totals.unknown` says why. Each
section is gathered and shown by a file of its own; its field here puts it into every format.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from xbarc.cost import AdcOpinion, Estimate, LeftOut, reported_settings
from xbarc.ir import FrontPoint, RowsPoint
from xbarc.report.document import Document
from xbarc.report.pages import bars, page, pictures
from xbarc.report.section import Section, Subject, reading_order, section, sections_of
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
    citation_table,
    totals_table,
)
from xbarc.rows import Row, Rows, Shown, TableData, fact
from xbarc.target import describe


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
        "is charged for the interval",
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

    def totals_table(self) -> TableData:
        """Totals, each with the reason where it is unknown."""
        return totals_table(self.totals, self.left_out, self.chip, self.schedule)

    def tables(self) -> tuple[TableData, ...]:
        """Every table that has rows, in reading order."""
        sections = sections_of(type(self))
        # Not by its section: totals are shown with reasons that other sections hold.
        found = [self.totals_table()]
        for name in reading_order(sections):
            found += sections[name].tables(getattr(self, name))
        return tuple(table for table in found if table.rows)

    def pictures(self) -> tuple[str, ...]:
        """Every drawing as SVG, with its heading."""
        return pictures(self.layers, self.components, self.schedule, self.totals, self.chip)

    # Jupyter asks for this name; the HTML format writes the same fragment, so a notebook shows what
    # the file has.
    def _repr_html_(self) -> str:
        totals, *rest = self.tables()
        return page.fragment(
            page.render_heading(f"{self.name} on {self.target.name}", 1),
            page.paragraph(f"{self.target.description} ({self.target.origin})", quiet=True),
            page.paragraph(f"Settings: {self.settings_line}", quiet=True),
            page.table(totals),
            *self.pictures(),
            *bars(self.layers, self.components),
            *(page.table(table) for table in rest),
            page.table(citation_table(self.sources)),
            page.render_heading("Notes"),
            page.bullets(self.notes),
        )
