"""ISAAC's own arithmetic on nets: conversions per MAC, balance, and the formula of the rate."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from pathlib import Path

import pytest

from benchmarks.nets import Builder, plain
from xbarc.compiler import CompileOptions, compile_model
from xbarc.cost import Policy, program_cost
from xbarc.ir.program import CrossbarStep, Program
from xbarc.ir.quantizers import StaticInput


def static(program: Program) -> Program:
    fixed = StaticInput(bits=16, scale=1.0, zero_point=0)
    steps = (
        replace(step, quantizer=fixed) if isinstance(step, CrossbarStep) else step
        for step in program.steps
    )
    return replace(program, steps=tuple(steps))


def test_a_full_array_converts_once_a_mac_and_once_a_vector_for_the_unit_column(
    tmp_path: Path,
) -> None:
    net = Builder(seed=0)
    x = net.conv("x", 128, 16, 1, 1)
    net.dense(net.simple("Flatten", net.simple("GlobalAveragePool", x)), 16, 2, "fc")
    net.save(tmp_path / "net.onnx", [1, 128, 4, 4], 2)
    program = compile_model(tmp_path / "net.onnx", "isaac")
    conv = program_cost(program).layers[0]
    assert conv.counts.crossbar_macs == 16 * 128 * 16
    assert conv.counts.all_conversions * 128 == 129 * conv.counts.crossbar_macs
    # 129 conversions at 1.28 GS/s: the unit column makes the cycle 0.8 % longer than 100 ns
    assert conv.timing.vector_ns == pytest.approx(16 * 129 / 1.28)


def vgg(tmp_path: Path) -> Program:
    path = tmp_path / "vgg.onnx"
    plain(path, ((16, 16), (16, 16), (16,)), (10,), 16)
    options = CompileOptions(encoding="offset", adc="8")
    return static(compile_model(path, "isaac", options=options))


def test_copies_in_the_ratio_of_positions_balance_a_vgg(tmp_path: Path) -> None:
    program = vgg(tmp_path)
    cost = program_cost(program, Policy("balance"))
    assert [layer.copies for layer in cost.layers] == [16, 16, 4, 4, 1, 1]
    assert cost.schedule is not None
    busy = [layer.busy_ps for layer in cost.schedule.layers[:-1]]
    assert max(busy) == min(busy)


@pytest.mark.parametrize("budget", [12, 20, 40, 90])
def test_the_rate_is_isaacs_formula(tmp_path: Path, budget: int) -> None:
    cost = program_cost(vgg(tmp_path), Policy("budget", budget))
    slowest = max(
        ceil((layer.positions or 0) / layer.copies) * layer.timing.vector_ns
        for layer in cost.layers
    )
    assert cost.interval_ns == pytest.approx(slowest, rel=1e-6)


def test_the_fill_of_the_pipeline_is_counted_once_a_layer(tmp_path: Path) -> None:
    net = Builder(seed=0)
    net.dense("x", 128, 16, "fc")
    net.save(tmp_path / "net.onnx", [1, 128], 16)
    cost = program_cost(compile_model(tmp_path / "net.onnx", "isaac"))
    assert cost.latency_ns is not None
    # 22 cycles of 100 ns, of which 16 are reads, and 32 bytes of results at 4 B a ns
    assert cost.latency_ns == pytest.approx(16 * 129 / 1.28 + 600 + 32 / 4, rel=1e-6)
