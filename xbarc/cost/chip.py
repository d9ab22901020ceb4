"""A chip's own roll-up: every array at work, by the same parts as the report of a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal, get_args

from xbarc.cost.counts import Counts, full_steps, widths
from xbarc.cost.hardware import adcs_per_array
from xbarc.cost.parts import CostPart, area_parts, energy_parts, total
from xbarc.cost.timing import Timing, vector_timing
from xbarc.target import Peak, Target

Level = Literal["array", "macro", "tile", "chip"]
LEVELS: tuple[Level, ...] = get_args(Level)


@dataclass(frozen=True)
class ChipCost:
    """One array, macro, tile or chip while every array of it works on an input vector.

    Attributes:
        counts: of one input vector of every array, and the hardware.
        timing: of that vector.
        energy: parts of the vector's energy; none for hardware that nothing moves through.
        area: parts of the area.
        macs: multiply-accumulates of the vector at the target's own precision.
        capacity_mib: what the cells hold.
    """

    level: Level
    counts: Counts
    timing: Timing
    energy: tuple[CostPart, ...]
    area: tuple[CostPart, ...]
    macs: float
    capacity_mib: float

    @property
    def power_mw(self) -> float | None:
        """Energy of a vector over its time."""
        energy = total(self.energy)
        return None if energy is None else energy / self.timing.vector_ns

    @property
    def area_um2(self) -> float | None:
        """Sum of the parts."""
        return total(self.area)

    @property
    def gops(self) -> float:
        """Two operations per multiply-accumulate, at full load."""
        return 2 * self.macs / self.timing.vector_ns

    @property
    def conversions_per_mac(self) -> float:
        """Conversions of any width over multiply-accumulates."""
        return self.counts.all_conversions / self.macs


@dataclass(frozen=True)
class FullLoad:
    """What an array does with one input vector when it is full of weights.

    Attributes:
        outputs: weights along one wordline; a part of one where a weight takes several arrays.
        conversions: of one read, count per array.
        columns_per_conversion: columns that share a converter over the conversions it makes of
            them in a cycle: 2 where pairs are subtracted before it.
    """

    outputs: float
    conversions: int
    columns_per_conversion: float


def stated_load(target: Target) -> FullLoad | None:
    """The load that the target's `[peak]` states; None where it states none."""
    peak, columns = target.peak, target.array.columns
    if peak is None or peak.columns_per_weight is None or peak.columns_per_conversion is None:
        return None
    # Whole weights in an array; a fraction of one only where a weight is wider than the array.
    outputs = columns // peak.columns_per_weight or columns / peak.columns_per_weight
    conversions = max(1, columns // peak.columns_per_conversion)
    return FullLoad(outputs, conversions, peak.columns_per_conversion)


def chip_cost(
    target: Target,
    level: Level = "chip",
    slice_bits: Sequence[int] | None = None,
    load: FullLoad | None = None,
) -> ChipCost:
    """Roll up one level of the hierarchy.

    Args:
        target: the chip.
        level: what is rolled up.
        slice_bits: converter bits of each input slice; the widest for all by default.
        load: what arrays full of weights do, for a target that states no `[peak]`: only the
            encoding knows how many columns a weight takes.

    Raises:
        ValueError: neither the target nor `load` says what a full array does.
    """
    hardware = _hardware(target, level)
    full = stated_load(target) or load
    if full is None:
        raise ValueError(f"{target.name} states no peak, and no load was given")
    slices = _slices(target)
    bits = [target.adc.max_bits] * len(slices) if slice_bits is None else slice_bits
    segments = -(-target.array.rows // target.array.active_rows)
    columns = min(target.adc.columns_per_adc, target.array.columns)
    # Pairs that are subtracted first are one conversion of two bitlines, so a converter has half as
    # many to make.
    shared = ceil(columns / full.columns_per_conversion)
    timing = vector_timing(target, slices, bits, [shared] * len(slices), segments)
    counts = hardware + _activity(target, full, hardware, bits, timing)
    cells = hardware.arrays * target.array.rows * target.array.columns
    return ChipCost(
        level=level,
        counts=counts,
        timing=timing,
        energy=_there(energy_parts(counts, target)),
        area=_there(area_parts(counts, target)),
        macs=hardware.arrays * target.array.rows * full.outputs,
        capacity_mib=cells * target.cell.bits / 8 / 2**20,
    )


def _there(parts: Sequence[CostPart]) -> tuple[CostPart, ...]:
    return tuple(part for part in parts if part.count)


def _slices(target: Target) -> tuple[int, ...]:
    whole, width = target.precision.activation_bits, target.input.dac_bits
    # The last slice may be narrower than the DAC.
    return tuple(min(width, whole - at) for at in range(0, whole, width))


def _hardware(target: Target, level: Level) -> Counts:
    """One of a level with all that it holds, and nothing of the levels above."""
    tree = target.hierarchy
    tiles = tree.tiles_per_chip if level == "chip" else 1
    macros = tiles * tree.macros_per_tile if level in ("tile", "chip") else 1
    arrays = macros * tree.arrays_per_macro if level != "array" else 1
    whole = level == "chip"
    return Counts(
        arrays=arrays,
        adcs=widths({target.adc.max_bits: arrays * adcs_per_array(target)}),
        macros=macros if level != "array" else 0,
        tiles=tiles if level in ("tile", "chip") else 0,
        chips=int(whole),
        linked_chips=int(whole),
    )


def _activity(
    target: Target, full: FullLoad, hardware: Counts, bits: Sequence[int], timing: Timing
) -> Counts:
    """What one input vector of every array makes the hardware do."""
    array, slices = target.array, _slices(target)
    reads = hardware.arrays * timing.segments
    wide: dict[int, float] = {}
    for width in bits:
        wide[width] = wide.get(width, 0) + reads * full.conversions
    driven = hardware.arrays * array.rows * len(slices)
    results = hardware.arrays * full.outputs
    # Bits are booked at the width of the converter that decides them: a wide one pays more for each
    # of its bits.
    steps = full_steps({target.adc.max_bits: 1})
    decided = sum(width * count for width, count in wide.items())
    done = Counts(
        array_reads=reads * len(slices),
        array_pulses=reads * sum((1 << width) - 1 for width in slices),
        wordline_drives=driven,
        samples=reads * array.columns * len(slices),
        conversions=widths(wide),
        bit_steps=tuple(decided * bool(width) for width in steps),
        shift_adds=reads * full.conversions * len(slices),
        column_scalings=(target.adc.scale_bits is not None)
        * reads
        * full.conversions
        * len(slices),
        register_bytes=driven * target.input.dac_bits / 8
        + results * -(-target.precision.activation_bits // 8),
    )
    return done + _while_on(target.peak, hardware, timing.vector_ns)


def _while_on(peak: Peak | None, hardware: Counts, time_ns: float) -> Counts:
    """What counts by time; without a `[peak]` nothing goes through buffers and routers."""
    rates = (None, None) if peak is None else (peak.buffer_rate, peak.router_rate)
    moved = [0.0 if rate is None else rate.value for rate in rates]
    on = Counts(
        array_time_ns=hardware.arrays,
        macro_time_ns=hardware.macros,
        tile_time_ns=hardware.tiles,
        chip_time_ns=hardware.chips,
        link_time_ns=hardware.linked_chips,
        buffer_bytes=hardware.tiles * moved[0],
        router_bytes=hardware.tiles * moved[1],
    )
    return on.times(time_ns)
