"""Encodings of other people are not trusted: what they give is checked before it becomes cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from xbarc.errors import MappingError, say_count
from xbarc.ir import effective_weights
from xbarc.mapping.encodings.base import Encoded, Encoding, Pattern
from xbarc.numerics import AnyArray, IntArray
from xbarc.plugins import Guarded, blame

if TYPE_CHECKING:
    from xbarc.ir import CrossbarStep

_HINT = "xbarc.testing.check_encoding says more"


def probe_encoding(guarded: Guarded) -> None:
    """Ask for small blocks before long work.

    Args:
        guarded: an encoding with all methods.

    Raises:
        MappingError: a method fails or gives something else than its protocol says.
    """
    encoding = cast(Encoding, guarded)
    # Both extremes, zero and both signs; the least integer has no counterpart.
    weights = np.array([[[[-128, 127, 0]], [[1, -1, 0]]]], dtype=np.int32)
    bounds = np.array([0, 2], dtype=np.int32)
    try:
        with blame(guarded, "the check"):
            least = encoding.slices(-128, 127, 8, 2)
            check_slices(least)
            for outputs in (1, 3):
                # One more than needed: users may ask for it, and the upper slices are then empty.
                for slices in (least, least + 1):
                    piece = encoding.encode(weights[..., :outputs], bounds, 8, 2, slices)
                    check_piece(encoding, piece, weights[..., :outputs], 1, 2, slices)
    except MappingError as error:
        text = f"does not work on a block of 2 inputs: {error.message}"
        raise guarded.problem(text) from error


def check_slices(slices: object) -> None:
    """Refuse a count of cells that is none.

    Raises:
        ValueError: it is.
    """
    if not isinstance(slices, int | np.integer) or not 1 <= slices <= 64:
        raise ValueError(f"slices() gives {slices!r:.40}, expected a whole number from 1 to 64")


def check_piece(
    encoding: Encoding,
    piece: Encoded,
    weights: IntArray,
    row_blocks: int,
    cell_bits: int,
    slices: int,
) -> None:
    """Refuse cells and entries of `R` that no block could have.

    Args:
        encoding: made them.
        piece: what `encode` gave.
        weights: what it was given; axes: group, row, block, output.
        row_blocks: count of row blocks in them.
        cell_bits: of a cell.
        slices: cells of one sign a weight.

    Raises:
        ValueError: they do not fit; the message says what was found and what was expected.
    """
    outputs = weights.shape[3]
    pattern, width = encoding.pattern(outputs, slices), encoding.width(outputs, slices)
    _check_pattern(pattern, outputs, width)
    cells, values = piece.cells, piece.r_value
    wanted = (*weights.shape[:3], width)
    if cells.shape != wanted or cells.dtype != np.uint8:
        raise ValueError(f"cells are {_says(cells)}, expected uint8 of shape {wanted}")
    # Packing would let the overflow run into the next cell.
    if int(cells.max(initial=0)) >> cell_bits:
        raise ValueError(
            f"a cell is {cells.max()}, one of {say_count(cell_bits, 'bit')} holds less"
        )
    lead = zip(values.shape, (weights.shape[0], row_blocks, weights.shape[2]), strict=False)
    entries = len(pattern.r_output)
    if values.ndim != 4 or values.shape[3] != entries or any(n not in (1, m) for n, m in lead):
        raise ValueError(
            f"entries of R are {_says(values)}, expected group or 1, row block or 1, block or 1,"
            f" {entries}"
        )


def _check_pattern(pattern: Pattern, outputs: int, width: int) -> None:
    if not 1 <= pattern.conversions <= width:
        raise ValueError(f"{pattern.conversions} conversions of {width} columns")
    for names, limits in (
        (("a_conversion", "a_column", "a_sign"), (pattern.conversions, width, None)),
        (("r_output", "r_conversion"), (outputs, pattern.conversions)),
    ):
        arrays = [np.asarray(getattr(pattern, name)) for name in names]
        if len({array.shape for array in arrays}) > 1 or arrays[0].ndim != 1:
            raise ValueError(f"{', '.join(names)} of the pattern differ in length")
        for name, array, limit in zip(names, arrays, limits, strict=True):
            _check_indices(name, array, limit)


def _check_indices(name: str, array: AnyArray, limit: int | None) -> None:
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} of the pattern holds {array.dtype}, expected integers")
    if limit is None:
        if not np.isin(array, (-1, 1)).all():
            raise ValueError(f"{name} of the pattern holds more than -1 and 1")
    elif array.size and not 0 <= int(array.min()) <= int(array.max()) < limit:
        raise ValueError(
            f"{name} of the pattern goes from {array.min()} to {array.max()}, "
            f"expected 0 to {limit - 1}"
        )


def _says(array: AnyArray) -> str:
    return f"{array.dtype} of shape {array.shape}"


def check_meaning(step: CrossbarStep, weights: IntArray) -> None:
    """Refuse cells that stand for other weights than the layer's.

    Args:
        step: the mapped layer.
        weights: its integers; axes: group, input, output.

    Raises:
        MappingError: they do; the message names the first.
    """
    found = effective_weights(step)
    wrong = np.argwhere(found != weights)
    if len(wrong):
        at = tuple(int(n) for n in wrong[0])
        raise MappingError(
            f"{len(wrong):,} of {found.size:,} weights have cells that mean another number: weight "
            f"{int(weights[at])} of group, input, output {at} reads back as {int(found[at])}",
            where=f"{step.name}: encoding {step.encoding}",
            hint=_HINT,
        )
