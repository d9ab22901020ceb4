"""What a compilation was told, completed by what the target says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from xbarc.calibration.budget import Budget
from xbarc.calibration.uniform import Request, Whole, make_request
from xbarc.errors import MappingError
from xbarc.frontend import BinaryOptions
from xbarc.ir.geometry import Dim
from xbarc.ir.network import Value
from xbarc.mapping import AUTO, MapOptions
from xbarc.passes import Pruning, RangeMethod
from xbarc.passes.one_range import Share
from xbarc.target import Target

_WIDEST = 16
INPUT_FACTS = ("all", "structure", "none")


@dataclass(frozen=True)
class CompileOptions:
    """What `xbarc compile` was told; None takes the target's default.

    Attributes:
        weight_bits: 2 to 16, for float weights.
        activation_bits: 1 to 16, for float activations.
        ranges: how calibrated ranges are chosen.
        mapping: None takes the target's encoding and the defaults of mapping.
        shapes: input shapes by name, to count with where the model leaves axes open.
        adc_budget: what the outputs may lose to narrow converters; None: converters as `mapping`
            says.
        duplicate: how copies of weights are chosen in reports; see `xbarc.cost.parse_policy`.
        equalise: what is scaled so that few bits serve all channels: `none`, `layer` or `channel`;
            None scales channels where all layers share one range, and nothing elsewhere.
        uniform: whether all layers share one range of weights, of inputs and of converters.
        pruning: weights that become zero before anything else; None: none.
        input_facts: which facts about inputs make converters narrow: `all`, `structure` (what does
            not hang on weights) or `none`.
        exact_weights: refuse where a layer computes without integers that the model declares.
    """

    weight_bits: int | None = None
    activation_bits: int | None = None
    ranges: RangeMethod = "mse"
    mapping: MapOptions | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    adc_budget: Budget | None = None
    duplicate: str = "none"
    equalise: Share | None = None
    uniform: bool | None = None
    pruning: Pruning | None = None
    input_facts: str = "all"
    exact_weights: bool = False


@dataclass(frozen=True)
class Plan:
    """Everything that a compilation needs to know beside the network and the data.

    Attributes:
        whole: what all layers share: scaled channels, one range.
        budget: what the outputs may lose to narrow converters; None: nothing was asked.
        pruning: weights that become zero before anything else; None: none.
        input_facts: which facts about inputs are used.
    """

    target: Target
    weight_bits: int
    activation_bits: int
    ranges: RangeMethod
    mapping: MapOptions
    whole: Request
    budget: Budget | None = None
    pruning: Pruning | None = None
    input_facts: str = "all"


def make_plan(options: CompileOptions, target: Target) -> Plan:
    """Options with the target's defaults where nothing was said.

    Raises:
        MappingError: an option is out of its range, or two do not go together.
    """
    weight_bits = _or(options.weight_bits, target.precision.weight_bits)
    activation_bits = _or(options.activation_bits, target.precision.activation_bits)
    if not 2 <= weight_bits <= 16:
        raise MappingError(f"{weight_bits} bits, expected 2 to 16", where="--weight-bits")
    if not 1 <= activation_bits <= 16:
        raise MappingError(f"{activation_bits} bits, expected 1 to 16", where="--activation-bits")
    mapping = options.mapping or MapOptions(encoding=target.precision.encoding)
    if options.adc_budget is not None:
        if mapping.adc not in ("lossless", "budget"):
            text = f"chooses the bits of every converter, and so does --adc {mapping.adc}"
            raise MappingError(text, where="--adc-budget", hint="one of the two")
        mapping = replace(mapping, adc="budget")
    bits = (weight_bits, activation_bits)
    whole = make_request(target, mapping, bits, options.equalise, options.uniform)
    if options.input_facts not in INPUT_FACTS:
        hint = f"one of {', '.join(INPUT_FACTS)}"
        raise MappingError(
            f"'{options.input_facts}' is not available", where="--input-facts", hint=hint
        )
    ways = (options.adc_budget, options.pruning)
    return Plan(
        target, *bits, options.ranges, mapping, whole, *ways, input_facts=options.input_facts
    )


def compares(plan: Plan) -> bool:
    """Whether the target reads sums by comparison, and was not told to saturate instead."""
    return plan.target.adc.kind == "sense-amplifier" and not plan.mapping.adc.isdecimal()


def binary_options(plan: Plan) -> BinaryOptions:
    """How binary layers are read."""
    sense = plan.mapping.sense
    return BinaryOptions(compares(plan), sense.sign_of_zero, sense.allow_ternary)


def _or(given: int | None, default: int) -> int:
    return default if given is None else given


def lossless(plan: Plan) -> Plan:
    """The plan with converters that are wide enough for every sum."""
    wide = plan.target.adc.model_copy(update={"max_bits": _WIDEST})
    target = plan.target.model_copy(update={"adc": wide})
    return replace(plan, target=target, mapping=replace(plan.mapping, adc="lossless"))


def settings_of(plan: Plan, whole: Whole, *, calibrated: bool) -> tuple[tuple[str, str], ...]:
    """What the program says of how it was made; `calibrated`: whether there was data."""
    ranges = f"static ({plan.ranges})" if calibrated else "dynamic (each sample)"
    found = {
        "activation_bits": str(plan.activation_bits),
        "activation_ranges": ranges,
        "adc": plan.mapping.adc,
        "encoding": _encoding(plan.mapping),
        "feedback": plan.mapping.feedback if calibrated else "off (no calibration data)",
        "input_facts": plan.input_facts,
        "levers": _levers(plan.mapping),
        "pack": plan.mapping.pack,
        "placement": plan.mapping.placement,
        "pruning": "none" if plan.pruning is None else str(plan.pruning),
        "rounding": "half_even",
        "tile": plan.mapping.tile,
        "weight_bits": str(plan.weight_bits),
        "weight_slices": "as needed" if plan.mapping.slices is None else str(plan.mapping.slices),
    }
    return tuple(
        sorted((found | whole.settings() | _sense_settings(plan) | _row_settings(plan)).items())
    )


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
        if at and not _fixed(size)
    ]


def _fixed(size: Dim) -> bool:
    return isinstance(size, int) and size >= 0


def _levers(mapping: MapOptions) -> str:
    if not mapping.levers:
        return "none"
    return f"{', '.join(mapping.levers)}; law {mapping.lever_law}"


def _encoding(mapping: MapOptions) -> str:
    if mapping.encoding != AUTO:
        return mapping.encoding
    return f"{AUTO} (error of a layer up to {mapping.encoding_budget:g})"


def _row_settings(plan: Plan) -> dict[str, str]:
    if "rows" not in plan.mapping.levers:
        return {}
    return {"rows_latency": f"{plan.mapping.rows_latency:g}"}


def _sense_settings(plan: Plan) -> dict[str, str]:
    if not compares(plan):
        return {}
    sense = plan.mapping.sense
    return {
        "extra_groups": f"{sense.extra_groups:g}",
        "sense_bits": str(sense.bits),
        "sense_rows": sense.rows,
        "sign_of_zero": sense.sign_of_zero,
        "spare_columns": "compared" if sense.spare_columns else "unused",
        "split": sense.split,
        "thresholds": sense.thresholds,
    }
