"""Converter policies of other people: what they are told of a layer, and how it is checked."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np

from xbarc.ir import AdcSettings, CrossbarStep, read_only
from xbarc.mapping.converters.calibrated import Table, settings_of
from xbarc.numerics import AnyArray, Float64Array, Int64Array
from xbarc.options import CONVERTER_GROUP, Method, is_own_adc
from xbarc.plugins import Door, blame, guard, load_method, origin

# Lower ends and steps are stored as int32.
_LARGEST = (1 << 31) - 1


@dataclass(frozen=True, eq=False)
class ConverterSums:
    """What calibration data say of a layer's column sums; arrays are read-only.

    A *setting group* is a set of conversions that must have the same settings, because they share
    converters.

    Attributes:
        layer: its name.
        most_bits: of the target's converters.
        sums: the column sum that each bin of the histograms stands for; axis: bin.
        shares: histogram of each group, of which each kind of conversions is 1 in all; axes: row
            block, group, input slice (1 where the converter cannot change its reference), bin.
        worth: mean squared error of the layer's accumulators for a unit of squared error of the
            sums of a bin; axes as `shares`.
        conversions: of each group; axes: row block, group.
        lo, step: the settings of least error for each number of bits; axes: row block, group,
            input slice, bits from 0 to `most_bits`.
        error: mean squared error of the layer's accumulators that these leave; axes as `lo`.
    """

    layer: str
    most_bits: int
    sums: Int64Array
    shares: Float64Array
    worth: Float64Array
    conversions: Int64Array
    lo: Int64Array
    step: Int64Array
    error: Float64Array


@dataclass(frozen=True, eq=False)
class ConverterSettings:
    """Bits, least sum and step of every setting group: a sum S reads as lo + step * code.

    The code is `floor((S - lo) / step + 1/2)`, from 0 to `2**bits - 1`. Axes: row block, group,
    input slice, each of its length or 1; whole numbers, and `step` 1 or more.
    """

    bits: AnyArray | int
    lo: AnyArray | int
    step: AnyArray | int


class ConverterPolicy(Protocol):
    """How converters are set from calibration data."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What `--adc` and the settings of a program call it."""

    @abstractmethod
    def choose(self, sums: ConverterSums) -> ConverterSettings:
        """The settings of a layer; a pure function of what it is given."""


CONVERTERS = Door("converter policy", "--adc", CONVERTER_GROUP, ConverterPolicy, "check_converters")


def load_converters(given: str | Method) -> ConverterPolicy | None:
    """A converter policy from elsewhere, checked; None where it is one of ours.

    Args:
        given: a name of ours, one that an installed package registers, `package:Name`, or an
            object.

    Raises:
        MappingError: there is none, or it lacks something; the message says what.
    """
    if isinstance(given, str) and is_own_adc(given):
        return None
    method: object = load_method(CONVERTERS, given, ()) if isinstance(given, str) else given
    return cast(ConverterPolicy, guard(CONVERTERS, method, is_own_adc))


def converters_origin(policy: ConverterPolicy) -> str:
    """Name, class, package and version of a converter policy."""
    return f"{policy.name} ({origin(CONVERTERS, policy)})"


def chosen_by(policy: ConverterPolicy, step: CrossbarStep, table: Table) -> AdcSettings:
    """The settings of a layer by a policy from elsewhere.

    Raises:
        MappingError: the policy fails, or gives what converters cannot be set to.
    """
    sums = sums_of(step, table)
    with blame(policy, f"the converters of layer {step.name}"):
        found = policy.choose(sums)
        bits = _check_settings(found, "bits", sums, (0, sums.most_bits))
        lo = _check_settings(found, "lo", sums, (-_LARGEST, _LARGEST))
        width = _check_settings(found, "step", sums, (1, _LARGEST))
        top = lo + width * ((1 << bits) - 1)
        if np.abs(top).max(initial=0) > _LARGEST:
            raise ValueError(f"the largest code reads as {int(np.abs(top).max())}, beyond 32 bits")
    return settings_of(step, table.with_settings(bits, lo, width), bits, policy.name)


def sums_of(step: CrossbarStep, table: Table) -> ConverterSums:
    """What a policy is told of a layer."""
    segments = np.bincount(step.tiling.segment_block, minlength=len(table.lo))
    return ConverterSums(
        step.name,
        table.lo.shape[3] - 1,
        *(
            read_only(array.view())
            for array in (
                table.sums,
                table.shares,
                table.worth,
                table.groups.size * segments[:, None],
                table.lo,
                table.step,
                table.error,
            )
        ),
    )


def _check_settings(
    found: ConverterSettings, name: str, sums: ConverterSums, limits: tuple[int, int]
) -> Int64Array:
    """Settings of every group as whole numbers within limits."""
    values, shape = np.asarray(getattr(found, name)), sums.lo.shape[:3]
    if values.dtype.kind not in "iu":
        raise ValueError(f"{name} holds {values.dtype}, expected whole numbers")
    try:
        every = np.broadcast_to(values, shape)
    except ValueError as error:
        raise ValueError(f"{name} has shape {values.shape}, expected {shape}") from error
    if every.size and not limits[0] <= int(every.min()) <= int(every.max()) <= limits[1]:
        raise ValueError(
            f"{name} goes from {every.min()} to {every.max()}, expected {limits[0]} to {limits[1]}"
        )
    return every.astype(np.int64)
