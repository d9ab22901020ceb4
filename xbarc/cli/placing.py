"""`xbarc place`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xbarc.cli.options import takes
from xbarc.errors import EXIT_DONE, EXIT_NO
from xbarc.options import ScheduleOptions

if TYPE_CHECKING:
    from xbarc.cost import ProgramCost
    from xbarc.ir import Program
    from xbarc.mapping import Load, Phases
    from xbarc.report import PhasesRow


@takes(given=(ScheduleOptions,), unset={"duplicate": "as compiled"})
def place_command(
    program: Annotated[
        Path, typer.Argument(metavar="PROGRAM.xbar", help="what xbarc compile wrote")
    ],
    phases: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="phases in which a program that does not fit is written  [default: fewest]",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    *,
    given: dict[str, str],
) -> int:
    """Lay a program out on the chip: tiles and their traffic.

    Leaves with 1 when it does not fit.
    """
    from xbarc.cli.reporting import emit
    from xbarc.cost import parse_policy, price_program, program_cost
    from xbarc.ir import load_program
    from xbarc.report import places_report, render_places_json, render_places_text

    loaded = price_program(load_program(program), given.get("cost_law"))
    asked = given.get("duplicate") or dict(loaded.settings).get("duplicate", "none")
    cost = program_cost(loaded, parse_policy(asked, loaded.target))
    report = places_report(loaded.name, loaded.target, cost, _turns(loaded, cost, phases))
    emit(render_places_json(report) if json else render_places_text(report))
    return EXIT_NO if report.arrays_missing else EXIT_DONE


def _turns(program: Program, cost: ProgramCost, phases: int | None) -> PhasesRow | None:
    """How to run a program in turns; nothing where it fits and nobody asked."""
    from xbarc.cost import chip_arrays, program_items, program_links
    from xbarc.mapping import choose_phases, fewest_phases, loads_of

    capacity = chip_arrays(program.target)
    # Without a schedule nobody knows which layers run when.
    if cost.schedule is None or (cost.counts.arrays <= capacity and phases is None):
        return None
    copies = {layer.step.name: layer.copies for layer in cost.layers}
    items = program_items(program, copies)
    loads = loads_of([(item.name, item.arrays) for item in items], capacity)
    count = phases or fewest_phases(loads, capacity)
    found = choose_phases(loads, program_links(program), capacity, count)
    return _phases_row(program, loads, found)


def _phases_row(program: Program, loads: tuple[Load, ...], found: Phases) -> PhasesRow:
    from xbarc.report import PhaseRow, PhasesRow

    costs, array = program.target.costs, program.target.array
    size = {load.name: load.arrays for load in loads}
    # Arrays that stay are in use in every phase, whatever runs.
    staying = sum(size[name] for name in found.stays)
    cells = found.written * array.rows * (array.columns + array.spare_columns)
    times = sum(any(name not in found.stays for name in names) for names in found.phases)
    energy, time, endurance = costs.write_energy, costs.write_time, costs.endurance
    return PhasesRow(
        stays=found.stays,
        phases=tuple(
            PhaseRow(
                loads=names,
                arrays=staying + sum(size[name] for name in names if name not in found.stays),
            )
            for names in found.phases
        ),
        arrays_written=found.written,
        arrays_bound=found.bound,
        bytes_waiting=found.waiting,
        write_energy_uj=None if energy is None else energy.value * cells / 1e6,
        # Rows of one array are written one after another, arrays side by side: a phase that writes
        # at all takes the rows of one.
        write_time_us=None if time is None else time.value * array.rows * times / 1e3,
        inferences_borne=None if endurance is None or not times else endurance.value / times,
    )
