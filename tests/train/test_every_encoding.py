"""Every encoding behind every kind of converter, on every kind of small network.

What torch's `eval` measures is what the program computes, whatever cells training may end with, and
the exported model compiles to those cells.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import xbarc
import xbarc.train as xt
from tests.binary_models import conv_net, dense_net
from xbarc.mapping.encodings import encoding_names
from xbarc.numerics import AnyArray
from xbarc.target import load_target

SAMPLES = 1_000
CONVERTERS = ("lossless", *(f"calibrated:{bits}" for bits in (1, 2, 3, 4)))


class Residual(nn.Module):
    """A stem, one block with its shortcut, a mean over the picture, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU())
        self.block = nn.Sequential(
            *(nn.Conv2d(6, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU()),
            *(nn.Conv2d(6, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)),
        )
        self.last = nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.stem(x)
        h = torch.relu(self.block(h) + h)
        return self.last(h.mean((2, 3)))  # type: ignore[no-any-return]


def _mlp() -> nn.Module:
    layers = (nn.Flatten(), nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 16), nn.ReLU())
    return nn.Sequential(*layers, nn.Linear(16, 5))


def _vgg() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32, 5)),
    )


def _depthwise() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU6()),
        *(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.ReLU6(), nn.Conv2d(8, 12, 1), nn.ReLU6()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5)),
    )


def _one_dimension() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv1d(2, 6, 5, padding=2), nn.ReLU(), nn.MaxPool1d(2)),
        *(nn.Conv1d(6, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(80, 5)),
    )


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (_mlp, (1, 8, 8)),
    "vgg": (_vgg, (1, 8, 8)),
    "residual": (Residual, (1, 8, 8)),
    "depthwise": (_depthwise, (1, 8, 8)),
    "one-dimension": (_one_dimension, (2, 24)),
}


def _draw_cells(job: xt.TrainJob, seed: int) -> None:
    """Any cells, and scales, biases and thresholds near what they were."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for layer in job.layers.values():
            for name, parameter in layer.named_parameters():
                if not parameter.requires_grad:
                    continue
                if name == "cells":
                    parameter.uniform_(-0.5, layer.top + 0.5).mul_(layer.significance)
                else:
                    near = 0.3 * parameter.abs().mean() * torch.randn_like(parameter)
                    parameter.add_(near)
    job.project()


def _check_export(job: xt.TrainJob, x: AnyArray, target: object, folder: Path) -> None:
    path = folder / "net.onnx"
    job.export(path)
    wanted = job.finish()
    again = xbarc.compile(path, target, carried_mapping="require")  # type: ignore[arg-type]
    for one, other in zip(wanted.program.crossbar_steps, again.program.crossbar_steps, strict=True):
        assert np.array_equal(one.cells.data, other.cells.data)
    feeds = {job.program.inputs[0].name: x[:8]}
    found, expected = (made.session().run(None, feeds)[0] for made in (again, wanted))
    assert np.array_equal(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", encoding_names())
@pytest.mark.parametrize("net", NETS)
def test_any_cells_check_to_the_bit(net: str, encoding: str, tmp_path: Path) -> None:
    make, shape = NETS[net]
    torch.manual_seed(0)
    module = make().eval()
    x = np.random.default_rng(0).normal(size=(SAMPLES, *shape)).astype(np.float32)
    # short arrays, so that layers lie in several
    target = load_target("rram128", ["array.rows=32", "array.active_rows=32", "adc.max_bits=12"])
    for number, adc in enumerate(CONVERTERS):
        job = xt.prepare(
            *(module, target),
            example=torch.from_numpy(x[:1]),
            calibration=x[:64],
            encoding=encoding,
            adc=adc,
            weight_slices=2 if encoding == "twos-complement" else 1,  # one of them is the sign
            activation_bits=5,
            feedback="off",
        )
        assert not job.stayed_digital
        _draw_cells(job, number)
        checked = job.check(x)
        assert checked, f"{adc}: {checked}"
        assert checked.samples == SAMPLES
        _check_export(job, x, target, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("bits", [1, 2, 3])
@pytest.mark.parametrize("rows", [32, 128])
@pytest.mark.parametrize("make", [dense_net, conv_net])
def test_any_cells_of_sense_amplifiers_check_to_the_bit(
    make: Callable[[Path], Path], rows: int, bits: int, tmp_path: Path
) -> None:
    path = make(tmp_path)
    rng = np.random.default_rng(0)
    shape, name = ((20,), "b0") if make is dense_net else ((4, 6, 6), "x")
    x = rng.choice(np.array([-1, 1], np.float32), (SAMPLES, *shape))
    target = load_target("bnn128", [f"array.rows={rows}", f"array.active_rows={rows}"])
    job = xt.prepare(path, target, calibration={name: x[:64]}, sense_bits=bits)
    assert any(layer.step.sense is not None for layer in job.layers.values())
    _draw_cells(job, bits)
    checked = job.check(x)
    assert checked, str(checked)
    assert checked.samples == SAMPLES
