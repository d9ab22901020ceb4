"""What a compilation was told, completed by what the target and the files named in it say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xbarc.calibration import Request, Whole, make_request
from xbarc.cost import law_of_costs, law_origin, load_law, parse_policy, with_law
from xbarc.errors import MappingError
from xbarc.frontend import BinaryOptions
from xbarc.ir import Dim, Value, read_npz
from xbarc.mapping import (
    converters_origin,
    encoding_of,
    encoding_origin,
    find_encoding,
    idle_savings,
    load_converters,
    load_encoding,
    load_placement,
    read_groups,
)
from xbarc.options import (
    AUTO,
    BY_BUDGET,
    CompileOptions,
    InputGroups,
    MapOptions,
    Method,
    SenseOptions,
)
from xbarc.plugins import is_foreign
from xbarc.target import Target

# The largest `adc.max_bits` that a target may state.
_WIDEST = 16


@dataclass(frozen=True)
class Plan:
    """Everything that a compilation needs to know beside the network and the data.

    Attributes:
        target: the chip, its converters priced as asked for.
        options: with the target's choices where the user made none, and files read.
        weight_bits, activation_bits: of float weights and activations.
        whole: what all layers share: scaled channels, one range.
    """

    target: Target
    options: CompileOptions
    weight_bits: int
    activation_bits: int
    whole: Request


def make_plan(options: CompileOptions, target: Target) -> Plan:
    """Options with the target's defaults where nothing was said.

    Raises:
        MappingError: there is no such encoding, or options do not go together.
        InputError: a file that an option names cannot be read, or holds something else.
    """
    law = None if options.cost_law is None else load_law(options.cost_law)
    target = with_law(target, law)
    weights = _or(options.weight_bits, target.precision.weight_bits)
    activations = _or(options.activation_bits, target.precision.activation_bits)
    found: dict[str, Any] = {
        "weight_bits": weights,
        "activation_bits": activations,
        "encoding": _load_encoding(options, target),
        "adc": load_converters(options.adc) or options.adc,
        "cost_law": law,
        "placement": load_placement(options.placement),
        "duplicate": str(parse_policy(options.duplicate, target)),
    }
    if options.adc_budget is not None:
        found["adc"] = BY_BUDGET
    if isinstance(options.split, Path):
        found["split"] = read_groups(read_npz(options.split))
    elif isinstance(options.split, InputGroups):
        found["split"] = read_groups(options.split.groups)
    if isinstance(options.fault_map, Path):
        found["fault_map"] = read_npz(options.fault_map)
    resolved = options.changed(**found)
    _check_calibrated(resolved, target)
    whole = make_request(target, resolved, (weights, activations))
    return Plan(target, resolved, weights, activations, whole)


def _load_encoding(options: CompileOptions, target: Target) -> str | Method:
    """The encoding: ours by name, one from elsewhere as an object; told before long work."""
    asked = options.encoding
    if asked is None:  # a target's file never names code
        asked = target.precision.encoding
        return asked if asked == AUTO else find_encoding(asked).name
    if asked == AUTO:
        return AUTO
    found = load_encoding(asked)
    return found if is_foreign(found) else found.name


def _check_calibrated(options: CompileOptions, target: Target) -> None:
    """Refuse more bits than the target's converters have."""
    if target.adc.kind == "sense-amplifier":  # a later check says that there are no converters
        return
    asked, have = options.adc_policy.partition(":")[2], target.adc.max_bits
    if asked and int(asked) > have:
        raise MappingError(
            f"{asked} bits asked for, the ADC of {target.name} has {have}",
            where=f"--adc {options.adc_name}",
            hint=f"--adc calibrated:{have}, or --set adc.max_bits={asked} for another converter",
        )


def compares(plan: Plan) -> bool:
    """Whether the target reads sums by comparison, and was not told to saturate instead."""
    return plan.target.adc.kind == "sense-amplifier" and not plan.options.adc_policy.isdecimal()


