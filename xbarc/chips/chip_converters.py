"""Converters that are set from data, on the sums that wires and compensations leave.

Wires make sums smaller: ranges that were set on ideal cells are too wide for them, and steps too
coarse. So a program is fitted to its wires with converters that lose nothing, and those from data
are set at the end, by the sums of the fitted program as it is executed on its chip.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from xbarc.calibration import (
    CalibrationCells,
    ChipCells,
    Choose,
    IdealCells,
    calibrate_converters,
    uniform,
)
from xbarc.circuit import Chip, Effects
from xbarc.executor import calibration_batches
from xbarc.ir import AdcSettings, CrossbarStep, Program
from xbarc.mapping import Table, adc_settings, settings_with_bits, wide
from xbarc.numerics import AnyArray, Int64Array, UInt8Array
from xbarc.target import Target

LOSSLESS = "lossless"


@dataclass(frozen=True, eq=False)
class ConverterCalibration:
    """How converters are to be set.

    Attributes:
        target: as it is, where `unset` programs have wider converters.
        policy: what the settings will be called.
        bits: of every converter at most; None takes what the data needs.
        allocated: layers by name whose converters have the bits that a budget gave them; empty
            where `bits` says it.
        choose: sets them in place of the policy; None: the policy does.
    """

    target: Target
    policy: str
    bits: int | None = None
    allocated: Mapping[str, CrossbarStep] | None = None
    choose: Choose | None = None

    def unset(self, program: Program) -> Program:
        """The program with converters that lose nothing, however wide.

        Bits that a budget gave a row block stay with it, so its rows do as well.
        """
        policy = LOSSLESS if self.allocated is None else self.policy
        made = replace(program, target=wide(program.target))
        steps = (
            _make_lossless(step, made.target, policy) if isinstance(step, CrossbarStep) else step
            for step in program.steps
        )
        return replace(made, steps=tuple(steps))

    def set_on(
        self, program: Program, data: Mapping[str, AnyArray], cells: CalibrationCells
    ) -> Program:
        """The program with converters set on its sums on these cells.

        Args:
            program: with converters that lose nothing.
            data: inputs by name.
            cells: whose sums they will read.
        """
        most = self.target.adc.max_bits if self.bits is None else self.bits
        choose, target = self.choose or uniform(self.bits, self.policy), self.target
        if self.allocated is not None:
            # A budget was spent without factors of columns, and gets none here.
            adc = target.adc.model_copy(update={"scale_bits": None})
            target = target.model_copy(update={"adc": adc})
            kept = {s.name: self.kept_bits(s) for s in program.crossbar_steps}
            # Tables of settings need no width that no conversion was given.
            most = max(int(bits.max(initial=0)) for bits in kept.values())

            def choose(step: CrossbarStep, table: Table) -> AdcSettings:
                return settings_with_bits(step, table, kept[step.name], self.policy)

        batches = calibration_batches(program.inputs, data)
        steps = calibrate_converters(
            program.steps,
            target,
            batches,
            choose,
            most=min(most, self.target.adc.max_bits),
            cells=cells,
        )
        return replace(program, target=self.target, steps=steps)

    def kept_bits(self, placed: CrossbarStep) -> UInt8Array:
        """Allocated bits of each conversion of a layer in its order; axes as those of settings."""
        allocated = (self.allocated or {})[placed.name]
        bits = allocated.adc.bits
        # One entry stands for all conversions of its group, whatever their order.
        return bits if bits.shape[2] == 1 else bits[:, :, _match_conversions(allocated, placed)]


@dataclass(frozen=True, eq=False)
class ConverterSetter:
    """How fitted programs get their converters.

    Attributes:
        converters: those to be set; None where programs keep what they have.
        data: that sets them.
        effects: of the chip that programs are fitted to.
    """

    converters: ConverterCalibration | None
    data: Mapping[str, AnyArray]
    effects: Effects

    def on_chip(self, program: Program) -> Program:
        """With converters set on the sums of the program on its chip."""
        if self.converters is None:
            return program
        # Levels of a chip do not depend on converters, so each layer's arrays are solved once.
        cells = ChipCells(Chip(program, self.effects))
        return self.converters.set_on(program, self.data, cells)

    def on_ideal_cells(self, program: Program) -> Program:
        """With converters set as if nothing was known of the chip."""
        if self.converters is None:
            return program
        return self.converters.set_on(self.converters.unset(program), self.data, IdealCells())


def _make_lossless(step: CrossbarStep, target: Target, policy: str) -> CrossbarStep:
    settings = adc_settings(step, target, policy)
    return replace(step, adc=replace(settings, notes=step.adc.notes))


def _match_conversions(before: CrossbarStep, after: CrossbarStep) -> Int64Array:
    """Which conversion each one was before; those that enter no output take the places left."""
    order = np.full(after.conversions, -1, dtype=np.int64)
    order[after.periphery.r_conversion] = before.periphery.r_conversion
    rest = np.setdiff1d(np.arange(before.conversions), order)
    order[order < 0] = rest
    return order
