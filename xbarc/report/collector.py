"""The one collector: from a program to the values that every renderer prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from xbarc.cost import FullLoad, Policy
from xbarc.ir import OperandStatistics, Program
from xbarc.report.model import Report
from xbarc.report.notes import notes
from xbarc.report.section import Subject, sections_of, subject_of

_Kind = TypeVar("_Kind", bound=Report)


def collect(
    program: Program,
    policy: Policy | None = None,
    operands: Mapping[str, OperandStatistics] | None = None,
    load: FullLoad | None = None,
) -> Report:
    """Gather counts, costs, schedule, estimates and sources of a program.

    Args:
        program: what is reported.
        policy: how weights are duplicated; what the program was compiled with by default.
        operands: what the wordlines of each layer carried on some data, for energy from operands.
        load: what a full array does, for a target that states no `[peak]`; without it the report
            leaves the chip at full load out.

    Raises:
        MappingError: the policy cannot be met.
    """
    return gather(Report, subject_of(program, policy, operands, load))


def gather(kind: type[_Kind], subject: Subject) -> _Kind:
    """Every section of a report, and the notes of all."""
    sections = sections_of(kind)
    own = [note for each in sections.values() for note in each.notes(subject.program)]
    # A subclass of `Report` may bring sections of its own (`kind`): nothing here names one.
    found = {name: each.gather(subject) for name, each in sections.items()}
    return kind(**found, notes=(*own, *notes(subject.program, subject.cost)))
