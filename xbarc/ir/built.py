"""What was built beside what was asked for, in the settings of a program."""

from __future__ import annotations

from collections.abc import Iterable

from xbarc.ir.program import CrossbarStep, Step

_RANGES = {"static": "static", "dynamic": "dynamic"}
_BUILT = "; built: "


def built_settings(
    settings: Iterable[tuple[str, str]], steps: Iterable[Step]
) -> tuple[tuple[str, str], ...]:
    """Add to each setting what was built, wherever that is not what was asked for.

    A model's own integers have their own widths, few cells hold fewer bits, one range for all
    layers has one converter, and comparisons have none.
    """
    found = dict(settings)
    layers = [step for step in steps if isinstance(step, CrossbarStep)]
    built = {
        "activation_bits": [str(step.input_bits) for step in layers],
        "activation_ranges": [_RANGES.get(step.quantizer.kind, "as given") for step in layers],
        "adc": ["comparisons" if step.sense else step.adc.policy for step in layers],
        "encoding": [step.encoding for step in layers],
        "weight_bits": [str(step.weight_bits) for step in layers],
    }
    for name in built.keys() & found.keys():
        # Settings may have been through here before: what was built is said once, anew.
        values, asked = built[name], found[name].partition(_BUILT)[0]
        differs = any(value != asked.partition(" ")[0] for value in values)
        found[name] = f"{asked}{_BUILT}{', '.join(sorted(set(values)))}" if differs else asked
    return tuple(sorted(found.items()))
