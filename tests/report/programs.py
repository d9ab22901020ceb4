"""Hand-made programs whose counts can be worked out on paper: no mapping is involved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from onnx import helper

from xbarc.cost import program_cost
from xbarc.ir.built import built_settings
from xbarc.ir.geometry import Dense, Window
from xbarc.ir.network import DigitalFragment, ModelSource, Value
from xbarc.ir.program import AdcSettings, CrossbarStep, Periphery, Program, Tiling, encode_r
from xbarc.ir.quantizers import DynamicInput, FloatResult, StaticInput
from xbarc.numerics import pack_cells
from xbarc.numerics.types import AnyArray, Int64Array
from xbarc.report.section import Subject
from xbarc.target import Target, load_target

SMALL = ("array.rows=4", "array.columns=4", "array.active_rows=2", "adc.columns_per_adc=2")
CLOCK = ("costs.cycle.grows=[]", "costs.read_pulse.grows=[]")  # for times that are added by hand


def small_target(*overrides: str) -> Target:
    """4 x 4 arrays, 2 rows at once, 2 columns an ADC, 2 arrays a macro, 2 macros a tile."""
    tree = ("hierarchy.arrays_per_macro=2", "hierarchy.macros_per_tile=2")
    return load_target("rram128", [*SMALL, *CLOCK, *tree, "hierarchy.tiles_per_chip=2", *overrides])


def ints(*values: int) -> Int64Array:
    return np.array(values, dtype=np.int64)


def dense_step(**changes: Any) -> CrossbarStep:
    """5 inputs, 3 outputs, a plus and a minus column each; 4 positions; arrays 0 to 3.

    Row blocks of 4 and 1 rows; the first has two segments. Column blocks of 4 and 2 columns.
    """
    cells = (np.arange(30, dtype=np.uint8) % 4).reshape(1, 5, 6)
    outputs = np.repeat(np.arange(3), 2)
    step = CrossbarStep(
        name="dense",
        operator="Gemm",
        input="x",
        output="h",
        geometry=Dense(),
        quantizer=StaticInput(bits=3, scale=0.5, zero_point=0),
        result=_result(3),
        tiling=Tiling(
            row_input=np.arange(5),
            row_bounds=ints(0, 4, 5),
            segment_bounds=ints(0, 2, 4, 5),
            column_bounds=ints(0, 4, 6),
            conversion_bounds=ints(0, 4, 6),
            array=np.arange(4).reshape(1, 2, 2),
            row_offset=np.zeros((1, 2, 2), dtype=np.int64),
            column_offset=np.zeros((1, 2, 2), dtype=np.int64),
        ),
        cells=pack_cells(cells, 2),
        periphery=_periphery(outputs, np.arange(6), np.tile([1, -1], 3), outputs=3),
        adc=_adc(np.array([3, 3, 4, 4, 1, 2], dtype=np.uint8).reshape(1, 1, 6, 1)),
        input_bits=3,
        dac_bits=1,
        encoding="differential",
        weight_bits=3,
        weight_slices=1,
        inputs=5,
        outputs=3,
        input_shape=(4, 5),
    )
    return replace(step, **changes)


def grouped_step(**changes: Any) -> CrossbarStep:
    """Two groups of 2 inputs and 1 output in one array; columns are subtracted by `A`."""
    cells = np.array([[[1, 0], [2, 3]], [[0, 0], [3, 1]]], dtype=np.uint8)
    one = np.zeros(2, dtype=np.int64)
    step = CrossbarStep(
        name="grouped <b>&",
        operator="Conv",
        input="h2",
        output="y",
        geometry=Window((2,), (1,), (1,), (0, 0)),
        quantizer=DynamicInput(bits=2),
        result=_result(2),
        tiling=Tiling(
            row_input=np.arange(2),
            row_bounds=ints(0, 2),
            segment_bounds=ints(0, 2),
            column_bounds=ints(0, 2),
            conversion_bounds=ints(0, 1),
            array=np.full((2, 1, 1), 4),
            row_offset=ints(0, 2).reshape(2, 1, 1),
            column_offset=ints(0, 2).reshape(2, 1, 1),
        ),
        cells=pack_cells(cells, 2),
        periphery=replace(
            _periphery(one[:1], one[:1], ints(1), outputs=2),
            a_conversion=one,
            a_column=ints(0, 1),
            a_sign=ints(1, -1).astype(np.int8),
        ),
        adc=_adc(np.full((1, 1, 1, 1), 4, dtype=np.uint8), lo=-4),
        input_bits=2,
        dac_bits=1,
        encoding="differential-analog",
        weight_bits=3,
        weight_slices=1,
        inputs=2,
        outputs=1,
        input_shape=(1, 2, 4),
    )
    return replace(step, **changes)


def _fragment() -> bytes:
    """`h2 = Relu(Relu(h h))`."""
    nodes = [
        helper.make_node("MatMul", ["h", "h"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Relu", ["b"], ["h2"]),
    ]
    ports = [helper.make_tensor_value_info(name, 1, None) for name in ("h", "h2")]
    graph = helper.make_graph(nodes, "rest", ports[:1], ports[1:])
    data: bytes = helper.make_model(graph).SerializeToString()
    return data


def digital_step(macs: int | None = 7) -> DigitalFragment:
    return DigitalFragment(
        name="rest",
        model=_fragment(),
        inputs=("h",),
        outputs=("h2",),
        operators=(("MatMul", 1), ("Relu", 2)),
        macs=macs,
        notes=("MatMul: both operands are data",),
    )


def small_program(*overrides: str) -> Program:
    """Two crossbar layers on five arrays, and a digital fragment between them."""
    steps = (dense_step(), digital_step(), grouped_step())
    return program_of(*steps, target=small_target(*overrides), arrays=5)


def program_of(*steps: CrossbarStep | DigitalFragment, target: Target, arrays: int) -> Program:
    return Program(
        name="small",
        source=ModelSource("small.onnx", "0" * 64),
        target=target,
        inputs=(Value("x", "float32", (4, 5)),),
        outputs=(Value("y", "float32", None),),
        steps=steps,
        arrays=arrays,
        settings=built_settings((("adc", "lossless"), ("encoding", "differential")), steps),
    )


def _result(outputs: int) -> FloatResult:
    ones = np.ones(outputs, dtype=np.float32)
    return FloatResult(ones, ones * 0)


def _periphery(output: AnyArray, conversion: AnyArray, value: AnyArray, outputs: int) -> Periphery:
    none = np.zeros(0, dtype=np.int64)
    return Periphery(
        a_conversion=none,
        a_column=none,
        a_sign=none.astype(np.int8),
        r_output=output,
        r_conversion=conversion,
        r_code=encode_r(value).reshape(1, 1, -1),
        constant=np.zeros(outputs, dtype=np.int64),
        input_sum=np.zeros(outputs, dtype=np.int64),
    )


def _adc(bits: AnyArray, lo: int = 0) -> AdcSettings:
    one = np.ones((1, 1, 1, 1), dtype=np.int32)
    return AdcSettings(bits, one * lo, one, "lossless")


def subject(program: Program) -> Subject:
    """What sections of a report are gathered from."""
    return Subject(program, program_cost(program))
