"""Numbers for people: four significant digits, thousands apart, `unknown` where there is none."""

from __future__ import annotations

_SUFFIXES = ((1e15, " P"), (1e12, " T"), (1e9, " G"), (1e6, " M"))
# Counts up to seven digits are read exactly; larger ones as four digits and a suffix.
_EXACT_BELOW = 10_000_000


def number(value: float | None) -> str:
    """A number for a table."""
    if value is None:
        return "unknown"
    whole = float(value).is_integer()
    if whole and abs(value) < _EXACT_BELOW:
        return f"{int(value):,}"
    for factor, suffix in _SUFFIXES:
        if abs(value) >= factor:
            return f"{value / factor:.4g}{suffix}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def percent(share: float | None) -> str:
    """A share as a percentage."""
    if share is None:
        return "unknown"
    # Not "1e-05 %": a share that small is told as small, and 0 only where it is 0.
    return f"{100 * share:.3g} %" if share >= 1e-4 or not share else "< 0.01 %"


def histogram(counts: dict[int, int]) -> str:
    """ADC widths for a table: `6: 512, 8: 128`."""
    return ", ".join(f"{bits}: {number(count)}" for bits, count in counts.items())


def operators(counts: dict[str, int]) -> str:
    """Operators for a table: `Add, Relu x3`."""
    return ", ".join(f"{name} x{count}" if count > 1 else name for name, count in counts.items())


def seconds(micros: float | None) -> str:
    """Microseconds as seconds; empty where there are none."""
    return "" if micros is None else f"{micros / 1e6:.2f}"


def accuracy(share: float | None) -> str:
    """A share with two decimals, for tables of accuracies."""
    return "-" if share is None else f"{100 * share:.2f} %"


def decibels(value: float | None, identical: bool) -> str:
    """A ratio, or that there is no difference at all."""
    if identical:
        return "identical"
    return "-" if value is None else f"{value:.1f} dB"
