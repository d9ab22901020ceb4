"""Small binary networks as ONNX, in the notations that exporters use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.frontend.onnx_models import model_file
from xbarc.compiler import CompileOptions, compile_model
from xbarc.executor import Executor
from xbarc.frontend import runnable_model
from xbarc.ir.program import CrossbarStep, Program
from xbarc.numerics.types import AnyArray
from xbarc.oracle import Oracle
from xbarc.target import Target, load_target

SIGNS = {
    "sign": "s{0} = Sign (b{0})",
    "where": """z{0} = Constant <value = float {{0.0}}> ()
        p{0} = Constant <value = float {{1.0}}> () m{0} = Constant <value = float {{-1.0}}> ()
        g{0} = GreaterOrEqual (b{0}, z{0}) s{0} = Where (g{0}, p{0}, m{0})""",
    "larq": """e{0} = Constant <value = float {{0.1}}> ()
        t{0} = Sign (b{0}) u{0} = Add (t{0}, e{0}) s{0} = Sign (u{0})""",
    "clip": """l{0} = Constant <value = float {{-1.0}}> ()
        h{0} = Constant <value = float {{1.0}}> ()
        c{0} = Clip (b{0}, l{0}, h{0}) s{0} = Sign (c{0})""",
    "greater": """z{0} = Constant <value = float {{0.0}}> ()
        g{0} = Greater (b{0}, z{0}) s{0} = Cast <to = 1> (g{0})""",
    "twice": """z{0} = Constant <value = float {{0.0}}> ()
        p{0} = Constant <value = float {{1.0}}> ()
        t{0} = Sign (b{0}) q{0} = Equal (t{0}, z{0}) s{0} = Where (q{0}, p{0}, t{0})""",
}


def normal(rng: np.random.Generator, name: str, size: int) -> dict[str, Any]:
    """Parameters of a normalisation with factors of both signs."""
    parts = {
        "gamma": rng.normal(size=size),
        "beta": rng.normal(size=size),
        "mean": rng.normal(size=size) * 3,
        "variance": rng.random(size) + 0.5,
    }
    return {f"{name}_{key}": value.astype(np.float32) for key, value in parts.items()}


def pm_one(rng: np.random.Generator, *shape: int) -> AnyArray:
    return rng.choice(np.array([-1, 1], np.float32), shape)


def dense_net(folder: Path, sign: str = "sign", inputs: int = 20, seed: int = 0) -> Path:
    """Sign, two binary products with normalisations, a real classifier."""
    rng = np.random.default_rng(seed)
    first, second = SIGNS[sign].format(1), SIGNS[sign].format(2)
    return model_file(
        folder,
        f"""net (float[N, {inputs}] b0) => (float[N, 3] y) {{
        {SIGNS["sign"].format(0)}
        a1 = MatMul (s0, w1)
        b1 = BatchNormalization (a1, n1_gamma, n1_beta, n1_mean, n1_variance)
        {first}
        a2 = MatMul (s1, w2)
        b2 = BatchNormalization (a2, n2_gamma, n2_beta, n2_mean, n2_variance)
        {second}
        y = MatMul (s2, w3) }}""",
        w1=pm_one(rng, inputs, 24) * (rng.random(24) + 0.5).astype(np.float32),
        w2=pm_one(rng, 24, 16),
        w3=rng.normal(size=(16, 3)).astype(np.float32),
        **normal(rng, "n1", 24),
        **normal(rng, "n2", 16),
    )


def conv_net(
    folder: Path,
    channels: int = 4,
    pool_last: bool = False,
    pads: int = 1,
    seed: int = 0,
) -> Path:
    """A binary convolution with padding, pooled before or behind its normalisation, and a product.

    Args:
        pool_last: the pool stands behind the normalisation.
        pads: rows and columns of zeros.
    """
    rng = np.random.default_rng(seed)
    pool = "MaxPool <kernel_shape = [2, 2], strides = [2, 2]>"
    norm = "BatchNormalization"
    order = (
        f"n = {norm} (k, n_gamma, n_beta, n_mean, n_variance) q = {pool} (n)"
        if pool_last
        else f"p = {pool} (k) q = {norm} (p, n_gamma, n_beta, n_mean, n_variance)"
    )
    side = (6 + 2 * pads - 2) // 2
    return model_file(
        folder,
        f"""net (float[N, {channels}, 6, 6] x) => (float[N, 3] y) {{
        s = Sign (x)
        c = Conv <kernel_shape = [3, 3], pads = [{pads}, {pads}, {pads}, {pads}]> (s, w)
        k = Mul (c, alpha)
        {order}
        t = Sign (q)
        f = Flatten (t)
        y = MatMul (f, v) }}""",
        w=pm_one(rng, 6, channels, 3, 3),
        alpha=(rng.random((1, 6, 1, 1)) + 0.5).astype(np.float32),
        v=rng.normal(size=(6 * side * side, 3)).astype(np.float32),
        **normal(rng, "n", 6),
    )


def bnn_target(rows: int = 128, columns: int = 128) -> Target:
    """`bnn128` of another size."""
    settings = [f"array.rows={rows}", f"array.active_rows={rows}", f"array.columns={columns}"]
    return load_target("bnn128", settings)


def compiled(
    path: Path, target: Target, calibration: dict[str, AnyArray] | None = None, **sense: Any
) -> Program:
    """A program with options of binary layers."""
    return compile_model(path, target, options=CompileOptions(**sense), calibration=calibration)


def senses(program: Program) -> list[CrossbarStep]:
    return [step for step in program.crossbar_steps if step.sense is not None]


def both(path: Path, program: Program, names: list[str], **feeds: AnyArray) -> list[Any]:
    """Tensors of the program in both engines, held equal, beside those of ONNX Runtime."""
    fast = Executor(program).run(feeds, names)
    slow = Executor(program, "reference").run(feeds, names)
    for one, other in zip(fast, slow, strict=True):
        assert np.array_equal(one, other)
    wanted = Oracle(runnable_model(path), names).run(feeds)
    return [(one, wanted[name]) for one, name in zip(fast, names, strict=True)]
