"""The cells of one weight: where each stands, its level, and what `A` and `R` make of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np
from pydantic import Field
from rich.console import Group

from xbarc.errors import InputError, say_count
from xbarc.ir import (
    ABSENT,
    DOWN,
    UP,
    CrossbarStep,
    FloatResult,
    Scatter,
    Window,
)
from xbarc.report.document import Document
from xbarc.report.escaping import json_text
from xbarc.report.inspection.names import name_input, name_output
from xbarc.report.inspection.views import BlockView, inspect_block
from xbarc.report.rich_tables import rich_table
from xbarc.rows import Row, Rows, TableData, fact, number, table_of

_DRIVES = ((UP, "high"), (DOWN, "low"), (ABSENT, "neither"))

_CELL = "block array wordline bitline driven slice sign level factor adds reads"


class ReadRow(Row):
    """How one conversion reads a cell."""

    conversion: int = fact("number of the conversion in its block")
    a: int = fact("entry of `A`: 1 or -1")
    r: int = fact("entry of `R`, the factor of the column included")


class WeightCellRow(Row, title="Cells of the weight"):
    """A cell that a weight is made of."""

    block: tuple[int, int, int] = fact(
        "group, row block and column block",
        head="block",
        text=lambda place: ",".join(map(str, place)),
    )
    array: int = fact("number of the array", head="array>")
    wordline: int = fact("wordline of that array", head="wordline>")
    bitline: int = fact("bitline of that array", head="bitline>")
    driven: str = fact(
        "when the wordline is driven, for inputs of two values: high, low, neither; empty: by "
        "the bits of the input",
        head="driven",
    )
    slice: int = fact("bit slice of the weight, 0 is the least significant", head="slice>")
    sign: int = fact("1: a level adds to the weight; -1: it subtracts", head="sign>")
    level: int = fact("level of the cell", head="level>")
    factor: int = fact("what one level adds to the weight: `R A`", head="factor>")
    adds: int = fact("level times factor", head="adds>")
    reads: tuple[ReadRow, ...] = fact(
        "conversions that read it for this output",
        head="A, R",
        text=lambda reads: ", ".join(
            f"conversion {one.conversion}: {one.a:+d}, {one.r:+d}" for one in reads
        ),
    )


class WeightView(Document):
    """One weight of a layer and its cells."""

    format: Literal[1] = Field(default=1, description="1: the first one")
    layer: str = Field(description="name of the layer")
    encoding: str = Field(description="how signed weights sit on cells")
    group: int = Field(description="matrix of the layer, 0 where there is one")
    input: int = Field(description="row of that matrix")
    output: int = Field(description="output of that matrix")
    input_name: str = Field(description="input as tile maps name it: channel and place")
    output_name: str = Field(description="output as tile maps name it")
    value: int | None = Field(
        description="the integer that the cells stand for: what they add, and `beta`; null where "
        "the wordlines of an input of two values each add their own"
    )
    beta: int = Field(description="`beta` of the output, a part of `value`")
    scale: float | None = Field(
        description="real value of a step of the weight; null where the model computes in integers"
    )
    real: float | None = Field(description="real value of the weight: `value` times `scale`")
    constant: int = Field(description="`a` of the output, which no weight holds")
    cells: Rows[WeightCellRow] = Field(description="its cells, those at level 0 too")

    def __repr__(self) -> str:
        place = f"{self.input_name} to {self.output_name}"
        cells = say_count(len(self.cells), "cell")
        return f"<WeightView of {self.layer}, {place}: {self.value}, {cells}>"

    __str__ = __repr__


@dataclass(frozen=True)
class WeightPlace:
    """A weight of a layer: group, and input and output of that group's matrix."""

    group: int
    input: int
    output: int


