"""What happens and what stands there, as numbers that add."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

# 0 bits (nothing is converted) to 16, the widest converter that a target may state.
WIDTHS = 17
Histogram: TypeAlias = tuple[float, ...]
_NOTHING: Histogram = (0,) * WIDTHS


def widths(counts: dict[int, float]) -> Histogram:
    """A histogram over ADC widths: entry `b` counts what has `b` bits.

    Raises:
        ValueError: a width is not 0 to 16 bits.
    """
    if any(not 0 <= bits < WIDTHS for bits in counts):
        raise ValueError(f"ADC widths are 0 to {WIDTHS - 1} bits, found {sorted(counts)}")
    return tuple(counts.get(bits, 0) for bits in range(WIDTHS))


def full_steps(counts: dict[int, float]) -> Histogram:
    """Bits that so many conversions decide when each is as wide as its converter."""
    return widths({bits: bits * count for bits, count in counts.items()})


@dataclass(frozen=True)
class Counts:
    """Counts of a layer, of a program, or of anything else that costs.

    What happens is a whole number. What stands there (`cells_written` and below) may be a layer's
    share of an array, so it need not be whole.

    Attributes:
        array_pulses: levels of input slices that arrays integrate over, where pulses encode them.
        conversions: by width of the conversion, see `widths`.
        bit_steps: bits that conversions decide, by width of the converter that makes them.
        array_time_ns: arrays times the time they are on; macros, tiles, chips in the same way.
        link_time_ns: chips whose links to others are on, times that time.
        adcs: by width of the converter.
        linked_chips: chips whose links to others are in use: none where one chip is enough.
    """

    array_reads: float = 0
    array_pulses: float = 0
    wordline_drives: float = 0
    samples: float = 0
    conversions: Histogram = _NOTHING
    bit_steps: Histogram = _NOTHING
    shift_adds: float = 0
    column_scalings: float = 0
    register_bytes: float = 0
    buffer_bytes: float = 0
    router_bytes: float = 0
    crossbar_macs: float = 0
    digital_macs: float = 0
    array_time_ns: float = 0
    macro_time_ns: float = 0
    tile_time_ns: float = 0
    chip_time_ns: float = 0
    link_time_ns: float = 0
    cells_written: float = 0
    arrays: float = 0
    adcs: Histogram = _NOTHING
    macros: float = 0
    tiles: float = 0
    chips: float = 0
    linked_chips: float = 0

    def __add__(self, other: Counts) -> Counts:
        return self._combine(other, lambda a, b: a + b)

    def times(self, factor: float) -> Counts:
        """Every count multiplied."""
        return self._combine(self, lambda a, _: a * factor)

    def on_for(self, factor: float) -> Counts:
        """The same with everything that is always on for so many times the time."""
        names = (field.name for field in fields(self) if field.name.endswith("_time_ns"))
        return replace(self, **{name: getattr(self, name) * factor for name in names})

    # Over all fields, so that a new count is added, multiplied and summed without being named here.
    def _combine(self, other: Counts, join: Callable[[float, float], float]) -> Counts:
        joined: dict[str, Any] = {}
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if isinstance(mine, tuple):
                joined[field.name] = tuple(join(a, b) for a, b in zip(mine, theirs, strict=True))
            else:
                joined[field.name] = join(mine, theirs)
        return Counts(**joined)

    @property
    def all_conversions(self) -> float:
        """Conversions of any width."""
        return sum(self.conversions)

    @property
    def all_adcs(self) -> float:
        """Converters of any width."""
        return sum(self.adcs)
