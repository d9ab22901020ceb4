"""`verify` proves what a program claims from its graph, and catches an analysis that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import small_target
from tests.ir.test_value_ranges import Net
from xbarc.cli.app import main
from xbarc.compiler import CompileOptions, compile_model
from xbarc.evaluate import self_check
from xbarc.intervals import Bounds, rules
from xbarc.intervals.node import BoundedNode
from xbarc.ir.facts import Narrowed
from xbarc.ir.files import save_program
from xbarc.ir.program import CrossbarStep, Program
from xbarc.ir.quantizers import IntegerInput, StaticInput
from xbarc.numerics.types import AnyArray

PICTURE = (1, 2, 6, 6)


def _clipped(net: Net, mask: AnyArray) -> None:
    """Numbers from 0 to 1, most of them switched off."""
    net.add("Clip", *(net.constant(np.array(end, np.float32)) for end in (0.0, 1.0)))
    net.add("Mul", net.constant(mask))


def _integers(tmp_path: Path) -> Program:
    """Codes 0 to 60 of 8 bits, some of them always 0."""
    net = Net(1)
    net.conv(2)
    _clipped(net, np.array([1, 0], np.float32).reshape(2, 1, 1))
    net.quantized(1 / 60, 0, "uint8")
    net.conv(3)
    return compile_model(net.save(tmp_path / "net.onnx", PICTURE), small_target())


def _calibrated(tmp_path: Path) -> Program:
    """A range that data chose, of which an operator leaves the upper half unused."""
    net = Net(2)
    net.conv(2)
    net.add("Sigmoid")
    net.add("Mul", net.constant(np.array([1, 0], np.float32).reshape(2, 1, 1)))
    net.conv(3)
    data = {"image": np.random.default_rng(0).normal(0, 1, (4, *PICTURE[1:])).astype(np.float32)}
    path = net.save(tmp_path / "net.onnx", ("n", *PICTURE[1:]))
    return compile_model(path, small_target(), calibration=data)


def _step(program: Program) -> CrossbarStep:
    """The last layer, which claims something."""
    step = program.crossbar_steps[-1]
    assert step.facts is not None
    return step


def _changed(program: Program, **fields: Any) -> Program:
    step = _step(program)
    steps = [replace(s, **fields) if s is step else s for s in program.steps]
    return replace(program, steps=tuple(steps))


def _low(program: Program) -> Program:
    facts = _step(program).facts
    assert facts is not None
    low = facts.low.copy()
    low[0, 2] = facts.high[0, 2]
    return _changed(program, facts=replace(facts, low=low))


def _high(program: Program) -> Program:
    facts = _step(program).facts
    assert facts is not None
    return _changed(program, facts=replace(facts, high=facts.high // 2))


def _bits(program: Program) -> Program:
    """Codes of fewer bits, as if the upper ones were never used."""
    step = _step(program)
    quantizer, facts = step.quantizer, step.facts
    assert isinstance(quantizer, IntegerInput | StaticInput)
    assert facts is not None
    bits = step.input_bits - 1
    top = (1 << bits) - 1
    cut = replace(facts, low=np.minimum(facts.low, top), high=np.minimum(facts.high, top))
    narrowed = step.narrowed or Narrowed(step.input_bits, ("Clip",))
    short = {"quantizer": replace(quantizer, bits=bits), "input_bits": bits, "facts": cut}
    adc = _first_slices(step, bits)
    return _changed(program, **short, narrowed=narrowed, adc=adc)


def _first_slices(step: CrossbarStep, bits: int) -> Any:
    slices = -(-bits // step.dac_bits)
    cut = {name: getattr(step.adc, name)[..., :slices] for name in ("bits", "lo", "step")}
    return replace(step.adc, **cut)


def _converters(program: Program) -> Program:
    adc = _step(program).adc
    narrow = np.where(adc.bits > 1, adc.bits - 1, adc.bits).astype(np.uint8)
    return _changed(program, adc=replace(adc, bits=narrow))


CLAIMS: dict[str, tuple[Callable[[Program], Program], str]] = {
    "least code": (_low, "claims codes"),
    "largest code": (_high, "claims codes"),
    "bits of codes": (_bits, "are said to fit|claims codes"),
    "lossless converters": (_converters, "said to be lossless, and some sums lie beyond"),
}


@pytest.mark.parametrize("make", [_integers, _calibrated])
@pytest.mark.parametrize("name", sorted(CLAIMS))
def test_a_changed_claim_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, make: Callable[[Path], Program]
) -> None:
    change, words = CLAIMS[name]
    program = make(tmp_path)
    for saved, wanted in ((program, 0), (change(program), None)):
        save_program(saved, tmp_path / "net.xbar")
        code = main(["verify", str(tmp_path / "net.xbar")])
        said = capsys.readouterr()
        if wanted == 0:
            assert code == 0
            continue
        assert code != 0
        assert any(word in said.out + said.err for word in words.split("|"))


def _too_narrow(node: BoundedNode) -> Bounds:
    """A rule that is wrong: it says half of what there is."""
    return replace(node.first(), low=np.array(0.0), high=np.array(0.4), nan=False)


@pytest.mark.parametrize("make", [_integers, _calibrated])
def test_a_wrong_analysis_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Program]
) -> None:
    """The same mistake claims and proves, and what layers meet gives it away."""
    monkeypatch.setitem(rules.RULES, "Clip", _too_narrow)
    monkeypatch.setitem(rules.RULES, "Sigmoid", _too_narrow)
    program = make(tmp_path)
    found = dict(self_check(program))
    words = ("it carried", "do not fit the")
    assert any(word in found["codes within facts"] for word in words)


def test_narrow_converters_behind_a_wrong_analysis_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mask that is taken for zero: wordlines are said to be always 0, and sums saturate."""
    monkeypatch.setitem(rules.RULES, "Mul", lambda node: replace(node.first(), high=0.0))
    net = Net(4)
    _clipped(net, np.ones((6, 6), np.float32))
    net.conv(2, pads=0)
    program = compile_model(net.save(tmp_path / "net.onnx", PICTURE), small_target())
    found = dict(self_check(program))
    assert "it carried" in found["codes within facts"]
    assert "lossless == product" in found


def test_nothing_is_claimed_without_facts(tmp_path: Path) -> None:
    net = Net(3)
    _clipped(net, np.ones(6, np.float32))
    net.conv(2)
    path = net.save(tmp_path / "net.onnx", PICTURE)
    program = compile_model(path, small_target(), options=CompileOptions(range_analysis="none"))
    assert list(self_check(program)) == []


def test_layers_that_no_input_reaches_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Numbers beyond all floats, whatever the input is: no converter can feed them."""
    net = Net(5)
    for _ in range(2):
        net.add("Exp")
        net.add("Add", net.constant(np.array([500], np.float32)))
    net.conv(2)
    program = compile_model(net.save(tmp_path / "net.onnx", PICTURE), small_target())
    save_program(program, tmp_path / "net.xbar")
    assert main(["verify", str(tmp_path / "net.xbar")]) == 0
    assert "no input that was tried reaches it" in capsys.readouterr().out
