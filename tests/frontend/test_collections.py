"""The whole zoo: onnx's operator cases and its nine classic networks."""

from __future__ import annotations

import math
import resource
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from xbarc.errors import XbarcError
from xbarc.frontend import read_network

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
MATRICES = {
    "light_bvlc_alexnet": (8, 60_954_656),
    "light_densenet121": (121, 7_894_208),
    "light_inception_v1": (58, 6_990_272),
    "light_inception_v2": (70, 11_174_080),
    "light_resnet50": (54, 25_502_912),
    "light_shufflenet": (50, 1_365_464),
    "light_squeezenet": (26, 1_231_552),
    "light_vgg19": (19, 143_652_544),
    "light_zfnet512": (8, 87_242_528),
}
CONSTANT_INPUTS = {
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "Gemm": (1, 2),
    "MatMul": (1,),
    "ConvInteger": (1, 3),
    "MatMulInteger": (1, 3),
    "QLinearConv": tuple(range(1, 9)),
    "QLinearMatMul": tuple(range(1, 8)),
}


@pytest.mark.parametrize("name", sorted(MATRICES))
def test_classic_networks(name: str) -> None:
    network = read_network(LIGHT / f"{name}.onnx")
    weights = sum(math.prod(layer.weight.tensor.shape) for layer in network.matrix_layers)
    assert (len(network.matrix_layers), weights) == MATRICES[name]
    assert all(layer.input_shape for layer in network.matrix_layers)


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_memory_holds_a_layer_at_a_time() -> None:
    network = read_network(LIGHT / "light_vgg19.onnx")
    before = resident_bytes()
    for layer in network.matrix_layers:
        assert layer.weight.tensor.load().shape == layer.weight.tensor.shape
    assert resident_bytes() - before < 500_000_000


def cases() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases  # noqa: PLC0415  # slow

        yield from collect_testcases(None)


def frozen(case: Any) -> onnx.ModelProto | None:
    """The case with the weight inputs of matrix operators turned into initialisers."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    names = {
        node.input[index]
        for node in model.graph.node
        for index in CONSTANT_INPUTS.get(node.op_type, ())
        if index < len(node.input)
    }
    kept = []
    for value, array in zip(model.graph.input, case.data_sets[0][0], strict=True):
        if value.name in names:
            tensor = numpy_helper.from_array(np.asarray(array), value.name)
            model.graph.initializer.append(tensor)
        else:
            kept.append(value)
    if len(kept) == len(model.graph.input):
        return None
    del model.graph.input[:]
    model.graph.input.extend(kept)
    return model


def outcome(path: Path) -> str:
    try:
        network = read_network(path)
        for layer in network.matrix_layers:
            layer.weight.tensor.load()
    except XbarcError as error:
        return type(error).__name__
    return "matrix" if network.matrix_layers else "digital"


# tests/models/test_operator_cases.py runs them in the quick lane; here only the split is counted
@pytest.mark.slow
def test_operator_cases(tmp_path: Path) -> None:
    shipped: Counter[str] = Counter()
    weighted: Counter[str] = Counter()
    path = tmp_path / "case.onnx"
    for case in cases():
        path.write_bytes(case.model.SerializeToString())
        shipped[outcome(path)] += 1
        model = frozen(case)
        if model is not None:
            path.write_bytes(model.SerializeToString())
            weighted[outcome(path)] += 1
    assert sum(shipped.values()) >= 1500
    assert shipped["digital"] >= 0.8 * sum(shipped.values())
    assert weighted["matrix"] >= 0.9 * sum(weighted.values())
