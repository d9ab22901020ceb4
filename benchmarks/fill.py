"""Fill the weights of a light ONNX model, whose weights are constant fills, with random numbers.

    python benchmarks/fill.py light_vgg19.onnx OUT.onnx --seed 0

Weights go to OUT.onnx.data as external data, He-scaled by their fan-in, one tensor at a time.
"""

from __future__ import annotations

import argparse
from math import prod
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper


def light_model(name: str) -> Path:
    """Path of a model that the onnx package ships for its own tests."""
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    return folder / f"light_{name}.onnx"


def fill(source: Path, target: Path, seed: int) -> int:
    """Write `target` with random weights; gives how many numbers were drawn."""
    model = onnx.load(str(source))
    rng = np.random.default_rng(seed)
    shapes = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    kept, drawn = [], 0
    data = target.with_name(target.name + ".data")
    with data.open("wb") as file:
        for node in model.graph.node:
            if node.op_type != "ConstantOfShape" or node.input[0] not in shapes:
                kept.append(node)
                continue
            shape = [int(n) for n in shapes[node.input[0]]]
            drawn += prod(shape)
            model.graph.initializer.append(_external(node.output[0], shape, rng, file, data.name))
    del model.graph.node[:]
    model.graph.node.extend(kept)
    model.ir_version = min(model.ir_version, 10)
    onnx.save(model, str(target))
    return drawn


def _external(name: str, shape: list[int], rng: np.random.Generator, file, location: str):  # type: ignore[no-untyped-def]
    fan_in = prod(shape[1:]) or 1
    values = rng.standard_normal(shape, dtype=np.float32) * np.float32((2 / fan_in) ** 0.5)
    if len(shape) == 1:
        values = np.abs(values) + np.float32(0.1)
    tensor = onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, dims=shape)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (
        ("location", location),
        ("offset", str(file.tell())),
        ("length", str(values.nbytes)),
    ):
        tensor.external_data.add(key=key, value=value)
    file.write(values.tobytes())
    return tensor


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(f"{fill(arguments.source, arguments.target, arguments.seed):,} weights")


if __name__ == "__main__":
    main()
