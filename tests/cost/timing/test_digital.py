"""What results of fragments wait for, operator by operator."""

from __future__ import annotations

import numpy as np
import pytest

from tests.frontend.onnx_models import parse
from xbarc.cost.timing.digital_nodes import fragment_flows
from xbarc.ir.network import DigitalFragment

HEADER = '<ir_version: 9, opset_import: ["": 20, "com.microsoft": 1]>'
NUMBERS = {"s": np.float32(0.5), "z": np.uint8(3)}


def _positions(body: str, kind: str = "uint8") -> tuple[int, ...]:
    """What each position of `y` waits for, of the 16 positions of `a` and `b`."""
    text = f"""g ({kind}[1,2,4,4] a, {kind}[1,2,4,4] b) => ({kind}[] y) {{ {body} }}"""
    used = {name: array for name, array in NUMBERS.items() if f"{name}," in body}
    model = parse(text, HEADER, **used).SerializeToString()
    step = DigitalFragment("part", model, ("a", "b"), ("y",), (), None, ())
    flow = fragment_flows(step, {"a": (1, 4, 4), "b": (1, 4, 4)})["y"]
    need = flow.needs["a"]
    return () if need is None or not flow.grid else tuple(need.tolist())


@pytest.mark.parametrize(
    "body",
    [
        "y = com.microsoft.QLinearAdd(a, s, z, b, s, z, s, z)",
        "y = com.microsoft.QLinearMul(a, s, z, b, s, z, s, z)",
        "y = com.microsoft.QLinearConcat<axis = 1>(s, z, a, s, z, b, s, z)",
        "y = com.microsoft.QLinearSigmoid(a, s, z, s, z)",
    ],
)
def test_operators_on_codes_work_position_by_position(body: str) -> None:
    assert _positions(body) == tuple(range(16))


def test_pools_of_codes_wait_for_their_window() -> None:
    pool = "y = com.microsoft.QLinearAveragePool<kernel_shape = [2, 2], strides = [2, 2]>"
    assert _positions(f"{pool}(a, s, z, s, z)") == (5, 7, 13, 15)
    last = "kernel_shape = [2, 2], strides = [2, 2], channels_last = 1"
    assert _positions(f"y = com.microsoft.QLinearAveragePool<{last}>(a, s, z, s, z)") == ()


@pytest.mark.parametrize("body", ["t = Less(a, b) y = Where(t, a, b)", "y = Mean(a, b)"])
def test_comparisons_and_means_work_position_by_position(body: str) -> None:
    assert _positions(body, "float") == tuple(range(16))


@pytest.mark.parametrize("body", ["y = Softmax<axis = 2>(a)", "y = example.Unheard(a)"])
def test_others_wait_for_everything(body: str) -> None:
    assert _positions(body, "float") == ()
