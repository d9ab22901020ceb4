from dataclasses import replace

import numpy as np
import pytest

from tests.builders import int_layer, mapped, program_of, small_target
from xbarc.circuit import Chip, Effects, FaultMap, random_faults
from xbarc.circuit.direct import direct_conductance
from xbarc.circuit.faults import fault_map
from xbarc.circuit.lines import line_model
from xbarc.errors import InputError
from xbarc.ir.program import Program
from xbarc.mapping import ArrayPool
from xbarc.numerics.types import AnyArray
from xbarc.options.values import parse_names
from xbarc.target import Target


def _program(target: Target | None = None, groups: int = 1, seed: int = 0) -> Program:
    chosen = target or small_target(array__rows=16, array__columns=16, array__active_rows=16)
    weights = np.random.default_rng(seed).integers(-128, 128, (groups, 40, 7))
    return program_of([mapped(int_layer(weights), chosen)], chosen, (None, 40))


def _levels(program: Program, **settings: object) -> AnyArray:
    kinds = parse_names(str(settings.pop("kinds", "")))
    effects = Effects(kinds, **settings)  # type: ignore[arg-type]
    return Chip(program, effects).levels(program.crossbar_steps[0])


def _cells(program: Program) -> AnyArray:
    return program.crossbar_steps[0].cells.unpack((slice(None),))


def test_no_effect_leaves_whole_levels() -> None:
    program = _program()
    assert np.array_equal(_levels(program), _cells(program))


@pytest.mark.parametrize("kind", ["variation", "faults", "drift", "levels"])
def test_zero_figures_change_nothing(kind: str) -> None:
    target = small_target(
        array__rows=16,
        array__columns=16,
        array__active_rows=16,
        cell__variation__sigma__value=0.0,
        cell__stuck_on__value=0.0,
        cell__stuck_off__value=0.0,
        cell__drift__exponent__value=0.0,
    )
    program = _program(target)
    assert np.array_equal(_levels(program, kinds=kind), _cells(program))


def test_absolute_variation_has_the_targets_sigma() -> None:
    program = _program()
    high = _cells(program) > 0  # at level 0 the conductance is cut off at zero
    change = (_levels(program, kinds="variation") - _cells(program))[high]
    assert abs(change.std() - 2.28 / 13) < 0.01
    assert abs(change.mean()) < 0.02


def test_proportional_variation_grows_with_the_conductance() -> None:
    target = small_target(
        array__rows=16,
        array__columns=16,
        array__active_rows=16,
        cell__variation__kind='"proportional"',
        cell__variation__sigma__unit='"fraction"',
        cell__variation__sigma__value=0.05,
    )
    program = _program(target)
    cells = _cells(program)
    change = _levels(program, kinds="variation") - cells
    for level in range(4):
        wanted = 0.05 * (level + 1 / 13)
        assert abs(change[cells == level].std() / wanted - 1) < 0.2


def _spread_by_level(sigmas: list[float]) -> AnyArray:
    """Standard deviation of the cells at each level, in uS, where each level has its own."""
    figure = f'{{values={sigmas}, unit="uS", source="assumed", via="assumed", confirmed=false, '
    target = small_target(
        array__rows=16,
        array__columns=16,
        array__active_rows=16,
        cell__variation__levels=figure + 'note="a test"}',
    )
    program = _program(target)
    cells = _cells(program)
    change = (_levels(program, kinds="variation") - cells) * 13.0
    return np.array([change[cells == level].std() for level in range(4)])


def test_levels_may_have_a_spread_each() -> None:
    found = _spread_by_level([0.0, 0.5, 0.0, 2.0])
    assert found[[0, 2]].tolist() == [0.0, 0.0]
    assert np.allclose(found[[1, 3]], [0.5, 2.0], rtol=0.15)
    assert not _spread_by_level([0.0] * 4).any()


def test_a_chip_is_its_seed_and_sample() -> None:
    program = _program()
    first = _levels(program, kinds="variation,faults", seed=1)
    assert np.array_equal(first, _levels(program, kinds="variation,faults", seed=1))
    assert not np.array_equal(first, _levels(program, kinds="variation,faults", seed=2))
    assert not np.array_equal(first, _levels(program, kinds="variation,faults", seed=1, sample=1))


def test_numbers_belong_to_places_not_to_contents() -> None:
    one, other = _program(seed=1), _program(seed=2)
    effect = "faults"
    stuck = _levels(one, kinds=effect) != _cells(one)
    both = stuck & (_levels(other, kinds=effect) != _cells(other))
    assert np.array_equal(_levels(one, kinds=effect)[both], _levels(other, kinds=effect)[both])
    assert both.any()


def test_drift_shrinks_the_whole_conductance() -> None:
    program = _program()
    drifted = _levels(program, kinds="drift", seconds=100.0)
    factor = 100.0**-0.0022
    assert np.allclose(drifted, (_cells(program) + 1 / 13) * factor - 1 / 13)