def inspect_weight(step: CrossbarStep, index: Sequence[int], where: str = "weight") -> WeightView:
    """The cells of one weight.

    Args:
        step: the layer.
        index: output over all groups and input of its group's matrix; or, of a convolution, output
            channel, channel and place in the kernel, as its weight tensor counts them.
        where: what asked for it, for the message.

    Raises:
        InputError: a wrong count of numbers, or one out of range; the message says which there are.
    """
    place = _find_place(step, index, where)
    at = place.group * step.outputs + place.output
    beta, cells = int(step.periphery.input_sum[at]), tuple(_cells(step, place))
    value = beta + sum(cell.adds for cell in cells) if step.sense is None else None
    scale = _scale(step, at)
    return WeightView(
        layer=step.name,
        encoding=step.encoding,
        group=place.group,
        input=place.input,
        output=place.output,
        input_name=name_input(step, place.group, place.input),
        output_name=name_output(step, place.group, place.output),
        value=value,
        beta=beta,
        scale=scale,
        real=None if value is None or scale is None else value * scale,
        constant=int(step.periphery.constant[at]),
        cells=cells,
    )


def _scale(step: CrossbarStep, at: int) -> float | None:
    """Real value of a step of the weights to an output of all groups."""
    if not isinstance(step.result, FloatResult) or not step.result.scale.size:
        return None
    # A transposed convolution has one for each channel, and its outputs are channels times places.
    size = step.result.scale.size
    return float(step.result.scale[at * size // (step.groups * step.outputs)])


def _find_place(step: CrossbarStep, index: Sequence[int], where: str) -> WeightPlace:
    kernel = step.geometry.kernel if isinstance(step.geometry, Window | Scatter) else ()
    # A kernel counts among the inputs of a convolution, and among the outputs of a transposed one.
    to_outputs = prod(kernel) if isinstance(step.geometry, Scatter) else 1
    to_inputs = prod(kernel) // to_outputs
    sizes: tuple[int, ...] = (step.groups * step.outputs, step.inputs)
    names: tuple[str, ...] = ("output", "input")
    if kernel and len(index) == 2 + len(kernel):
        sizes = (sizes[0] // to_outputs, step.inputs // to_inputs, *kernel)
        names = ("output channel", "channel", *_name_axes(len(kernel)))
    elif len(index) != 2:
        more = f", or OUT,CHANNEL,{','.join(_name_axes(len(kernel))).upper()}" if kernel else ""
        hint = f"OUT,IN{more}"
        message = f"'{','.join(map(str, index))}' names no weight of {step.name}"
        raise InputError(message, where=where, hint=hint)
    _check_range(step, dict(zip(names, sizes, strict=True)), index, where)
    if len(index) == 2:
        group, output = divmod(index[0], max(1, step.outputs))
        return WeightPlace(group, index[1], output)
    spot = int(np.ravel_multi_index(tuple(index[2:]), kernel))
    group, channel = divmod(index[0], max(1, step.outputs // to_outputs))
    if to_outputs > 1:
        return WeightPlace(group, index[1], channel * to_outputs + spot)
    return WeightPlace(group, index[1] * to_inputs + spot, channel)


def _name_axes(count: int) -> tuple[str, ...]:
    return {1: ("place",), 2: ("row", "column")}.get(count, ("plane", "row", "column"))


def _check_range(
    step: CrossbarStep, sizes: dict[str, int], index: Sequence[int], where: str
) -> None:
    wrong = [
        f"{name} {at} of {size}"
        for (name, size), at in zip(sizes.items(), index, strict=True)
        if not 0 <= at < size
    ]
    if wrong:
        there = ", ".join(f"{name} 0 to {size - 1}" for name, size in sizes.items() if size)
        raise InputError(
            f"{step.name} has no {', no '.join(wrong)}", where=where, hint=there or "it has none"
        )


def _cells(step: CrossbarStep, place: WeightPlace) -> Iterator[WeightCellRow]:
    """Cells of every wordline that the input drives, row block by row block."""
    tiling = step.tiling
    rows = np.flatnonzero(np.asarray(tiling.row_input) == place.input)
    entries = step.periphery.r_conversion[step.periphery.r_output == place.output]
    blocks = np.unique(np.searchsorted(tiling.conversion_bounds, entries, side="right") - 1)
    for row in rows.tolist():
        i = int(np.searchsorted(tiling.row_bounds, row, side="right")) - 1
        for j in blocks.tolist():
            view = inspect_block(step, place.group, i, j)
            yield from _block_cells(step, view, row - int(tiling.row_bounds[i]), place.output)


def _block_cells(
    step: CrossbarStep, view: BlockView, row: int, output: int
) -> Iterator[WeightCellRow]:
    """Cells of one wordline, as the columns of the block follow each other."""
    reads = _reads(view, output)
    slices = _slices(view, reads)
    drive = "" if step.sense is None else _name_drive(step, view, row)
    for column, seen in sorted(reads.items()):
        factor = sum(one.a * one.r for one in seen)
        level = int(view.cells[row, column])
        yield WeightCellRow(
            block=(view.group, view.row_block, view.column_block),
            array=view.array,
            wordline=view.row_offset + row,
            bitline=view.column_offset + int(view.bitlines[column]),
            driven=drive,
            slice=slices[column],
            sign=1 if factor > 0 else -1,
            level=level,
            factor=factor,
            adds=level * factor,
            reads=seen,
        )


def _reads(view: BlockView, output: int) -> dict[int, tuple[ReadRow, ...]]:
    """Conversions that read each column for an output; columns that cancel out are left out."""
    codes: dict[int, int] = {}
    for to, conversion, value in view.r.tolist():
        if to == output:
            # Entries of one place add up.
            codes[conversion] = codes.get(conversion, 0) + value
    found: dict[int, tuple[ReadRow, ...]] = {}
    for conversion, column, sign in view.a.tolist():
        if codes.get(conversion):
            read = ReadRow(conversion, sign, codes[conversion])
            found[column] = (*found.get(column, ()), read)
    return {column: seen for column, seen in found.items() if sum(one.a * one.r for one in seen)}


def _slices(view: BlockView, reads: dict[int, tuple[ReadRow, ...]]) -> dict[int, int]:
    """Number of the slice of each column: the rank of its power of two among them."""
    scale = view.column_scale
    powers = {}
    for column, seen in reads.items():
        # The digital factor of a column is no part of its place value.
        own = 1 if scale is None else max(1, int(scale[seen[0].conversion]))
        powers[column] = abs(sum(one.a * one.r for one in seen)) // own
    ranks = {power: rank for rank, power in enumerate(sorted(set(powers.values())))}
    return {column: ranks[power] for column, power in powers.items()}


def _name_drive(step: CrossbarStep, view: BlockView, row: int) -> str:
    if step.sense is None:
        return ""
    drive = int(step.sense.drive[int(step.tiling.row_bounds[view.row_block]) + row])
    return " or ".join(name for bit, name in _DRIVES if drive & bit) or "never"


def render_weight_json(view: WeightView) -> str:
    """Every number."""
    return json_text(view)


def render_weight_text(view: WeightView) -> Group:
    """The weight, then its cells; `adds` and `beta` sum up to the integer."""
    facts = (
        ("input", f"{view.input}: {view.input_name}"),
        ("output", f"{view.output}: {view.output_name}"),
        *([("group", str(view.group))] if view.group else []),
        ("encoding", view.encoding),
        *_value_facts(view),
        ("a of the output", str(view.constant)),
    )
    table = TableData(f"Weight of {view.layer}", ("", ""), facts)
    names = _CELL if any(cell.driven for cell in view.cells) else _CELL.replace(" driven", "")
    return Group(rich_table(table), rich_table(table_of(WeightCellRow, view.cells, names)))


def _value_facts(view: WeightView) -> Iterator[tuple[str, str]]:
    if view.value is None:
        yield "integer", "each wordline adds its own, see below"
        return
    yield "quantised", str(view.value)
    if view.beta:
        yield "of it beta", str(view.beta)
    if view.scale is not None:
        yield "real value", f"{number(view.real)} ({view.value} x {view.scale:.6g})"
