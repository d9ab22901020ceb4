"""A node of a fragment as its rule sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from xbarc.intervals.bounds import Bounds, bounds_of_type
from xbarc.numerics import AnyArray
from xbarc.operators import Operator


@dataclass(frozen=True, eq=False)
class BoundedNode:
    """An operator with what is known of its inputs.

    Attributes:
        operator: its row in the table.
        name: of the node or of its first output, for people.
        inputs: bounds by place; None for an input that is left out.
        constants: arrays by place; None where an input is no constant.
        attributes: by name.
    """

    operator: Operator
    name: str
    inputs: tuple[Bounds | None, ...]
    constants: tuple[AnyArray | None, ...]
    attributes: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """Name of the operator."""
        return self.operator.name

    @property
    def reason(self) -> str:
        """The operator and its name, for people."""
        return f"{self.kind} '{self.name}'"

    def first(self) -> Bounds:
        """What is known of the first input."""
        return self.input(0)

    def input(self, place: int) -> Bounds:
        """What is known of an input."""
        found = self.inputs[place] if place < len(self.inputs) else None
        return bounds_of_type() if found is None else found

    def has_input(self, place: int) -> bool:
        """Whether an input is there."""
        return place < len(self.inputs) and self.inputs[place] is not None

    def constant(self, place: int) -> AnyArray | None:
        """An input that is a constant of finite numbers."""
        array = self.constants[place] if place < len(self.constants) else None
        if array is None or array.dtype.kind not in "fiub" or not array.size:
            return None
        return array if np.isfinite(array.astype(np.float64)).all() else None

    def number(self, place: int, default: float | None = None) -> float | None:
        """A constant of one entry, `default` where the input is left out."""
        if not self.has_input(place):
            return default
        array = self.constant(place)
        return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None

    def attribute(self, name: str, default: float) -> float:
        """A number among the attributes."""
        value = self.attributes.get(name, default)
        return float(value) if isinstance(value, int | float) else default

    def flag(self, name: str, default: int = 0) -> bool:
        """An integer attribute that is 0 or 1."""
        return bool(self.attribute(name, default))

    def integers(self, place: int, name: str) -> list[int] | None:
        """Integers of a constant input or, in older operators, of an attribute.

        None where they are left out or not constant; `given` tells which.
        """
        if self.has_input(place):
            array = self.constant(place)
            return None if array is None else [int(number) for number in array.reshape(-1)]
        listed = self.attributes.get(name)
        return [int(number) for number in listed] if isinstance(listed, list) else None

    def axis(self, default: int, rank: int) -> int | None:
        """The attribute `axis` counted from the first one; None where there is no such axis."""
        found = int(self.attribute("axis", default))
        return found % rank if -rank <= found < rank else None
