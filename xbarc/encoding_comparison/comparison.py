"""What is said of each encoding, and its tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from xbarc.circuit import DeviceModel, Effects, device_origin
from xbarc.errors import InputError, say_count
from xbarc.evaluate import why_no_top1
from xbarc.experiments import Spread
from xbarc.rows import (
    Accuracy,
    Row,
    TableData,
    accuracy,
    decibels,
    fact,
    render_card,
    table_of,
)
from xbarc.target import Figure, Target, Variation, VariationLaw

Variant = Literal["blind", "refitted", "read-back"]
VARIANTS: tuple[Variant, ...] = ("blind", "refitted", "read-back")


@dataclass(frozen=True)
class NoiseSettings:
    """Deviation of programmed cells, and how many chips are drawn.

    Attributes:
        sigma: one standard deviation, as a share of a cell's conductance or of the cell's range;
            None where a device model says how cells deviate.
        of_range: of the range between the lowest and the highest level, whatever the level is.
        seeds: chips.
        seed: of everything random.
        device: from elsewhere, in place of a deviation.
    """

    sigma: float | None = None
    of_range: bool = False
    seeds: int = 3
    seed: int = 0
    device: DeviceModel | None = None

    def __post_init__(self) -> None:
        if (self.sigma is None) == (self.device is None):
            text = "one of the two says how cells deviate"
            raise InputError(text, where="--noise, --device", hint="leave the other out")

    @property
    def effects(self) -> Effects:
        """Of the first chip."""
        return Effects(frozenset({"variation"}), self.seed, device=self.device)

    def as_json(self, law: VariationLaw) -> dict[str, Any]:
        """Plain data; the law is the target's."""
        found = {name: getattr(self, name) for name in ("sigma", "of_range", "seeds", "seed")}
        if self.device is not None:
            return {**found, "law": None, "device": device_origin(self.device)}
        return {**found, "law": law}

    def target(self, target: Target) -> Target:
        """The target with this deviation instead of its own."""
        if self.sigma is None:
            return target
        values = target.cell.conductance.values
        unit = "uS" if self.of_range else "fraction"
        sigma = self.sigma * (values[-1] - values[0]) if self.of_range else self.sigma
        figure = Figure(
            value=sigma,
            unit=unit,
            source="assumed",
            via="assumed",
            confirmed=False,
            note="asked for with --noise",
        )
        kind: Literal["absolute", "proportional"] = "absolute" if self.of_range else "proportional"
        law = target.cell.variation.law
        variation = Variation(kind=kind, sigma=figure, law=law)
        cell = target.cell.model_copy(update={"variation": variation})
        return target.model_copy(update={"cell": cell})


@dataclass(frozen=True)
class NoiseRow:
    """One way to program, over several chips.

    Attributes:
        top1: share; None where there are no labels.
        agreement: with the float model; None where there are no scores.
    """

    variant: Variant
    top1: Spread | None
    agreement: Spread | None


class EncodingRow(Row):
    """One encoding."""

    encoding: str = fact("name of the encoding", head="encoding")
    columns: int | None = fact(
        "columns of all layers, row blocks apart, count; what shares a column counts once",
        default=None,
        head="columns>",
    )
    columns_per_output: float | None = fact(
        "how many columns an output takes", default=None, head="an output>"
    )
    arrays: int | None = fact("arrays in use, count", default=None, head="arrays>")
    conversions: int | None = fact(
        "conversions, count per inference", default=None, head="conversions>"
    )
    area_mm2: float | None = fact("area, mm2", default=None, head="area mm2>")
    energy_uj: float | None = fact("energy, uJ per inference", default=None, head="energy uJ>")
    weight_error: Accuracy | None = fact(
        "root of the mean square error of the weights over that of the weights, 0 to 1 and beyond",
        default=None,
        head="weight error>",
    )
    output_sqnr_db: float | None = fact(
        "SQNR of the outputs, dB",
        default=None,
        head="output SQNR>",
        of=lambda row: decibels(row.output_sqnr_db, row.identical),
    )
    identical: bool = fact("whether every output is equal", default=False)
    top1_float: Accuracy | None = fact(
        "share of labels met by the float model, 0 to 1", default=None, head="top-1 float>"
    )
    top1_crossbar: Accuracy | None = fact(
        "share of labels met by the program, 0 to 1", default=None, head="top-1>"
    )
    agreement: Accuracy | None = fact(
        "share of samples with the float model's answer, 0 to 1", default=None, head="agreement>"
    )
    noise: tuple[NoiseRow, ...] = ()
    problem: str = fact(
        "why there is nothing to say of this encoding; empty where there is", default=""
    )


@dataclass(frozen=True, eq=False)
class Comparison:
    """All rows, in the order asked for.

    Attributes:
        law: how conductances of deviating chips are distributed.
    """

    model: str
    target: str
    samples: int
    noise: NoiseSettings | None
    law: VariationLaw
    rows: tuple[EncodingRow, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "model": self.model,
            "target": self.target,
            "samples": self.samples,
            "noise": None if self.noise is None else self.noise.as_json(self.law),
            "rows": [asdict(row) for row in self.rows],
        }

    def tables(self) -> tuple[TableData, ...]:
        """A row per encoding, a row for each way to program it, and what did not fit."""
        # An encoding that does not fit is an answer as well: it gets a table of reasons, and the
        # others their rows.
        good = [row for row in self.rows if not row.problem]
        title = f"{self.model} on {self.target}, {say_count(self.samples, 'sample')}"
        title += why_no_top1(good[0].top1_crossbar, good[0].agreement) if good else ""
        bad = tuple((row.encoding, row.problem) for row in self.rows if row.problem)
        return (
            table_of(EncodingRow, good, title=title),
            _noise_table(self, good),
            TableData("Encodings that do not fit", ("encoding", "why"), bad),
        )

    def __repr__(self) -> str:
        names = ", ".join(row.encoding for row in self.rows)
        return f"<Comparison of {self.model} on {self.target}: {names}>"

    def _repr_html_(self) -> str:
        first, *others = self.tables()
        plain = TableData("", first.headings, first.rows)
        return render_card(first.title, (), (plain, *others))


def _noise_table(found: Comparison, good: Sequence[EncodingRow]) -> TableData:
    noise = found.noise
    title = ""
    if noise is not None:
        title = f"{_deviation(noise)}; seed {noise.seed}, {say_count(noise.seeds, 'chip')}"
        title += f", {found.law}" if noise.device is None else ""
    head = (
        *("encoding", "programmed", "top-1 mean>", "spread>", "worst>", "points lost>"),
        *("agreement mean>", "spread>", "worst>"),
    )
    rows = tuple((row.encoding, *_noise_cells(row, one)) for row in good for one in row.noise)
    return TableData(title, head, rows)


def _deviation(noise: NoiseSettings) -> str:
    if noise.device is not None:
        return f"Cells deviate by {device_origin(noise.device)}"
    what = "the range" if noise.of_range else "the conductance"
    return f"Cells deviate by {100 * (noise.sigma or 0.0):g} % of {what}"


def _noise_cells(row: EncodingRow, one: NoiseRow) -> tuple[str, ...]:
    top1, agreement = one.top1, one.agreement
    lost = "-"
    if top1 is not None and row.top1_float is not None:
        lost = f"{100 * (row.top1_float - top1.mean):.2f}"
    found: list[str] = [one.variant]
    for spread, extra in ((top1, [lost]), (agreement, [])):
        shares = (None,) * 3 if spread is None else (spread.mean, spread.deviation, spread.worst)
        found += [*map(accuracy, shares), *extra]
    return tuple(found)
