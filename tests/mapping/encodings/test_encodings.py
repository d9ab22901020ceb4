"""Every encoding: its cells mean the weights, its counts are the documented ones, it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.builders import int_layer, mapped, program_of, small_target
from tests.strategies import integers_of
from xbarc.errors import MappingError
from xbarc.executor import Executor
from xbarc.ir.effective import conversion_matrix, effective_weights, is_lossless, sum_ranges
from xbarc.ir.files import load_program, save_program
from xbarc.ir.geometry import Window
from xbarc.ir.program import CrossbarStep
from xbarc.ir.verify import verify_program
from xbarc.mapping import ArrayPool, encoding_names, map_layer
from xbarc.mapping import job as job_module
from xbarc.mapping.chains import Arrangement
from xbarc.mapping.encodings import find_encoding
from xbarc.mapping.encodings.one_signed import one_signed
from xbarc.numerics.types import AnyArray, Int64Array
from xbarc.options import MapOptions

NAMES = (*encoding_names(), "segmented:1", "segmented:3", "segmented:7-analog")
DIGITAL = [name for name in NAMES if f"{name}-analog" in NAMES]


@dataclass(frozen=True, eq=False)
class Drawn:
    """Weights of a layer with axes group, input, output, and their format."""

    weights: AnyArray
    bits: int

    def __repr__(self) -> str:
        return f"Drawn({self.weights.tolist()}, {self.bits} bits)"


@st.composite
def drawn(draw: st.DrawFn, most: int = 9) -> Drawn:
    bits = draw(st.integers(2, 10))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 9)), draw(st.integers(1, most)))
    low = -(1 << (bits - 1))
    return Drawn(draw(integers_of(shape, low, -low - 1)), bits)


def _step(name: str, weights: AnyArray, bits: int = 8, **target: int) -> CrossbarStep:
    """On wide arrays unless told otherwise."""
    options: dict[str, Any] = {"array__rows": 64, "array__columns": 4096, "cell__bits": 2, **target}
    options.setdefault("array__active_rows", options["array__rows"])
    return mapped(int_layer(weights, weight_bits=bits), small_target(**options), encoding=name)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15)
@given(drawn(), st.integers(1, 8), st.sampled_from([1, 2, 5, 64]), st.sampled_from([2, 3, 7, 4096]))
@example(Drawn(np.full((1, 1, 1), -128), 8), 1, 64, 4096)
@example(Drawn(np.full((2, 3, 5), -128), 8), 2, 2, 3)
@example(Drawn(np.zeros((1, 4, 3), dtype=np.int64), 8), 2, 64, 4096)
@example(Drawn(np.array([[[-512, 511]]]), 10), 3, 64, 7)
@example(Drawn(np.random.default_rng(0).integers(-(2**15), 2**15, (1, 40, 60)), 16), 2, 64, 4096)
def test_cells_mean_the_weights(
    name: str, case: Drawn, cell_bits: int, rows: int, columns: int
) -> None:
    """Also where blocks are cut over several arrays, and segments are wider than one."""
    step = _step(
        name,
        case.weights,
        case.bits,
        cell__bits=cell_bits,
        array__rows=rows,
        array__columns=columns,
    )
    assert np.array_equal(effective_weights(step), case.weights)
    assert is_lossless(step)
    assert step.encoding == name
    assert np.diff(step.tiling.column_bounds).max() <= columns


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=6)
@given(case=drawn(), seed=st.integers(0, 2**16), adc=st.sampled_from(["lossless", "3"]))
def test_engines_agree_after_saving(
    name: str, case: Drawn, seed: int, adc: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    target = small_target(array__rows=5, array__active_rows=4, array__columns=7)
    layer = int_layer(case.weights[:1], weight_bits=case.bits)
    step = mapped(layer, target, encoding=name, adc=adc)
    program = program_of([step], target, [None, layer.rows])
    verify_program(program)
    place = tmp_path_factory.mktemp("saved") / "a.xbar"
    save_program(program, place, {})
    loaded = load_program(place)
    verify_program(loaded)
    x = np.random.default_rng(seed).integers(0, 256, (4, layer.rows)).astype(np.uint8)
    results = [
        Executor(item, engine).run({"x": x})[0]
        for item in (program, loaded)
        for engine in ("fast", "reference")
    ]
    for result in results[1:]:
        assert np.array_equal(results[0], result)
    if adc == "lossless":
        assert np.array_equal(results[0], x.astype(np.int64) @ case.weights[0])


def _n(outputs: int, slices: int) -> tuple[int, int]:
    return outputs * slices, outputs * slices


def _pairs(outputs: int, slices: int) -> tuple[int, int]:
    return 2 * outputs * slices, 2 * outputs * slices


def _one_more(outputs: int, slices: int) -> tuple[int, int]:
    return (outputs + 1) * slices, (outputs + 1) * slices


def _unit(outputs: int, slices: int) -> tuple[int, int]:
    return outputs * slices + 1, outputs * slices + 1


def _segments(every: int) -> Callable[[int, int], tuple[int, int]]:
    def counts(outputs: int, slices: int) -> tuple[int, int]:
        columns = (outputs + ceil(outputs / every)) * slices
        return columns, columns

    return counts


COUNTS = {
    "differential": _pairs,
    "centre": _pairs,
    "offset": _unit,
    "offset-unflipped": _unit,
    "bias-column": _one_more,
    "bias-column-mid": _one_more,
    "acm": _one_more,
    "segmented:1": _segments(1),
    "segmented:3": _segments(3),
    "segmented:4": _segments(4),
    "unipolar": _n,
    "twos-complement": _n,
}


def _weights(rows: int, outputs: int, seed: int = 0) -> Int64Array:
    """With their extremes in every column, so that no encoding can do with less."""
    weights = np.random.default_rng(seed).integers(-127, 128, (1, rows, outputs))
    weights[:, 0], weights[:, 1] = 127, -127
    return weights


@pytest.mark.parametrize("name", sorted(COUNTS))
@pytest.mark.parametrize(("outputs", "cell_bits"), [(1, 2), (6, 1), (9, 2), (16, 4)])
def test_columns_and_conversions(name: str, outputs: int, cell_bits: int) -> None:
    step = _step(name, _weights(7, outputs), cell__bits=cell_bits)
    found = (int(step.tiling.column_bounds[-1]), step.conversions)
    assert found == COUNTS[name](outputs, step.weight_slices)


@pytest.mark.parametrize(
    ("name", "cell_bits", "slices"),
    [
        ("differential", 2, 4),  # magnitudes of 7 bits
        ("offset", 2, 4),
        ("offset", 1, 8),
        ("unipolar", 1, 8),  # from 0 to 254
        ("unipolar", 4, 2),
        ("twos-complement", 2, 5),  # seven bits, and a column of the sign
        ("twos-complement", 1, 8),
        ("bias-column", 2, 4),  # from -127 to 127 of one row: 8 bits
        ("bias-column", 1, 8),
        ("bias-column-mid", 1, 8),
    ],
)
def test_slices(name: str, cell_bits: int, slices: int) -> None:
    assert _step(name, _weights(7, 5), cell__bits=cell_bits).weight_slices == slices


@pytest.mark.parametrize("name", [f"{name}-analog" for name in DIGITAL])
@pytest.mark.parametrize("outputs", [1, 6])
def test_analog_forms_cost_a_conversion_an_output_and_slice(name: str, outputs: int) -> None:
    """With as many columns as the digital form, each pair of which is subtracted once."""
    weights = _weights(7, outputs)
    analog, digital = _step(name, weights), _step(name.removesuffix("-analog"), weights)
    assert analog.weight_slices == digital.weight_slices
    assert analog.cells.columns == digital.cells.columns
    assert analog.conversions == outputs * analog.weight_slices
    a = conversion_matrix(analog.periphery, analog.conversions, analog.cells.columns).toarray()
    assert np.array_equal((a == 1).sum(axis=1), np.ones(analog.conversions))
    assert np.array_equal((a == -1).sum(axis=1), np.ones(analog.conversions))
    low, _ = sum_ranges(analog)
    assert low.min() < 0
    assert np.array_equal(effective_weights(analog), effective_weights(digital))


def test_bias_column_of_a_row_is_as_low_as_its_weights_ask() -> None:
    """Row 1: 3 and -2 over a bias column at 2; row 2 needs none. One level is always 0."""
    step = _step("bias-column", np.array([[[3, -2], [1, 2]]]), 3, cell__bits=3)
    cells = step.cells.unpack()[0]
    assert cells.tolist() == [[5, 0, 2], [1, 2, 0]]


def test_mid_bias_column_stands_in_the_middle() -> None:
    step = _step("bias-column-mid", np.array([[[3, -2], [1, 2]]]), 3, cell__bits=3)
    assert step.cells.unpack()[0].tolist() == [[7, 2, 4], [5, 6, 4]]


def test_adjacent_columns_by_hand() -> None:
    """Three outputs 1, 1, -2 in a row: columns 2, 1, 0, 2 in natural order."""
    layer = int_layer(np.array([[[1, 1, -2]]]), weight_bits=3)
    natural = Arrangement(np.arange(3), np.ones(3, dtype=np.int8), 0.0, 0.0, 0.0, None)
    target = small_target(cell__bits=3)
    options = MapOptions(encoding="acm")
    step = map_layer(layer, target, options, ArrayPool(target.array, "layer"), natural)
    assert step.cells.unpack()[0].tolist() == [[2, 1, 0, 2]]
    assert effective_weights(step).tolist() == [[[1, 1, -2]]]


def test_order_and_sign_need_fewer_levels() -> None:
    """Alternating signs along the chain of 2, 2, 2, -2: levels 0 and 2 instead of 0 to 6."""
    weights = np.array([[[2, 2, 2, -2]]])
    assert _step("acm", weights, 3, cell__bits=1).weight_slices == 2
    assert _step("acm", weights, 3, cell__bits=2).cells.unpack().max() == 2


@settings(max_examples=25)
@given(
    drawn(), st.sampled_from(["acm", "acm-analog", "segmented:3", "segmented:4-analog"]), st.data()
)
def test_any_order_and_sign_round_trips(case: Drawn, name: str, data: st.DataObject) -> None:
    """What map_layer is given is undone digitally, common factors of two included."""
    outputs = case.weights.shape[2]
    order = np.array(data.draw(st.permutations(range(outputs))))
    signs = np.array(
        data.draw(st.lists(st.sampled_from([-1, 1]), min_size=outputs, max_size=outputs))
    )
    places = Arrangement(order, signs.astype(np.int8), 0.0, 0.0, 0.0, None)
    weights = case.weights * data.draw(st.sampled_from([1, 4]))
    target = small_target(array__columns=4096, array__rows=5, array__active_rows=3)
    options = MapOptions(encoding=name)
    layer = int_layer(weights, weight_bits=case.bits + 2)
    step = map_layer(layer, target, options, ArrayPool(target.array, "layer"), places)
    assert np.array_equal(effective_weights(step), weights)


@settings(max_examples=30)
@given(drawn(), st.sampled_from([2, 3, 64]))
def test_one_signed_drops_partners_only_where_signs_agree(case: Drawn, rows: int) -> None:
    weights = case.weights
    step = _step("one-signed", weights, case.bits, array__rows=rows)
    tiling = step.tiling
    assert len(tiling.row_bounds) - 1 == ceil(weights.shape[1] / rows)
    blocks = np.split(weights[:, tiling.row_input], tiling.row_bounds[1:-1].tolist(), axis=1)
    alone = np.ones(weights.shape[2], dtype=bool)
    for block in blocks:  # by hand: no output has both signs in one block of any group
        mixed = (block > 0).any(axis=1) & (block < 0).any(axis=1)
        alone &= ~mixed.any(axis=0)
    per = step.weight_slices
    assert step.cells.columns == per * (int(alone.sum()) + 2 * int((~alone).sum()))
    assert np.array_equal(effective_weights(step), weights)


def test_one_signed_may_change_sign_between_row_blocks() -> None:
    weights = np.array([[[1, 1], [2, -3], [-3, 1], [-1, 2]]])
    bounds = np.array([0, 2, 4])
    assert one_signed(weights, bounds).tolist() == [True, False]
    step = _step("one-signed", weights, 3, array__rows=2, cell__bits=2)
    assert step.cells.columns == 3
    assert np.array_equal(effective_weights(step), weights)


def test_unipolar_takes_the_least_weight_of_each_output() -> None:
    weights = np.array([[[-5, 7], [3, 7], [-1, 9]]])
    step = _step("unipolar", weights, 5, cell__bits=4)
    assert step.periphery.input_sum.tolist() == [-5, 7]
    assert step.cells.unpack()[0].tolist() == [[0, 0], [4, 0], [2, 1]]  # both halved once
    assert np.array_equal(effective_weights(step), weights)


def test_unipolar_keeps_a_column_that_cannot_be_halved() -> None:
    step = _step("unipolar", np.array([[[-5, 7], [3, 7], [-2, 9]]]), 5, cell__bits=4)
    assert step.cells.unpack()[0].tolist() == [[0, 0], [8, 0], [3, 2]]


def test_centre_takes_the_mean_and_never_more_bits() -> None:
    """Mean 4 of the first output; of the second, -7 less the mean of 3 would need a bit more."""
    weights = np.array([[[3, 7], [4, 7], [5, -5]]])
    step = _step("centre", weights, 4, cell__bits=3)
    assert step.periphery.input_sum.tolist() == [4, 2]
    assert step.weight_slices == 1
    assert np.array_equal(effective_weights(step), weights)


@settings(max_examples=30)
@given(drawn(), st.integers(1, 4))
def test_centre_never_takes_more_cells_than_pairs(case: Drawn, cell_bits: int) -> None:
    counts = [
        _step(name, case.weights, case.bits, cell__bits=cell_bits).weight_slices
        for name in ("centre", "differential")
    ]
    assert counts[0] <= counts[1]


@pytest.mark.parametrize("name", NAMES)
def test_grouped_and_depthwise_layers(name: str) -> None:
    rng = np.random.default_rng(1)
    geometry = Window((3, 3), (1, 1), (1, 1), (1, 1, 1, 1))
    for shape in ((12, 9, 1), (3, 18, 5)):
        weights = rng.integers(-128, 128, shape)
        layer = int_layer(weights, geometry=geometry)
        target = small_target(array__columns=32, array__rows=16, array__active_rows=16)
        for pack in ("layer", "none"):
            step = mapped(layer, target, encoding=name, pack=pack)
            assert np.array_equal(effective_weights(step), weights)
            assert is_lossless(step)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_to_multiply(name: str) -> None:
    step = _step(name, np.zeros((1, 3, 4), dtype=np.int64))
    assert not effective_weights(step).any()
    assert step.weight_slices >= 1


@pytest.mark.parametrize("columns", [2, 3, 4])
def test_a_segment_wider_than_an_array_is_cut_shorter(columns: int) -> None:
    """Five columns of a segment do not fit: each array holds a chain as long as itself."""
    step = _step("segmented:4", np.ones((1, 2, 12), dtype=np.int64), 2, array__columns=columns)
    widths = np.diff(step.tiling.column_bounds)
    assert widths.tolist() == [columns] * (12 // (columns - 1))


def _arrangement(outputs: int) -> Arrangement:
    return Arrangement(np.arange(outputs), np.ones(outputs, dtype=np.int8), 0.0, 0.0, 0.0, None)


@pytest.mark.parametrize("name", ["differential", "acm", "bias-column", "unipolar", "offset"])
def test_a_weight_that_does_not_fit_is_named(name: str) -> None:
    """Never more cells than were asked for, and never a clipped weight."""
    layer = int_layer(_weights(4, 3), name="conv7")
    target = small_target(cell__bits=2)
    options = MapOptions(encoding=name, weight_slices=3)
    with pytest.raises(MappingError) as caught:
        map_layer(layer, target, options, ArrayPool(target.array, "layer"), _arrangement(3))
    message = str(caught.value)
    assert message.startswith("conv7: weights from ")
    assert f"do not fit {name} with 3 cells of 2 bits per weight" in message
    assert "hint: --weight-slices " in message
    least = int(message.split("--weight-slices ")[1].split(" or more", maxsplit=1)[0])
    chained = find_encoding(name).is_chained()  # the columns of three outputs take a bit more
    enough = options.changed(weight_slices=least + chained)
    step = map_layer(layer, target, enough, ArrayPool(target.array, "layer"), _arrangement(3))
    assert np.array_equal(effective_weights(step), layer.weight.tensor.load())


def test_a_chain_that_no_cells_hold_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_module, "_MOST_CELL_BITS", 8)
    rows = np.array(np.meshgrid(*[[-127, 127]] * 6)).reshape(6, -1).T[None]  # every pattern
    with pytest.raises(MappingError, match=r"layer: weights from -127 to 127 do not fit acm") as e:
        _step("acm", rows, cell__bits=2)
    assert "--encoding differential" in e.value.hint


@pytest.mark.parametrize("name", NAMES)
def test_more_cells_than_needed_stay_empty_or_repeat_the_sign(name: str) -> None:
    weights = np.array([[[1, -1, 0], [0, 1, 1]]])
    target = small_target(cell__bits=2)
    step = mapped(int_layer(weights, weight_bits=2), target, encoding=name, weight_slices=4)
    assert step.weight_slices == 4
    assert np.array_equal(effective_weights(step), weights)


def test_segment_lengths_are_checked() -> None:
    for name in ("segmented:0", "segmented:", "segmented:-1", "segmented:99999", "segmented"):
        with pytest.raises(MappingError, match="no encoding"):
            find_encoding(name)


@pytest.mark.parametrize("name", ["segmented:2", "segmented:17", "segmented:5-analog"])
def test_segments_of_any_length(name: str) -> None:
    assert find_encoding(name).name == name
    weights = _weights(3, 20)
    assert np.array_equal(effective_weights(_step(name, weights)), weights)


def test_the_same_weights_give_the_same_cells() -> None:
    found = [_step("acm", _weights(9, 30)).cells.data.tobytes() for _ in range(2)]
    assert found[0] == found[1]


def test_inputs_are_dealt_so_that_signs_agree() -> None:
    """Two outputs of mixed sign on four row blocks: each block holds one combination of signs."""
    rng = np.random.default_rng(3)
    signs = np.repeat([[1, 1], [1, -1], [-1, 1], [-1, -1]], 16, axis=0)
    weights = rng.permutation(signs * rng.integers(1, 100, signs.shape))[None]
    target = small_target(array__rows=16, array__columns=32, array__active_rows=16)
    step = mapped(int_layer(weights), target, encoding="one-signed")
    assert step.cells.columns == 2 * step.weight_slices
    assert np.array_equal(effective_weights(step), weights)
    assert sorted(step.tiling.row_input.tolist()) == list(range(64))
    pairs = mapped(int_layer(weights), target, encoding="differential")
    assert pairs.cells.columns == 2 * step.cells.columns


def test_no_row_block_more_for_the_sake_of_signs() -> None:
    weights = np.random.default_rng(4).integers(-100, 100, (1, 60, 7))
    target = small_target(array__rows=16, array__columns=64, array__active_rows=16)
    step = mapped(int_layer(weights), target, encoding="one-signed")
    assert len(step.tiling.row_bounds) - 1 == 4
    assert np.array_equal(effective_weights(step), weights)
