"""What the report says of facts about inputs, and of rows at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.builders import int_layer, mapped, program_of, small_target
from tests.report.programs import subject
from xbarc.ir.facts import InputFacts, Narrowed
from xbarc.ir.pareto import RowsPoint
from xbarc.ir.program import Program
from xbarc.report.sections.active_rows import rows_notes, rows_tables
from xbarc.report.sections.input_ranges import FACTS, facts_rows


def _program() -> Program:
    target = small_target(input__dac_bits=2)
    layer = int_layer(np.full((1, 6, 2), 5))
    facts = InputFacts(np.zeros((1, 6), int), np.array([[0, 0, 255, 255, 255, 255]]), ("Relu 'a'",))
    known = replace(layer, facts=facts, narrowed=Narrowed(16, ("Clip 'b'",)))
    return program_of([mapped(known, target)], target, [None, 6])


def test_a_row_for_each_layer_that_gains() -> None:
    row = facts_rows(subject(_program()))[0]
    assert (row.input_bits, row.plain_input_bits, row.cycles, row.plain_cycles) == (8, 16, 4, 8)
    assert (row.inputs_known, row.inputs) == (2, 6)
    assert row.mean_bits <= row.plain_mean_bits
    assert row.facts == ("Clip 'b'", "Relu 'a'")
    cells = next(iter(FACTS.tables((row,)))).rows[0]
    assert cells[1:4] == ("16 -> 8", "8 -> 4", "2 of 6")
    plain = program_of([mapped(int_layer(np.ones((1, 6, 2))), small_target())], small_target(), [6])
    assert facts_rows(subject(plain)) == ()


def test_rows_and_what_they_say() -> None:
    base = RowsPoint("all rows at once", 8, 256, 4.0, 9.0, 10.0, buildable=True)
    least = replace(base, kind="least b")
    half = replace(base, kind="least 2^b", levels=128, time_ns=20.0)
    reader = replace(base, kind="least converter")
    chosen = replace(base, kind="within 2 times", chosen=True)
    program = replace(_program(), rows=(base, least, half, reader, chosen))
    assert rows_notes(program) == (
        "by b fewer rows at a time never win: all rows at once is cheapest",
        "by 2^b fewer rows at a time save at most 50.0 %, in 2.00 times the time",
        "by the target's converter fewer rows at a time never win: all rows at once is cheapest",
        "no rows that the converters can read keep --rows-latency: 1.00 times is least",
    )
    table = rows_tables(program.rows)[0].rows
    assert [row[0] for row in table][-1] == "within 2 times (chosen)"
    assert [row[6] for row in table] == ["1.00", "1.00", "2.00", "1.00", "1.00"]
    assert rows_notes(_program()) == ()
