"""Rules of layers that are read by comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from xbarc.ir.program import CrossbarStep
from xbarc.ir.quantizers import ABSENT, DOWN, UP, BinaryInput, IntegerResult, RequantizedResult

_STATES = UP | DOWN | ABSENT
# Thresholds are int32: below this the difference of two of them is as well.
_LARGEST = 1 << 30


def senses_read_binary_codes(step: CrossbarStep) -> Iterator[str]:
    """Binary codes go to sense amplifiers, and sense amplifiers read nothing else, in one cycle."""
    binary = isinstance(step.quantizer, BinaryInput)
    if binary != (step.sense is not None):
        yield "binary codes and comparisons come together, here is one without the other"
    if step.sense is None:
        return
    if step.input_slices != 1:
        yield f"comparisons over {step.input_slices} input slices, expected one"
    if isinstance(step.result, IntegerResult | RequantizedResult):
        yield f"comparisons give no {step.result.kind} result"
    if step.periphery.input_sum.any():
        yield "comparisons cannot add an input sum"


def two_values(step: CrossbarStep) -> Iterator[str]:
    """The two values of binary codes differ, and mean plus and minus, or something and nothing."""
    if not isinstance(step.quantizer, BinaryInput):
        return
    low, high = step.quantizer.low, step.quantizer.high
    if not (np.isfinite([low, high]).all() and low < high):
        yield f"the values {low} and {high} do not rise"
    elif 0 not in (low, high) and low != -high:
        yield f"the values {low} and {high} are neither opposite nor is one of them 0"


def sense_rows(step: CrossbarStep) -> Iterator[str]:
    """Where an input stands it has as many wordlines as any, and each has codes that drive it."""
    if step.sense is None:
        return
    rows, drive = step.tiling.row_input, step.sense.drive
    if rows.shape != (step.cells.shape[1],) or drive.shape != rows.shape:
        yield f"{rows.size} wordlines have an input, {drive.size} say what drives them"
        return
    if rows.size and not (rows.min() >= 0 and rows.max() < step.inputs):
        yield f"a wordline carries an input beyond {step.inputs}"
        return
    ends = np.asarray(step.tiling.segment_bounds)[1:-1].astype(np.int64)
    counts = [np.bincount(part, minlength=step.inputs) for part in np.split(rows, ends)]
    # Counted by segment: an input of several wordlines must have all of them in one comparison.
    used = np.concatenate([part[part > 0] for part in counts])
    if used.size and used.min() != used.max():
        yield f"inputs have {used.min()} to {used.max()} wordlines, expected the same number"
    if rows.size and np.sum(counts, axis=0).min() == 0:
        yield "an input has no wordline"
    # A wordline that only `ABSENT` drives would carry borders and nothing else.
    if np.any((drive & (UP | DOWN)) == 0) or np.any(drive & ~np.uint8(_STATES)):
        yield "a wordline is driven by no code, or by one that there is not"


def sense_thresholds(step: CrossbarStep) -> Iterator[str]:
    """Thresholds have an axis each, do not fall along levels, and lie within the code's width."""
    if step.sense is None:
        return
    found = step.sense.thresholds
    lead = (step.groups, step.tiling.segment_bounds.size - 1, step.conversions)
    if found.shape[:3] != lead or not found.shape[3:]:
        yield f"thresholds have shape {found.shape}, expected {lead} and levels"
        return
    if not 1 <= found.shape[3] <= 7:
        yield f"{found.shape[3]} comparisons per conversion, expected 1 to 7"
    if np.any(np.diff(found.astype(np.int64), axis=3) < 0):
        yield "thresholds fall along levels"
    if np.abs(found.astype(np.int64)).max(initial=0) > _LARGEST:
        yield f"a threshold beyond {_LARGEST}"
    # Counts and reports read `adc`: with lo 0 and step 1 a code of comparisons reads back as
    # itself.
    wide = (1 << int(step.adc.bits.min(initial=62))) - 1
    plain = not step.adc.lo.any() and bool((step.adc.step == 1).all())
    if not plain or wide < found.shape[3]:
        yield f"codes up to {found.shape[3]} are not what the settings read back"


SENSE_RULES: tuple[Callable[[CrossbarStep], Iterator[str]], ...] = (
    senses_read_binary_codes,
    two_values,
    sense_rows,
    sense_thresholds,
)
