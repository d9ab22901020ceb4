"""The sentence that describes a target, from its fields."""

from __future__ import annotations

from xbarc.target.model import Target

# The description is one sentence; the report lists every change.
_MOST_CHANGES = 4


def describe(target: Target) -> str:
    """What a target is: its own words, the array and its surroundings, what was changed."""
    own = f"{target.description}: " if target.description else ""
    return f"{own}{', '.join(_parts(target))}{_changes(target)}"


def _parts(target: Target) -> list[str]:
    array, cell, precision = target.array, target.cell, target.precision
    rows = f", {array.active_rows} rows at once" if array.active_rows < array.rows else ""
    shared = target.adc.columns_per_adc
    columns = "a column" if shared == 1 else f"{shared} columns"
    sense = "a 1-bit sense amplifier" if target.adc.kind == "sense-amplifier" else _adc(target)
    found = [
        f"{array.rows}x{array.columns} array of {cell.bits}-bit {cell.technology} cells{rows}",
        f"{target.input.dac_bits}-bit DAC",
        f"{sense} for {columns}",
        f"{precision.weight_bits}-bit weights and {precision.activation_bits}-bit inputs",
    ]
    if precision.uniform:
        found.append("one range for all layers")
    return [*found, f"{target.node_nm} nm costs"]


def _adc(target: Target) -> str:
    bits = target.adc.max_bits
    # "an eight", "an eleven": all other widths up to 16 begin with a consonant.
    return f"{'an' if bits in (8, 11) else 'a'} {bits}-bit ADC"


def _changes(target: Target) -> str:
    if not target.changed:
        return f"; as {target.base}" if target.base else ""
    shown = ", ".join(target.changed[:_MOST_CHANGES])
    more = len(target.changed) - _MOST_CHANGES
    rest = f" and {more} more" if more > 0 else ""
    return f"; {target.base or target.name} but for {shown}{rest}"
