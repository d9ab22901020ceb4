"""What stayed digital, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from xbarc.cost import digital_part
from xbarc.ir import DigitalFragment
from xbarc.report.section import Section, Subject
from xbarc.report.sections.components import PJ_PER_UJ, Components, sum_parts
from xbarc.rows import Row, TableData, fact, number, operators, shows
from xbarc.target import Target


def _digital_macs(row: DigitalRow) -> str:
    """What can be counted, and whether there is more."""
    return f"over {number(row.macs)}" if row.uncounted and row.macs else number(row.macs)


class DigitalRow(Row, title="Digital fragments"):
    """A fragment that stays digital."""

    name: str = fact("name of the fragment", head="fragment")
    operators: dict[str, int] = fact(
        "how often each operator stands in it, count", head="operators", text=operators
    )
    macs: int | None = fact(
        "multiply-accumulates, count per inference", head="MACs>", of=_digital_macs
    )
    energy_uj: float | None = fact("energy of the multiply-accumulates, uJ per inference")
    notes: tuple[str, ...] = fact(
        "why matrix operators are in it, one entry each",
        head="why matrix operators are here",
        text="; ".join,
    )
    uncounted: tuple[str, ...] = fact(
        "operators that `macs` leaves out, and why, one entry each", default=(), later=True
    )
    components: Components | None = fact(
        "the parts of its `energy_uj`; null in reports of earlier versions",
        default=None,
        later=True,
    )


def digital_rows(subject: Subject) -> tuple[DigitalRow, ...]:
    """A row per fragment, in execution order."""
    return tuple(_digital_row(step, subject.target) for step in subject.program.digital_steps)


def _digital_row(step: DigitalFragment, target: Target) -> DigitalRow:
    energy = () if step.macs is None else (digital_part(step.macs, target),)
    return DigitalRow(
        name=step.name,
        operators=dict(step.operators),
        macs=step.macs,
        energy_uj=sum_parts(energy, PJ_PER_UJ) if energy else None,
        notes=step.notes,
        uncounted=step.uncounted,
        components=Components(area=(), energy=energy, write=()),
    )


def stayed_table(rows: Sequence[DigitalRow]) -> TableData:
    """Only the fragments in which matrix operators stayed digital."""
    cells = tuple((row.name, _digital_macs(row), "; ".join(row.notes)) for row in rows if row.notes)
    return TableData("Matrix operators that stayed digital", ("fragment", "MACs>", "why"), cells)


def plain_line(rows: Sequence[DigitalRow]) -> str:
    """The operators of all fragments, where none has a matrix."""
    counts = Counter[str]()
    for row in rows:
        counts.update(row.operators)
    found = operators(dict(sorted(counts.items())))
    return f"Digital, without a matrix operator: {found or 'nothing'}"


DIGITAL = Section(digital_rows, shows(DigitalRow), after="schedule", chapter="Digital parts")
