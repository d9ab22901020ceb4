"""When things happen: one input vector of a layer, one inference, a stream of inferences."""

from xbarc.cost.timing.critical_path import PathPart
from xbarc.cost.timing.duplication import Policy, copies_for, parse_policy, stands
from xbarc.cost.timing.layer_schedule import (
    PS,
    LayerRun,
    LayerSchedule,
    Schedule,
    layer_runs,
    schedule,
    why_unscheduled,
)
from xbarc.cost.timing.position_grids import input_grid, vector_grid
from xbarc.cost.timing.vector_timing import Timing, step_timing, vector_timing

__all__ = [
    "PS",
    "LayerRun",
    "LayerSchedule",
    "PathPart",
    "Policy",
    "Schedule",
    "Timing",
    "copies_for",
    "input_grid",
    "layer_runs",
    "parse_policy",
    "schedule",
    "stands",
    "step_timing",
    "vector_grid",
    "vector_timing",
    "why_unscheduled",
]
