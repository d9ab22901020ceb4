"""Presets: several options at once, for a goal."""

from __future__ import annotations

from typing import Any, Literal

from xbarc.options.compiling import CompileOptions

Goal = Literal["accuracy", "energy", "area"]

# `auto` gives the same results as differential pairs in 60 % of their area and 56 % of their energy
# (fashion-mlp, rram128). With converters of 6 bits set from data besides, fashion-vgg takes 50 % of
# the area and 63 % of the energy, and 3 of 1,000 answers are lost; with 5 bits fashion-mlp loses 3
# of 500. ADC savings are left out there: recoded digits make usual sums larger, which few bits
# cannot hold (docs/explanation/adc-sizing.md).
_WITHOUT_DATA: dict[Goal, dict[str, Any]] = {
    "accuracy": {"adc": "lossless"},
    "energy": {"encoding": "auto", "adc_savings": "all", "conversion_cost": "target"},
    "area": {"encoding": "auto", "adc_savings": "all", "pack": "network"},
}
_WITH_DATA: dict[Goal, dict[str, Any]] = {
    "accuracy": {"adc": "lossless", "equalise": "channel", "feedback": "on"},
    "energy": {"encoding": "auto", "adc": "calibrated:6"},
    "area": {"encoding": "auto", "adc": "calibrated:6", "pack": "network"},
}


def preset_options(
    goal: Goal,
    *,
    calibrated: bool,
    widest: int | None = None,
    uniform: bool = False,
    compares: bool = False,
) -> dict[str, Any]:
    """Options that serve a goal, for `xbarc.compile(..., **preset_options("energy", ...))`.

    Args:
        goal: what matters most.
        calibrated: whether there are calibration data.
        widest: bits of the target's converters, where they cannot read every sum of an array.
        uniform: whether all layers share one range, and so one encoding and width.
        compares: whether the target reads sums by comparison, where converters have no width.
    """
    found = dict((_WITH_DATA if calibrated else _WITHOUT_DATA)[goal])
    if goal == "accuracy" and widest is not None:
        found["adc"] = f"calibrated:{widest}" if calibrated else str(widest)
    left_out = {"encoding", "adc"} if uniform or compares else set()
    if compares:
        left_out |= {"adc_savings", "conversion_cost"}
    return {name: value for name, value in found.items() if name not in left_out}


def preset_flags(options: dict[str, Any]) -> str:
    """Options as they are written on the command line."""
    known = CompileOptions.model_fields
    words = [
        f"--{name.replace('_', '-')} {value}" for name, value in options.items() if name in known
    ]
    return " ".join(words)
