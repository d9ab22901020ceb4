"""One whole chip of the target, and its levels at full load."""

from __future__ import annotations

from xbarc.cost import LEVELS, CostPart, FullLoad, area_parts, chip_cost, full_chip, stated_load
from xbarc.report.section import Section, Subject
from xbarc.report.sections.components import UM2_PER_MM2, parts_table, sum_parts
from xbarc.rows import Row, TableData, fact, table_of
from xbarc.target import Target


class LevelRow(Row, title="The target at full load"):
    """One array, macro, tile or chip of the target at full load."""

    level: str = fact("array, macro, tile or chip", head="level")
    power_mw: float | None = fact("power, every array at work, mW", head="mW>")
    area_mm2: float | None = fact("area, mm2", head="mm2>")
    gops: float = fact(
        "peak at the target's own precision, 2 operations per MAC, GOPS", head="GOPS>"
    )
    capacity_mib: float = fact("what the cells hold, MiB", head="MiB>")
    vector_ns: float = fact("one input vector, ns", head="vector ns>")
    conversions_per_mac: float = fact("how many conversions a MAC takes")


class ChipRow(Row):
    """One whole chip of the target, converters at their largest width."""

    arrays: int = fact("arrays of a chip, count")
    cells: int = fact("cells of a chip, spare columns included, count")
    adcs: int = fact("converters of a chip, count")
    adc_bits: int = fact("width of every converter, bits")
    area_mm2: float | None = fact("sum of `parts`, mm2")
    parts: tuple[CostPart, ...] = fact("parts of the area, um2")
    buffer_rate: float | None = fact("of one tile's buffer at full load, bytes a ns")
    levels: tuple[LevelRow, ...] = fact("the chip at full load, level by level")


def chip_row(subject: Subject) -> ChipRow:
    """A chip with all its arrays, converters at their widest."""
    target = subject.target
    counts = full_chip(target)
    parts = area_parts(counts, target)
    return ChipRow(
        arrays=int(counts.arrays),
        cells=int(counts.arrays) * array_cells(target),
        adcs=int(counts.all_adcs),
        adc_bits=target.adc.max_bits,
        area_mm2=sum_parts(parts, UM2_PER_MM2),
        parts=parts,
        buffer_rate=_buffer_rate(target),
        levels=level_rows(target, subject.load),
    )


def array_cells(target: Target) -> int:
    """Cells of one array, spare columns included."""
    # Spare bitlines are built and take area, whether a program uses them or not.
    return target.array.rows * (target.array.columns + target.array.spare_columns)


def _buffer_rate(target: Target) -> float | None:
    rate = None if target.peak is None else target.peak.buffer_rate
    return None if rate is None else rate.value


def level_rows(target: Target, load: FullLoad | None = None) -> tuple[LevelRow, ...]:
    """The target's own chip at full load; none where nobody says what a full array does."""
    if load is None and stated_load(target) is None:
        return ()
    rows = []
    for level in LEVELS:
        cost = chip_cost(target, level, load=load)
        area = cost.area_um2
        rows.append(
            LevelRow(
                level=level,
                power_mw=cost.power_mw,
                area_mm2=None if area is None else area / 1e6,
                gops=cost.gops,
                capacity_mib=cost.capacity_mib,
                vector_ns=cost.timing.vector_ns,
                conversions_per_mac=cost.conversions_per_mac,
            )
        )
    return tuple(rows)


def chip_tables(chip: ChipRow) -> tuple[TableData, ...]:
    """Its components, and its levels."""
    return (
        parts_table(
            "One whole chip, converters at their widest",
            chip.parts,
            unit="mm2",
            divisor=UM2_PER_MM2,
        ),
        table_of(LevelRow, chip.levels),
    )


CHIP = Section(chip_row, chip_tables, chapter="Target")
