"""Converters of few bits on Fashion-MNIST: accuracy, bits, budgets and pruned networks.

    python benchmarks/narrow_adc.py uniform NET [--target T] [--set FIELD=VALUE] [--bits 8 6 5 4 3]
    python benchmarks/narrow_adc.py budget NET [--budget 0.5] [--per-cycle] [--law levels]
    python benchmarks/narrow_adc.py predicted NET [--target T]
    python benchmarks/narrow_adc.py pruned NET [--prune 0.75:balanced 0.75:free] [--images 10000]

NET is one of `models/`. Calibration: the first 1,000 test images with labels for `budget`, which is
then judged on the test images that follow; for the others the 256 unlabelled training images
shipped there. `--law levels` spends bits by `2^b` instead of by the target's own converter. Weights
and activations have 8 bits. A line a compilation, as Markdown; CPU seconds are those of compiling.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import xbarc
from xbarc.api import CompiledProgram
from xbarc.calibration.budget import keeps
from xbarc.ir.pareto import FrontPoint
from xbarc.options import Budget
from xbarc.target import load_target

MODELS = Path(__file__).resolve().parent.parent / "models"
sys.path.insert(0, str(MODELS))
from fetch import CACHE, as_input, fashion_mnist

LEVELS = [
    "costs.adc.energy_linear.value=0.0",
    "costs.adc.energy_exponential.value=0.01",
    "costs.adc.comparator_energy.value=0.02",
    "costs.adc.flash_bits=1",
    "costs.adc.thermal.value=0.0",
]
"""Converters whose energy is in proportion to `2^b`."""

_LABELLED = 1000
_BATCH = 250


def test_images() -> dict[str, Any]:
    """All test images with their labels."""
    pixels, labels = fashion_mnist(CACHE, "test")
    return {"image": as_input(pixels), "labels": labels.astype(np.int64)}


def right(program: CompiledProgram, data: dict[str, Any]) -> Any:
    """Whether each image is put into its class."""
    session, images = program.session(), data["image"]
    scores = [
        session.run(None, {"image": images[at : at + _BATCH]})[0]
        for at in range(0, len(images), _BATCH)
    ]
    return np.concatenate(scores).argmax(axis=1) == data["labels"]


def compiled(net: str, target: Any, data: Any, **options: Any) -> tuple[CompiledProgram, float]:
    """A program and the CPU seconds that it took."""
    start = time.process_time()
    program = xbarc.compile(MODELS / f"{net}.onnx", target, calibration=data, **options)
    return program, time.process_time() - start


def shipped() -> dict[str, Any]:
    """Unlabelled training images."""
    with np.load(MODELS / "fashion-calibration-256.npz") as data:
        return {"image": data["image"]}


def uniform(arguments: argparse.Namespace, test: dict[str, Any]) -> Iterator[str]:
    """The same number of bits in every converter."""
    yield "| net | target | bits | top-1 | images | CPU s |"
    yield "|---|---|--:|--:|--:|--:|"
    few = {name: array[: arguments.images] for name, array in test.items()}
    for bits in arguments.bits:
        adc = "lossless" if bits == 0 else f"calibrated:{bits}"
        target = load_target(arguments.target, arguments.set)
        program, spent = compiled(arguments.net, target, shipped(), adc=adc)
        share = 100 * float(right(program, few).mean())
        name = bits or "lossless"
        yield (
            f"| {arguments.net} | {arguments.target} | {name} | {share:.2f} |"
            f" {len(few['labels']):,} | {spent:.0f} |"
        )


def budget(arguments: argparse.Namespace, test: dict[str, Any]) -> Iterator[str]:
    """Bits of each group under a budget in points, and what is lost on other images."""
    sets = ["adc.reference='per-cycle'"] if arguments.per_cycle else []
    target = load_target(arguments.target, sets + (LEVELS if arguments.law == "levels" else []))
    labelled = {name: array[:_LABELLED] for name, array in test.items()}
    last = _LABELLED + arguments.images
    others = {name: array[_LABELLED:last] for name, array in test.items()}
    program, spent = compiled(arguments.net, target, labelled, adc_budget=str(arguments.budget))
    plain = {"image": labelled["image"]}
    exact, _ = compiled(arguments.net, target, plain)
    base, known = 100 * float(right(exact, labelled).mean()), right(exact, others)
    front = program.program.front
    chosen = next(point for point in front if point.chosen)
    allowed = (p for p in front if p.kind == "uniform" and kept(p, base, arguments.budget))
    rival = min(allowed, key=lambda point: point.levels)
    bits = math.ceil(rival.bits)
    equal, _ = compiled(arguments.net, target, plain, adc=f"calibrated:{bits}")
    lost = {id(chosen): loss(known, right(program, others))}
    lost[id(rival)] = loss(known, right(equal, others))
    yield "| net, reference | setting | mean bits | mean 2^b | expected | counted | on others |"
    yield "|---|---|--:|--:|--:|--:|--:|"
    for point in (point for point in front if point.chosen or point.kind == "uniform"):
        expected = "" if point.expected_loss is None else f"{100 * point.expected_loss:.2f}"
        expected += f" +- {100 * (point.expected_error or 0.0):.2f}"
        counted = "" if point.top1 is None else f"{base - 100 * point.top1:.1f}"
        error = "" if point.top1_error is None else f" +- {100 * point.top1_error:.1f}"
        yield (
            f"| {arguments.net}, {target.adc.reference} |"
            f" {'chosen' if point.chosen else 'uniform'} | {point.bits:.2f} | {point.levels:.2f} |"
            f" {expected} | {counted}{error} | {lost.get(id(point), '')} |"
        )
    yield (
        f"\n{chosen.levels / rival.levels:.3f} of 2^b, {chosen.energy_pj / rival.energy_pj:.3f} of"
        f" the energy that the run took for its own, of {bits} bits everywhere;"
        f" {len(others['labels']):,} other images; {spent:.0f} CPU s"
    )


def predicted(arguments: argparse.Namespace, test: dict[str, Any]) -> Iterator[str]:
    """How far the model of output errors is from what was executed, along a front."""
    del test
    target = load_target(arguments.target, arguments.set)
    program, spent = compiled(arguments.net, target, shipped(), adc_budget="20dB")
    yield "| net | mean bits | measured dB | model less measured | corrected less measured |"
    yield "|---|--:|--:|--:|--:|"
    for point in program.program.front:
        if point.kind == "uniform" or point.measured_db is None:
            continue
        model, corrected = (
            "" if value is None else f"{value - point.measured_db:+.1f}"
            for value in (point.model_db, point.predicted_db)
        )
        yield (
            f"| {arguments.net} | {point.bits:.2f} | {point.measured_db:.1f} | {model} |"
            f" {corrected} |"
        )
    yield f"\n{spent:.0f} CPU s"


def kept(point: FrontPoint, base: float, budget: float) -> bool:
    """Whether a point keeps a budget in points as `--adc-budget` asks; `base`: exact, %."""
    return keeps(Budget(points=budget), point, base / 100)


def loss(exact: Any, found: Any) -> str:
    """Points lost, and their standard error."""
    change = exact.astype(np.float64) - found
    return f"{100 * change.mean():.2f} +- {100 * math.sqrt((change**2).sum()) / len(change):.2f}"


def pruned(arguments: argparse.Namespace, test: dict[str, Any]) -> Iterator[str]:
    """Accuracy after pruning, and the bits of every rule."""
    few = {name: array[: arguments.images] for name, array in test.items()}
    yield "| net | pruned | top-1 | images | rule: mean bits, mean 2^b | CPU s |"
    yield "|---|---|--:|--:|---|--:|"
    for share in arguments.prune:
        options = {} if share == "none" else {"prune": share}
        program, spent = compiled(arguments.net, arguments.target, shipped(), **options)
        rows = [row for row in program.report().converters if row.layer == "all layers"]
        rules = "; ".join(f"{r.rule}: {r.mean_bits:.2f}, {r.mean_levels:.1f}" for r in rows)
        top1 = 100 * float(right(program, few).mean())
        yield (
            f"| {arguments.net} | {share} | {top1:.2f} | {len(few['labels']):,} | {rules} |"
            f" {spent:.0f} |"
        )


def main() -> int:
    """Print what was asked for, line by line."""
    parser = argparse.ArgumentParser(description="Narrow converters on Fashion-MNIST.")
    parser.add_argument("what", choices=("uniform", "budget", "pruned", "predicted"))
    parser.add_argument("net", help="fashion-vgg, fashion-mlp, fashion-resnet, ...")
    parser.add_argument("--target", default="rram128")
    parser.add_argument("--set", nargs="+", default=[], help="fields of the target, FIELD=VALUE")
    parser.add_argument("--bits", type=int, nargs="+", default=[8, 6, 5, 4, 3], help="0: lossless")
    parser.add_argument("--budget", type=float, default=0.5)
    parser.add_argument("--per-cycle", action="store_true")
    parser.add_argument("--law", choices=("target", "levels"), default="target")
    parser.add_argument("--prune", nargs="+", default=["none", "0.75:balanced", "0.75:free"])
    parser.add_argument("--images", type=int, default=10_000)
    arguments = parser.parse_args()
    ways = {"uniform": uniform, "budget": budget, "pruned": pruned, "predicted": predicted}
    for line in ways[arguments.what](arguments, test_images()):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
