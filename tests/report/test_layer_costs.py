"""A layer's energy and area by component: parts add up to the layer, layers to the program."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import pytest

import xbarc
from tests.binary_models import bnn_target, compiled, dense_net
from tests.report.programs import dense_step, digital_step, program_of, small_program, small_target
from tests.report.test_report import plain
from tests.viewer.programs import conv_program, with_factors
from xbarc.cost import CostPart
from xbarc.errors import InputError
from xbarc.ir import Program
from xbarc.report import (
    collect,
    layer_costs,
    layer_rows,
    render_html,
    render_layer_costs_json,
    render_layer_costs_text,
    subject_of,
)
from xbarc.report.sections.components import Components, components_row
from xbarc.report.sections.digital import DigitalRow, digital_rows
from xbarc.report.sections.layers import LayerRow
from xbarc.target import Component, Figure, load_target, target_names

Change = Callable[[Program], Program]


@pytest.fixture(scope="module")
def convolutions(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Four layers with digital parts between them."""
    return conv_program(tmp_path_factory.mktemp("layer_costs"))


def _figure(value: float, unit: str) -> Figure:
    said = {"source": "assumed", "via": "assumed", "confirmed": False, "note": "for tests"}
    return Figure.model_validate({"value": value, "unit": unit, **said})


def _retarget(program: Program, **costs: Any) -> Program:
    target = program.target
    new = target.model_copy(update={"costs": target.costs.model_copy(update=costs)})
    return replace(program, target=new)


def _copied(program: Program) -> Program:
    return replace(program, settings=(("duplicate", "budget=60"),))


def _multiplied(program: Program) -> Program:
    """Factors of columns, and the multiplier that they need."""
    adc = program.target.adc.model_copy(update={"scale_bits": 8})
    target = program.target.model_copy(update={"adc": adc})
    return _retarget(
        replace(with_factors(program), target=target),
        column_scale_energy=_figure(0.5, "pJ"),
        column_scale_area=_figure(40.0, "um2"),
    )


def _with_components(program: Program) -> Program:
    """Hardware of the target's own at every level."""
    levels = ("row", "column", "array", "macro", "tile", "chip")
    shared = {"count": 3.0, "power": _figure(0.3, "mW"), "area": _figure(7.0, "um2")}
    return _retarget(
        program,
        components=tuple(Component(name=f"own {per}", per=per, **shared) for per in levels),  # type: ignore[arg-type]
    )


def _several_chips(program: Program) -> Program:
    hierarchy = program.target.hierarchy.model_copy(update={"tiles_per_chip": 1})
    target = program.target.model_copy(update={"hierarchy": hierarchy})
    return _retarget(replace(program, target=target), chip_static=_figure(1.0, "mW"))


def _sensed(folder: Path) -> Program:
    return compiled(dense_net(folder), bnn_target(16, 16))


def _check(program: Program) -> tuple[Sequence[Any], Components]:
    """Rows whose parts close: each on its own total, and together on those of the program."""
    whole = subject_of(program)
    layers, fragments = layer_rows(whole), digital_rows(whole)
    rows: list[LayerRow | DigitalRow] = [*layers, *fragments]
    for row in rows:
        assert row.components is not None
        assert row.energy_uj == _sum(row.components.energy) / 1e6
    for layer in layers:
        assert layer.components is not None
        assert layer.area_mm2 == _sum(layer.components.area) / 1e6
    found = components_row(whole)
    for part in found.energy:
        # One after another, as the program adds them: sums of floats depend on the order.
        together = reduce(add, _counts((*fragments, *layers), part.name), 0.0)
        # Hardware of the target's own is multiplied behind the sum, not before.
        own = part.figure.startswith("costs.components")
        assert together == (pytest.approx(part.count, rel=1e-14) if own else part.count)
    return layers, found


def _sum(parts: Sequence[CostPart]) -> float:
    for part in parts:
        assert part.unit_cost is not None
        assert part.total == part.count * part.unit_cost
    return math.fsum(part.total or 0.0 for part in parts)


