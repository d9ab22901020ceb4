"""Other simulators on the same work, where they are installed: each is optional.

pip install badcrossbar aihwkit aihwkit-lightning      # the last two need torch
git clone the sources of CrossSim, and put them on PYTHONPATH     # needs torch
apt-get install ngspice
"""

from __future__ import annotations

import importlib
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import networks
import numpy as np
from timing import Row, compare, take_turns

from tests.circuit.spice import COMMAND, spice_currents
from xbarc.circuit import Chip, Effects
from xbarc.circuit.lines import LineModel, solve_by_elimination
from xbarc.executor import Executor

_LINES = LineModel(3.0, 1.0)
_ROUNDS = 3
_SIGMA = 0.05
_PARTS = {
    "CrossSim": ("simulator.algorithms.dnn.torch.convert", "torch"),
    "aihwkit": ("aihwkit.nn.conversion", "torch"),
    "aihwkit-lightning": ("aihwkit_lightning.nn.conversion", "torch"),
    "badcrossbar": ("badcrossbar",),
}


def rivals(quick: bool) -> list[Row]:
    """Networks and wires, each against who computes the same."""
    works: Mapping[str, Callable[[int], list[Row]]] = {
        "CrossSim": _crosssim,
        "aihwkit": partial(_torch_net, "aihwkit", _aihwkit),
        "aihwkit-lightning": partial(_torch_net, "aihwkit-lightning", _lightning),
        "badcrossbar": _badcrossbar,
        "ngspice": _ngspice,
    }
    rows = []
    for name, work in works.items():
        missing = _missing(name)
        if missing:
            print(f"{name}: not run, {missing} is not installed", file=sys.stderr)
        else:
            rows += work(2 if quick else _ROUNDS)
    return rows


def _missing(name: str) -> str:
    if name == "ngspice":
        return "" if shutil.which(COMMAND) else name
    for module in _PARTS[name]:
        try:
            importlib.import_module(module)
        except ImportError as error:
            return error.name or module
    return ""


def _torch_resnet20() -> Any:
    """The net of `nets.resnet20` in torch; weights are random there too."""
    import torch  # noqa: PLC0415  # optional
    from torch import nn  # noqa: PLC0415

    class Block(nn.Module):
        def __init__(self, inputs: int, outputs: int, step: int) -> None:
            super().__init__()
            self.first = nn.Conv2d(inputs, outputs, 3, step, 1)
            self.second = nn.Conv2d(outputs, outputs, 3, 1, 1)
            same = step == 1 and inputs == outputs
            self.short = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, step)

        def forward(self, x: Any) -> Any:
            return torch.relu(self.second(torch.relu(self.first(x))) + self.short(x))

    torch.manual_seed(0)
    torch.set_num_threads(1)
    blocks, inputs = [], 16
    for outputs in (16, 32, 64):
        for number in range(3):
            blocks.append(Block(inputs, outputs, 2 if outputs > 16 and not number else 1))
            inputs = outputs
    ends = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    return nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1), nn.ReLU(), *blocks, *ends).eval()


def _forward(net: Any, images: int) -> Callable[[], object]:
    import torch  # noqa: PLC0415  # optional

    x = torch.from_numpy(networks.pictures(images))

    def run() -> object:
        with torch.no_grad():
            return net(x)

    return run


def _ours(images: int, adc: str, effects: Effects | None) -> Callable[[], object]:
    with networks.resnet20() as path:
        program = networks.compile_resnet20(path, adc=adc)
    chip = None if effects is None else Chip(program, effects)
    executor = Executor(program, threads=1, chip=chip)
    return partial(executor.run, {"x": networks.pictures(images)})


def _rate_row(work: str, peer: str, counts: tuple[int, int], both: Any, rounds: int) -> Row:
    """Images per CPU second; each side takes the batch that suits it."""
    times = take_turns(dict(zip(("ours", "theirs"), both, strict=True)), rounds)
    ours = [seconds / counts[0] for seconds in times["ours"]]
    theirs = [seconds / counts[1] for seconds in times["theirs"]]
    note = f"batches of {counts[0]} and {counts[1]}"
    return compare(work, ours, theirs, peer=peer, unit="images per CPU s", amount=1, note=note)


