"""The arrays of `cells.safetensors`, each defined once: axes, kind of number, meaning.

Reading checks arrays against this table, and the reference page of the files is made from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from xbarc.numerics import AnyArray

Kind = Literal["integer", "byte", "real"]
_KINDS: dict[Kind, str] = {"integer": "iu", "byte": "u", "real": "f"}


@dataclass(frozen=True)
class ArrayForm:
    """One array of a crossbar step.

    Attributes:
        axes: a name for each axis; one that ends in "or 1" may have length 1, which then holds for
            all.
        kind: `integer` of any width and signedness, `byte` (uint8), or `real`.
        meaning: in words, for the reference page.
        optional: for which layers it is there; empty: for all.
        held: element type in memory, where it holds integers: the one that the compiler writes.
    """

    axes: tuple[str, ...]
    kind: Kind
    meaning: str
    optional: str = ""
    held: str = "int32"

    def fits(self, array: AnyArray) -> bool:
        """Whether an array has these axes and this kind."""
        right = array.dtype.kind in _KINDS[self.kind] and array.ndim == len(self.axes)
        return right and (self.kind != "byte" or array.dtype == np.uint8)


_ADC = ("group or 1", "segment or 1", "conversion or 1", "input slice or 1")
_PLACE = ("group", "row block", "column block")
_ENTRY_OF_A = "of an entry of `A`; all three arrays are empty where `A` is the identity"

FORMS: Mapping[str, ArrayForm] = {
    "cells": ArrayForm(
        ("group", "row", "byte"),
        "byte",
        "levels of the cells, [packed](#packed-cells) along the columns",
    ),
    "tiling.row_input": ArrayForm(
        ("row",), "integer", "input index of each wordline, within its group"
    ),
    "tiling.row_bounds": ArrayForm(
        ("row block + 1",), "integer", "first row of each row block, and the end"
    ),
    "tiling.segment_bounds": ArrayForm(
        ("segment + 1",),
        "integer",
        "first row of each segment (rows that are active together), and the end; it refines"
        " `row_bounds`",
    ),
    "tiling.column_bounds": ArrayForm(
        ("column block + 1",), "integer", "first column of each column block, and the end"
    ),
    "tiling.conversion_bounds": ArrayForm(
        ("column block + 1",), "integer", "first conversion of each column block, and the end"
    ),
    "tiling.array": ArrayForm(
        _PLACE, "integer", "number of the physical array of each block, counted over the program"
    ),
    "tiling.row_offset": ArrayForm(_PLACE, "integer", "first wordline of the block in its array"),
    "tiling.column_offset": ArrayForm(_PLACE, "integer", "first bitline of the block in its array"),
    "tiling.column_order": ArrayForm(
        ("group or 1", "row block or 1", "column"),
        "integer",
        "bitline of each column, counted from the first one of its block. It says which columns"
        " share a converter and where they lie along the wires; no sum depends on it",
        "where columns were placed in another order",
    ),
    "periphery.a_conversion": ArrayForm(("entry",), "integer", f"conversion {_ENTRY_OF_A}"),
    "periphery.a_column": ArrayForm(("entry",), "integer", f"column {_ENTRY_OF_A}"),
    "periphery.a_sign": ArrayForm(("entry",), "integer", f"+1 or -1 {_ENTRY_OF_A}", held="int8"),
    "periphery.r_output": ArrayForm(("entry",), "integer", "output of each entry of `R`"),
    "periphery.r_conversion": ArrayForm(("entry",), "integer", "conversion of each entry of `R`"),
    "periphery.r_code": ArrayForm(
        ("group or 1", "row block or 1", "entry"),
        "integer",
        "the entries of `R`: 0, or the sign times (exponent + 1) of plus or minus 2^exponent;"
        " entries of one place add up",
        held="int8",
    ),
    "periphery.constant": ArrayForm(
        ("output of all groups",),
        "integer",
        "`a`, without the share of the input's zero point",
        held="int64",
    ),
    "periphery.input_sum": ArrayForm(("output of all groups",), "integer", "`beta`", held="int64"),
    "periphery.column_scale": ArrayForm(
        ("group or 1", "row block or 1", "conversion"),
        "integer",
        "`f`, a factor on what each conversion is read back as",
        "where the target multiplies converted columns",
        held="uint8",
    ),
    "adc.bits": ArrayForm(
        _ADC, "integer", "`B`; 0 where nothing is converted and `lo` is read", held="uint8"
    ),
    "adc.lo": ArrayForm(_ADC, "integer", "`lo`, the sum that code 0 means"),
    "adc.step": ArrayForm(_ADC, "integer", "`step`, at least 1"),
    "result.scale": ArrayForm(
        ("output of all groups",),
        "real",
        "real value of one step of the weights",
        "for results of kind `float`",
    ),
    "result.bias": ArrayForm(
        ("output of all groups",), "real", "added to each value", "for results of kind `float`"
    ),
    "result.multiplier": ArrayForm(
        ("output of all groups",),
        "real",
        "factor from accumulators to steps of the output",
        "for results of kind `requantized`",
    ),
    "result.equalised": ArrayForm(
        ("output of all groups",),
        "real",
        "what equalisation multiplied the outputs by; later layers divide by it",
        "where channels were equalised",
    ),
    "sign.threshold": ArrayForm(
        ("output of all groups",),
        "integer",
        "the accumulator from which on the result is `high`",
        "for results of kind `sign`",
        held="int64",
    ),
    "sign.flip": ArrayForm(
        ("output of all groups",),
        "integer",
        "1 where the comparison is turned round: `low` from the threshold on",
        "for results of kind `sign`",
        held="uint8",
    ),
    "sense.thresholds": ArrayForm(
        ("group", "segment", "conversion", "level"),
        "integer",
        "thresholds of the sense amplifiers; they do not fall along the levels",
        "where sense amplifiers read the layer",
    ),
    "sense.drive": ArrayForm(
        ("row",),
        "integer",
        "which codes drive each wordline: a sum of 1 (`high`), 2 (`low`) and 4 (neither)",
        "where sense amplifiers read the layer",
        held="uint8",
    ),
    "facts.low": ArrayForm(
        ("group or 1", "input"),
        "integer",
        "least code that each input can carry; proven again on loading",
        "where something is known of the inputs",
        held="int64",
    ),
    "facts.high": ArrayForm(
        ("group or 1", "input"),
        "integer",
        "largest code that each input can carry",
        "where something is known of the inputs",
        held="int64",
    ),
}


def names_of(part: str) -> tuple[str, ...]:
    """Names of the arrays that one part of every layer has, without the part's own name."""
    prefix = f"{part}."
    return tuple(
        name.removeprefix(prefix)
        for name, form in FORMS.items()
        if name.startswith(prefix) and not form.optional
    )


