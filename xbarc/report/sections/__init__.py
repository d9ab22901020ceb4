"""The sections of a report, a file each: its rows, how they are gathered, its tables and notes."""

from xbarc.report.sections.active_rows import ACTIVE_ROWS
from xbarc.report.sections.components import COMPONENTS, UM2_PER_MM2, Components, parts_table
from xbarc.report.sections.converters import ADC_MODELS, CONVERTERS, FRONT, ConverterRow
from xbarc.report.sections.devices import DEVICE
from xbarc.report.sections.digital import DIGITAL, DigitalRow, plain_line, stayed_table
from xbarc.report.sections.full_chip import CHIP, ChipRow, LevelRow, level_rows
from xbarc.report.sections.input_ranges import FACTS, FactsRow
from xbarc.report.sections.layers import (
    LAYERS,
    AdcRow,
    LayerRow,
    activation_range,
    adc_row,
    chosen_table,
    layers_table,
    placement_table,
)
from xbarc.report.sections.operands import OPERANDS, OperandsRow
from xbarc.report.sections.schedule import SCHEDULE, ScheduleRow
from xbarc.report.sections.solver import SOLVER, SolverRow
from xbarc.report.sections.sources import (
    SOURCES,
    SourceRow,
    carried_table,
    citation_table,
    citations,
    source_rows,
    source_tables,
    sources_of,
)
from xbarc.report.sections.totals import TOTALS, Totals
from xbarc.report.sections.totals_tables import (
    TotalLine,
    TotalsContext,
    key_lines,
    largest_part,
    totals_table,
    unknown_table,
)

__all__ = [
    "ACTIVE_ROWS",
    "ADC_MODELS",
    "CHIP",
    "COMPONENTS",
    "CONVERTERS",
    "DEVICE",
    "DIGITAL",
    "FACTS",
    "FRONT",
    "LAYERS",
    "OPERANDS",
    "SCHEDULE",
    "SOLVER",
    "SOURCES",
    "TOTALS",
    "UM2_PER_MM2",
    "AdcRow",
    "ChipRow",
    "Components",
    "ConverterRow",
    "DigitalRow",
    "FactsRow",
    "LayerRow",
    "LevelRow",
    "OperandsRow",
    "ScheduleRow",
    "SolverRow",
    "SourceRow",
    "TotalLine",
    "Totals",
    "TotalsContext",
    "activation_range",
    "adc_row",
    "carried_table",
    "chosen_table",
    "citation_table",
    "citations",
    "key_lines",
    "largest_part",
    "layers_table",
    "level_rows",
    "parts_table",
    "placement_table",
    "plain_line",
    "source_rows",
    "source_tables",
    "sources_of",
    "stayed_table",
    "totals_table",
    "unknown_table",
]