def _counts(rows: Sequence[Any], name: str) -> list[float]:
    """How often each row uses a component."""
    return [part.count for row in rows for part in row.components.energy if part.name == name]


CHANGES: tuple[Change, ...] = (_copied, _multiplied, _with_components, _several_chips)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__.strip("_"))
def test_parts_close_on_the_layer_and_layers_on_the_program(
    convolutions: Program, change: Change
) -> None:
    plain_layers, before = _check(convolutions)
    layers, after = _check(change(convolutions))
    assert len(layers) == len(plain_layers) == 4
    assert before != after


def test_parts_of_sense_amplifiers_and_of_every_target_close(
    convolutions: Program, tmp_path: Path
) -> None:
    _check(_sensed(tmp_path))
    _check(small_program("costs.chip_static=1.0", "hierarchy.tiles_per_chip=1"))
    for name in target_names():
        costs = load_target(name).costs
        _check(_retarget(convolutions, components=costs.components, adc=costs.adc))


def test_copies_are_in_the_parts(convolutions: Program) -> None:
    pairs = zip(_check(convolutions)[0], _check(_copied(convolutions))[0], strict=True)
    copies = []
    for one, copied in pairs:
        copies.append(copied.copies)
        cells = [row.components.write[0].count for row in (one, copied)]
        assert cells[1] == copied.copies * cells[0]
    assert max(copies) > 1


def test_every_part_has_its_figures_and_no_others() -> None:
    report = collect(small_program())
    costs = layer_costs(report, "dense")
    assert costs.layer is not None
    assert costs.layer.components is not None
    parts = [*costs.layer.components.energy, *costs.layer.components.area]
    paths = [row.path for row in costs.sources]
    stems = {part.figure.removesuffix("*") for part in parts if part.count}
    assert all(any(path.startswith(stem) for path in paths) for stem in stems)
    assert all(any(path.startswith(stem) for stem in stems | {"costs.write"}) for path in paths)
    assert "costs.digital_energy" not in paths
    text = plain(render_layer_costs_text(costs), 200)
    assert all(path in text for path in paths)
    assert all(row.source in text for row in costs.sources)
    assert json.loads(render_layer_costs_json(costs))["layer"]["name"] == "dense"


def test_a_fragment_is_a_layer_of_its_own() -> None:
    costs = layer_costs(collect(small_program()), "rest")
    assert costs.digital is not None
    assert [row.path for row in costs.sources] == ["costs.digital_energy"]
    assert "digital MAC" in plain(render_layer_costs_text(costs))


def test_a_layer_that_cannot_be_counted_says_so() -> None:
    lost = dense_step(input_shape=None, uncounted="what Loop 'l' does depends on its data")
    report = collect(program_of(lost, digital_step(None), target=small_target(), arrays=4))
    costs = layer_costs(report, "dense")
    assert costs.layer is not None
    assert costs.layer.components is not None
    assert costs.layer.components.energy == ()
    text = plain(render_layer_costs_text(costs))
    assert "not counted: what Loop 'l' does depends on its data" in text
    assert "Energy per inference by component" not in text
    assert "not counted: " in plain(render_layer_costs_text(layer_costs(report, "rest")))


def test_a_wrong_name_is_answered_with_the_nearest() -> None:
    report = collect(small_program())
    with pytest.raises(InputError) as caught:
        layer_costs(report, "danse")
    assert "'danse' is not a layer" in str(caught.value)
    assert "dense" in (caught.value.hint or "")


def test_a_law_of_costs_is_the_source_of_its_converters() -> None:
    law = "tests.cost.converters.test_cost_laws:Same"
    report = xbarc.CompiledProgram(small_program()).report(cost_law=law)
    costs = layer_costs(report, report.layers[0].name)
    assert [row.source for row in costs.sources if row.path == "costs.adc"]


def test_the_page_has_the_parts_of_each_layer() -> None:
    report = collect(small_program())
    page, notebook = render_html(report), report._repr_html_()
    assert page.count('<details class="part">') == len(report.layers)
    assert "dense by component: " in page
    assert '<details class="part">' not in notebook
