"""Every option with every kind of value, as keywords of `xbarc.compile`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic.fields import FieldInfo

from tests.binary_models import dense_net
from tests.frontend.onnx_models import model_file
from xbarc.mapping import encoding_names
from xbarc.numerics.types import AnyArray
from xbarc.options import PANELS, about
from xbarc.options.base import choices_of, kind_of

FIELDS = {name: field for panel in PANELS for name, field in panel.model_fields.items()}
FAULTS = {
    "array": np.array([0, 0, 0]),
    "row": np.array([3, 17, 5]),
    "column": np.array([2, 9, 4]),
    "level": np.array([0, 3, 3]),
}
MORE: dict[str, tuple[Any, ...]] = {
    "prune": (0.25, "0.5:free"),
    "encoding": encoding_names(),
    "adc": ("calibrated:4", 4),
    "adc_budget": ("30dB",),
    "adc_savings": ("recode", "centre", "distribute", "group", "all,rows"),
    "conversion_cost": (24,),
    "column_order": (2,),
    "compensate": ("gain", "outputs", "gain,outputs", "partner"),
    "fault_map": (FAULTS,),
    "split": ({"a1": np.arange(48) % 3},),
    "duplicate": ("throughput=100000", "budget=64"),
    "shapes": ({"x": [2, 1, 6, 6]},),
    "fix_input": ({"x": 0.5},),
}
"""Values of options that take more than a name or a number."""
BESIDE: dict[str, dict[str, Any]] = {
    "weight_bits": {"encoding": "differential"},
    "encoding_budget": {"encoding": "auto"},
    "feedback": {"weight_slices": 1},
    "pack": {"tile": "even"},
    "rows_latency": {"adc_savings": "rows"},
    "conversion_cost": {"adc_savings": "recode,distribute"},
    "column_order": {"adc_savings": "group"},
    "fault_map": {"placement": "faults", "compensate": "partner"},
    "compensate": {"fault_map": FAULTS},
    "placement": {"fault_map": FAULTS, "compensate": "partner"},
}
"""What an option needs beside it to have an effect."""
Network = Literal["float", "small", "binary"]
NETWORKS: dict[str, Network] = {"precision": "float", "cells": "float", "binary": "binary"}
"""On which network the options of a table are tried, where it is not the small one."""
NUMBERS = {"encoding_budget": (0.3,), "rows_latency": (4.0,), "extra_groups": (0.5,)}
"""Values where the bounds are not the interesting ones."""


@dataclass(frozen=True)
class Variant:
    """One compilation: an option, its value, and what stands beside it."""

    option: str
    value: Any
    network: Network = "float"
    beside: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """For people, and the same in every process."""
        value = "file" if isinstance(self.value, dict) and self.option != "shapes" else self.value
        return f"{self.option}={value}" + f" ({self.network})"

    @property
    def keywords(self) -> dict[str, Any]:
        """For `xbarc.compile`."""
        return {**self.beside, self.option: self.value} if self.option else {}


def values_of(name: str, option: FieldInfo) -> tuple[Any, ...]:
    """Values that differ from the default: names, both switches, bounds, the example, and more."""
    said = about(option)
    found: list[Any] = [*choices_of(option), *MORE.get(name, ())]
    if kind_of(option) is bool:
        found += [True, False]
    elif kind_of(option) in (int, float):
        found += NUMBERS.get(name, [bound for bound in said.bounds if bound is not None])
    elif not choices_of(option):
        words = (word.partition("[")[0] for word in said.metavar.split("|"))
        found += [word for word in words if re.fullmatch("[a-z-]+", word)]
    found += [] if said.example is None or name == "fault_map" else [said.example]
    distinct = {repr(value): value for value in found if str(value) != str(option.default)}
    return tuple(distinct.values())


def variants() -> Iterator[Variant]:
    """The defaults of all networks, then option by option."""
    for network in CASES:
        yield Variant("", "defaults", network)
    for panel in PANELS:
        network = NETWORKS.get(panel.table, "small")
        for name, option in panel.model_fields.items():
            for value in values_of(name, option):
                yield Variant(name, value, network, BESIDE.get(name, {}))


@dataclass(frozen=True)
class Case:
    """A model, its target, and calibration data with labels."""

    model: Path
    target: str
    data: dict[str, AnyArray]


def float_case(folder: Path) -> Case:
    """A product so wide that BLAS, left alone, rounds otherwise on two threads, and a second."""
    rng = np.random.default_rng(3)
    weights: dict[str, Any] = {
        "v": rng.normal(size=(600, 32)).astype(np.float32) / 8,
        "w": rng.normal(size=(32, 10)).astype(np.float32),
    }
    model = model_file(
        folder,
        """net (float[N, 600] x) => (float[N, 10] y) {
        h = MatMul (x, v)
        r = Relu (h)
        y = MatMul (r, w) }""",
        **weights,
    )
    inputs = np.maximum(rng.normal(size=(400, 600)), 0).astype(np.float32)
    return Case(model, "rram128", {"x": inputs, "labels": rng.integers(0, 10, 400)})


def small_case(folder: Path) -> Case:
    """A convolution and a product, for options that search long."""
    rng = np.random.default_rng(1)
    weights: dict[str, Any] = {
        "k": rng.normal(size=(4, 1, 3, 3)).astype(np.float32) / 4,
        "v": rng.normal(size=(64, 10)).astype(np.float32) / 4,
    }
    model = model_file(
        folder,
        """net (float[N, 1, 6, 6] x) => (float[N, 10] y) {
        c = Conv <kernel_shape = [3, 3]> (x, k)
        r = Relu (c)
        f = Flatten (r)
        y = MatMul (f, v) }""",
        **weights,
    )
    inputs = rng.normal(size=(64, 1, 6, 6)).astype(np.float32)
    return Case(model, "rram128", {"x": inputs, "labels": rng.integers(0, 10, 64)})


def binary_case(folder: Path) -> Case:
    """Two binary products, one of them split, and a real classifier."""
    rng = np.random.default_rng(2)
    model = dense_net(folder, inputs=300)
    data: dict[str, AnyArray] = {
        "b0": rng.normal(size=(96, 300)).astype(np.float32),
        "labels": rng.integers(0, 3, 96),
    }
    return Case(model, "bnn128", data)


CASES: dict[Network, Callable[[Path], Case]] = {
    "float": float_case,
    "small": small_case,
    "binary": binary_case,
}
