"""One walk over a network: in execution order, values dropped once no later node reads them.

Whoever compiles, calibrates, places, measures or just runs a network walks like this; what happens
at a node is the body of the loop:

    walk = Walk(program.steps, keep=outputs)
    for step in walk:
        look_at(step, batches)             # before it runs
        walk.run(runner, step, batches)    # its outputs join the values
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

from xbarc.ir import Layer, Step, layer_inputs

Values = dict[str, Any]
_Node = TypeVar("_Node", bound=Layer | Step)


class Runner(Protocol):
    """Executes single steps."""

    def run(self, step: Step, values: Values) -> None:
        """Add a step's outputs to the values."""


class Walk(Generic[_Node]):
    """Nodes in execution order, and what later ones still read.

    Args:
        nodes: layers of a network or steps of a program, all of it or its rest.
        keep: names of values that stay.
    """

    def __init__(self, nodes: Sequence[_Node], keep: Iterable[str] = ()) -> None:
        self._nodes = nodes
        self._last = {
            name: place for place, node in enumerate(nodes) for name in layer_inputs(node)
        }
        # Behind the last node: what is to be kept is never dropped.
        self._last.update(dict.fromkeys(keep, len(nodes)))
        self._place = 0

    def __iter__(self) -> Iterator[_Node]:
        for place, node in enumerate(self._nodes):
            self._place = place
            yield node

    def run(self, runner: Runner, step: Step, batches: Iterable[Values]) -> None:
        """Execute the step at this place; batch after batch drops what no later node reads."""
        for values in batches:
            runner.run(step, values)
            self.forget(values)

    def forget(self, values: Values) -> None:
        """Drop what no later node reads."""
        for name in [name for name in values if self._last.get(name, -1) <= self._place]:
            del values[name]


def run_steps(
    steps: Sequence[Step], values: Values, runner: Runner, keep: Iterable[str] = ()
) -> None:
    """Execute steps; of the values only those to keep are left."""
    walk = Walk(steps, keep)
    for step in walk:
        walk.run(runner, step, [values])
