"""A binary layer beside an 8-bit layer of the same shape, both in the fast engine, in one run.

    python benchmarks/binary_speed.py [--vectors 4096] [--images 1000]

Prints a line per layer: vectors a second of the comparisons, and how many times that is of 8-bit
layers whose converters are lossless (one integer product in ONNX Runtime) and capped at 6 bits.
Then the same for the binary layers of a whole network beside their 8-bit twins: Sign turned into
Relu, weights into real numbers. Its other layers and fragments are left out on both sides.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, save

from xbarc.compiler import CompileOptions, compile_model
from xbarc.executor import StepRunner, layer_engine
from xbarc.ir.program import CrossbarStep, Program
from xbarc.target import load_target

MODELS = Path(__file__).parents[1] / "models"
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


def twin(model: Path, folder: Path) -> Path:
    """The network with real weights and activations in place of binary ones."""
    proto, rng = onnx.load(model), np.random.default_rng(0)
    for node in proto.graph.node:
        if node.op_type == "Sign":
            node.op_type = "Relu"
    for tensor in proto.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.ndim > 1 and len(np.unique(array)) == 2:
            real = rng.normal(size=array.shape).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(real, tensor.name))
    path = folder / "twin.onnx"
    onnx.save(proto, path)
    return path


def seconds_of(program: Program, images: Any, names: set[str]) -> float:
    """CPU seconds in the layers of these names, best of three runs on one thread."""
    runner, best = StepRunner(threads=1), float("inf")
    for _ in range(4):
        values, spent = {program.inputs[0].name: images}, 0.0
        for step in program.steps:
            before = time.process_time()
            runner.run(step, values)
            spent += (time.process_time() - before) * (step.name in names)
        best = min(best, spent)
    return best


def compare_nets(folder: Path, count: int) -> None:
    """Print the binary layers of the shipped network beside their twins."""
    model = MODELS / "fashion-bnn-cnn.onnx"
    images = np.load(MODELS / "fashion-test-1000.npz")["image"][:count]
    binary = compile_model(model, load_target("bnn128"))
    names = {step.name for step in binary.crossbar_steps}
    mine = seconds_of(binary, images, names)
    other = twin(model, folder)
    for adc in ("lossless", "6"):
        options = CompileOptions(encoding="differential", adc=adc)
        data = {"image": images[:64]}
        wide = compile_model(other, "rram128", options=options, calibration=data)
        layers = [step.name for step in wide.crossbar_steps if step.name in names]
        few = images if adc == "lossless" else images[: max(1, count // 20)]
        ratio = seconds_of(wide, few, names) / len(few) / mine * count
        print(f"{model.stem}, {len(layers)} layers: {ratio:.1f} times 8-bit, {adc}", flush=True)


def main() -> int:
    """Print a line a shape."""
    parser = argparse.ArgumentParser(description="Speed of binary layers.")
    parser.add_argument("--vectors", type=int, default=4096)
    parser.add_argument("--images", type=int, default=1000)
    arguments = parser.parse_args()
    count = arguments.vectors
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
                options = CompileOptions(encoding="differential", adc=adc)
                wide = compile_model(real, "rram128", options=options).crossbar_steps[0]
                codes = rng.integers(0, 256, (count, 1, shape[0])).astype(np.uint8)
                ratios.append(mine / vectors_a_second(wide, codes))
            print(
                f"{name}: {mine:,.0f} vectors a CPU second; {ratios[0]:.1f} times lossless,"
                f" {ratios[1]:.0f} times saturating 8-bit layers",
                flush=True,
            )
        compare_nets(Path(place), arguments.images)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
