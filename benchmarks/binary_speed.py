"""A binary layer beside an 8-bit layer of the same shape, both in the fast engine, in one run.

    python benchmarks/binary_speed.py [--vectors 4096]

Prints a line a layer: vectors a second of the comparisons, and how many times that is of 8-bit
layers whose converters are lossless (one integer product in ONNX Runtime) and capped at 6 bits.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper, numpy_helper, save

from xbarc.compiler import CompileOptions, compile_model
from xbarc.executor import layer_engine
from xbarc.ir.program import CrossbarStep
from xbarc.mapping import MapOptions
from xbarc.target import load_target

SHAPES = {"512 to 512": (512, 512), "576 to 64": (576, 64), "1152 to 128": (1152, 128)}


def net(folder: Path, inputs: int, outputs: int, *, binary: bool) -> Path:
    """One product; Sign on both sides of the binary one."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(inputs, outputs)).astype(np.float32)
    half = np.full(outputs, 0.5, np.float32)
    kept = {"w": np.sign(weights) if binary else weights, "h": half}
    nodes = [
        helper.make_node("Sign" if binary else "Relu", ["x"], ["s"]),
        helper.make_node("MatMul", ["s", "w"], ["p"]),
        helper.make_node("Add", ["p", "h"], ["a"]),
        helper.make_node("Sign" if binary else "Relu", ["a"], ["y"]),
    ]
    ports = [
        helper.make_tensor_value_info(name, 1, ["n", size])
        for name, size in (("x", inputs), ("y", outputs))
    ]
    held = [numpy_helper.from_array(array, name) for name, array in kept.items()]
    graph = helper.make_graph(nodes, "net", ports[:1], ports[1:], held)
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    path = folder / f"{inputs}-{outputs}-{binary}.onnx"
    save(model, path)
    return path


def vectors_a_second(step: CrossbarStep, codes: Any, seconds: float = 1.0) -> float:
    """The engine of one layer alone, best of several runs on one thread."""
    engine = layer_engine(step, threads=1)
    engine.accumulate(codes)
    best, start = 0.0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        before = time.process_time()
        engine.accumulate(codes)
        best = max(best, len(codes) / max(1e-9, time.process_time() - before))
    return best


def main() -> int:
    """Print a line a shape."""
    parser = argparse.ArgumentParser(description="Speed of binary layers.")
    parser.add_argument("--vectors", type=int, default=4096)
    count = parser.parse_args().vectors
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as place:
        for name, shape in SHAPES.items():
            binary = net(Path(place), *shape, binary=True)
            real = net(Path(place), *shape, binary=False)
            split = compile_model(binary, load_target("bnn128")).crossbar_steps[0]
            signs = rng.choice(np.array([1, 2], np.uint8), (count, 1, shape[0]))
            mine = vectors_a_second(split, signs)
            ratios = []
            for adc in ("lossless", "6"):
                options = CompileOptions(mapping=MapOptions(adc=adc))
                wide = compile_model(real, "rram128", options=options).crossbar_steps[0]
                codes = rng.integers(0, 256, (count, 1, shape[0])).astype(np.uint8)
                ratios.append(mine / vectors_a_second(wide, codes))
            print(
                f"{name}: {mine:,.0f} vectors a CPU second; {ratios[0]:.1f} times lossless,"
                f" {ratios[1]:.0f} times saturating 8-bit layers",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
