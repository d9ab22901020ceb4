"""What each result of a digital fragment waits for, followed from node to node.

Every node gives its results in the order of memory. So a result waits for its window and for what
the results in front of it wait for, and windows of several nodes do not simply add up: where a pool
has padding, the last result of a row waits for more than the first of the next row would.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from xbarc.cost.timing.position_needs import window_reach
from xbarc.cost.timing.ready_times import needed_position
from xbarc.ir import AutoPad, DigitalFragment, Window, window_output, window_pads
from xbarc.numerics import IntArray
from xbarc.onnx_graph import GraphNode, OnnxGraph
from xbarc.operators import Form

Grid = tuple[int, ...]

_AUTO_PAD: dict[str, AutoPad] = {
    "NOTSET": "explicit",
    "VALID": "explicit",
    "SAME_UPPER": "same_upper",
    "SAME_LOWER": "same_lower",
}


@dataclass(frozen=True, eq=False)
class Flow:
    """What a value waits for.

    Attributes:
        grid: its positions, batch first; empty where it comes all at once.
        needs: by input of the fragment, the last position that each position waits for (one entry
            where the grid is empty); None where it is all of that input.
    """

    grid: Grid = ()
    needs: Mapping[str, IntArray | None] = field(default_factory=dict)


def fragment_flows(step: DigitalFragment, grids: Mapping[str, Grid]) -> dict[str, Flow]:
    """What each output of a fragment waits for.

    An operator that is not known to work position by position or window by window needs all of its
    inputs, which is true of any operator and never too early.

    Args:
        step: the fragment.
        grids: positions of the inputs that come from somewhere, by name.
    """
    flows = {name: _input_flow(name, grid) for name, grid in grids.items()}
    every = _wait_for_all(flows.values())
    if not step.model:  # as in hand-made programs
        return dict.fromkeys(step.outputs, every)
    for node in OnnxGraph(step.model, step.name).nodes:
        read = [flows[name] for name in node.inputs if name in flows and flows[name].needs]
        # A body may read any value around it, whatever its node lists.
        made = every if node.has_body else _node_flow(node, read)
        flows.update(dict.fromkeys(node.outputs, made))
    return {name: flows.get(name, Flow()) for name in step.outputs}


def _input_flow(name: str, grid: Grid) -> Flow:
    return Flow(grid, {name: np.arange(int(np.prod(grid))) if grid else None})


def _node_flow(node: GraphNode, read: list[Flow]) -> Flow:
    operator = node.operator
    if operator.form is Form.WINDOW and read:
        return _pool_flow(read[0], node)
    # Positions are places apart from channels: joining along channels leaves each position where it
    # is.
    by_channel = operator.name in ("Concat", "QLinearConcat") and node.whole("axis") in (1, -3)
    if read and (operator.is_pointwise or by_channel):
        return _lined_up(read)
    return _wait_for_all(read)


def _wait_for_all(read: Iterable[Flow]) -> Flow:
    """All of everything, before anything comes."""
    needs: dict[str, IntArray | None] = {}
    for flow in read:
        for name, need in flow.needs.items():
            last = last_need(need)
            needs[name] = _later(needs[name], last) if name in needs else last
    return Flow((), needs)


def last_need(need: IntArray | None) -> IntArray | None:
    """What all positions together wait for."""
    # Needs never fall along a value, so the last position waits longest.
    return None if need is None or not need.size else need[-1:]


def _lined_up(read: list[Flow]) -> Flow:
    """Position by position, where all inputs have the same positions."""
    grid = read[0].grid
    if not grid or any(flow.grid != grid for flow in read):
        return _wait_for_all(read)
    needs = dict(read[0].needs)
    for flow in read[1:]:
        for name, need in flow.needs.items():
            needs[name] = _later(needs[name], need) if name in needs else need
    return Flow(grid, needs)


def _later(one: IntArray | None, other: IntArray | None) -> IntArray | None:
    if one is None or other is None:
        return None
    return one if one is other else np.maximum(one, other)


def _pool_flow(flow: Flow, node: GraphNode) -> Flow:
    window, spatial = _window(node), flow.grid[1:]
    if window is None or len(spatial) != len(window.kernel) or node.whole("channels_last"):
        return _wait_for_all([flow])
    grid = (flow.grid[0], *_pooled_extent(window, spatial, rounds_up=node.whole("ceil_mode")))
    last = needed_position(grid, flow.grid, window_reach(window, spatial))
    if last is None or not last.size:
        return _wait_for_all([flow])
    # results leave in the order of memory, so each waits for those in front of it too
    in_turn = np.maximum.accumulate(last)
    needs = {name: None if need is None else need[in_turn] for name, need in flow.needs.items()}
    return Flow(grid, needs)


def _window(node: GraphNode) -> Window | None:
    """A pool's window; None where its attributes are none that it may have."""
    auto = node.attributes.get("auto_pad", "NOTSET")
    kernel = node.wholes("kernel_shape")
    if auto not in _AUTO_PAD or not kernel:
        return None
    ones, none = (1,) * len(kernel), (0,) * 2 * len(kernel)
    strides = node.wholes("strides", ones)
    dilations = node.wholes("dilations", ones)
    pads = node.wholes("pads", none) if auto == "NOTSET" else none
    if not len(strides) == len(dilations) == len(kernel) == len(pads) / 2 or 0 in strides:
        return None
    return Window(kernel, strides, dilations, pads, _AUTO_PAD[auto])


def _pooled_extent(window: Window, spatial: Grid, *, rounds_up: int) -> Grid:
    """Extent of a pool's result; no window starts behind the input, also where it rounds up."""
    extent = window_output(window, spatial)
    if not rounds_up:
        return extent
    found = []
    for axis, (begin, end) in enumerate(window_pads(window, spatial)):
        stride, size = window.strides[axis], spatial[axis] + begin
        room = size + end - window.dilations[axis] * (window.kernel[axis] - 1) - 1
        most = -(-room // stride) + 1
        # ONNX drops the window that ceil_mode adds where it would begin in the padding behind the
        # input.
        found.append(most - ((most - 1) * stride >= size))
    return tuple(max(0, size) for size in found)
