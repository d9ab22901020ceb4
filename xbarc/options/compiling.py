"""Every option of a compilation: a model for each table of a file of options.

To add an option, add a field here and read it where it works. The command, `xbarc.compile`, files
of options and the reference page follow; `keywords.py` is checked against this file by a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import model_validator

from xbarc.errors import InputError, MappingError
from xbarc.options.base import Options, option, read_path, reads
from xbarc.options.values import (
    BY_BUDGET,
    CALIBRATED,
    COMPENSATIONS,
    AdcSaving,
    Budget,
    ColumnRule,
    ColumnShares,
    Compensation,
    Method,
    Pruning,
    Shape,
    Split,
    column_rule,
    is_own_adc,
    parse_adc,
    parse_adc_savings,
    parse_budget,
    parse_compensations,
    parse_conversion_cost,
    parse_fixed,
    parse_pruning,
    parse_shapes,
    parse_split,
)
from xbarc.plugins import is_import_path, names_in

RangeMethod = Literal["mse", "percentile", "minmax"]
Share = Literal["none", "layer", "channel"]
RangeAnalysis = Literal["all", "structure", "none"]
Feedback = Literal["auto", "on", "off"]
Effort = Literal["low", "normal", "high"]
Tile = Literal["fill", "even"]
Pack = Literal["layer", "network", "none"]
PlacementName = Literal["none", "heaviest", "srs", "drs", "rows", "optimal", "faults"]
Thresholds = Literal["calibrated", "mean", "even"]
SenseRows = Literal["complementary", "zero-one"]
SignOfZero = Literal["onnx", "plus", "minus"]
CarriedMapping = Literal["use", "require", "ignore"]
AUTO = "auto"
"""The encoding that is chosen for each layer by itself."""
# Weights have at most 16 bits (`precision.weight_bits`), and a cell holds at least one of them.
_MOST_SLICES = 16
# Nine times the arrays of the fewest groups: a bound on hostile input, not a recommendation.
_MOST_EXTRA = 8


class PrecisionOptions(Options):
    """Bits of weights and inputs, and what layers share."""

    table: ClassVar[str] = "precision"
    panel: ClassVar[str] = "Precision"

    weight_bits: int | None = option(
        None,
        "bits of float weights, 2 to 16",
        unit="bits",
        bounds=(2, 16),
        unset="the target's",
        example=8,
        setting="weight_bits",
        brief="bits of float weights, 2 to 16",
    )
    activation_bits: int | None = option(
        None,
        "bits of float activations, 1 to 16",
        unit="bits",
        bounds=(1, 16),
        unset="the target's",
        example=8,
        setting="activation_bits",
        brief="bits of float activations, 1 to 16",
    )
    ranges: RangeMethod = option("mse", "how calibration data choose the range of an input")
    equalise: Share | None = option(
        None,
        "scale layers or channels so that a few bits serve all of them",
        unset="channel with --uniform, else none",
        example="channel",
    )
    uniform: bool | None = option(
        None,
        "use one range of weights, inputs and converters for all layers; needs calibration data",
        flags=("--uniform/--own-ranges",),
        unset="the target's",
        example=True,
    )
    # None passes by: `parse_pruning` is for people's text, and the default is not text.
    prune: Annotated[Pruning | None, reads(lambda v: v if v is None else parse_pruning(v))] = (
        option(
            None,
            "set this share of the weights to zero: equally many in every column of an array "
            "(balanced), or wherever they are small (free); with calibration data the remaining "
            "weights compensate",
            metavar="SHARE[:balanced|free]",
            unset="none",
            example="0.5:balanced",
            setting="pruning",
        )
    )
    exact_weights: bool = option(
        False,
        "refuse a model whose declared integers cannot all be kept; otherwise the report names "
        "each layer, the reason and the error",
    )


class Cells(Options):
    """How weights sit on cells, and layers on arrays."""

    table: ClassVar[str] = "cells"
    panel: ClassVar[str] = "Cells and encoding"

    encoding: str | Method | None = option(
        None,
        "how signed weights are stored on cells: differential, differential-analog, offset, "
        "offset-unflipped, bias-column, bias-column-analog, bias-column-mid, acm, acm-analog, "
        "segmented:4, segmented:4-analog (or any count), one-signed, unipolar, twos-complement, "
        "centre or centre-analog; auto chooses the cheapest for each layer; or a plug-in, by "
        "name or as package:Name",
        metavar="NAME|package:Name",
        imports=True,
        unset="the target's",
        example="differential",
        brief="how cells hold signed weights; auto chooses",
        brief_metavar="NAME",
    )
    encoding_budget: float = option(
        0.01,
        "with --encoding auto: error that a cheaper encoding may add to a layer, as squared error "
        "of its products over their variance",
        metavar="SHARE",
        unit="is not a share",
        bounds=(0, 1),
    )
    weight_slices: int | None = option(
        None,
        "cells per weight and sign; where they are too few for a weight, the nearest value that "
        "fits is stored",
        unit="cells per weight",
        bounds=(1, _MOST_SLICES),
        unset="as needed",
        example=2,
        setting="weight_slices",
        brief="cells per weight and sign",
    )
    feedback: Feedback = option(
        "auto",
        "with calibration data, let later rows compensate for the rounding of earlier ones",
        setting="feedback",
    )
    tile: Tile = option(
        "fill", "cut layers into blocks that fill arrays, or into equal blocks", setting="tile"
    )
    pack: Pack = option(
        "layer",
        "small blocks that may share an array: of one layer, of the network, or none",
        setting="pack",
    )

    @property
    def encoding_name(self) -> str:
        """The encoding; `differential` where neither a user nor a target named one."""
        # The last resort in Python only; `make_plan` fills in the target's encoding before anything
        # is mapped.
        given = self.encoding or "differential"
        return given if isinstance(given, str) else given.name


class Converters(Options):
    """Width, range and step of converters, and what makes them narrow."""

    table: ClassVar[str] = "converters"
    panel: ClassVar[str] = "Converters"

    adc: Annotated[str | Method, reads(parse_adc)] = option(
        "lossless",
        "width of the converters: what the cells need (lossless), what any cells could need "
        "(worst-case), range and step from calibration data (calibrated), or at most BITS, "
        "saturating; or a plug-in that sets them from data, by name or as package:Name",
        metavar="lossless|worst-case|calibrated[:BITS]|BITS|package:Name",
        imports=True,
        setting="adc",
        brief="lossless, worst-case, calibrated[:BITS], BITS",
        brief_metavar="WIDTH",
    )
    adc_budget: Annotated[Budget | None, reads(lambda v: v if v is None else parse_budget(v))] = (
        option(
            None,
            "choose the bits of every converter from calibration data, within this loss of top-1 "
            "in points (needs labels) or at this SQNR of the output",
            metavar="POINTS|NNdB",
            unset="none",
            example="0.5",
            brief="accuracy that fewer ADC bits may cost",
        )
    )
    adc_savings: Annotated[tuple[AdcSaving, ...], reads(parse_adc_savings)] = option(
        (),
        "optimisations that narrow converters without changing a result: recode, centre, "
        "distribute, group (all four: all), and rows, which costs cycles",
        metavar="none|all|NAMES",
        unset="none",
        formerly=("levers",),
        brief="narrower converters, same results",
    )
    effort: Effort = option(
        "normal",
        "how long --adc-savings and --adc-budget search: low takes a fraction of the time and "
        "gives up a part of what is saved, high searches large layers as thoroughly as small ones",
        brief="how long savings are searched",
    )
    rows_latency: float = option(
        2.0,
        "with --adc-savings rows: how many times longer an array may take, driving fewer rows at a "
        "time",
        metavar="FACTOR",
        unit="times as long",
        bounds=(1, None),
    )
    conversion_cost: Annotated[str, reads(parse_conversion_cost)] = option(
        "both",
        "what --adc-savings takes a conversion to cost: its bits, its levels, both (or a bit "
        "counted as so many LEVELS), or the energy of the target's converter",
        metavar="both|bits|levels|target|LEVELS",
        formerly=("lever_law",),
    )
    column_order: Annotated[ColumnRule, reads(column_rule)] = option(
        ColumnRule(),
        "with --adc-savings group: one order of columns for each array, one for all arrays of a "
        "layer, or none that moves a column further than REACH bitlines",
        metavar="array|layer|REACH",
        unset="array",
    )
    range_analysis: RangeAnalysis = option(
        "all",
        "range analysis of inputs, which saves input bits and converter bits: use all of it, only "
        "what does not depend on weights, or none",
        setting="range_analysis",
        formerly=("input_facts",),
    )

    @property
    def from_data(self) -> bool:
        """Whether converters are set from calibration data, after mapping."""
        return self.adc_policy.startswith((CALIBRATED, BY_BUDGET))

    @property
    def adc_policy(self) -> str:
        """The policy by name; `calibrated` where one from elsewhere sets converters from data."""
        # A policy from elsewhere needs histograms of sums as `calibrated` does, so every stage
        # treats it so.
        return self.adc if isinstance(self.adc, str) and is_own_adc(self.adc) else CALIBRATED

    @property
    def adc_name(self) -> str:
        """What messages call the policy."""
        return self.adc if isinstance(self.adc, str) else self.adc.name

    @property
    def columns_share(self) -> ColumnShares:
        """What the columns of a converter have in common, beside its width."""
        # Columns of one slice and sign have similar sums on data, so a range that they share fits
        # all of them. Lossless converters have no range to share, only bits.
        return "kind" if self.from_data else "width"


class MapOptions(Cells, Converters):
    """What mapping a layer reads."""

    @model_validator(mode="after")
    def _check_rows(self) -> MapOptions:
        """Rows are chosen where every choice gives the same results."""
        # Lossless converters give the same sums however many rows are driven at once, so the choice
        # is one of cost. All others saturate or round, and the accuracy would change with a saving
        # that promises not to.
        if "rows" in self.adc_savings and self.adc_policy not in ("lossless", "worst-case"):
            raise MappingError(
                f"rows are not chosen for --adc {self.adc_name}, whose results depend on them",
                where="--adc-savings rows",
                hint="leave --adc out, or choose by hand: --set array.active_rows=64",
            )
        return self


PLACEMENT_GROUP = "xbarc.placements"
"""Of the entry points under which packages register placements."""


def _read_placement(given: object) -> object:
    known = get_args(PlacementName)
    if not isinstance(given, str) or given in known or is_import_path(given):
        return given
    # After our own names: a package cannot replace `srs`.
    if given in names_in(PLACEMENT_GROUP):
        return given
    hint = f"one of {', '.join((*known, *names_in(PLACEMENT_GROUP)))}, or package:Name"
    raise MappingError(f"'{given[:40]}' is not available", where="--placement", hint=hint)


class WireOptions(Options):
    """Order of rows and columns on the chip, and compensations for its wires and faults."""

    table: ClassVar[str] = "wires"
    panel: ClassVar[str] = "Wires and faults"

    placement: Annotated[PlacementName | str | Method, reads(_read_placement)] = option(
        "none",
        "order of rows and columns in an array; all but none need calibration data; or a plug-in, "
        "by name or as package:Name",
        metavar=f"{'|'.join(get_args(PlacementName))}|package:Name",
        imports=True,
        brief="order of rows and columns against wire loss",
        brief_metavar="NAME",
    )
    compensate: Annotated[frozenset[Compensation], reads(parse_compensations)] = option(
        frozenset(),
        f"compensate for wires and known faults: some of {', '.join(COMPENSATIONS)}; needs "
        "calibration data",
        metavar="LIST",
        unset="none",
        formerly=("correct",),
        brief="compensate for wires and known faults",
    )
    fault_map: Annotated[Path | Mapping[str, Any] | None, reads(read_path)] = option(
        None,
        "known stuck cells: a file of the arrays array, row, column and level",
        metavar="FAULTS.npz",
        unset="none",
        example="faults.npz",
    )


class SenseOptions(Options):
    """Binary layers on sense amplifiers: how they are split and compared."""

    table: ClassVar[str] = "binary"
    panel: ClassVar[str] = "Binary networks"

    split: Annotated[Split, reads(parse_split)] = option(
        "strided",
        "how inputs are distributed over groups that fit an array: input i to group i mod G, free "
        "wordlines repeating inputs of other groups (strided) or staying free (partition); in the "
        "order of the weights (consecutive); or by a file with one group number per input, by the "
        "layer's name",
        metavar="strided|partition|consecutive|FILE.npz",
        setting="split",
    )
    extra_groups: float = option(
        0.0,
        "groups beyond the fewest that fit, as a share of them",
        metavar="SHARE",
        bounds=(0, _MOST_EXTRA),
        setting="extra_groups",
    )
    spare_columns: bool = option(
        False,
        "use empty columns of an array for more comparisons per output, up to 3 in all",
        setting="spare_columns",
        words=("unused", "compared"),
    )
    refit: bool = option(
        True, "fit the classifier behind a split network to the scores of the unsplit one"
    )
    thresholds: Thresholds = option(
        "calibrated",
        "thresholds of groups: searched on data together with votes (calibrated), from mean sums "
        "(mean), or equal shares (even); without calibration data always even",
        setting="thresholds",
    )
    sense_bits: int = option(
        1,
        "bits that a sense amplifier reads: 1, 2 or 3, with 1, 3 or 7 comparisons",
        unit="bits",
        bounds=(1, 3),
        setting="sense_bits",
    )
    sense_rows: SenseRows = option(
        "complementary",
        "two wordlines per input, or one wordline per input and two columns per output",
        setting="sense_rows",
    )
    sign_of_zero: SignOfZero = option(
        "onnx",
        "what Sign(0) gives; in ONNX it is 0, neither sign",
        setting="sign_of_zero",
    )
    allow_ternary: bool = option(False, "let binary layers have weights of 0")

    @property
    def levels(self) -> int:
        """Comparisons a conversion."""
        return (1 << self.sense_bits) - 1


class ScheduleOptions(Options):
    """What reports count with."""

    table: ClassVar[str] = "schedule"
    panel: ClassVar[str] = "Costs and schedule"

    duplicate: str = option(
        "none",
        "weight duplication in reports: none, balance the layers, reach N inferences per second, "
        "or be fastest within N arrays (budget=chip: within one chip)",
        metavar="none|balance|throughput=N|budget=N",
    )
    cost_law: str | Method | None = option(
        None,
        "a plug-in that prices conversions in place of the target's figures, in reports and in "
        "choices by price (--adc-budget, --adc-savings rows, --conversion-cost target); by name or "
        "as package:Name",
        metavar="NAME|package:Name",
        imports=True,
        unset="the target's",
        example="my-law",
    )


class ModelInputs(Options):
    """What the model leaves open."""

    table: ClassVar[str] = "model"
    panel: ClassVar[str] = "Model and data"

    shapes: Annotated[dict[str, Shape], reads(parse_shapes)] = option(
        {},
        "shape of an input whose axes the model leaves open, for counting; may be repeated",
        metavar="INPUT=1,3,224,224",
        flags=("--shape",),
        unset="the model's",
        repeated=True,
    )
    fix_input: Annotated[dict[str, Any], reads(parse_fixed)] = option(
        {},
        "fix an input to a number or numbers: it becomes a constant, and an If that depends on it "
        "keeps one branch; may be repeated",
        metavar="INPUT=16000",
        unset="none",
        repeated=True,
    )
    carried_mapping: CarriedMapping = option(
        "use",
        "mapping that a model carries, as xbarc export writes it: take it where it is that of the "
        "graph and the target and no option asks for another (use), refuse models where it cannot "
        "be taken (require), or map all layers anew (ignore)",
    )


class CompileOptions(
    ModelInputs, ScheduleOptions, SenseOptions, WireOptions, MapOptions, PrecisionOptions
):
    """What `xbarc compile` and `xbarc.compile` are told; None takes the target's default."""

    @model_validator(mode="after")
    def _check_budget(self) -> CompileOptions:
        # Lossless is the default, and cannot be told from what nobody asked for. BY_BUDGET is what
        # the compiler writes into `adc` later, when these options are validated again.
        if self.adc_budget is not None and self.adc_policy not in ("lossless", BY_BUDGET):
            text = f"chooses the bits of every converter, and so does --adc {self.adc_name}"
            raise MappingError(text, where="--adc-budget", hint="one of the two")
        return self

    @model_validator(mode="after")
    def _check_faults(self) -> CompileOptions:
        # Here and not where they work: a compilation runs for minutes before it places anything.
        if self.placement == "faults" and self.fault_map is None:
            raise InputError("needs --fault-map", where="--placement faults")
        if "partner" in self.compensate and self.fault_map is None:
            raise InputError("needs --fault-map", where="--compensate partner")
        if self.fault_map is not None and not self.fits_wires:
            hint = "--placement faults, --compensate partner or both"
            raise InputError("no option uses it", where="--fault-map", hint=hint)
        return self

    @property
    def fits_wires(self) -> bool:
        """Whether a program is placed or corrected for its chip."""
        return self.placement != "none" or bool(self.compensate)

    @property
    def columns_share(self) -> ColumnShares:
        """Where wires count, columns that are subtracted stay neighbours: those lose the same.

        `--adc-savings group` asks for an order by width, whatever wires do.
        """
        # An order by sign would part the two columns of a pair, and wires far apart lose differing
        # shares of them, which no subtraction cancels.
        wired = self.from_data and self.fits_wires and "group" not in self.adc_savings
        return "slice" if wired else super().columns_share


PANELS: tuple[type[Options], ...] = (
    PrecisionOptions,
    Cells,
    Converters,
    WireOptions,
    SenseOptions,
    ScheduleOptions,
    ModelInputs,
)
"""In the order of the help and of a file of options; each field is in one of them."""
