"""Sections of a report: what each is gathered from, and its tables and notes.

A section is one file: a row, a function that gathers it, and a `Section` that says so. A field of
`model.Report` puts it into every format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, Field
from pydantic_core import PydanticUndefined

from xbarc.cost import FullLoad, Policy, ProgramCost, parse_policy, program_cost
from xbarc.ir import OperandStatistics, Program
from xbarc.rows import TableData
from xbarc.target import Target


@dataclass(frozen=True, eq=False)
class Subject:
    """What a report is about.

    Attributes:
        operands: what the wordlines of each layer carried on some data, by layer.
        load: what a full array does, for a target that states no `[peak]`.
    """

    program: Program
    cost: ProgramCost
    operands: Mapping[str, OperandStatistics] | None = None
    load: FullLoad | None = None

    @property
    def target(self) -> Target:
        """What the program was compiled for."""
        return self.program.target


def subject_of(
    program: Program,
    policy: Policy | None = None,
    operands: Mapping[str, OperandStatistics] | None = None,
    load: FullLoad | None = None,
) -> Subject:
    """A program with its costs.

    Args:
        program: what is reported.
        policy: how weights are duplicated; what the program was compiled with by default.
        operands: as of `Subject`.
        load: as of `Subject`.

    Raises:
        MappingError: the policy cannot be met.
    """
    settings = dict(program.settings)
    # The setting is what the program was compiled with, so that its report costs the copies that it
    # has.
    asked = policy or parse_policy(settings.get("duplicate", "none"), program.target)
    return Subject(program, program_cost(program, asked), operands, load)


def _no_rows(_: Any) -> tuple[Any, ...]:
    return ()


Chapter = Literal[
    "Energy and area",
    "Layers",
    "Schedule",
    "Converters",
    "Digital parts",
    "Target",
    "Further",
    "Sources",
]
"""Headings of a page, in the order of reading; several sections share one."""


@dataclass(frozen=True)
class Section:
    """What a field of a report says about itself beside type and meaning.

    Attributes:
        gather: its value.
        tables: of that value, in reading order; those without rows are not shown.
        notes: what a reader must know.
        after: the field whose tables come before its own; empty: the field before it.
        chapter: heading of a page that its tables stand below.
    """

    gather: Callable[[Subject], Any]
    tables: Callable[[Any], Iterable[TableData]] = _no_rows
    notes: Callable[[Program], Iterable[str]] = _no_rows
    after: str = ""
    chapter: Chapter = "Further"


def section(meaning: str, said: Section, *, default: Any = PydanticUndefined) -> Any:
    """A field of a report."""
    made = Field(default=default, description=meaning)
    made.metadata.append(said)
    return made


def sections_of(kind: type[BaseModel]) -> dict[str, Section]:
    """The sections of a report by field, in the order of its JSON."""
    return {
        name: said
        for name, field in kind.model_fields.items()
        for said in field.metadata
        if isinstance(said, Section)
    }


def reading_order(sections: Mapping[str, Section]) -> list[str]:
    """Fields in the order of their tables."""
    names = [name for name, said in sections.items() if not said.after]
    for name, said in sections.items():
        if said.after:
            # JSON keeps the order of its format for those who read it by machine; people read a
            # table where it belongs.
            names.insert(names.index(said.after) + 1, name)
    return names
