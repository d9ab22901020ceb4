"""How a programmed cell deviates: the target's law, or a device model of other people.

A model draws nothing itself. It is given standard normal numbers that belong to each cell's place
in its array, so results depend neither on order nor on batches or threads.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Protocol, cast

import numpy as np

from xbarc.circuit.random import normals
from xbarc.circuit.variation_laws import vary
from xbarc.errors import InputError
from xbarc.numerics import Float64Array, IntArray
from xbarc.options import Method
from xbarc.plugins import Door, guard, is_foreign, load_method, origin
from xbarc.target import VariationLaw

# Normal numbers that a model may ask for: 8 MiB for an array of side 128, 512 MiB for one of 1024.
_MOST_NUMBERS = 64


class DeviceModel(Protocol):
    """What cells hold after programming, in place of the target's variation."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What reports call it."""

    def numbers(self) -> int:
        """Standard normal numbers that a cell needs, 0 to 64."""
        return 1

    @abstractmethod
    def program(self, levels: IntArray, cell: CellModel, drawn: Float64Array) -> Float64Array:
        """What cells hold, in level units, before drift, stuck cells and wires.

        Each cell must follow from its own level and numbers alone: rows are also written one by
        one.

        Args:
            levels: what was written; any axes.
            cell: figures; `cell.position[levels]` is where levels lie, `-cell.floor` zero
                conductance, `cell.siemens` a level unit.
            drawn: standard normal numbers; axes: number, then those of `levels`.

        Returns:
            Axes as `levels`; finite, and no conductance below zero.
        """


DEVICES = Door("device model", "--device", "xbarc.devices", DeviceModel, "check_device")


@dataclass(frozen=True)
class TargetVariation(DeviceModel):
    """The law and the spread of the target."""

    @property
    def name(self) -> str:
        """As the target calls it."""
        return "variation"

    def program(self, levels: IntArray, cell: CellModel, drawn: Float64Array) -> Float64Array:
        """A normal number per cell, by the law of the target."""
        real = cell.position[levels]
        sigma = np.hypot(cell.sigma[levels], cell.relative * (real + cell.floor))
        return vary(real, sigma, drawn[0], cell.floor, cell.law)


def load_device(given: str | Method) -> DeviceModel:
    """A device model from elsewhere, checked.

    Args:
        given: a name that an installed package registers, `package:Name`, or an object.

    Raises:
        MappingError: there is none, or it lacks something; the message says what.
    """
    method: object = load_method(DEVICES, given, ()) if isinstance(given, str) else given
    return cast(DeviceModel, guard(DEVICES, method, lambda name: name == TargetVariation().name))


def device_origin(device: DeviceModel) -> str:
    """Name, class, package and version of a device model."""
    return f"{device.name} ({origin(DEVICES, device)})"


def count_numbers(device: DeviceModel) -> int:
    """Standard normal numbers that a cell needs.

    Raises:
        InputError: the model asks for a count that is none.
    """
    count = device.numbers()
    if not 0 <= count <= _MOST_NUMBERS:
        text = f"numbers() gives {count}, expected a whole number from 0 to {_MOST_NUMBERS}"
        raise InputError(text, where=f"--device {device.name}")
    return int(count)


def draw_numbers(
    device: DeviceModel, seed: int, place: tuple[int, int], shape: tuple[int, ...]
) -> Float64Array:
    """Standard normal numbers of an array's cells.

    Args:
        device: says how many a cell needs.
        seed: the user's.
        place: array and sample.
        shape: of the array.

    Returns:
        Axes: number, then those of the array.

    Raises:
        InputError: the model asks for a count that is none.
    """
    count = count_numbers(device)
    found = np.empty((count, *shape))
    for number in range(count):
        # The first stream keeps the name that it had when there was only one: chips stay as they
        # were.
        effect = f"variation-{number}" if number else "variation"
        found[number] = normals(seed, effect, place, int(np.prod(shape))).reshape(shape)
    return found


def program_cells(
    device: DeviceModel, levels: IntArray, cell: CellModel, drawn: Float64Array
) -> Float64Array:
    """What a device model makes of levels, checked; axes as `DeviceModel.program`.

    Raises:
        InputError: it gives another shape, no numbers, or conductances below zero.
    """
    # Our own law cannot go wrong this way, and a check takes a pass over every array.
    if not is_foreign(device):
        return device.program(levels, cell, drawn)
    real: object = device.program(levels, cell, drawn)
    where, hint = f"--device {device.name}", "xbarc.testing.check_device says more"
    if not isinstance(real, np.ndarray) or real.shape != levels.shape:
        shape = getattr(real, "shape", None)
        text = f"gives {type(real).__name__} of shape {shape}, expected {levels.shape}"
        raise InputError(text, where=where, hint=hint)
    if real.dtype.kind not in "iuf" or not np.isfinite(real).all():
        raise InputError("gives infinite cells, or none", where=where, hint=hint)
    if real.size and real.min() < -cell.floor * (1 + 1e-12) - 1e-12:  # rounding of the sum alone
        text = f"gives a conductance of {real.min() + cell.floor:g} level units, below zero"
        raise InputError(text, where=where, hint=hint)
    return np.asarray(real, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class CellModel:
    """A cell's figures in level units: 1 is the conductance between two levels, equally spaced.

    Attributes:
        position: where each level lies; whole numbers unless the target's own spacing is on.
        sigma: absolute part of the programming spread at each level; axis: level.
        relative: proportional part, of the conductance above zero.
        law: how programmed conductances are distributed.
        floor: conductance of level 0; the periphery subtracts it for every driven row.
        top: the highest level.
        stuck_on, stuck_off: shares of cells.
        read_noise: one standard deviation of one cell in one read.
        drift: factor on a cell's conductance at the time of reading.
        siemens: one level unit.
        device: what programming makes of a level; only sees the figures above.
    """

    position: Float64Array
    sigma: Float64Array
    relative: float
    law: VariationLaw
    floor: float
    top: float
    stuck_on: float
    stuck_off: float
    read_noise: float
    drift: float
    siemens: float
    device: DeviceModel = field(default_factory=TargetVariation)

    @property
    def deviates(self) -> bool:
        """Whether programming leaves anything but what was written."""
        own = isinstance(self.device, TargetVariation)
        return not own or bool(self.sigma.any() or self.relative)
