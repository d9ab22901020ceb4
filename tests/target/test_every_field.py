"""Every leaf field of a target changes something, or is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.target.test_load import Data, raw, set_at
from xbarc.compiler import compile_model
from xbarc.errors import MappingError, TargetError
from xbarc.report import collect
from xbarc.target import parse_target

MODEL = """
<ir_version: 8, opset_import: ["" : 17]>
net (float[1, 1, 8, 8] x) => (float[1, 10] y, float[1, 1] z) {
    a = Conv <pads = [1, 1, 1, 1]> (x, w)
    b = Relu (a)
    c = Flatten (b)
    y = MatMul (c, v)
    z = MatMul (c, u)
}
"""
# What people read: printed in the report's own words about the target, nothing else follows.
LABELS = {"name", "description", "cell.technology"}
# Where a number comes from: printed in the table of sources, nothing else follows.
PROVENANCE = ("unit", "source", "via", "confirmed", "note")
OPTIONAL = {"costs.chip_static": "mW", "costs.chip_area": "um2", "costs.write_energy": "pJ"}
OTHER_TEXT = {
    "kind": "silicon",
    "cell.variation.kind": "proportional",
    "adc.kind": "sense-amplifier",
    "adc.reference": "per-cycle",
    "precision.encoding": "offset",
    "hierarchy.network": "none",
}


def leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def complete() -> Data:
    """rram128 with the figures that it leaves out, on a chip too small for the model."""
    data = raw()
    for path, unit in OPTIONAL.items():
        figure = {"value": 2.0, "unit": unit, "source": "assumed", "via": "assumed"}
        set_at(data, path, {**figure, "confirmed": False, "note": "for this test"})
    data["hierarchy"].update(arrays_per_macro=1, macros_per_tile=2, tiles_per_chip=3)
    data["adc"].update(columns_per_adc=2, stops_early=False)
    return data


FIELDS = [(path, value) for path, value in leaves(complete()) if not path.startswith("sources.")]


def changes(path: str, value: Any) -> Iterator[Any]:
    """Other values for a field."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, max(1, value // 2))
    elif isinstance(value, float):
        yield 1.25 * value + 0.001
    elif isinstance(value, list):
        for index in range(len(value)):
            yield [v + 0.5 * (i == index) for i, v in enumerate(value)]
    else:
        yield OTHER_TEXT.get(path, f"{value}x")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    proto = onnx.parser.parse_model(MODEL)
    rng = np.random.default_rng(1)
    weights = {"w": rng.normal(size=(4, 1, 3, 3)), "v": rng.normal(size=(256, 10))}
    weights["u"] = np.eye(256, 1)  # one bit is enough for its top slice: a comparator
    for name, values in weights.items():
        proto.graph.initializer.append(
            onnx.numpy_helper.from_array(values.astype(np.float32), name)
        )
    path = tmp_path_factory.mktemp("model") / "net.onnx"
    onnx.save(proto, path)
    return path


def outcome(model: Path, data: Data) -> dict[str, Any]:
    """The report of the compiled model, as plain data."""
    program = compile_model(model, parse_target(data, where="test"))
    report: dict[str, Any] = json.loads(collect(program).model_dump_json())
    return report


@pytest.fixture(scope="module")
def before(model: Path) -> dict[str, Any]:
    return outcome(model, complete())


def ignored(path: str) -> tuple[str, ...]:
    """Parts of the report that only echo this field."""
    if path in LABELS:
        return ("sources",)
    last = path.rsplit(".", 1)[-1]
    return ("target",) if last in PROVENANCE else ("target", "sources")


@pytest.mark.parametrize(("path", "value"), FIELDS, ids=[path for path, _ in FIELDS])
def test_every_field_changes_something_or_is_refused(
    model: Path, before: dict[str, Any], path: str, value: Any
) -> None:
    for change in changes(path, value):
        if change == value:
            continue
        data = set_at(copy.deepcopy(complete()), path, change)
        try:
            after = outcome(model, data)
        except (TargetError, MappingError):
            continue
        skip = ignored(path)
        assert any(after[key] != before[key] for key in before if key not in skip), change
