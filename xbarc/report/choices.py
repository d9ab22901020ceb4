"""Why a layer has its encoding, as a row of the report."""

from __future__ import annotations

from xbarc.ir.program import ChoiceRecord
from xbarc.report.row import CandidateRow, ChoiceRow

_PJ_PER_UJ = 1e6
_UM2_PER_MM2 = 1e6


def choice_row(record: ChoiceRecord | None) -> ChoiceRow | None:
    """The record in the units of the report."""
    if record is None:
        return None
    found = tuple(
        CandidateRow(
            encoding=one.encoding,
            error=one.error,
            area_mm2=None if one.area_um2 is None else one.area_um2 / _UM2_PER_MM2,
            energy_uj=None if one.energy_pj is None else one.energy_pj / _PJ_PER_UJ,
            problem=one.problem,
        )
        for one in record.candidates
    )
    return ChoiceRow(
        measure=record.measure, budget=record.budget, reason=record.reason, candidates=found
    )
