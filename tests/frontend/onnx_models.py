"""Small ONNX files for tests, from ONNX text and numpy arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper, parser

from tests.frontend.network_meaning import evaluate
from xbarc.frontend import read_network, runnable_model
from xbarc.ir.network import DigitalFragment, IntWeight, MatrixLayer, Network
from xbarc.numerics import IntFormat
from xbarc.numerics.types import AnyArray
from xbarc.runtime import OnnxSession

HEADER = '<ir_version: 8, opset_import: ["": 17, "com.microsoft": 1]>'


def parse(graph: str, header: str = HEADER, **initializers: Any) -> onnx.ModelProto:
    """A model from ONNX text, with arrays added as initialisers."""
    model: onnx.ModelProto = parser.parse_model(f"{header} {graph}")
    for name, array in initializers.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    return model


def write(folder: Path, model: onnx.ModelProto, name: str = "model.onnx") -> Path:
    path: Path = folder / name
    path.write_bytes(model.SerializeToString())
    return path


def model_file(folder: Path, graph: str, header: str = HEADER, **initializers: Any) -> Path:
    return write(folder, parse(graph, header, **initializers))


def matrix_layer(network: Network) -> MatrixLayer:
    """The one matrix layer of a network."""
    (layer,) = network.matrix_layers
    return layer


def int_format(network: Network) -> IntFormat:
    """The format of the integer weights of the one matrix layer."""
    weight = matrix_layer(network).weight
    assert isinstance(weight, IntWeight)
    return weight.format


def fragments(network: Network) -> list[DigitalFragment]:
    return [layer for layer in network.layers if isinstance(layer, DigitalFragment)]


def operators(network: Network) -> dict[str, int]:
    """How often each operator stayed digital."""
    found: dict[str, int] = {}
    for fragment in fragments(network):
        for name, count in fragment.operators:
            found[name] = found.get(name, 0) + count
    return found


def notes(network: Network) -> str:
    return "\n".join(note for fragment in fragments(network) for note in fragment.notes)


def check(path: Path, *, exact: bool = False, **feeds: Any) -> Network:
    """Read a model; its network must mean what ONNX Runtime computes."""
    network = read_network(path)
    session = OnnxSession(runnable_model(path), where="oracle", threads=1)
    expected = dict(zip([v.name for v in session.outputs], session.run(feeds), strict=True))
    values = evaluate(network, dict(feeds))
    for output in network.outputs:
        found = values[output.name]
        want = expected[output.name]
        assert found.dtype == want.dtype == np.dtype(output.dtype)
        assert found.shape == want.shape
        if exact:
            np.testing.assert_array_equal(found, want)
        else:
            loose = 2e-2 if want.dtype == np.float16 else 2e-4
            np.testing.assert_allclose(found, want, rtol=loose, atol=loose)
    return network


def f32(values: object) -> AnyArray:
    return np.asarray(values, np.float32)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def normal(*shape: int, seed: int = 0) -> AnyArray:
    return rng(seed).normal(size=shape).astype(np.float32)
