"""Integers that a model declares, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Unkept:
    """Declared integers that a layer computes without.

    Attributes:
        part: the layer's weights, or its input.
        reason: why.
        remedy: what to do about it.
        sqnr_db: energy of the declared weights over that of their error, in dB; None for an input,
            whose error depends on the data, and where all declared weights are zero.
        largest: largest error of a weight, in steps of the declared integers; None where it is not
            known.
    """

    part: Literal["weights", "input"]
    reason: str
    remedy: str
    sqnr_db: float | None = None
    largest: float | None = None

    def note(self, layer: str) -> str:
        """A sentence for the report: what is not kept, why, and what to do."""
        found = f"Declared integers of layer {layer}: its {self.part}"
        found += " are not kept" if self.part == "weights" else " is quantised again"
        return f"{found}, since {self.reason}; {self._error()}. {self.remedy}."

    def _error(self) -> str:
        if self.part == "input":
            return "the error is up to half a step of the new range"
        size = "" if self.sqnr_db is None else f"SQNR of the weights {self.sqnr_db:.1f} dB"
        if self.largest is None:
            return size or "the size of the error is not known"
        worst = f"largest error {self.largest:.3g} steps"
        return f"{size}, {worst}" if size else worst