def binary_options(plan: Plan) -> BinaryOptions:
    """How binary layers are read."""
    return BinaryOptions(compares(plan), plan.options.sign_of_zero, plan.options.allow_ternary)


def _or(given: int | None, default: int) -> int:
    return default if given is None else given


def lossless(plan: Plan) -> Plan:
    """The plan with converters that are wide enough for every sum."""
    wide = plan.target.adc.model_copy(update={"max_bits": _WIDEST})
    target = plan.target.model_copy(update={"adc": wide})
    return replace(plan, target=target, options=plan.options.changed(adc="lossless"))


_SAID_WHERE_ASKED = (
    "adc_budget",
    "allow_ternary",
    "duplicate",
    "effort",
    "equalise",
    "refit",
)
"""Options of which a program speaks only where they are not left at their default."""


def settings_of(plan: Plan, whole: Whole, *, calibrated: bool) -> tuple[tuple[str, str], ...]:
    """What the program says of how it was made; `calibrated`: whether there was data."""
    options, found = plan.options, plan.options.program_settings()
    if not compares(plan):
        for name in SenseOptions().program_settings():
            del found[name]
    if not calibrated:
        found["feedback"] = "off (no calibration data)"
    ranges = f"static ({options.ranges})" if calibrated else "dynamic (each sample)"
    found |= {
        "activation_ranges": ranges,
        "adc": options.adc if isinstance(options.adc, str) else _converters(options.adc),
        "encoding": _describe_encoding(options),
        "adc_savings": _adc_savings(options, plan.target),
        "placement": "none",  # what is placed later says so
        "rounding": "half_even",
    }
    law = law_of_costs(plan.target)
    if law is not None:
        found["cost_law"] = law_origin(law)
    if "rows" in options.adc_savings:
        found["rows_latency"] = f"{options.rows_latency:g}"
    return tuple(sorted((found | _said_where_asked(options) | whole.settings()).items()))


def _said_where_asked(options: CompileOptions) -> dict[str, str]:
    """Options that a program names where they are not left at their default, and do something."""
    said = [*_SAID_WHERE_ASKED, *(["column_order"] if "group" in options.adc_savings else [])]
    fields = CompileOptions.model_fields
    asked = {name: getattr(options, name) for name in said}
    return {name: str(value) for name, value in asked.items() if value != fields[name].default}


def shape_settings(
    inputs: Sequence[Value], given: Mapping[str, tuple[int, ...]]
) -> tuple[tuple[str, str], ...]:
    """The shapes that counts are for, where the model leaves axes open.

    The first axis is the sample: one inference is one of them, so it is no open question.
    """
    asked = [f"{name}={','.join(map(str, shape))}" for name, shape in sorted(given.items())]
    found = [("shapes", "; ".join(asked))] if asked else []
    left = [
        f"{value.name}: {', '.join(axes)}"
        for value in inputs
        if value.name not in given and (axes := _open_axes(value))
    ]
    return (*found, *([("open_axes", "; ".join(left))] if left else []))


def _open_axes(value: Value) -> list[str]:
    """Axes behind the first one that the model gives no size, by name or number."""
    axes = enumerate(value.shape or ())
    return [
        size if isinstance(size, str) else f"axis {at}"
        for at, size in axes
        if at and not _is_fixed(size)
    ]


def _is_fixed(size: Dim) -> bool:
    return isinstance(size, int) and size >= 0


def _adc_savings(options: MapOptions, target: Target) -> str:
    if not options.adc_savings:
        return "none"
    idle = idle_savings(options, target)
    why = f"; no effect here: {', '.join(idle)}" if idle else ""
    return f"{', '.join(options.adc_savings)}; conversion cost {options.conversion_cost}{why}"


def _converters(given: Method) -> str:
    policy = load_converters(given)
    return given.name if policy is None else converters_origin(policy)


def _describe_encoding(options: MapOptions) -> str:
    if options.encoding == AUTO:
        return f"{AUTO} (error of a layer up to {options.encoding_budget:g})"
    found = encoding_of(options)
    return f"{found.name} ({encoding_origin(found)})" if is_foreign(found) else found.name