def _crosssim_net(*, sliced: bool, sigma: float) -> Any:
    from simulator import CrossSimParameters  # noqa: PLC0415  # optional
    from simulator.algorithms.dnn.torch.convert import from_torch  # noqa: PLC0415

    params = CrossSimParameters()
    params.core.style = "BITSLICED" if sliced else "BALANCED"
    params.core.weight_bits = 8
    params.core.rows_max = 128 if sliced else 1152
    if sliced:
        params.core.bit_sliced.style = "BALANCED"
        params.core.bit_sliced.num_slices = 4
    else:
        params.xbar.device.cell_bits = 7
    params.core.balanced.subtract_current_in_xbar = not sliced
    params.core.mapping.inputs.mvm.min, params.core.mapping.inputs.mvm.max = 0.0, 4.0
    params.xbar.dac.mvm.model = "QuantizerDAC"
    params.xbar.dac.mvm.signed = False
    params.xbar.dac.mvm.bits = 8
    params.xbar.dac.mvm.input_bitslicing = sliced
    params.xbar.dac.mvm.slice_size = 1
    params.xbar.adc.mvm.model = "QuantizerADC"
    params.xbar.adc.mvm.bits = 6 if sliced else 8
    params.xbar.adc.mvm.adc_per_ibit = sliced
    params.xbar.adc.mvm.adc_range_option = "GRANULAR" if sliced else "MAX"
    if sigma:
        params.xbar.device.programming_error.enable = True
        params.xbar.device.programming_error.model = "NormalIndependentDevice"
        params.xbar.device.programming_error.magnitude = sigma
    return from_torch(_torch_resnet20(), params)


def _crosssim(rounds: int) -> list[Row]:
    """Bit by bit as our 6-bit net does, and as its own ResNet example does, inputs at once."""
    variation = frozenset({"variation"})
    rows = []
    for name, adc, effects, sigma in (
        ("6-bit", "6", None, 0.0),
        ("variation", "lossless", Effects(variation), _SIGMA),
    ):
        both = (_ours(16, adc, effects), _forward(_crosssim_net(sliced=True, sigma=sigma), 4))
        peer = "CrossSim 3.2, bit by bit, four slices, 6-bit"
        rows.append(_rate_row(f"ResNet-20, {name}", peer, (16, 4), both, rounds))
    ideal = _ours(64, "lossless", Effects(variation, converters=False))
    both = (ideal, _forward(_crosssim_net(sliced=False, sigma=_SIGMA), 16))
    peer = "CrossSim 3.2, as its example: one slice, inputs at once"
    work = "ResNet-20, variation, ideal converters"
    return [*rows, _rate_row(work, peer, (64, 16), both, rounds)]


def _torch_net(name: str, make: Callable[[], Any], rounds: int) -> list[Row]:
    effects = Effects(frozenset({"variation"}), converters=False)
    both = (_ours(64, "lossless", effects), _forward(make(), 64))
    work = "ResNet-20, variation, ideal converters"
    return [_rate_row(work, f"{name}, one product a layer, 8-bit", (64, 64), both, rounds)]


def _lightning() -> Any:
    from aihwkit_lightning.nn.conversion import convert_to_analog  # noqa: PLC0415  # optional
    from aihwkit_lightning.simulator.configs import TorchInferenceRPUConfig  # noqa: PLC0415

    config = TorchInferenceRPUConfig()
    config.forward.inp_res = 2**8 - 2
    config.forward.out_noise = 0.0
    config.pre_post.input_range.enable = True
    return convert_to_analog(_torch_resnet20(), config).eval()


def _aihwkit() -> Any:
    from aihwkit.nn.conversion import convert_to_analog  # noqa: PLC0415  # optional
    from aihwkit.simulator.configs import TorchInferenceRPUConfig  # noqa: PLC0415

    net = convert_to_analog(_torch_resnet20(), TorchInferenceRPUConfig()).eval()
    net.program_analog_weights()
    return net


def _resistances(size: int) -> Any:
    return 1e4 * 10 ** np.random.default_rng(0).uniform(0, 2, (size, size))


def _badcrossbar(rounds: int) -> list[Row]:
    badcrossbar = importlib.import_module("badcrossbar")
    ohm = _resistances(64)
    works = {
        "ours": lambda: solve_by_elimination(1 / ohm, _LINES, 1),
        "theirs": lambda: badcrossbar.compute(
            np.eye(64), ohm, r_i_word_line=3.0, r_i_bit_line=1.0, node_voltages=False
        ),
    }
    times = take_turns(works, rounds)
    work = "wires, 64x64, currents of every driver"
    return [compare(work, times["ours"], times["theirs"], peer="badcrossbar 1.1")]


def _ngspice(rounds: int) -> list[Row]:
    """Wall time, since it is a process of its own; one drive there, the whole matrix here."""
    cells, ours, theirs = 1 / _resistances(32), [], []
    works = (
        (ours, lambda: solve_by_elimination(cells, _LINES, 1)),
        (theirs, lambda: spice_currents(cells, _LINES, np.ones((1, 32)))),
    )
    for number in range(rounds + 1):
        for found, work in works:
            start = time.perf_counter()
            work()
            if number:
                found.append(time.perf_counter() - start)
    work = "wires, 32x32, every drive (ngspice: one)"
    return [compare(work, ours, theirs, peer="ngspice", unit="wall s")]
