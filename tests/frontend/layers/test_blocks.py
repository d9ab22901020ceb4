"""Sums whose weights have a scale for each block of inputs keep their integers, block by block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.frontend.onnx_models import check, matrix_layer, normal, parse, rng, write
from xbarc.ir.network import IntWeight, Network
from xbarc.numerics.types import AnyArray

ANY = '<ir_version: 10, opset_import: ["": 21, "com.microsoft": 1]>'
OLD = '<ir_version: 8, opset_import: ["": 13, "com.microsoft": 1]>'


def _compiled(
    folder: Path,
    body: str,
    weights: tuple[tuple[int, ...], int, int],
    x: AnyArray,
    *,
    dtype: str = "int4",
    zero: int = 0,
    **constants: Any,
) -> Network:
    """A model whose weights have a scale for each block along an axis.

    Args:
        folder: where it is written.
        body: gives `y` from `d` and `w`.
        weights: their shape, the axis that is cut, and inputs of a block.
        x: the input.
        dtype: of the weights.
        zero: their zero point.
        constants: further initialisers.
    """
    shape, axis, block = weights
    blocks = tuple(n // block if at == axis else n for at, n in enumerate(shape))
    same = tuple(n if at < 2 else 1 for at, n in enumerate(blocks))  # for all of a kernel
    kind = getattr(onnx.TensorProto, dtype.upper())
    low, high = (0, 16) if dtype.startswith("u") else (-8, 8)
    dims = ",".join(map(str, x.shape))
    model = parse(
        f"""g (float[{dims}] x) => (float[] y) {{
            q = QuantizeLinear(x, s, z)
            d = DequantizeLinear(q, s, z)
            w = DequantizeLinear<axis = {axis}, block_size = {block}>(i, ws, wz)
            {body}
        }}""",
        ANY,
        s=np.float32(0.04),
        z=np.uint8(120),
        ws=np.broadcast_to(rng(1).uniform(0.05, 0.3, same), blocks).astype(np.float32),
        **constants,
    )
    values = rng(2).integers(low, high, int(np.prod(shape))).tolist()
    zeros = np.full(int(np.prod(blocks)), zero).tolist()
    model.graph.initializer.append(onnx.helper.make_tensor("i", kind, shape, values))
    model.graph.initializer.append(onnx.helper.make_tensor("wz", kind, blocks, zeros))
    return check(write(folder, model), x=x)


PRODUCTS: dict[str, tuple[str, tuple[tuple[int, ...], int, int], tuple[int, ...]]] = {
    "matrix": ("y = MatMul(d, w)", ((16, 8), 0, 4), (3, 16)),
    "sequence": ("y = MatMul(d, w)", ((16, 8), 0, 8), (2, 3, 16)),
    "vector": ("y = MatMul(d, w)", ((16, 8), 0, 4), (16,)),
    "left": ("y = MatMul(w, d)", ((8, 16), 1, 4), (16, 5)),
    "left-of-a-stack": ("y = MatMul(w, d)", ((8, 16), 1, 4), (2, 16, 5)),
    "gemm": ("y = Gemm(d, w, c)", ((16, 8), 0, 4), (3, 16)),
    "gemm-turned": (
        "y = Gemm<transA = 1, transB = 1, alpha = 0.5, beta = 2.0>(d, w, c)",
        ((8, 16), 1, 4),
        (16, 3),
    ),
    "conv": ("y = Conv<pads = [1, 1, 1, 1]>(d, w, c)", ((8, 6, 3, 3), 1, 2), (2, 6, 5, 5)),
    "conv-in-groups": (
        "y = Conv<group = 2, strides = [2, 2]>(d, w, c)",
        ((8, 4, 3, 3), 1, 2),
        (2, 8, 5, 5),
    ),
    "conv-1d": ("y = Conv(d, w, c)", ((8, 8, 3), 1, 4), (2, 8, 9)),
    "transposed": (
        "y = ConvTranspose<strides = [2, 2]>(d, w, c)",
        ((8, 8, 3, 3), 0, 4),
        (2, 8, 4, 4),
    ),
    "transposed-in-groups": (
        "y = ConvTranspose<group = 2>(d, w, c)",
        ((16, 4, 2, 2), 0, 4),
        (2, 16, 4, 4),
    ),
}


@pytest.mark.parametrize(("dtype", "zero"), [("int4", 0), ("uint4", 7)])
@pytest.mark.parametrize("name", sorted(PRODUCTS))
def test_blocks_keep_their_integers(tmp_path: Path, name: str, dtype: str, zero: int) -> None:
    body, weights, shape = PRODUCTS[name]
    network = _compiled(
        tmp_path, body, weights, normal(*shape), dtype=dtype, zero=zero, c=normal(8, seed=4)
    )
    layer = matrix_layer(network)
    assert isinstance(layer.weight, IntWeight)
    assert layer.groups > 1
    assert layer.quantizer.bits == 8  # type: ignore[union-attr]  # an IntegerInput


def test_rows_of_one_scale_are_cut_where_it_changes(tmp_path: Path) -> None:
    """A scale for each row, as every opset has it: runs of equal scales are blocks."""
    scales = np.repeat(np.array([0.5, 0.1, 0.3], np.float32), [4, 8, 4])
    model = parse(
        """g (float[N,16] x) => (float[] y) {
            q = QuantizeLinear(x, s, z)
            d = DequantizeLinear(q, s, z)
            w = DequantizeLinear<axis = 0>(i, ws)
            y = MatMul(d, w)
        }""",
        OLD,
        s=np.float32(0.04),
        z=np.uint8(120),
        i=rng(2).integers(-128, 128, (16, 8)).astype(np.int8),
        ws=scales,
    )
    layer = matrix_layer(check(write(tmp_path, model), x=normal(3, 16)))
    assert isinstance(layer.weight, IntWeight)
    assert layer.weight.tensor.shape == (4, 4, 8)
