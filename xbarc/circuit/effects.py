"""Which effects are on, and the figures of a cell in level units."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

import numpy as np

from xbarc.circuit.devices import CellModel, DeviceModel, TargetVariation, load_device
from xbarc.circuit.faults import FaultMap
from xbarc.errors import InputError
from xbarc.numerics import Float64Array
from xbarc.options import DAY_S, Effect
from xbarc.target import Target

KINDS: tuple[str, ...] = get_args(Effect)


@dataclass(frozen=True, eq=False)
class Effects:
    """What a chip is to suffer from.

    Attributes:
        kinds: some of `KINDS`.
        seed: of everything random.
        sample: which chip of the Monte Carlo run.
        seconds: time since programming, for drift.
        fault_map: stuck cells that are known; without it they are drawn by the target's rates.
        active: for lines, share of rows that read 1 where the others are cut off from their
            bitlines; 1 where they are driven to zero volt.
        converters: without them each layer is one product with the matrix that its cells really
            stand for, which is quicker; accumulators are then rounded once, not sums. Sense
            amplifiers compare as ever.
        device: how programmed cells deviate, in place of the target's variation; None: as it says.
    """

    kinds: frozenset[str] = frozenset()
    seed: int = 0
    sample: int = 0
    seconds: float = DAY_S
    fault_map: FaultMap | None = None
    active: float = 1.0
    converters: bool = True
    device: DeviceModel | None = None

    def __post_init__(self) -> None:
        unknown = sorted(self.kinds - set(KINDS))
        if unknown:
            raise InputError(
                f"no effect '{unknown[0]}'", where="--effects", hint=f"some of {', '.join(KINDS)}"
            )
        if not (self.seconds > 0 and np.isfinite(self.seconds)):
            raise InputError(f"{self.seconds} s, expected more than 0", where="--time")
        if self.device is not None and "variation" not in self.kinds:
            raise InputError("needs --effects variation", where="--device")
        if not self.converters and "noise" in self.kinds:
            raise InputError(
                "noise is drawn for every conversion, and there is none",
                where="--ideal-converters",
                hint="leave noise out of --effects",
            )
        if not 0 < self.active <= 1:
            raise InputError(f"{self.active}, expected above 0 and at most 1", where="--gated")

    def __contains__(self, kind: str) -> bool:
        return kind in self.kinds

    @property
    def is_random(self) -> bool:
        """Whether two samples can differ."""
        drawn = "faults" in self and self.fault_map is None
        return drawn or bool(self.kinds & {"variation", "noise", "offset"})


def cell_model(target: Target, effects: Effects) -> CellModel:
    """The figures that these effects switch on; those that are off are zero.

    Raises:
        InputError: wires are on, and the target draws conductances below zero.
        MappingError: the device model lacks something.
    """
    cell = target.cell
    # A foreign model takes the place of the target's spread, and must not be refused for its law.
    own = effects.device is None and "variation" in effects
    if own and cell.variation.law == "normal" and "lines" in effects:
        raise InputError(
            "cell.variation.law 'normal' draws conductances below zero, which wires cannot carry",
            where="--effects",
            hint="leave out lines or variation, or set cell.variation.law to log-normal",
        )
    values = np.array(cell.conductance.values, dtype=np.float64)
    unit = float(values[-1] - values[0]) / (len(values) - 1)
    whole = np.arange(len(values), dtype=np.float64)
    # A power law: `G(t) = G(t0) (t / t0)**-nu`, each parameter a figure of the target.
    elapsed = effects.seconds / cell.drift.reference.value if "drift" in effects else 1.0
    sigma, relative = _spread(target, unit) if own else (0 * whole, 0.0)
    # A measured map replaces the rates: nothing is drawn beside it.
    faulty = "faults" in effects and effects.fault_map is None
    return CellModel(
        position=(values - values[0]) / unit if "levels" in effects else whole,
        sigma=sigma,
        relative=relative,
        law=cell.variation.law,
        floor=float(values[0]) / unit,
        top=float(len(values) - 1),
        stuck_on=cell.stuck_on.value if faulty else 0.0,
        stuck_off=cell.stuck_off.value if faulty else 0.0,
        read_noise=cell.read_noise.value * float(values[-1]) / unit if "noise" in effects else 0.0,
        drift=float(elapsed ** (-cell.drift.exponent.value)),
        siemens=unit * 1e-6,
        device=TargetVariation() if effects.device is None else load_device(effects.device),
    )


def _spread(target: Target, unit: float) -> tuple[Float64Array, float]:
    """Absolute spread of each level, and the proportional one."""
    variation, levels = target.cell.variation, len(target.cell.conductance.values)
    if variation.levels is not None:
        return np.array(variation.levels.values, dtype=np.float64) / unit, 0.0
    if variation.kind == "proportional":
        return np.zeros(levels), variation.sigma.value
    return np.full(levels, variation.sigma.value / unit), 0.0


def adc_noise(target: Target, effects: Effects) -> float:
    """One standard deviation at the converter's input, in steps of the converter."""
    noise = target.adc.noise
    return noise.value if noise is not None and "noise" in effects else 0.0


def sense_offset(target: Target, effects: Effects) -> float:
    """Sigma of the threshold from one sense amplifier to the next, in level units."""
    offset = target.adc.offset
    return offset.value if offset is not None and "offset" in effects else 0.0


def names_of(kinds: Iterable[str]) -> tuple[str, ...]:
    """Effects in the order of `KINDS`."""
    chosen = set(kinds)
    return tuple(kind for kind in KINDS if kind in chosen)