def check_forms(layer: str, arrays: Mapping[str, AnyArray]) -> None:
    """Refuse arrays that are not in the table, or have other axes or another kind.

    Raises:
        ValueError: names the layer and the array.
    """
    for name, array in arrays.items():
        form = FORMS.get(name)
        if form is None:
            raise ValueError(f"{layer}: no layer has an array '{name}'")
        if not form.fits(array):
            raise ValueError(
                f"{layer}: {name} is {array.dtype} with {array.ndim} axes, expected {form.kind}"
                f" with {len(form.axes)}: {', '.join(form.axes)}"
            )


def hold_arrays(layer: str, arrays: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """Give a layer's integers the element types that the compiler writes.

    A file may hold them in others; arithmetic on what it chose could overflow.

    Raises:
        ValueError: an array is none of a layer, or its numbers do not fit.
    """
    check_forms(layer, arrays)
    return {name: _held(f"{layer}: {name}", array, FORMS[name]) for name, array in arrays.items()}


def _held(name: str, array: AnyArray, form: ArrayForm) -> AnyArray:
    if form.kind != "integer" or array.dtype == form.held:
        return array
    # Refused and not wrapped: a number that does not fit would silently become another.
    ends = np.iinfo(form.held)
    if array.size and not (ends.min <= int(array.min()) and int(array.max()) <= ends.max):
        raise ValueError(f"{name} holds {array.min()} to {array.max()}, expected {form.held}")
    return array.astype(form.held)