def test_levels_of_the_target_need_not_be_equally_spaced() -> None:
    target = small_target(cell__conductance__values=[0.0, 1.0, 4.0, 6.0])
    program = _program(target)
    wanted = np.array([0.0, 0.5, 2.0, 3.0])[_cells(program)]
    assert np.array_equal(_levels(program, kinds="levels"), wanted)


def test_a_drawn_map_is_what_the_effect_draws() -> None:
    program = _program()
    known = random_faults(program.target, program.arrays, seed=5)
    drawn = _levels(program, kinds="faults", seed=5)
    given = _levels(program, kinds="faults", seed=9, fault_map=known)
    assert np.array_equal(drawn, given)
    rate = len(known.array) / (program.arrays * 16 * 16)
    assert abs(rate - 0.1) < 0.03


def test_groups_that_share_an_array_have_faults_of_their_own() -> None:
    program = _program(groups=1)
    levels = _levels(program, kinds="faults")
    blocks = levels[0, :16, :14] - _cells(program)[0, :16, :14]
    later = levels[0, 16:32, :14] - _cells(program)[0, 16:32, :14]
    assert not np.array_equal(blocks, later)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"level": None}, "missing"),
        ({"row": np.array([99])}, "row spans"),
        ({"level": np.array([4])}, "level spans"),
        ({"row": np.array([1.5])}, "expected integers"),
        ({"row": np.array([1, 2])}, "equal lengths"),
    ],
)
def test_wrong_maps_are_refused(change: dict[str, AnyArray | None], text: str) -> None:
    names = ("array", "row", "column", "level")
    fields = {**{name: np.array([0]) for name in names}, **change}
    given = {name: value for name, value in fields.items() if value is not None}
    with pytest.raises(InputError, match=text):
        fault_map(given, small_target(array__rows=16, array__active_rows=16))


def test_maps_are_sorted_by_array() -> None:
    fields = {name: np.array([1, 0]) for name in ("array", "row", "column", "level")}
    found = fault_map(fields, small_target())
    assert isinstance(found, FaultMap)
    assert found.array.tolist() == [0, 1]
    assert [part.tolist() for part in found.of(1)] == [[1], [1], [1]]


def test_unknown_effects_are_refused() -> None:
    with pytest.raises(InputError, match="rust"):
        Effects(parse_names("lines,rust"))
    with pytest.raises(InputError, match="--time"):
        Effects(seconds=0)


def test_wires_act_on_whole_arrays() -> None:
    """A block's contributions are its place in the effective matrix of its array."""
    program = _program()
    step = program.crossbar_steps[0]
    seen = _levels(program, kinds="lines")
    array = np.zeros((16, 16))
    array[:] = _cells(program)[0, :16, :16]
    lines = line_model(program.target)
    wanted = direct_conductance((array + 1 / 13) * 13e-6, lines) / 13e-6 - 1 / 13
    assert step.tiling.array[0, 0, 0] == 0
    assert np.allclose(seen[0, :16, :16], wanted, atol=1e-5)
    assert (seen < _cells(program)).all()


def test_layers_in_one_array_load_each_others_wordlines() -> None:
    target = small_target(array__rows=16, array__columns=32, array__active_rows=16)
    pool = ArrayPool(target.array, "network")
    weights = np.full((1, 16, 1), 127)
    steps = [
        mapped(int_layer(weights, name=name), target, pool=pool, pack="network") for name in "ab"
    ]
    both = program_of(steps, target, (None, 16))
    alone = program_of(steps[:1], target, (None, 16))
    assert both.arrays == 1
    effects = Effects(parse_names("lines"))
    loaded, free = (Chip(p, effects).levels(steps[0]) for p in (both, alone))
    assert loaded.sum() < free.sum() - 1e-3


def test_faults_hit_the_bitline_that_a_column_really_has() -> None:
    program = _program()
    step = program.crossbar_steps[0]
    columns = step.cells.columns
    block = np.searchsorted(step.tiling.column_bounds, np.arange(columns), side="right") - 1
    last = step.tiling.column_bounds[block + 1]
    mirrored = (last - 1 - np.arange(columns))[None, None, :]
    tiling = replace(step.tiling, column_order=mirrored)
    turned = replace(program, steps=(replace(step, tiling=tiling),))
    known = FaultMap(*(np.array([v]) for v in (0, 2, 3, 3)))
    plain = _levels(program, kinds="faults", fault_map=known)
    other = _levels(turned, kinds="faults", fault_map=known)
    assert (plain != _cells(program)).sum() + (other != _cells(program)).sum() > 0
    assert plain[0, 2, 3] == 3
    assert other[0, 2, int(last[0]) - 1 - 3] == 3
    assert np.array_equal(np.delete(plain[0, 2], 3), np.delete(_cells(program)[0, 2], 3))
