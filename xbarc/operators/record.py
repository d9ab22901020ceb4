"""What is true of an operator wherever it stands: the form of a row in the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]
INF = float("inf")
EVERY = (-1,)
"""In place of numbers of inputs: each of them."""


class Form(Enum):
    """Which entries of its inputs an entry of the result depends on."""

    ENTRY = auto()
    """Those at its own place, after the inputs were broadcast."""
    CHANNELS = auto()
    """Those of its own position, of every channel."""
    WINDOW = auto()
    """Those of a window of its own channel."""
    CHANNEL = auto()
    """All of its own channel."""
    AXES = auto()
    """All along axes that the node names."""
    MOVE = auto()
    """One entry from another place."""
    ANY = auto()
    """Nothing is said."""


class ScaleRule(Enum):
    """How a positive factor of the inputs reaches the result."""

    NONE = auto()
    """Not at all."""
    ONE = auto()
    """f(s x) = s f(x) for the first input."""
    JOINT = auto()
    """f(s x, s y) = s f(x, y) for all inputs."""
    FACTOR = auto()
    """The factor of one input passes, whatever the others are."""


class Matrix(Enum):
    """Whether an operator multiplies matrices."""

    NO = auto()
    COUNTED = auto()
    """Its multiply-accumulates follow from shapes."""
    OPAQUE = auto()
    """It does, and nothing is counted."""


@dataclass(frozen=True)
class Curve:
    """A function of one entry that never falls, which kernels only come near to.

    Attributes:
        rising: the function, exact in float64.
        low, high: its range.
        least, most: arguments that it is defined for; beyond them it is NaN.
    """

    rising: Callable[[Array], Array]
    low: float = -INF
    high: float = INF
    least: float = -INF
    most: float = INF


@dataclass(frozen=True)
class Kernels:
    """Opset from which on ONNX Runtime runs an operator on integers; None: on none.

    Attributes:
        bytes: of 8 bits.
        words: of 16 bits.
        nibbles: whether it takes those of 4 bits.
    """

    bytes: int | None = None
    words: int | None = None
    nibbles: bool = False


@dataclass(frozen=True)
class Operator:
    """One ONNX operator.

    Attributes:
        form: where entries of the result come from.
        domains: in which it means this.
        broadcasts: several inputs are tensors of one kind; otherwise the first one is the tensor,
            and the others are parameters.
        moves: inputs whose entries the result holds, and no others; `EVERY`: all; empty: it
            computes. Attributes may make a node of it do more (`Resize`, `Dropout`, scatters).
        picks: it chooses among entries by size.
        zeros: the result may hold zeros besides.
        bijective: it holds every entry of the first input once.
        exact: the function of entries that ONNX Runtime computes bit for bit in float32, of one
            or, as a NumPy function of two arguments, of two tensors.
        rises: `exact` never falls.
        curve: the function of entries, where it rises and kernels come near to it.
        within: least and largest result, whatever the inputs are.
        keeps_sign: the result is never below 0 if no input is.
        bounded_outputs: results that `within`, `moves` and the like hold for; None: all.
        scaling: how factors of inputs pass.
        keeps_step: the result holds multiples of a step if the first input does.
        keeps_rank: the result has as many axes as the first input, as without `broadcasts` all
            functions of an entry have.
        rank_by_value: its number of axes depends on more than those of its inputs.
        dtype: the input whose element type the first result has, or that type; empty: not said.
        kernels: integers that ONNX Runtime runs it on.
        random: two runs may differ.
        matrix: whether it multiplies matrices.
    """

    name: str
    form: Form = Form.ANY
    domains: tuple[str, ...] = ("",)
    broadcasts: bool = False
    moves: tuple[int, ...] = ()
    picks: bool = False
    zeros: bool = False
    bijective: bool = False
    exact: Callable[..., Any] | None = None
    rises: bool = False
    curve: Curve | None = None
    within: tuple[float, float] = (-INF, INF)
    keeps_sign: bool = False
    bounded_outputs: int | None = 1
    scaling: ScaleRule = ScaleRule.NONE
    keeps_step: bool = False
    keeps_rank: bool = False
    rank_by_value: bool = False
    dtype: int | str = ""
    kernels: Kernels = Kernels()
    random: bool = False
    matrix: Matrix = Matrix.NO

    @property
    def is_pointwise(self) -> bool:
        """Whether positions of the result need nothing but the same positions of the inputs."""
        return self.form in (Form.ENTRY, Form.CHANNELS)

    @property
    def moves_first(self) -> bool:
        """Whether entries of the first input change places, and that is all."""
        return self.moves == (0,) and not self.zeros

    @property
    def has_rank_of_first(self) -> bool:
        """Whether the result has as many axes as the first input."""
        return self.keeps_rank or (self.form is Form.ENTRY and not self.broadcasts)

    def places(self, inputs: int) -> tuple[int, ...]:
        """Numbers of the inputs that it moves, of so many."""
        return tuple(range(inputs)) if self.moves == EVERY else self.moves
