"""The tables of a report as headings and cells, which the text and HTML renderers both print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xbarc.cost import CostPart, Estimate, LayerSchedule, PathPart
from xbarc.cost.adc_models import AdcOpinion
from xbarc.ir.choices import Candidate
from xbarc.ir.front import FrontPoint
from xbarc.report.active_rows import rows_table
from xbarc.report.cited import laws_table, sources_table
from xbarc.report.facts import facts_table
from xbarc.report.fits import fit_table
from xbarc.report.solver import solver_table
from xbarc.rows.format import histogram, number, operators, percent
from xbarc.rows.table import TableData, cells, headings, table_of

if TYPE_CHECKING:  # Report prints itself through this file
    from xbarc.report.chip_rows import LevelRow
    from xbarc.report.model import DigitalRow, LayerRow, Report, ScheduleRow


_OF_CONVERTERS = ("bits", "model", "energy_pj", "area_um2", "node_factor", "source")
_NAMED = 3
"""Names that a line shows at most."""

_MEASURES = {
    "output": "error: of the products, held-back samples",
    "weight": "error: of the weights",
    "none": "no error",
}


def report_tables(report: Report) -> tuple[TableData, ...]:
    """Every table of a report, in reading order."""
    parts, plan = report.components, report.schedule
    tables = (
        totals_table(report),
        layers_table(report.layers),
        placement_table(report.layers),
        candidates_table(report.layers),
        fit_table(report.layers),
        converters_table(report),
        table_of(FrontPoint, report.front),
        facts_table(report.facts),
        rows_table(report.rows),
        solver_table(report.solver),
        *(() if plan is None else (schedule_table(plan), table_of(PathPart, plan.path))),
        digital_table(report),
        parts_table("Area by component", parts.area),
        parts_table("Energy of one inference by component", parts.energy),
        operands_table(report),
        table_of(AdcOpinion, report.adc_models, _OF_CONVERTERS),
        parts_table("One whole chip, converters at their widest", report.chip.parts),
        levels_table(report.chip.levels),
        table_of(Estimate, report.device),
        sources_table(report.sources),
        laws_table(report.sources),
    )
    return tuple(table for table in tables if table.rows)


def settings_line(report: Report) -> str:
    """What the compiler was told; values may hold commas."""
    return "; ".join(f"{name} = {value}" for name, value in report.settings.items()) or "defaults"


def totals_table(report: Report) -> TableData:
    """Totals, each with the reason where it is unknown."""
    totals = report.totals
    room = f"{_fits(report)} of {number(report.chip.arrays)} arrays"
    rows: tuple[tuple[str, ...], ...] = (
        ("arrays", number(totals.arrays), room),
        ("arrays of one copy of everything", number(totals.arrays_once), _policy(report)),
        ("arrays without packing", number(totals.arrays_without_packing), "one a block"),
        ("macros, tiles, chips", _joined(totals.macros, totals.tiles, totals.chips), ""),
        ("cells in use", number(totals.cells), f"{percent(totals.cell_utilization)} of the arrays"),
        ("converters", number(totals.adcs), f"{number(totals.adc_settings)} settings"),
        _row(report, "MACs on crossbars", "macs_crossbar", ""),
        _row(report, "MACs digital", "macs_digital", ""),
        _row(report, "conversions", "conversions", ""),
        _row(report, "area", "area_mm2", f"mm2{_band(totals.area_low_mm2, totals.area_high_mm2)}"),
        ("area from figures that were read", percent(totals.area_confirmed), ""),
        _row(report, "energy of one inference", "energy_uj", f"uJ{_energy_band(report)}"),
        _row(report, "energy of a single one", "energy_alone_uj", "uJ, what is on for its latency"),
        ("energy from figures that were read", percent(totals.energy_confirmed), ""),
        _row(report, "energy of programming", "write_energy_uj", "uJ"),
        _row(report, "time of programming", "write_time_us", "us"),
        _row(report, "endurance of cells", "writes_borne", "times"),
        _row(report, "latency of one inference", "latency_us", "us"),
        _row(report, "time of digital work", "digital_time_us", "us, in the latency"),
        _row(report, "inferences a second", "inferences_per_s", "pipelined"),
        _row(report, "efficiency", "tops_per_watt", "TOPS/W"),
    )
    left = report.left_out
    if left:
        names = ", ".join(dict.fromkeys(row.name for row in left[:_NAMED]))
        rows = (*rows, ("left out of the totals", number(len(left)), f"{names}: see the notes"))
    return TableData("Totals", ("total", "value>", ""), rows)


def _fits(report: Report) -> str:
    missing = report.totals.arrays_missing
    return f"{number(missing)} more than the one chip" if missing else "fits one chip"


def _policy(report: Report) -> str:
    plan = report.schedule
    return "" if plan is None else f"--duplicate {plan.duplicate}"


def _energy_band(report: Report) -> str:
    return _band(report.totals.energy_low_uj, report.totals.energy_high_uj)


def _band(low: float | None, high: float | None) -> str:
    if low is None or high is None or low == high:
        return ""
    return f"; {number(low)} to {number(high)} by other sources"


def _row(report: Report, label: str, field: str, unit: str) -> tuple[str, ...]:
    reason = report.totals.unknown.get(field)
    return (label, number(getattr(report.totals, field)), unit if reason is None else reason)


def _joined(*values: int) -> str:
    return ", ".join(number(value) for value in values)


def layers_table(layers: Sequence[LayerRow]) -> TableData:
    """What each layer costs."""
    what = ("layer", "operator", "matrix>", "groups>", "positions>", "arrays>", "conversions>")
    headings = (*what, "energy uJ>", "latency us>", "area mm2>")
    rows = (
        (
            row.name,
            row.operator,
            f"{row.inputs} x {row.outputs}",
            number(row.groups),
            number(row.positions),
            number(row.arrays),
            number(row.conversions),
            number(row.energy_uj),
            number(row.latency_us),
            number(row.area_mm2),
        )
        for row in layers
    )
    return TableData("Layers on crossbars", headings, tuple(rows))


def placement_table(layers: Sequence[LayerRow]) -> TableData:
    """How each layer sits on its arrays."""
    what = ("layer", "encoding", "weight>", "input>", "range", "blocks>", "used>", "ADC bits>")
    headings = (*what, "conversions of one vector by ADC bits", "cycle ns>", "limit")
    rows = (
        (
            row.name,
            row.encoding,
            f"{row.weight_bits} bit / {row.weight_slices}",
            f"{row.input_bits} bit / {row.input_slices}",
            row.activation_range,
            number(row.blocks),
            percent(row.utilization),
            f"{row.adc.min_bits} / {row.adc.mean_bits:.3g} / {row.adc.max_bits}",
            histogram(row.adc.histogram),
            number(row.timing.cycle_ns),
            row.timing.limit,
        )
        for row in layers
    )
    return TableData(
        "Placement (bits / slices; least, mean and most ADC bits)", headings, tuple(rows)
    )


def converters_table(report: Report) -> TableData:
    """Widths by several rules; the last rows are sums."""
    rows = (
        (
            row.layer,
            row.rule,
            f"{row.mean_bits:.2f}",
            f"{row.mean_levels:.1f}",
            number(row.energy_uj),
            histogram(row.histogram),
        )
        for row in report.converters
    )
    headings = ("layer", "rule", "mean b>", "mean 2^b>", "energy uJ>", "conversions by ADC bits")
    return TableData("Converters, as set and by other rules", headings, tuple(rows))


def schedule_table(plan: ScheduleRow) -> TableData:
    """When each layer works."""
    total = f"; arrays work {percent(plan.utilization)} of the time at full rate"
    limit = f"{plan.bottleneck} limits the rate to an inference every {number(plan.interval_us)} us"
    title = f"Schedule of one inference: {limit}{total}"
    return table_of(LayerSchedule, plan.layers, title=title)


def operands_table(report: Report) -> TableData:
    """Energies by data beside the constant ones."""
    seen = report.operands
    rows = (
        ()
        if seen is None
        else tuple(
            (
                row.name,
                percent(row.driven),
                percent(row.mean_level),
                number(row.array_uj),
                number(row.array_constant_uj),
                number(row.driver_uj),
                number(row.driver_constant_uj),
            )
            for row in seen.layers
        )
    )
    whole = "" if seen is None else f"; one inference: {number(seen.energy_uj)} uJ"
    headings = ("layer", "lines driven>", "mean level>", "array uJ>", "constant>", "driver uJ>")
    return TableData(f"Energies by data{whole}", (*headings, "constant>"), rows)


def levels_table(levels: Sequence[LevelRow]) -> TableData:
    """The target's chip at full load."""
    rows = (
        (
            row.level,
            number(row.power_mw),
            number(row.area_mm2),
            number(row.gops),
            number(row.capacity_mib),
            number(row.vector_ns),
        )
        for row in levels
    )
    headings = ("level", "mW>", "mm2>", "GOPS>", "MiB>", "vector ns>")
    return TableData("The target at full load", headings, tuple(rows))


