"""When each layer works, and how fast inferences can follow each other."""

from __future__ import annotations

from xbarc.cost import LayerSchedule, PathPart
from xbarc.report.section import Section, Subject
from xbarc.rows import Row, TableData, fact, number, percent, table_of

# Schedules are in whole ps, reports in us.
_PS_PER_US = 1e6


class ScheduleRow(Row):
    """When each layer works, and how fast inferences can follow each other."""

    duplicate: str = fact("how weights were duplicated, as `--duplicate`")
    latency_us: float = fact("from the first input to the last result, us")
    interval_us: float = fact("time between two inferences at full rate, us")
    bottleneck: str = fact("what decides the interval")
    utilization: float = fact("share of the arrays' time that is work, 0 to 1")
    buffer_kib: float = fact("sum of what layers hold at once, KiB")
    buffer_kib_there: float = fact("buffers of the tiles in use, KiB")
    layers: tuple[LayerSchedule, ...] = fact("layers, in execution order")
    path: tuple[PathPart, ...] = fact("critical path of one inference, in time")


def schedule_row(subject: Subject) -> ScheduleRow | None:
    """The schedule; None where no layer can be counted."""
    cost, target = subject.cost, subject.target
    plan = cost.schedule
    if plan is None:
        return None
    return ScheduleRow(
        duplicate=str(cost.policy),
        latency_us=plan.latency_ps / _PS_PER_US,
        interval_us=plan.interval_ps / _PS_PER_US,
        bottleneck=plan.bottleneck,
        utilization=plan.utilization,
        # Layers hold their most at different times, so this sum is an upper bound of what the tiles
        # need.
        buffer_kib=sum(layer.buffer_bytes for layer in plan.layers) / 1024,
        buffer_kib_there=cost.counts.tiles * target.hierarchy.buffer_kib,
        layers=plan.layers,
        path=plan.path,
    )


def schedule_tables(plan: ScheduleRow | None) -> tuple[TableData, ...]:
    """When each layer works, and the critical path."""
    if plan is None:
        return ()
    total = f"; arrays work {percent(plan.utilization)} of the time at full rate"
    limit = f"{plan.bottleneck} limits the rate to an inference every {number(plan.interval_us)} us"
    title = f"Schedule of one inference: {limit}{total}"
    return table_of(LayerSchedule, plan.layers, title=title), table_of(PathPart, plan.path)


SCHEDULE = Section(schedule_row, schedule_tables, chapter="Schedule")
