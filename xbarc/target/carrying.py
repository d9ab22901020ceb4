"""Figures that were given for another array, carried to the target's own: the one way to do it.

Nothing else scales with the array: who reads `target.costs` reads numbers for the array at hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from xbarc.errors import TargetError
from xbarc.target.figure_tree import Figure, Provenance
from xbarc.target.growth import Carried, Geometry, Law, change, complete_geometry
from xbarc.target.laws import LAWS, of_component
from xbarc.target.model import Target, figures


def law_of(target: Target, path: str, figure: Provenance) -> Law | None:
    """The law of a figure, its own where it states one; None where it is no figure of a cost."""
    parts = path.split(".")
    if parts[:2] == ["costs", "components"]:
        law: Law | None = of_component(target.costs.components[int(parts[2])])
    else:
        law = LAWS.get(path)
    # A figure may state that its hardware grows otherwise than the component's model says; what it
    # is given per is no matter of the figure, so only `grows` is replaced.
    own = figure.grows if isinstance(figure, Figure) else None
    return law if law is None or own is None else Law(law.per, own, "the target's own law")


def geometry(target: Target) -> Geometry:
    """What a target's cost figures depend on."""
    array, wires, levels = target.array, target.wires, target.cell.conductance.values
    capacitance = wires.capacitance
    return Geometry(
        rows=array.rows,
        columns=array.columns,
        spare_columns=array.spare_columns,
        active_rows=array.active_rows,
        dac_bits=target.input.dac_bits,
        adc_bits=target.adc.max_bits,
        read_voltage=target.input.read_voltage.value,
        # The mean of the levels, since laws ask how much a cell conducts before there is a program
        # that would say how its cells are distributed.
        conductance=sum(levels) / len(levels),
        wordline=wires.wordline.value,
        bitline=wires.bitline.value,
        driver=wires.driver.value,
        sense=wires.sense.value,
        capacitance=None if capacitance is None else capacitance.value,
        arrays_per_macro=target.hierarchy.arrays_per_macro,
        buffer_kib=target.hierarchy.buffer_kib,
    )


def carry(target: Target, where: str) -> Target:
    """The target with every cost figure as it is for the target's own array.

    Raises:
        TargetError: a figure was given for another array and its law cannot tell what it is here;
            all such figures are named.
    """
    here, problems = geometry(target).entries(), list(_out_of_place(target))
    found: dict[str, Figure] = {}
    for path, figure in figures(target):
        law = law_of(target, path, figure)
        if law is None or not isinstance(figure, Figure) or figure.given_for is None:
            continue
        try:
            found[path] = _carry_figure(figure, law, here)
        except (KeyError, ValueError) as error:
            # Gathered, not raised: somebody who changes the array has to see every figure that
            # needs a new value, and not one a run.
            problems.append(f"{path}: {_reason(error)}")
    if problems:
        hint = "give what is missing, the figure for this array, or a law of its own (`grows`)"
        raise TargetError(" | ".join(problems), where=where, hint=hint)
    return _with_figures(target, found) if found else target


def _out_of_place(target: Target) -> Iterator[str]:
    for path, figure in figures(target):
        if law_of(target, path, figure) is None and isinstance(figure, Figure):
            for name in ("given_for", "grows"):
                if getattr(figure, name) is not None:
                    yield f"{path}.{name}: only figures of costs grow with the array"


def _reason(error: KeyError | ValueError) -> str:
    if isinstance(error, KeyError):
        return f"given for another array, and its law needs wires.{error.args[0]}"
    return f"given for another array: {error}"


def _carry_figure(figure: Figure, law: Law, here: Mapping[str, float]) -> Figure:
    """A figure for this array, by its own law where it has one."""
    given = figure.given_for
    made = None if given is None else change(law.grows, complete_geometry(given, here), here)
    if made is None:
        return figure.model_copy(update={"given_for": None})
    ends: dict[str, Any] = {
        name: getattr(figure, name) * made.factor + made.added
        for name in ("value", "low", "high")
        if getattr(figure, name) is not None
    }
    # A law may subtract the time that lines take to settle, and wires of another array may take
    # longer than the whole cycle that was measured.
    if min(ends.values()) < 0:
        raise ValueError(f"{figure.value:g} {figure.unit} is less than its lines take to settle")
    was = Carried(
        value=figure.value,
        given_for=Geometry.model_validate(made.given_for),
        grows=law.grows,
        factor=made.factor,
        added=made.added,
    )
    # Without `given_for`, so that a second call changes nothing: carrying is idempotent, and a
    # saved target is never carried twice.
    return figure.model_copy(update={**ends, "given_for": None, "carried": was})


def _with_figures(part: Any, found: Mapping[str, Figure], prefix: str = "") -> Any:
    """The same with other figures, by dotted path below `prefix`."""
    updates: dict[str, Any] = {}
    for name in type(part).model_fields:
        value, path = getattr(part, name), f"{prefix}{name}"
        if path in found:
            updates[name] = found[path]
        # Only models on the way to a changed figure are copied; all others are shared with the
        # target that came in.
        elif any(key.startswith(f"{path}.") for key in found):
            updates[name] = _inside(value, found, path)
    return part.model_copy(update=updates)


def _inside(value: Any, found: Mapping[str, Figure], path: str) -> Any:
    if isinstance(value, tuple):
        return tuple(
            _with_figures(item, found, f"{path}.{index}.") for index, item in enumerate(value)
        )
    return _with_figures(value, found, f"{path}.")