def chosen_table(layers: Sequence[LayerRow]) -> TableData:
    """What was chosen, a row a layer."""
    rows = tuple(
        (row.name, row.encoding, row.choice.reason, _MEASURES[row.choice.measure])
        for row in layers
        if row.choice is not None
    )
    return TableData("Encodings chosen", ("layer", "encoding", "why", "by"), rows)


def candidates_table(layers: Sequence[LayerRow]) -> TableData:
    """What there was to choose from, a row a candidate."""
    name, *others = headings(Candidate)
    rows = tuple(
        (row.name, encoding, "chosen" if encoding == row.encoding else "", *rest)
        for row in layers
        if row.choice is not None
        for encoding, *rest in map(cells, row.choice.candidates)
    )
    return TableData(Candidate.title, ("layer", name, "", *others), rows)


def digital_table(report: Report) -> TableData:
    """What stayed digital, and why."""
    rows = (
        (row.name, operators(row.operators), _digital_macs(row), "; ".join(row.notes))
        for row in report.digital
    )
    headings = ("fragment", "operators", "MACs>", "why matrix operators are here")
    return TableData("Digital fragments", headings, tuple(rows))


def _digital_macs(row: DigitalRow) -> str:
    """What can be counted, and whether there is more."""
    return f"over {number(row.macs)}" if row.uncounted and row.macs else number(row.macs)


def stayed_table(report: Report) -> TableData:
    """Only the fragments in which matrix operators stayed digital."""
    rows = tuple(
        (row.name, _digital_macs(row), "; ".join(row.notes)) for row in report.digital if row.notes
    )
    return TableData("Matrix operators that stayed digital", ("fragment", "MACs>", "why"), rows)


def parts_table(title: str, parts: Sequence[CostPart]) -> TableData:
    """Count times unit cost, and the share of the total."""
    whole = sum(part.total or 0.0 for part in parts)
    unit = parts[0].unit if parts else ""
    rows = [
        (
            part.name,
            number(part.count),
            number(part.unit_cost),
            number(part.total),
            percent((part.total or 0.0) / whole if whole else 0.0),
            part.figure,
        )
        for part in parts
        if part.count
    ]
    if rows:
        rows.append(("total", "", "", number(whole), percent(1.0), ""))
    headings = ("component", "count>", f"{unit} each>", f"{unit}>", "share>", "figure")
    return TableData(title, headings, tuple(rows))
