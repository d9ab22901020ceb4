"""How a cost figure depends on the array that it is given for: a closed set of laws, our model.

A figure states what it is given per (its field says so) and for which geometry: `given_for`, or
else the array of the file that states it. Its law is a product of terms; `line-settling` is added.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from xbarc.target.strict import Strict

Growth = Literal[
    "active-rows",
    "columns",
    "cells",
    "lines",
    "sqrt-lines",
    "macro-lines",
    "dac-levels",
    "conductance",
    "voltage-squared",
    "line-capacitance",
    "buffer",
    "sqrt-buffer",
    "line-settling",
]
SETTLING: Growth = "line-settling"
Count = Annotated[int, Field(ge=1, le=65536)]
Number = Annotated[float, Field(ge=0)]


class Geometry(Strict):
    """What figures depend on; a file gives the entries in which a source differs from its array."""

    rows: Count | None = Field(default=None, description="wordlines of the array")
    columns: Count | None = Field(default=None, description="bitlines that hold weights")
    spare_columns: Annotated[int, Field(ge=0, le=64)] | None = Field(
        default=None, description="further bitlines; none where `columns` is given without it"
    )
    active_rows: Count | None = Field(
        default=None, description="rows read together; all where `rows` is given without it"
    )
    dac_bits: Annotated[int, Field(ge=1, le=8)] | None = Field(
        default=None, description="bits of an input slice"
    )
    adc_bits: Annotated[int, Field(ge=1, le=16)] | None = Field(
        default=None, description="bits of the widest conversion"
    )
    read_voltage: Number | None = Field(default=None, description="wordline voltage, V")
    conductance: Number | None = Field(default=None, description="mean over the levels, uS")
    wordline: Number | None = Field(default=None, description="a segment of a wordline, ohm")
    bitline: Number | None = Field(default=None, description="a segment of a bitline, ohm")
    driver: Number | None = Field(default=None, description="wordline driver, ohm")
    sense: Number | None = Field(default=None, description="sense side, ohm")
    capacitance: Number | None = Field(default=None, description="a line, for each cell, fF")
    arrays_per_macro: Count | None = Field(default=None, description="arrays of a macro")
    buffer_kib: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="buffer of a tile, KiB"
    )

    def entries(self) -> dict[str, float]:
        """What is given."""
        return self.model_dump(exclude_none=True)


class Carried(Strict):
    """What a figure was for the geometry that its source gives it for."""

    value: float = Field(description="the number there, in the figure's unit")
    given_for: Geometry = Field(description="what differs there and matters to the law")
    grows: tuple[Growth, ...] = Field(description="terms of the law", strict=False)
    factor: float = Field(description="what the number was multiplied by")
    added: float = Field(default=0.0, description="what was added then, in the figure's unit")


@dataclass(frozen=True)
class Law:
    """What one figure is given per, and what it grows with.

    Attributes:
        per: what the field counts; the report multiplies by that count.
        grows: terms of the product; none: the same for every array.
        why: a remark: why this law, why nothing more.
    """

    per: str
    grows: tuple[Growth, ...] = ()
    why: str = ""

    def __str__(self) -> str:
        # A time is added, and all other terms are factors.
        terms = " x ".join(term for term in self.grows if term != SETTLING)
        sums = [part for part in (terms, SETTLING if SETTLING in self.grows else "") if part]
        return " + ".join(sums) or "nothing"


def _columns(at: Mapping[str, float]) -> float:
    return at["columns"] + at["spare_columns"]


def _lines(at: Mapping[str, float]) -> float:
    return at["rows"] + _columns(at)


def settling_ns(at: Mapping[str, float]) -> float:
    """Time until wordline and bitline are within half a step of the converter, by Elmore's delay.

    A line of `n` cells has the time constant `c n (R + r (n + 1) / 2)`: `c` farad and `r` ohm a
    cell, `R` ohm at its end. Cells load the line no further, so this is an upper bound.

    Raises:
        KeyError: an entry is missing, such as the capacitance.
    """
    # Cells do not slow a line in this model: their conductance only adds a path to ground.
    farad = at["capacitance"] * 1e-15
    rows, columns = at["rows"], _columns(at)
    wordline = farad * columns * (at["driver"] + at["wordline"] * (columns + 1) / 2)
    bitline = farad * rows * (at["sense"] + at["bitline"] * (rows + 1) / 2)
    # An exponential is within half a step of `bits` after `(bits + 1) ln 2` time constants.
    return (at["adc_bits"] + 1) * math.log(2) * (wordline + bitline) * 1e9


@dataclass(frozen=True)
class Term:
    """One term of a law.

    Attributes:
        of: its size for a geometry.
        entries: entries of the geometry that it reads.
        words: what it is, for people.
    """

    of: Callable[[Mapping[str, float]], float]
    entries: tuple[str, ...]
    words: str


_BITLINES = ("columns", "spare_columns")
_WIRES = ("wordline", "bitline", "driver", "sense", "capacitance")
TERMS: dict[Growth, Term] = {
    "active-rows": Term(
        lambda at: at["active_rows"], ("active_rows",), "rows that are read together"
    ),
    "columns": Term(_columns, _BITLINES, "bitlines, spare ones too: the length of a wordline"),
    "cells": Term(
        lambda at: at["rows"] * _columns(at), ("rows", *_BITLINES), "rows times bitlines"
    ),
    "lines": Term(_lines, ("rows", *_BITLINES), "rows plus bitlines"),
    "sqrt-lines": Term(
        lambda at: math.sqrt(_lines(at)),
        ("rows", *_BITLINES),
        "root of rows plus bitlines: reading a byte of a memory takes energy with the root of its "
        "size (tables of CACTI in puma_sim)",
    ),
    "macro-lines": Term(
        lambda at: at["arrays_per_macro"] * _lines(at),
        ("arrays_per_macro", "rows", *_BITLINES),
        "rows plus bitlines of all arrays of a macro: a register for each line",
    ),
    "dac-levels": Term(
        lambda at: 2.0 ** (at["dac_bits"] - 1),
        ("dac_bits",),
        "doubles with each bit of the DAC (mnsim2)",
    ),
    "conductance": Term(
        lambda at: at["conductance"], ("conductance",), "mean conductance of the levels"
    ),
    "voltage-squared": Term(
        lambda at: at["read_voltage"] ** 2, ("read_voltage",), "read voltage squared"
    ),
    "line-capacitance": Term(
        lambda at: at["capacitance"], ("capacitance",), "capacitance of a line for each cell"
    ),
    "buffer": Term(
        # 1 KiB at least: a target without a buffer must not make a ratio of zeros.
        lambda at: max(1.0, at["buffer_kib"]),
        ("buffer_kib",),
        "size of the tile's buffer",
    ),
    "sqrt-buffer": Term(
        lambda at: math.sqrt(max(1.0, at["buffer_kib"])),
        ("buffer_kib",),
        "root of the size of the tile's buffer (17.2 to 25.35 pJ from 64 to 128 KiB in puma_sim)",
    ),
    "line-settling": Term(
        settling_ns,
        ("rows", *_BITLINES, "adc_bits", *_WIRES),
        "added, not multiplied: `(bits + 1) ln 2` time constants of a wordline and a bitline, "
        "`c n (R + r (n + 1) / 2)` each, from the resistances and the capacitance of `wires`",
    ),
}


@dataclass(frozen=True)
class Change:
    """What carries a figure from one geometry to another: `value * factor + added`.

    Attributes:
        given_for: entries of the other geometry that differ and matter.
    """

    factor: float
    added: float
    given_for: dict[str, float]


def change(
    grows: tuple[Growth, ...], given: Mapping[str, float], here: Mapping[str, float]
) -> Change | None:
    """The change of a figure by its law; None where nothing that matters differs.

    Raises:
        KeyError: the law needs an entry that one of the two lacks.
        ValueError: a term is zero on one side, so there is no ratio.
    """
    factor, added = 1.0, 0.0
    differs: dict[str, float] = {}
    for growth in grows:
        term = TERMS[growth]
        other = {name: given[name] for name in term.entries if given.get(name) != here.get(name)}
        if not other:
            continue
        differs |= other
        before, after = term.of(given), term.of(here)
        if growth == SETTLING:
            added = after - before
        elif not before or not after:
            raise ValueError(f"{growth} is {before:g} there and {after:g} here")
        else:
            factor *= after / before
    return Change(factor, added, differs) if differs else None


def complete_geometry(given: Geometry, here: Mapping[str, float]) -> dict[str, float]:
    """The geometry of a source: what it states, and the target's own entries for the rest."""
    entries = given.entries()
    if "rows" in entries:
        entries.setdefault("active_rows", entries["rows"])
    if "columns" in entries:
        entries.setdefault("spare_columns", 0)
    return {**here, **entries}
